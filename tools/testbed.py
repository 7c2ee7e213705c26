"""One complete installation in a directory: configuration, link system, daemon, mount, readers.

Demo and system tests use it. Everything lies below the given directory; processes get numeric
users that need not exist. A reader never runs in this process, so a hanging mount can be torn down
from here.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parents[1]
ROOM_USERS = {"mount": 61001, "link": 61002, "verify": 61003, "keys": 61004, "schema": 61005}
AFFAIR_GROUP, BACKUP_GROUP, CONTROL_GROUP = 61100, 61200, 61300
SIGNER_DN = "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP"
START_SECONDS = 20
CAP_SYS_ADMIN = 21           # its bit in /proc/self/status

# Reads files as somebody else and says what happened; runs in a process of its own.
READ_PROGRAM = """
import errno, hashlib, json, os, sys, time
for name in sys.argv[1:]:
    began = time.monotonic()
    row = {"name": name, "error": "OK"}
    try:
        with open(name, "rb", buffering=0) as file:
            content = file.readall()
        row.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    except OSError as failure:
        row["error"] = errno.errorcode.get(failure.errno, str(failure.errno))
    row["ms"] = (time.monotonic() - began) * 1000
    print(json.dumps(row), flush=True)
"""


class Trouble(Exception):
    """The installation does not do what it must for any test or demo to go on."""


def why_no_mount():
    """Why this machine lets nothing be mounted with FUSE, or None. Containers often do not."""
    if os.geteuid() != 0:
        return "mounting and becoming other users needs root"
    if not os.path.exists("/dev/fuse"):
        return "/dev/fuse is missing: the kernel has no FUSE here"
    effective = re.search(r"^CapEff:\s*(\w+)$", pathlib.Path("/proc/self/status").read_text(), re.M)
    if not int(effective[1], 16) >> CAP_SYS_ADMIN & 1:
        return "root without CAP_SYS_ADMIN, as in a container, cannot mount"
    return None


def reachable_top():
    """A path of this tree that other users can walk to, short enough for sockets in it. If there is
    none (a checkout in a home directory), this program starts again in a mount namespace where the
    tree is also on /mnt."""
    if "KOSEKIFS_REACH" in os.environ:
        return pathlib.Path(os.environ["KOSEKIFS_REACH"])
    open_to_all = all(p.stat().st_mode & 0o001 for p in (TOP, *TOP.parents))
    if why_no_mount() or open_to_all and len(str(TOP)) < 40:
        return TOP
    os.environ["KOSEKIFS_REACH"] = "/mnt"
    os.execvp("unshare", ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /mnt && exec "$@"',
                          str(TOP), sys.executable, "-B", *sys.argv])


def wait_until(condition, seconds, what):
    """Polls for an event that nothing announces; returns what `condition` yields."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Trouble(f"waited {seconds} s in vain for {what}")
        time.sleep(0.01)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class ReadySocket:
    """Where a daemon says READY=1, as it would to systemd."""

    count = 0

    def __enter__(self):
        ReadySocket.count += 1
        self.address = f"@koseki-testbed-{os.getpid()}-{ReadySocket.count}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.address[1:])
        self.socket.setblocking(False)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def heard(self):
        with contextlib.suppress(BlockingIOError):
            return b"READY=1" in self.socket.recv(4096)
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_servant(argv, **options):
    """A background process that gets SIGTERM when we end, however that comes about."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, argv)],
                            stdin=subprocess.DEVNULL, start_new_session=True, **options)


def wait_for_port(port, process):
    """Until somebody listens there, or the process that should has ended."""
    def listening():
        if process.poll() is not None:
            raise Trouble(f"{process.args[0]} ended: {process.stderr.read().decode()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    wait_until(listening, START_SECONDS, f"port {port}")


def children_of(pid):
    """Processes whose parent is `pid`, as {name: [pid, …]}."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            name = text[text.index("(") + 1:text.rindex(")")]
            if int(text[text.rindex(")") + 2:].split()[1]) == pid:
                found.setdefault(name, []).append(int(entry))
    return found


