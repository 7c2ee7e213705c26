"""The audit trail through the mount: what is served is on record, whatever happens; what cannot be
recorded is not served; a trail that was tampered with is found out."""

import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest

import testbed
from system.scene import STRANGER_UID, SystemTest


class TrailTest(SystemTest):
    serve_all = False

    @property
    def trail(self):
        return self.site.directory / "state" / "audit"

    def events(self, **wanted):
        return self.site.events(**wanted)

    def verify(self, *arguments):
        return self.site.ctl("audit", "verify", *arguments)

    def assertWhole(self):
        done = self.verify(self.trail)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Recorded(TrailTest):
    settings = {"audit.checkpoint_records": "5", "audit.checkpoint_time": "1s"}

    @classmethod
    def configure(cls, **more):
        path = cls.site.directory / "run" / "syslog"
        cls.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.syslog.close)
        cls.addClassCleanup(cls.syslog.shutdown, socket.SHUT_RDWR)
        cls.syslog.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        cls.syslog.bind(str(path))
        cls.datagrams = collections.deque()
        threading.Thread(target=cls.listen, daemon=True).start()
        os.chmod(path, 0o666)
        super().configure(**{"audit.syslog": path, **more})

    @classmethod
    def listen(cls):
        """The kernel keeps a few datagrams only for who does not take them."""
        with contextlib.suppress(OSError):  # closed at the end
            while datagram := cls.syslog.recv(16384):
                cls.datagrams.append(datagram)

    def test_an_open_and_its_release(self):
        self.serve_copy("R-1.pdf")
        self.assertReads(self.reader, "R-1.pdf")
        opened = self.events(kind="open", name="R-1.pdf", uid=self.reader.uid)
        self.assertEqual(len(opened), 1)
        self.assertEqual(opened[0]["result"], "ok")
        self.assertEqual(opened[0]["affair"], "pension")
        self.assertEqual(opened[0]["purpose"], "pension claims")
        self.assertEqual(opened[0]["role"], "reader")
        self.assertTrue(opened[0]["unverified_comm"].startswith("python"))
        request = opened[0]["request"]
        testbed.wait_until(lambda: self.events(kind="release", request=request), 5, "the release")
        for kind in ("fetch", "verdict"):
            self.assertEqual([e["result"] for e in self.events(kind=kind, name="R-1.pdf")], ["ok"])

    def test_what_is_refused(self):
        self.serve_copy("R-2.pdf")
        self.assertReads(self.reader, "R-2.pdf")
        self.assertFails(self.stranger, "R-2.pdf", "EACCES")
        root = self.site.reader(0, groups=())
        self.assertFails(root, "R-2.pdf", "EACCES")
        for uid, reason in ((STRANGER_UID, "not_reader"), (0, "root_excluded")):
            denied = self.events(name="R-2.pdf", uid=uid, result="denied")
            self.assertTrue(denied)
            self.assertEqual({e["reason"] for e in denied}, {reason})
            self.assertEqual({e["error"] for e in denied}, {13})
        self.assertFails(self.reader, "absent-1.pdf", "ENOENT")

    def test_start(self):
        self.assertEqual(len(self.events(kind="start")), 1)

    def test_verify_show_export_and_checkpoints(self):
        self.serve_copy("R-3.pdf")
        for _ in range(8):
            self.assertReads(self.reader, "R-3.pdf")
        testbed.wait_until(lambda: self.events(kind="checkpoint", result="ok"), 10,
                           "a signed checkpoint")
        self.assertWhole()
        done = self.verify("--json", self.trail)
        summary = json.loads(done.stdout.splitlines()[-1])
        self.assertGreater(summary["covered"], 0)
        self.assertTrue(summary["from_beginning"])
        self.assertEqual(self.verify("--key", summary["key"], self.trail).returncode, 0)
        self.assertEqual(self.verify("--key", "00" * 32, self.trail).returncode, 1)

        shown = self.site.ctl("audit", "show", "--who", self.reader.uid, "--what", "R-3.pdf",
                              "--kind", "open", "--since", "1h", self.trail)
        self.assertEqual(len(shown.stdout.splitlines()), 8, shown.stderr)

        out = self.site.directory / "export.jsonl"
        out.unlink(missing_ok=True)
        self.assertOk(self.site.ctl("audit", "export", "--since", "1h", "--out", out, self.trail))
        checkpoints = ("--checkpoints", self.trail / "checkpoints.jsonl")
        self.assertEqual(self.verify(*checkpoints, out).returncode, 0)
        lines = out.read_bytes().splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if b"R-3.pdf" in line)
        cases = {
            "changed": lines[:at] + [lines[at].replace(b"R-3.pdf", b"R-4.pdf")] + lines[at + 1:],
            "missing": lines[:5] + lines[6:],
            "moved": lines[:6] + lines[5:],
            "torn": lines[:-1] + [lines[-1][:-1]],
            "truncated": lines[:5],
        }
        for fault, tampered in cases.items():
            with self.subTest(fault):
                out.write_bytes(b"".join(tampered))
                done = self.verify(*checkpoints, out)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(f": {fault}: ", done.stdout)

    def test_syslog_gets_the_same(self):
        self.serve_copy("R-5.pdf")
        self.assertReads(self.reader, "R-5.pdf")
        opened = []
        testbed.wait_until(lambda: opened.extend(
            datagram for datagram in list(self.datagrams)
            if b"R-5.pdf" in datagram and b" open - {" in datagram) or opened, 10, "the datagram")
        datagram = opened[0]
        self.assertTrue(datagram.startswith(b"<110>1 "), datagram[:40])
        event = json.loads(datagram[datagram.index(b" - {") + 3:])["event"]
        self.assertEqual(self.events(seq=event["seq"]), [event])


