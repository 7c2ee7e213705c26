"""The disk of the state directory is full, to a few blocks more or less: nothing that was
acknowledged is lost, nothing is half done, who asked is told why, and all goes on when there is
room again."""

import contextlib
import json
import os

from system.disks import Disk
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, SystemTest, sha256

APPROVED = ("--reason", "drill", "--approver", "head of section")


class DiskFull(SystemTest):
    serve_all = False
    LEFT_KIB = (0, 4, 8, 24, 2600)

    @classmethod
    def configure(cls):
        cls.disk = Disk(cls.site.directory, "small", 32)
        cls.addClassCleanup(cls.leave)
        cls.disk.mount()
        cls.state, cls.filler = cls.disk.give("state"), cls.disk.place / "filler"
        super().configure(**{"mount.state_directory": cls.state, "mount.map_size": "256M",
                             "retention.headroom": "2M"})

    @classmethod
    def leave(cls):
        cls.site.stop()
        cls.disk.unmount()

    def leave_free(self, kib):
        """A file takes all the rest, and gives so much back."""
        block = bytes(4096)
        with open(self.filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(block):
                    pass
            os.fsync(file.fileno())
            file.truncate(max(0, os.fstat(file.fileno()).st_size - (kib << 10)))
            os.fsync(file.fileno())

    def opened(self):
        """How many opens the audit trail has as granted."""
        lines = [line for path in (self.state / "audit").glob("trail-*.jsonl")
                 for line in path.read_text().splitlines()]
        events = [json.loads(line)["event"] for line in lines]
        return sum(event["kind"] == "open" and event["result"] == "ok" for event in events)

    def use_full_disk(self, new, gone):
        """Each either comes to its end or says what is missing. Returns how many opens were granted,
        and whether the other one is said to be erased."""
        granted = 0
        for row in self.reader.read_all(self.names):
            self.assertIn(row["error"], ("OK", "EPERM"), "EPERM: it cannot be put on record")
            granted += row["error"] == "OK"
        row = self.reader.read(new)
        self.assertIn(row["error"], ("ENOSPC", "EPERM"))
        self.assertRegex(self.reader.text(f".kosekifs/why/{new}"), "full|audit")
        words = self.site.ctl("purge", gone, *APPROVED)
        words = words.stdout + words.stderr
        self.assertRegex(words, "\terased|not erased: the disk of the store is full|audit trail")
        done = self.site.ctl("rotate-key", *APPROVED)
        self.assertTrue(done.returncode == 0 or "audit trail" in done.stderr, done.stderr)
        return granted, "\terased" in words

    def test_to_a_few_blocks(self):
        self.names = [f"there-{i}.pdf" for i in range(3)]
        granted = 0
        for name in self.names:
            self.serve_copy(name, GOOD_G4)
            self.assertReads(self.reader, name)
            granted += 1
        for kib in self.LEFT_KIB:
            with self.subTest(kib=kib):
                new, gone = f"new-{kib}.pdf", f"gone-{kib}.pdf"
                self.serve_copy(new, GOOD_GRAY)
                self.serve_copy(gone, GOOD)
                self.assertReads(self.reader, gone)
                try:
                    self.leave_free(kib)
                    opened, erased = self.use_full_disk(new, gone)
                    granted += 1 + opened
                finally:
                    self.filler.unlink()
                    os.sync()
                self.assertEqual(gone not in self.reader.list(), erased)
                asked = {name: self.gets(name) for name in self.names}
                for row in self.reader.read_all([*self.names, new]):
                    self.assertEqual(row.get("sha256"), sha256(self.site.served / row["name"]), row)
                    granted += 1
                self.assertEqual({name: self.gets(name) for name in self.names}, asked)
                self.site.ctl("purge", gone, *APPROVED)
                self.assertNotIn(gone, self.reader.list())
                self.assertIn("damages: 0", self.site.ctl("fsck").stdout)
                self.assertOk(self.site.ctl("audit", "verify", self.state / "audit"))
                self.assertGreaterEqual(self.opened(), granted)
        self.site.stop()
        self.site.start()
        for name in self.names:
            self.assertReads(self.reader, name)
