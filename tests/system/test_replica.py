"""A copy of the store on another disk, and what becomes of it when the first disk is lost."""

import json
import os
import shutil
import signal
import time

import testbed
from system.scene import GOOD_G4, GOOD_GRAY, SystemTest

APPROVED = ("--reason", "drill", "--approver", "head of section")


class Replica(SystemTest):
    @classmethod
    def configure(cls, **more):
        super().configure(**{"replica.path": cls.site.directory / "replica", **more})

    def setUp(self):
        self.state = self.site.directory / "state"
        self.replica = self.site.directory / "replica"
        if not self.site.daemon:
            self.site.start()

    def status(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["replica"]

    def follow(self):
        testbed.wait_until(lambda: self.status()["state"] == "ok", 10, "the replica")

    def store(self, *names, source=GOOD_GRAY):
        for name in names:
            self.serve_copy(name, source)
            self.assertReads(self.reader, name)

    def begin_again(self):
        self.site.stop()
        for path in (self.state, self.replica):
            shutil.rmtree(path, ignore_errors=True)
        self.state.mkdir(mode=0o700)
        os.chown(self.state, testbed.ROOM_USERS["mount"], testbed.ROOM_USERS["mount"])
        self.configure()
        self.site.start()

    def test_switched(self):
        self.store("one-1.pdf", "one-2.pdf", "one-3.pdf")
        before = self.reader.run("stat", "-c", "%i %s %y %z", "one-1.pdf").stdout
        done = self.site.ctl("purge", "one-3.pdf", *APPROVED)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.follow()
        self.assertEqual(self.site.ctl("switch", "--config", self.site.configuration).returncode, 1,
                         "while the daemon runs")
        began = time.monotonic()
        self.site.stop()
        shutil.rmtree(self.state)
        done = self.site.ctl("switch", "--config", self.site.configuration)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.site.start()
        asked = len(self.link.requests())
        self.assertReads(self.reader, "one-1.pdf")
        print(f"      drill: from the lost disk to the first read {time.monotonic() - began:.2f} s")
        self.assertReads(self.reader, "one-2.pdf")
        self.assertEqual(len(self.link.requests()), asked, "fetched again")
        self.assertNotIn("one-3.pdf", self.reader.list())
        self.assertEqual(self.reader.run("stat", "-c", "%i %s %y %z", "one-1.pdf").stdout, before)
        self.assertIn("damages: 0", self.site.ctl("fsck").stdout)
        trail = "".join(p.read_text() for p in (self.replica / "audit").glob("*.jsonl"))
        self.assertIn("one-3.pdf", trail, "the audit trail came along")
        self.begin_again()

    def test_purge_reaches_the_keys_at_once(self):
        self.store("two-1.pdf")
        self.follow()
        before = (self.replica / "slots").read_bytes()
        self.assertEqual(before, (self.state / "slots").read_bytes())
        self.site.ctl("purge", "two-1.pdf", *APPROVED)
        after = (self.replica / "slots").read_bytes()
        self.assertEqual(after, (self.state / "slots").read_bytes())
        gone = [at for at in range(4096, len(before), 128)
                if before[at + 16:at + 20] == b"\0\0\0\2" and after[at + 16:at + 20] == b"\0\0\0\1"]
        self.assertEqual(len(gone), 1)

    def test_killed_while_it_follows(self):
        for i in range(3):
            names = [f"kill-{i}-{n}.pdf" for n in range(4)]
            self.store(*names, source=GOOD_G4)
            os.kill(self.site.room("kosekifs-mount"), signal.SIGKILL)
            for name in names:
                self.assertReads(self.reader, name)
        self.follow()
        self.site.stop()
        shutil.rmtree(self.state)
        self.assertEqual(self.site.ctl("switch", "--config", self.site.configuration).returncode, 0)
        self.site.start()
        asked = len(self.link.requests())
        for i in range(3):
            for n in range(4):
                self.assertReads(self.reader, f"kill-{i}-{n}.pdf")
        self.assertEqual(len(self.link.requests()), asked)
        self.assertIn("damages: 0", self.site.ctl("fsck").stdout)
        self.begin_again()

    def test_a_replica_that_comes_later_gets_all(self):
        self.site.stop()
        super().configure(**{"replica.path": ""})
        self.site.start()
        self.store("late-1.pdf", "late-2.pdf")
        self.site.stop()
        self.configure()
        self.site.start()
        self.follow()
        self.site.ctl("purge", "late-1.pdf", *APPROVED)
        self.follow()
        self.site.stop()
        shutil.rmtree(self.state)
        self.assertEqual(self.site.ctl("switch", "--config", self.site.configuration).returncode, 0)
        self.site.start()
        self.assertIn("late-2.pdf", self.reader.list())
        self.assertNotIn("late-1.pdf", self.reader.list())
        self.begin_again()

    def test_refused(self):
        self.site.stop()
        super().configure(**{"replica.path": ""})
        self.assertEqual(self.site.ctl("switch", "--config", self.site.configuration).returncode, 1)
        self.configure(**{"replica.path": self.site.directory / "nothing"})
        self.assertEqual(self.site.ctl("switch", "--config", self.site.configuration).returncode, 1)
        self.assertEqual(self.site.ctl("switch", "now").returncode, 64)
        self.configure()
        self.site.start()
