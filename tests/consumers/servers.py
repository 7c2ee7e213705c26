"""smbd and nfs-ganesha on free ports of the loopback, with the configurations of packaging/examples:
only places, ports and numbers of users are put in."""

import os
import signal
import subprocess

import testbed
from consumers.accounts import environment
from system.scene import TOP

EXAMPLES = TOP / "packaging" / "examples"
PASSWORD = "one for all"


def example(name, changes):
    """The text of a shipped file with these words replaced; each must be in it."""
    text = (EXAMPLES / name).read_text()
    for old, new in changes.items():
        if old not in text:
            raise testbed.Trouble(f"{name} does not say {old!r} any more")
        text = text.replace(old, str(new))
    return text


class Server:
    """A server process that is ended with everything it started."""

    def __init__(self, home, argv, port, **options):
        self.words = home / "output"
        with open(self.words, "wb") as words:
            self.process = testbed.start_servant(argv, stdout=words, stderr=subprocess.PIPE,
                                                 **options)
        self.port = port
        testbed.wait_for_port(port, self.process)

    def stop(self):
        """Its session is its own: smbd has a process for each client in it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stderr.close()


def start_samba(site):
    home = site.directory / "samba"
    home.mkdir()
    configuration = home / "smb.conf"
    configuration.write_text(example("smb.conf", {"path = /koseki\n": f"path = {site.mount_point}\n"}))
    port = testbed.free_port()
    options = {"smb ports": port, "interfaces": "lo", "bind interfaces only": "yes",
               "log file": home / "log", "passdb backend": f"tdbsam:{home}/passdb.tdb"}
    for place in ("private dir", "lock directory", "state directory", "cache directory",
                  "pid directory", "ncalrpc dir"):
        options[place] = home / place.split()[0]
        options[place].mkdir()
    common = ["-s", configuration, *(f"--option={key}={value}" for key, value in options.items())]
    accounts = {**os.environ, **environment(site.directory)}
    for user in ("clerk", "stranger"):
        subprocess.run(["pdbedit", *common, "-a", "-t", user], env=accounts, check=True,
                       input=f"{PASSWORD}\n{PASSWORD}\n", text=True, capture_output=True)
    return Server(home, ["smbd", "-F", "--no-process-group", *common], port, env=accounts)


def start_ganesha(site, uid, gid):
    home = site.directory / "ganesha"
    home.mkdir()
    os.chown(home, uid, gid)
    configuration = home / "ganesha.conf"
    port = testbed.free_port()
    configuration.write_text(example("ganesha.conf", {
        "Path = /koseki;": f"Path = {site.mount_point};", "Anonymous_Uid = 977;":
        f"Anonymous_Uid = {uid};", "Anonymous_Gid = 976;": f"Anonymous_Gid = {gid};",
        "NFS_Port = 2049;": f"NFS_Port = {port}; Bind_addr = 127.0.0.1;",
        "Clients = 192.0.2.0/24;": "Clients = 127.0.0.1;",
        "/var/lib/kosekifs-nfs": home}))
    capability = "-all,+dac_read_search"
    return Server(home, ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
                         f"--inh-caps={capability}", f"--ambient-caps={capability}",
                         "ganesha.nfsd", "-F", "-f", configuration, "-L", home / "log", "-p",
                         home / "pid"], port)