class Killed(TrailTest):
    def granted(self):
        return self.events(kind="open", result="ok")

    def test_every_served_open_is_on_record(self):
        names = [f"K-{i}.pdf" for i in range(4)]
        for name in names:
            self.serve_copy(name)
            self.assertReads(self.reader, name)
        served = len(names)
        for round_number in range(5):
            before = len(self.granted())
            self.assertGreaterEqual(before, served)
            program = ("import sys, itertools\nfor i in itertools.count():\n"
                       " with open(f'K-{i % 4}.pdf', 'rb') as f: f.read(1)\n"
                       " print(i, flush=True)\n")
            readers = [self.reader.start("/usr/bin/python3", "-S", "-c", program) for _ in range(3)]
            testbed.wait_until(lambda: len(self.granted()) > before + 50, 20, "opens")
            os.kill(self.site.room("kosekifs-mount"), signal.SIGKILL)
            self.site.daemon.kill()  # nobody takes the mount over: a crash of the machine's kind
            self.site.daemon.wait()
            self.site.daemon = None
            subprocess.run(["umount", "-l", self.site.mount_point], capture_output=True)
            for process in readers:
                process.kill()
                out, _ = process.communicate(timeout=20)
                served += out.count(b"\n")
            self.site.start()
            requests = [event["request"] for event in self.granted()]
            self.assertGreaterEqual(len(requests), served, f"round {round_number}")
            self.assertEqual(len(requests), len(set(requests)), "recorded twice")
            self.assertWhole()


class DiskFull(TrailTest):
    """The state directory on a small ext4 of its own."""

    settings = {**TrailTest.settings, "retention.headroom": "2M"}

    @classmethod
    def configure(cls, **more):
        image = cls.site.directory / "state.img"
        state = cls.site.directory / "state"
        if not shutil.which("mkfs.ext4"):
            raise unittest.SkipTest("mkfs.ext4 (e2fsprogs) is missing")
        with open(image, "wb") as file:
            file.truncate(48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, state], capture_output=True).returncode:
            raise unittest.SkipTest("no loop device can be mounted here")
        cls.addClassCleanup(lambda: subprocess.run(["umount", "-l", state], check=True))
        cls.addClassCleanup(cls.site.close)
        os.chown(state, testbed.ROOM_USERS["mount"], testbed.ROOM_USERS["mount"])
        os.chmod(state, 0o700)
        super().configure(**more)

    def test_stops_and_resumes(self):
        self.serve_copy("D-1.pdf")
        self.assertReads(self.reader, "D-1.pdf")
        ballast = self.site.directory / "state" / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        outcomes = [self.reader.read("D-1.pdf")["error"] for _ in range(40)]
        self.assertEqual(outcomes[-1], "EPERM", outcomes)
        first = outcomes.index("EPERM")
        self.assertEqual(set(outcomes[:first]) | {"OK"}, {"OK"})  # what fitted into the last block
        self.assertNotIn("OK", outcomes[first:])
        ballast.unlink()
        self.assertReads(self.reader, "D-1.pdf")
        self.assertTrue(self.events(kind="trail", reason="lost"))
        granted = len(self.events(kind="open", name="D-1.pdf", result="ok"))
        self.assertEqual(granted, 1 + first + 1)
        self.assertWhole()


class Reload(TrailTest):
    def test_a_right_taken_away_while_a_file_is_open(self):
        self.serve_copy("L-1.pdf")
        self.assertReads(self.reader, "L-1.pdf")
        program = ("import sys\nf = open('L-1.pdf', 'rb')\nprint(len(f.read(10)), flush=True)\n"
                   "sys.stdin.readline()\nf.seek(0)\nprint(len(f.read(10)))\n")
        process = self.reader.start("/usr/bin/python3", "-S", "-c", program, stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"10\n")
        policy = self.site.directory / "access.conf"
        before = policy.read_text()
        others = self.site.reader(61102, groups=(61999,))
        try:
            policy.write_text(before.replace(f"@{testbed.AFFAIR_GROUP}", "@61999")
                              .replace("version = 1", "version = 2"))
            self.site.daemon.send_signal(signal.SIGHUP)
            testbed.wait_until(lambda: any(event.get("detail", {}).get("version") == "2"
                                           for event in self.events(kind="configuration")), 10,
                               "the new policy")
            self.assertFails(self.reader, "L-1.pdf", "EACCES")
            self.assertFails(others, "L-1.pdf", "OK")
            out, _ = process.communicate(b"\n", timeout=10)  # opened with a right: stays open
            self.assertEqual(out, b"10\n")

            policy.write_text("nonsense\n")  # a mistake: the policy in force stays
            self.site.daemon.send_signal(signal.SIGHUP)
            testbed.wait_until(lambda: "access.conf:1" in self.site.log(), 10, "the complaint")
            self.assertFails(others, "L-1.pdf", "OK")
        finally:
            policy.write_text(before)
            self.site.daemon.send_signal(signal.SIGHUP)
        self.assertWhole()