class LinkSim:
    """tools/linksim as a process: the stand-in link system and its scripted faults."""

    def __init__(self, home, served, link):
        self.home, self.served, self.link = pathlib.Path(home), served, link
        self.home.mkdir()
        self.port = self.control_port = 0
        self.process = None
        self.start()

    def start(self):
        """The second start takes the ports of the first."""
        with open(self.home / "stderr", "ab") as words:
            self.process = start_servant(
                ["/usr/bin/python3", "-B", TOP / "tools" / "linksim", "--root", self.served,
                 "--cert", self.link / "server.pem", "--key", self.link / "server.key",
                 "--client-ca", self.link / "ca.pem", "--port", self.port,
                 "--control-port", self.control_port, "--threads", 160,
                 "--log", self.home / "requests.jsonl"], stdout=subprocess.PIPE, stderr=words)
        ready = self.process.stdout.readline()
        if not ready:
            raise Trouble("linksim did not start: " + (self.home / "stderr").read_text())
        ready = json.loads(ready)
        self.port, self.control_port, self.url = ready["port"], ready["control_port"], ready["url"]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.communicate(timeout=10)
            self.process = None

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            value = json.loads(answer.read())
        if answer.status != 200:
            raise Trouble(f"linksim: {value}")
        return value

    def fault(self, name, **rule):
        """From now on the link system does this wrong with this certificate."""
        self.control("POST", "/faults", {"name": name, **rule})

    def requests(self, name=None, method=None):
        """What was asked, in order: objects with method, name, range, if_range, status, sent, …"""
        query = {key: value for key, value in (("name", name), ("method", method)) if value}
        return self.control("GET", "/requests?" + urllib.parse.urlencode(query))


class Reader:
    """Somebody with a uid, a primary group and further groups, working inside the mount."""

    def __init__(self, site, uid, gid=None, groups=()):
        self.site, self.uid, self.gid = site, uid, uid if gid is None else gid
        self.groups = list(groups)

    def start(self, *argv, **options):
        """A running program of this reader. Its directory is the mount point, entered before
        rights are given up, so the way there need not be open to everybody."""
        settings = {"cwd": self.site.mount_point, "stdin": subprocess.DEVNULL,
                    "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        settings.update(options)
        return subprocess.Popen(list(map(str, argv)), user=self.uid, group=self.gid,
                                extra_groups=self.groups, **settings)

    def finish(self, process, timeout=30):
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.site.abort()
            process.kill()
            process.communicate()
            raise Trouble(f"{process.args} did not end within {timeout} s; mount aborted") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, *argv, timeout=30, **options):
        return self.finish(self.start(*argv, **options), timeout)

    def read_all(self, names, timeout=30):
        """One row per name: error ("OK" or the errno's name), size, sha256, ms."""
        done = self.run("/usr/bin/python3", "-S", "-c", READ_PROGRAM, *names, timeout=timeout)
        if done.returncode:
            raise Trouble(done.stderr.decode())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def read(self, name, timeout=30):
        return self.read_all([name], timeout)[0]

    def text(self, name):
        done = self.run("cat", name)
        return done.stdout.decode() if done.returncode == 0 else None

    def list(self, directory="."):
        done = self.run("ls", "-U", directory)
        if done.returncode:
            raise Trouble(done.stderr.decode())
        return sorted(done.stdout.decode().split())


