"""Whatever of kosekifs is killed or replaced, at any moment: programs that read notice nothing.

KOSEKIFS_KILLS=full runs the full counts; the check runs a few of them.
"""

import contextlib
import ctypes
import errno
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import time
import unittest

import testbed
from system.scene import GOOD, GOOD_G4, LARGE, SLACK, SystemTest

PIDFD_GETFD = 438  # not in this Python's os
FULL = os.environ.get("KOSEKIFS_KILLS") == "full"

# Compares certificates with their originals, one that was never read and one that was, whose pages
# are dropped; until told to stop. Each line it prints is a failure, the last is its count.
COMPARE = r"""
served=$1 stop=$2; shift 2
count=0 old=
while [ ! -e "$stop" ]; do
    for name; do
        [ -e "$stop" ] && break
        cmp "$name" "$served/$name" || echo "cold $name: $?"
        count=$((count + 1))
        if [ -n "$old" ]; then
            dd if="$old" iflag=nocache count=0 status=none || echo "drop $old: $?"
            cmp "$old" "$served/$old" || echo "again $old: $?"
            sha256sum "$old" >"$stop.$$" || echo "sum $old: $?"
            count=$((count + 1))
        fi
        [ $((count % 5)) = 1 ] && old=$name
    done
done
echo "$count read"
"""


