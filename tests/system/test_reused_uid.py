"""A grant names its user by name and uid; whoever gets one of the two inherits nothing.

The accounts are those of a copy of /etc in a mount namespace of this class. Its passwd is replaced
as the tools of a distribution do it: by rename.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import unittest

import testbed
from system.scene import GOOD, GOOD_G4, SystemTest, needs_root, work_directory

CLONE_NEWNS = 0x00020000
SATO, MORI, LATER = 62401, 62402, 62403
KEPT_SECONDS = 2   # how long the daemon uses the answer that a name and a uid belong together


def libc(name, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


class ReusedUids(SystemTest):
    serve_all = False

    @classmethod
    def setUpClass(cls):
        needs_root()
        if subprocess.run(["mountpoint", "-q", "/"]).returncode:
            raise unittest.SkipTest("/ is no mount point (a chroot): a namespace of mounts begins "
                                    "outside of it")
        cls.etc = work_directory() / "reused-uid-etc"
        subprocess.run(["rm", "-rf", cls.etc], check=True)
        cls.etc.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "/etc", cls.etc], check=True)
        cls.addClassCleanup(subprocess.run, ["rm", "-rf", cls.etc], check=True)
        cls.enter_namespace()
        subprocess.run(["mount", "--bind", cls.etc, "/etc"], check=True)
        cls.accounts(sato=SATO, mori=MORI)
        super().setUpClass()
        for name in (GOOD, GOOD_G4):
            cls.site.serve(cls.samples / "documents" / name)

    @classmethod
    def enter_namespace(cls):
        """This process and what it starts; its mounts end with the class."""
        before, here = os.open("/proc/self/ns/mnt", os.O_RDONLY), os.getcwd()

        def leave():
            libc("setns", before, CLONE_NEWNS)
            os.close(before)
            os.chdir(here)
        libc("unshare", CLONE_NEWNS)
        cls.addClassCleanup(leave)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)

    @classmethod
    def accounts(cls, **uids):
        """From now on these accounts exist besides the machine's own, and no others."""
        kept = [line for line in (cls.etc / "passwd").read_text().splitlines()
                if not line.endswith(":/nonexistent/reused")]
        added = [f"{name}:x:{uid}:{uid}::/nonexistent:/nonexistent/reused"
                 for name, uid in uids.items()]
        new = cls.etc / "passwd.new"
        new.write_text("\n".join(kept + added) + "\n")
        new.replace(cls.etc / "passwd")

    def as_uid(self, uid):
        return self.site.reader(uid, groups=())

    def becomes(self, uid, name, outcome):
        """Reads until it comes out like this; the daemon may take KEPT_SECONDS to notice."""
        testbed.wait_until(lambda: self.as_uid(uid).read(name)["error"] == outcome,
                           5 * KEPT_SECONDS, f"{outcome} for uid {uid}")

    def denials(self, uid):
        events = [json.loads(line)["event"]
                  for path in sorted((self.site.directory / "state" / "audit").glob("trail-*"))
                  for line in path.read_text().splitlines()]
        return [(event["kind"], event["name"], event["reason"]) for event in events
                if event.get("uid") == uid and event["result"] == "denied"]

    def is_void(self, name):
        """What the operator is shown of the grant of this certificate."""
        listed = self.assertOk(self.site.ctl("--json", "grants"))
        rows = [row for row in json.loads(listed)["grants"] if row["name"] == name]
        self.assertEqual(len(rows), 1, listed)
        return rows[0]["void"]

    def grant(self, name, user):
        self.assertOk(self.site.ctl("grant", name, user, "--reason", "appeal 7"))

    def test_a_grant_stays_with_name_and_uid(self):
        self.accounts(sato=SATO, mori=MORI)
        self.grant(GOOD, "sato")
        self.becomes(SATO, GOOD, "OK")
        self.assertEqual(self.as_uid(SATO).list(), [GOOD])
        self.assertFalse(self.is_void(GOOD))
        self.assertFails(self.as_uid(MORI), GOOD, "EACCES")

        # The name moves to another uid, the uid to another name. The kernel has the inode and the
        # pages still.
        self.accounts(mori=SATO, sato=LATER)
        self.becomes(SATO, GOOD, "EACCES")
        self.assertIn(("open", GOOD, "not_reader"), self.denials(SATO))
        self.assertFails(self.as_uid(LATER), GOOD, "EACCES")
        self.assertIn(GOOD, [name for _, name, _ in self.denials(LATER)])
        self.assertTrue(self.is_void(GOOD))
        for uid in (SATO, LATER):
            self.assertEqual(self.as_uid(uid).list(), [])

        # Nobody has the uid any more.
        self.accounts(mori=MORI)
        self.assertFails(self.as_uid(SATO), GOOD, "EACCES")
        # All as it was: the grant was never taken back.
        self.accounts(sato=SATO)
        self.becomes(SATO, GOOD, "OK")
        self.assertFalse(self.is_void(GOOD))

    def test_who_has_it_open_keeps_only_that(self):
        self.accounts(sato=SATO, mori=MORI)
        self.grant(GOOD_G4, "mori")
        self.becomes(MORI, GOOD_G4, "OK")
        held = self.as_uid(MORI).start("sh", "-c", 'exec 3<"$1" && echo && read -r go && cat <&3',
                                       "sh", GOOD_G4, stdin=subprocess.PIPE)
        held.stdout.readline()
        self.accounts(sato=SATO, hara=MORI)
        self.becomes(MORI, GOOD_G4, "EACCES")
        content, _ = held.communicate(b"go\n", timeout=20)
        self.assertEqual(content, pathlib.Path(self.site.served, GOOD_G4).read_bytes())