class Site:
    """The installation. `samples` was made by make-samples; `build` holds the programs."""

    def __init__(self, directory, build, samples):
        self.directory, self.build, self.samples = map(pathlib.Path, (directory, build, samples))
        if self.directory.exists():
            shutil.rmtree(self.directory)
        for name, mode in (("", 0o755), ("mnt", 0o000), ("served", 0o755), ("keys", 0o700),
                           ("run", 0o755), ("state", 0o700)):
            (self.directory / name).mkdir(mode=mode, parents=True)
        os.chown(self.directory / "state", ROOM_USERS["mount"], ROOM_USERS["mount"])
        self.mount_point, self.served = self.directory / "mnt", self.directory / "served"
        self.configuration = self.directory / "kosekifs.conf"
        self.log_path = self.directory / "kosekifs.log"
        self.daemon = self.exit_code = None
        self.policy = self.default_policy()
        self._write_keys()

    def _write_keys(self):
        keys = self.directory / "keys"
        (keys / "master.key").write_bytes(os.urandom(32))
        shutil.copy(self.samples / "link" / "client.key", keys / "client.key")
        for path in keys.iterdir():
            path.chmod(0o600)

    def default_policy(self):
        return {
            "policy": {"version": "1"},
            "roles": {"backup": f"@{BACKUP_GROUP}"},
            "affair pension": {"purpose": "pension claims", "readers": f"@{AFFAIR_GROUP}",
                               "ids": "*"},
        }

    def settings(self, url):
        """The configuration as {section: {key: value}}; a test changes what it is about."""
        link = self.samples / "link"
        return {
            "mount": {"state_directory": self.directory / "state",
                      "control_socket": self.directory / "run" / "control.sock",
                      "control_group": CONTROL_GROUP,
                      "access_policy": self.directory / "access.conf",
                      "map_size": "1G"},
            "link": {"url": url, "ca_file": link / "ca.pem", "certificate_file": link / "client.pem",
                     "server_pin": (link / "server.pin").read_text().strip()},
            "keys": {"master_key": self.directory / "keys" / "master.key",
                     "tls_key": self.directory / "keys" / "client.key"},
            "trust": {"anchors": self.samples / "signing" / "official.pem",
                      "crls": self.samples / "signing" / "crls", "signer_dn": SIGNER_DN,
                      "schema_directory": self.directory / "schema"},
            "users": dict(ROOM_USERS),
        }

    def write_configuration(self, settings):
        self.configuration.write_text(ini(settings))
        (self.directory / "access.conf").write_text(ini(self.policy))

    def serve(self, source, name=None):
        """Puts a document where the link system finds it."""
        target = self.served / (name or pathlib.Path(source).name)
        shutil.copy(source, target)
        return target

    # The daemon.

    def start(self, before=()):
        """Starts the daemon in the foreground and waits until it is mounted. `before` is a command
        line that it is started by."""
        with open(self.log_path, "ab") as log, ReadySocket() as ready:
            self.daemon = start_servant(
                [*before, self.build / "kosekifs", "-f", self.mount_point, "-o",
                 f"config={self.configuration}"], stdout=log, stderr=log, cwd="/",
                env={**os.environ, "NOTIFY_SOCKET": ready.address})
            wait_until(lambda: ready.heard() or self.daemon.poll() is not None, START_SECONDS,
                       "kosekifs to be ready")
        if self.daemon.poll() is not None:
            self.exit_code, self.daemon = self.daemon.returncode, None
            raise Trouble(f"kosekifs ended with {self.exit_code}:\n{self.log()}")

    def stop(self):
        """Ends the daemon the ordinary way; clears away what it leaves."""
        code = None
        if self.daemon:
            self.daemon.terminate()
            try:
                code = self.daemon.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.abort()
                for pids in children_of(self.daemon.pid).values():
                    for pid in pids:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None
        left = self.mounted()
        if left:
            subprocess.run(["umount", "-l", self.mount_point], capture_output=True)
        if left and code is not None:
            raise Trouble("kosekifs ended and left its mount")
        return code

    def close(self):
        self.stop()

    def mounted(self):
        """Whether our mount is there."""
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[4] == str(self.mount_point) and "fuse.kosekifs" in fields:
                return True
        return False

    def abort(self):
        """Ends all requests of our mount, answered or not. By force, not by /sys/fs/fuse, which
        is not mounted in containers."""
        if self.mounted():
            subprocess.run(["umount", "--force", "--internal-only", self.mount_point],
                           capture_output=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def rooms(self):
        """The daemon's processes by name."""
        return children_of(self.daemon.pid)

    def room(self, name):
        """The one process of this name; the kernel keeps 15 characters."""
        pids = self.rooms().get(name[:15], [])
        return pids[0] if pids else None

    # Those who use it.

    def reader(self, uid=61101, groups=(AFFAIR_GROUP,)):
        return Reader(self, uid, groups=groups)

    def start_ctl(self, *arguments):
        """kosekictl, running."""
        return subprocess.Popen([self.build / "kosekictl", *map(str, arguments)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "KOSEKICTL_SOCKET":
                                     str(self.directory / "run/control.sock")})

    def ctl(self, *arguments, timeout=30):
        with self.start_ctl(*arguments) as process:
            try:
                out, errors = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def events(self, **wanted):
        """The events of the trail whose members have these values; a record that is being written
        is none yet."""
        found = []
        for path in sorted((self.directory / "state" / "audit").glob("trail-*.jsonl")):
            for line in path.read_text().splitlines(keepends=True):
                event = json.loads(line)["event"] if line.endswith("\n") else {}
                if event and all(event.get(key) == value for key, value in wanted.items()):
                    found.append(event)
        return found


def ini(sections):
    rows = []
    for section, values in sections.items():
        rows.append(f"[{section}]")
        rows += [f"{key} = {value}" for key, value in values.items()]
        rows.append("")
    return "\n".join(rows)
