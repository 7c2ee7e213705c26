"""A place with the supervisor, and room doubles instead of its programs."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tools"))
import testbed  # noqa: E402


def reachable(variable):
    """The path in this variable. Where other users cannot walk to it, tools/check has a second
    place for the whole tree."""
    path = pathlib.Path(os.environ[variable])
    second = os.environ.get("KOSEKIFS_REACH")
    return pathlib.Path(second, path.relative_to(TOP)) if second else path


PROGRAM = reachable("KOSEKIFS")
DOUBLE = reachable("ROOM_DOUBLE")
DIRECTORY = reachable("SUPERVISOR_TEST_DIRECTORY")
ROOMS = ("mount", "link", "verify", "keys")
USERS = {"mount": 62001, "link": 62002, "verify": 62003, "keys": 62004, "schema": 62005}
WAIT = 20


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WAIT} s in vain for {what}")
        time.sleep(0.01)
    return value


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Place:
    """A directory with everything that a start needs, and nothing wrong with it."""

    count = 0

    def __init__(self):
        Place.count += 1  # short names: a socket's path has 107 bytes at most
        self.top = DIRECTORY / str(Place.count)
        if self.top.exists():
            shutil.rmtree(self.top)
        for part in ("bin", "mnt", "crls"):
            (self.top / part).mkdir(parents=True)
        self.bin, self.mount_point = self.top / "bin", self.top / "mnt"
        shutil.copy(PROGRAM, self.bin / "kosekifs")
        for room in ROOMS:
            shutil.copy(DOUBLE, self.bin / f"kosekifs-{room}")
            journal = self.bin / f"journal-{room}"
            journal.touch()
            journal.chmod(0o666)
        self.write("master.key", os.urandom(32), 0o400)
        self.write("client.key", b"key\n", 0o600)
        for name in ("ca.pem", "client.pem", "anchor.pem", "more.pem", "crls/a.crl"):
            self.write(name, name.encode())
        self.write("access.conf", b"[policy]\nversion = 1\n")
        self.settings = {
            "mount": {"state_directory": self.top / "state", "verify_workers": 2,
                      "control_socket": self.top / "run" / "control.sock", "control_group": 62300,
                      "access_policy": self.top / "access.conf"},
            "link": {"url": "https://127.0.0.1/{name}", "ca_file": self.top / "ca.pem",
                     "certificate_file": self.top / "client.pem"},
            "keys": {"master_key": self.top / "master.key",
                     "tls_key": self.top / "client.key"},
            "trust": {"anchors": f"{self.top}/anchor.pem {self.top}/more.pem", "crls": self.top / "crls",
                      "signer_dn": "CN=x"},
            "audit": {}, "alerts": {}, "users": dict(USERS),
        }
        self.daemon, self.log = None, self.top / "log"

    def write(self, name, content, mode=0o644):
        path = self.top / name
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def configure(self):
        lines = []
        for section, values in self.settings.items():
            lines += [f"[{section}]"] + [f"{key} = {value}" for key, value in values.items()]
        self.write("kosekifs.conf", "\n".join(lines).encode() + b"\n")
        return f"config={self.top / 'kosekifs.conf'}"

    def behave(self, room, words):
        self.write(f"bin/behaviour-{room}", words.encode())

    def journal(self, room):
        return (self.bin / f"journal-{room}").read_text().splitlines()

    def said(self, room, line, times=1):
        return self.journal(room).count(line) >= times

    def start(self, *prefix, wait=True, environment=None):
        config = self.configure()
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen(
                [*prefix, self.bin / "kosekifs", "-f", self.mount_point, "-o", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        if wait:
            wait_until(lambda: "can be read in" in self.text() or self.daemon.poll() is not None,
                       "the mount")
            assert self.daemon.poll() is None, self.text()

    def text(self):
        return self.log.read_text(errors="replace")

    def mounted(self):
        return any(line.split()[4] == str(self.mount_point)
                   for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())

    def pids(self):
        return [int(line.split()[2]) for room in ROOMS for line in self.journal(room)
                if line.startswith("start pid ")]

    def end(self):
        return self.daemon.wait(WAIT)

    def clear(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        if self.mounted():
            subprocess.run(["umount", "-l", self.mount_point], check=False)


class SupervisorTest(unittest.TestCase):
    def setUp(self):
        reason = testbed.why_no_mount()
        if reason:
            self.skipTest(reason)
        if not all(path.stat().st_mode & 0o001 for path in PROGRAM.parents):
            self.skipTest(f"the rooms' users cannot walk to {PROGRAM.parent}; tools/check can help")
        self.place = Place()
        self.addCleanup(self.place.clear)

    def assertNothingLeft(self):
        place = self.place
        self.assertFalse(place.mounted(), "still mounted")
        for pid in place.pids():
            self.assertFalse(alive(pid), f"process {pid} is left")
        self.assertFalse((place.top / "run" / "control.sock").exists(), "control socket is left")

    def assertStartFails(self, code, *words):
        self.place.start(wait=False)
        self.assertEqual(self.place.end(), code, self.place.text())
        for word in words:
            self.assertIn(str(word), self.place.text())
        self.assertNothingLeft()