def start_in_namespace(pid, site, *argv):
    """A reader where the mount can be seen: in the mount namespace of that process."""
    return subprocess.Popen(
        ["nsenter", f"--target={pid}", "--mount", f"--wdns={site.mount_point}",
         "setpriv", "--reuid=61101", "--regid=61101", f"--groups={testbed.AFFAIR_GROUP}",
         *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)


class Comparing:
    """Four readers that compare while something happens."""

    READERS = 4

    def __init__(self, test, label, each, start=None):
        self.test, self.site = test, test.site
        start = start or test.reader.start
        self.stop = test.desk() / "stop"
        self.processes = []
        self.originals = [test.samples / "documents" / name for name in (GOOD, GOOD_G4)]
        for number in range(self.READERS):
            names = [f"{label}-{number}-{i:05d}.pdf" for i in range(each)]
            for i, name in enumerate(names):
                os.link(self.original(i), self.site.served / name)
            self.processes.append(start(
                "bash", "-c", COMPARE, "bash", self.site.served, self.stop, *names))

    def original(self, i):
        copy = self.site.served / f"original-{i % len(self.originals)}.pdf"
        if not copy.exists():
            copy.write_bytes(self.originals[i % len(self.originals)].read_bytes())
        return copy

    def running(self):
        return all(process.poll() is None for process in self.processes)

    def finish(self):
        """The number of files compared; fails with what did not compare."""
        self.stop.touch()
        read, wrong = 0, []
        for process in self.processes:
            done = self.test.reader.finish(process, 120)
            *failures, last = done.stdout.decode().splitlines()
            wrong += failures + done.stderr.decode().splitlines()
            read += int(last.split()[0])
        self.test.assertEqual(wrong, [])
        return read


class Killed(SystemTest):
    """kill -9 under readers that compare."""

    settings = {"mount.verify_workers": "2"}

    def kill_under_load(self, room, full, pause):
        kills = full if FULL else max(full // 20, 3)
        comparing = Comparing(self, room, kills * 60)
        before = len(self.site.log())
        for _ in range(kills):
            time.sleep(random.uniform(0.2, 1.0) * pause)
            self.assertTrue(comparing.running(), "too few certificates for so many kills")
            pid = testbed.wait_until(lambda: self.site.room(f"kosekifs-{room}"), 30 * SLACK, room)
            os.kill(pid, signal.SIGKILL)
        testbed.wait_until(lambda: self.site.room(f"kosekifs-{room}"), 30 * SLACK, room)
        read = comparing.finish()
        log = self.site.log()[before:]
        gaps = sorted(map(int, re.findall(r"goes on after (\d+) ms", log)))
        owed = sum(map(int, re.findall(r"(\d+) requests are owed", log)))
        print(f"      {room}: {kills} kills, {read} files compared, 0 errors"
              + (f"; {owed} requests replayed; gap median {gaps[len(gaps) // 2]} ms, "
                 f"longest {gaps[-1]} ms" if gaps else ""))
        self.assertGreater(read, kills)

    def kill_mount(self):
        pid = self.site.room("kosekifs-mount")
        os.kill(pid, signal.SIGKILL)
        testbed.wait_until(lambda: self.site.room("kosekifs-mount") not in (None, pid),
                           10 * SLACK, "the next kosekifs-mount")

    def blocked(self, name, method, *argv):
        """A program that waits for the link system, which does not answer."""
        self.serve_copy(name)
        self.link.fault(name, method=method, delay=60)
        process = self.reader.start(*(argv or ("sha256sum", name)))
        testbed.wait_until(lambda: self.link.requests(name, method), 5 * SLACK, method)
        return process

    def test_blocked_open_and_look_up(self):
        for method in ("GET", "HEAD"):
            name = f"blocked-{method}.pdf"
            process = self.blocked(name, method)
            self.kill_mount()
            self.link.fault(name, method=method)
            self.kill_mount()
            out = self.assertOk(self.reader.finish(process))
            self.assertEqual(out.split()[0].decode(), testbed.sha256(self.site.served / name))

    def test_signals_after_the_replacement(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            process = self.blocked(f"signal-{number.name}.pdf", "GET")
            self.kill_mount()
            process.send_signal(number)
            self.assertEqual(self.reader.finish(process, 10 * SLACK).returncode, -number)

    def test_signal_before_the_replacement(self):
        process = self.blocked("signal-first.pdf", "GET")
        pid = self.site.room("kosekifs-mount")
        os.kill(pid, signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.reader.finish(process, 10 * SLACK).returncode, -signal.SIGTERM)

    def test_crowd_that_waits(self):
        self.serve_copy("crowd.pdf")
        self.link.fault("crowd.pdf", method="GET", delay=60)
        program = ("import sys, threading\n"
                   "def read(): sys.stdout.write(f'{len(open(\"crowd.pdf\", \"rb\").read())}\\n')\n"
                   "threading.stack_size(65536)\n"
                   "crowd = [threading.Thread(target=read) for _ in range(300)]\n"
                   "for one in crowd: one.start()\n"
                   "for one in crowd: one.join()\n")
        process = self.reader.start("/usr/bin/python3", "-S", "-c", program)
        waiting = r"^kosekifs_waiting 300$"
        testbed.wait_until(lambda: re.search(waiting, self.metrics(), re.M), 10 * SLACK, "a crowd")
        self.kill_mount()
        testbed.wait_until(lambda: re.search(waiting, self.metrics(), re.M), 10 * SLACK, "the same")
        self.link.fault("crowd.pdf", method="GET")
        self.kill_mount()
        size = (self.site.served / "crowd.pdf").stat().st_size
        out = self.assertOk(self.reader.finish(process))
        self.assertEqual(out.split(), [str(size).encode()] * 300)
        opens = [event["request"] for event in self.site.events(kind="open")]
        self.assertEqual(len(opens), len(set(opens)), "recorded twice")

    def metrics(self):
        return self.reader.text(".kosekifs/metrics") or ""

    HOLDER = r"""
import json, os, sys
held = os.open(sys.argv[1], os.O_RDONLY)
status = os.open(".kosekifs/status.json", os.O_RDONLY)
part = os.open(".kosekifs/metrics", os.O_RDONLY)
first = os.read(part, 1 << 20)
print("open", flush=True)
sys.stdin.readline()
os.posix_fadvise(held, 0, 0, os.POSIX_FADV_DONTNEED)
sys.stdout.flush()
json.loads(os.read(status, 1 << 20))
assert os.read(part, 1 << 20) == b"", "more than the text"
while chunk := os.read(held, 65536):
    sys.stdout.buffer.write(chunk)
"""

    def test_open_files_go_on(self):
        self.assertReads(self.reader, LARGE)
        process = self.reader.start("/usr/bin/python3", "-S", "-c", self.HOLDER, LARGE,
                                    stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"open\n")
        self.kill_mount()
        out, err = process.communicate(b"\n", timeout=30)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertEqual(out, (self.site.served / LARGE).read_bytes())

    def test_mount(self):
        self.kill_under_load("mount", 200, 1)

    def test_link(self):
        self.kill_under_load("link", 50, 1)

    def test_verify(self):
        self.kill_under_load("verify", 50, 1)

    def test_keys(self):
        self.kill_under_load("keys", 50, 1)


class Silent(SystemTest):
    """A process that is there and does not answer."""

    settings = {"mount.silence_max": "4s", "mount.verify_timeout": "2s"}

    def stop(self, room):
        pid = self.site.room(f"kosekifs-{room}")
        os.kill(pid, signal.SIGSTOP)
        return pid

    def test_stopped_processes_are_replaced(self):
        self.assertReads(self.reader, GOOD)
        stopped = {room: self.stop(room) for room in ("mount", "link", "verify", "keys")}
        self.serve_copy("silent-1.pdf")
        process = self.reader.start("sha256sum", GOOD, "silent-1.pdf")
        out = self.assertOk(self.reader.finish(process, 60 * SLACK)).decode().split()
        self.assertEqual(out[0], testbed.sha256(self.site.served / GOOD))
        self.assertEqual(out[2], testbed.sha256(self.site.served / "silent-1.pdf"))
        for room, pid in stopped.items():
            testbed.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 20 * SLACK, room)
        self.assertIn("kosekifs-mount does not answer", self.site.log())


class Lost(SystemTest):
    """A request that the kernel has given out and nobody owes."""

    settings = {"mount.silence_max": "1s"}
    CONNECTIONS = "/sys/fs/fuse/connections"
    READ_MAX = 2 << 20

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        start = cls.site.start
        # In a namespace of its own it sees what the kernel waits for, here and in containers.
        cls.site.start = lambda: start(("unshare", "--mount", "sh", "-c",
                                        f"mount -t fusectl none {cls.CONNECTIONS} && exec \"$@\"",
                                        "sh"))

    def start_inside(self, *argv):
        return start_in_namespace(self.site.daemon.pid, self.site, *argv)

    def take_device(self):
        """Our own descriptor of the supervisor's /dev/fuse."""
        pid = self.site.daemon.pid
        number, = (int(fd.name) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()
                   if os.readlink(fd) == "/dev/fuse")
        process = os.pidfd_open(pid)
        try:
            device = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
        finally:
            os.close(process)
        if device < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        self.addCleanup(os.close, device)
        return device

    def test_one_new_process_is_tried(self):
        device = self.take_device()
        mount = self.site.room("kosekifs-mount")
        self.assertOk(self.reader.finish(self.start_inside("cat", GOOD)))
        os.kill(mount, signal.SIGSTOP)
        try:
            testbed.wait_until(lambda: all("\nState:\tT" in (task / "status").read_text() for task in
                                           pathlib.Path(f"/proc/{mount}/task").iterdir()),
                               5, "kosekifs-mount to stop")
            waiting = self.start_inside("cat", GOOD_G4)
            self.assertTrue(select.select([device], [], [], 5)[0])
            request = os.read(device, self.READ_MAX)
        finally:
            os.kill(mount, signal.SIGCONT)
        _, _, unique = struct.unpack_from("=IIQ", request)
        try:
            testbed.wait_until(lambda: "has lost requests" in self.site.log(), 10 * SLACK,
                               "the supervisor to see it")
            testbed.wait_until(lambda: self.site.room("kosekifs-mount") not in (None, mount), 10,
                               "another kosekifs-mount")
            self.assertOk(self.reader.finish(self.start_inside("cat", GOOD)))
            self.assertIsNone(waiting.poll(), "answered by somebody")
        finally:
            os.write(device, struct.pack("=IiQ", 16, -errno.EIO, unique))
        self.assertIn(b"Input/output error", self.reader.finish(waiting).stderr)
        self.assertEqual(self.site.log().count("has lost requests"), 1)


class Replaced(SystemTest):
    """Reload and upgrade under readers that compare."""

    settings = {"mount.verify_workers": "2"}

    def setUp(self):
        self.answers = len(self.site.log())

    def said(self):
        return self.site.log()[self.answers:]

    def test_upgrade_under_load(self):
        rounds = 20 if FULL else 4
        comparing = Comparing(self, "upgrade", rounds * 60)
        pid, gaps = self.site.daemon.pid, []
        before = self.site.rooms()
        for _ in range(rounds):
            out = self.assertOk(self.site.ctl("upgrade", timeout=60))
            self.assertIn("all processes are replaced", out)
            self.assertTrue(comparing.running())
            time.sleep(0.3)
        read = comparing.finish()
        gaps = sorted(map(int, re.findall(r"goes on after (\d+) ms", self.said())))
        self.assertGreaterEqual(len(gaps), rounds - 1)
        self.assertEqual(self.site.daemon.pid, pid)
        self.assertIsNone(self.site.daemon.poll())
        self.assertFalse({p for pids in before.values() for p in pids} &
                         {p for pids in self.site.rooms().values() for p in pids})
        print(f"      upgrade: {rounds} times, {read} files compared, 0 errors; "
              f"gap median {gaps[len(gaps) // 2]} ms, longest {gaps[-1]} ms")

    def test_changed_configuration(self):
        self.assertReads(self.reader, GOOD)
        self.addCleanup(self.configure)
        self.configure(**{"mount.fuse_threads": "7"})
        self.assertIn("replaced", self.assertOk(self.site.ctl("reload", timeout=60)))
        tasks = f"/proc/{self.site.room('kosekifs-mount')}/task"
        # It is ready before it has started them.
        testbed.wait_until(lambda: len(os.listdir(tasks)) >= 7, 10, "seven threads")
        self.assertReads(self.reader, GOOD)

    def test_unchanged_configuration(self):
        self.site.ctl("reload", timeout=60)  # what another test left
        mount = self.site.room("kosekifs-mount")
        self.assertIn("unchanged", self.assertOk(self.site.ctl("reload", timeout=60)))
        self.assertEqual(self.site.room("kosekifs-mount"), mount)

    def refused(self, *words):
        rooms = self.site.rooms()
        for command in ("reload", "upgrade"):
            done = self.site.ctl(command, timeout=60)
            self.assertEqual(done.returncode, 1, done.stdout)
            for word in words:
                self.assertIn(word, done.stderr)
        self.assertEqual(self.site.rooms(), rooms)
        self.assertReads(self.reader, GOOD)

    def test_broken_configuration(self):
        self.addCleanup(self.configure)
        self.configure(**{"mount.fuse_threads": "many"})
        self.refused("fuse_threads", "many")
        self.configure(**{"trust.anchors": self.site.directory / "nowhere.pem"})
        self.refused("nowhere.pem")
        self.configure(**{"backup.ledger": self.site.directory / "nowhere" / "ledger"})
        self.refused("nowhere")

    def test_what_needs_a_new_mount(self):
        self.addCleanup(self.configure)
        for key, value in (("mount.state_directory", self.site.directory / "other"),
                           ("mount.control_socket", self.site.directory / "run" / "other.sock"),
                           ("users.mount", "61077")):
            self.configure(**{key: value})
            self.refused("cannot change while mounted")

    def test_blocked_open_and_look_up(self):
        for method in ("GET", "HEAD"):
            name = f"blocked-{method}.pdf"
            self.serve_copy(name)
            self.link.fault(name, method=method, delay=1.0)
            process = self.reader.start("sha256sum", name)
            testbed.wait_until(lambda: self.link.requests(name, method), 5, method)
            self.assertOk(self.site.ctl("upgrade", timeout=60))
            self.link.fault(name, method=method)
            out = self.assertOk(self.reader.finish(process))
            self.assertEqual(out.split()[0].decode(), testbed.sha256(self.site.served / name))


class BrokenPrograms(SystemTest):
    """What is installed does not work: what runs goes on."""

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        build, programs = cls.site.build, cls.site.directory / "bin"
        if programs.exists():
            return
        (programs / "verify").mkdir(parents=True)
        for path in build.glob("kosekifs*"):
            if path.is_file():
                shutil.copy(path, programs)
        shutil.copy(build / "kosekictl", programs)
        shutil.copy(build / "verify" / "schema_worker.py", programs / "verify")
        cls.site.build = programs

    def install(self, name, content, mode=0o755):
        """As a package does: a new file under the old name."""
        path = self.site.build / name
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(mode)
        new.rename(path)

    def test_upgrade_to_what_does_not_start(self):
        rooms = self.site.rooms()
        for name in ("kosekifs-link", "kosekifs-mount", "kosekifs-keys", "kosekifs"):
            good = (self.site.build / name).read_bytes()
            for broken in (b"#!/bin/false\n", b"\x7fELF nonsense", b""):
                with self.subTest(name, broken=broken):
                    self.install(name, broken)
                    done = self.site.ctl("upgrade", timeout=90)
                    self.assertEqual(done.returncode, 1, done.stdout)
                    self.assertNotEqual(done.stderr, "")
                    self.assertEqual(self.site.rooms(), rooms)
                    self.assertReads(self.reader, GOOD)
            self.install(name, good)
        self.assertIn("replaced", self.assertOk(self.site.ctl("upgrade", timeout=90)))
        self.assertReads(self.reader, GOOD)

    def test_new_programs_are_noticed_when_one_is_started_anew(self):
        before = {pid for pids in self.site.rooms().values() for pid in pids}
        self.install("kosekifs-link", (self.site.build / "kosekifs-link").read_bytes())
        os.kill(self.site.room("kosekifs-link"), signal.SIGKILL)
        testbed.wait_until(lambda: not before & {pid for pids in self.site.rooms().values()
                                                 for pid in pids}, 10 * SLACK, "the upgrade")
        self.assertReads(self.reader, GOOD)


class NothingMounted(SystemTest):
    def test_readers_are_refused(self):
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.site.stop(), 0)
        done = subprocess.run(["cat", self.site.mount_point / GOOD], user=61101, group=61101,
                              extra_groups=[], capture_output=True, text=True)
        self.assertIn("Permission denied", done.stderr)


UNIT = """[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart={build}/kosekifs -f {mount} -o config={configuration}
LoadCredential=master-key:{key}
Restart=on-failure
RestartSec=10ms
KillMode=mixed
FileDescriptorStoreMax=16
StandardOutput=append:{log}
StandardError=inherit
"""

# systemd wants to see that it is the init of the machine; nobody else shall see that.
# Shared in itself, as it is where systemd began it: credentials are mounted from a namespace beside it.
SYSTEMD = """
mount --make-rprivate / && mount --make-rshared / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit
for each in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    own=$each/koseki-test-$$
    [ -e $each/cgroup.procs ] && mkdir -p $own && echo $$ >$own/cgroup.procs
done 2>/dev/null
exec /lib/systemd/systemd --user --unit=test.target
"""


class UnderSystemd(SystemTest):
    """The supervisor is killed; systemd keeps what it needs to go on."""

    @classmethod
    def setUpClass(cls):
        if not os.path.exists("/lib/systemd/systemd"):
            raise unittest.SkipTest("systemd is not installed")
        super().setUpClass()

    @classmethod
    def configure(cls, **more):
        super().configure(**{"keys.master_key": "credential:master-key", **more})
        keys = cls.site.directory / "keys"  # the file of this name is nobody's but systemd's now
        (keys / "master.key").rename(keys / "handed-over")
        cls.site.start = cls.start_systemd

    @classmethod
    def start_systemd(cls):
        site = cls.site
        home = site.directory / "sd"
        for name in ("run", "units"):
            (home / name).mkdir(parents=True)
        (home / "units" / "test.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (home / "units" / "kosekifs.service").write_text(
            UNIT.format(build=site.build, mount=site.mount_point, log=site.log_path,
                        configuration=site.configuration,
                        key=site.directory / "keys" / "handed-over"))
        cls.environment = {**os.environ, "XDG_RUNTIME_DIR": str(home / "run"), "HOME": str(home),
                           "SYSTEMD_UNIT_PATH": str(home / "units"),
                           "SYSTEMD_LOG_TARGET": "console"}
        with open(home / "log", "wb") as log:
            cls.systemd = testbed.start_servant(["unshare", "--mount", "sh", "-c", SYSTEMD],
                                                stdout=log, stderr=log, env=cls.environment)
        cls.addClassCleanup(cls.end_systemd)
        testbed.wait_until(lambda: (home / "run" / "systemd" / "private").exists() or
                           cls.systemd.poll() is not None, 10, "systemd")
        if cls.systemd.poll() is not None:
            raise unittest.SkipTest("systemd --user does not run here: " +
                                    (home / "log").read_text()[-300:])
        started = cls.systemctl("start", "kosekifs")
        if started.returncode:
            raise testbed.Trouble(started.stderr + site.log())

    @classmethod
    def systemctl(cls, *arguments):
        return subprocess.run(["systemctl", "--user", *arguments], env=cls.environment,
                              capture_output=True, text=True, timeout=60)

    @classmethod
    def end_systemd(cls):
        cls.systemctl("stop", "kosekifs")
        cls.systemd.kill()  # it has no unit to end by
        cls.systemd.wait(20)
        for top in pathlib.Path("/sys/fs/cgroup").glob(f"**/koseki-test-{cls.systemd.pid}"):
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # somebody is still ending in it
                    os.rmdir(directory)

    def shown(self, key):
        return self.systemctl("show", "--value", "-p", key, "kosekifs").stdout.strip()

    def start_inside(self, *argv):
        return start_in_namespace(self.systemd.pid, self.site, *argv)

    def test_supervisor(self):
        kills = 20 if FULL else 4
        comparing = Comparing(self, "supervisor", kills * 40, self.start_inside)
        for _ in range(kills):
            time.sleep(random.uniform(0.5, 1.5))
            self.assertTrue(comparing.running())
            before = self.shown("NRestarts")
            os.kill(int(self.shown("MainPID")), signal.SIGKILL)
            testbed.wait_until(lambda: self.shown("NRestarts") != before and
                               self.shown("ActiveState") == "active", 10 * SLACK, "the restart")
        self.assertEqual(self.shown("NFileDescriptorStore"), "5")
        read = comparing.finish()
        self.assertEqual(self.shown("NRestarts"), str(kills))
        print(f"      supervisor under systemd --user: {kills} kills, {read} files compared, "
              "0 errors")

    def test_credential(self):
        """LoadCredential= hands over the master key and leaves the service where the mount is seen
        by others."""
        supervisor = int(self.shown("MainPID"))
        environment = pathlib.Path(f"/proc/{supervisor}/environ").read_bytes().split(b"\0")
        self.assertEqual(sum(row.startswith(b"CREDENTIALS_DIRECTORY=") for row in environment), 1)
        self.assertEqual(os.readlink(f"/proc/{supervisor}/ns/mnt"),
                         os.readlink(f"/proc/{self.systemd.pid}/ns/mnt"))
        self.assertOk(self.reader.finish(self.start_inside("cat", GOOD)))

    def test_restart_begins_anew(self):
        """systemctl restart unmounts: nothing is left in the store."""
        self.assertEqual(self.systemctl("restart", "kosekifs").returncode, 0)
        process = self.start_inside("sha256sum", GOOD)
        out = self.assertOk(self.reader.finish(process))
        self.assertEqual(out.split()[0].decode(), testbed.sha256(self.site.served / GOOD))
        self.assertEqual(self.shown("NFileDescriptorStore"), "5")
