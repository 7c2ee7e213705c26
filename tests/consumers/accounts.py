"""Accounts for programs that want their users to have names, without making any on this machine:
libnss-wrapper gives them to one program alone."""

import testbed

CLERK, STRANGER, KEEPER = 61101, 61199, 61201
# In the environment of a row of the table; {site} is filled in there.
ACCOUNTS = {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_PASSWD": "{site}/accounts/passwd",
            "NSS_WRAPPER_GROUP": "{site}/accounts/group"}


def write_accounts(directory):
    """clerk is a reader by his group, keeper is in the backup group, stranger has no right."""
    accounts = directory / "accounts"
    accounts.mkdir(exist_ok=True)
    users = {"root": (0, 0), "nobody": (65534, 65534), "clerk": (CLERK, CLERK),
             "stranger": (STRANGER, STRANGER), "keeper": (KEEPER, KEEPER)}
    groups = {**{name: (gid, "") for name, (_, gid) in users.items()},
              "pension": (testbed.AFFAIR_GROUP, "clerk"),
              "backup": (testbed.BACKUP_GROUP, "keeper")}
    (accounts / "passwd").write_text("".join(
        f"{name}:x:{uid}:{gid}::{directory}:/bin/sh\n" for name, (uid, gid) in users.items()))
    (accounts / "group").write_text("".join(
        f"{name}:x:{gid}:{members}\n" for name, (gid, members) in groups.items()))


def environment(directory):
    return {key: value.replace("{site}", str(directory)) for key, value in ACCOUNTS.items()}
