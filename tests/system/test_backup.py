"""Backups of the running store, and stores out of backups: nothing kept is lost, nothing erased
comes back."""

import re
import shutil
import time

from system.scene import GOOD, GOOD_G4, GOOD_GRAY, TOP, SystemTest

APPROVED = ("--reason", "drill", "--approver", "head of section")
STORE_FILES = ("data.mdb", "lock.mdb", "slots", "lock")


class Backup(SystemTest):
    @classmethod
    def configure(cls, **more):
        super().configure(**{"backup.ledger": cls.site.directory / "ledger", **more})

    def setUp(self):
        self.backups = self.site.directory / "backups" / self.id().rsplit(".", 1)[1]
        self.backups.mkdir(parents=True)
        self.state = self.site.directory / "state"

    def backup(self, *options):
        done = self.site.ctl("backup", self.backups, *options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return dict(line.split(": ", 1) for line in done.stdout.splitlines())

    def store(self, *names, source=GOOD):
        for name in names:
            self.serve_copy(name, source)
            self.assertReads(self.reader, name)

    def lose_the_store(self):
        self.site.stop()
        for name in STORE_FILES:
            (self.state / name).unlink(missing_ok=True)

    def restore(self, *options, ledger=None):
        return self.site.ctl("restore", "--from", self.backups, "--to", self.state, "--ledger",
                             ledger or self.site.directory / "ledger", *options)

    def assertCameBack(self, *names):
        asked = len(self.link.requests())
        for name in names:
            self.assertReads(self.reader, name)
        self.assertEqual(len(self.link.requests()), asked, "fetched again")

    def test_restored(self):
        self.store("back-1.pdf", "back-2.pdf", source=GOOD_GRAY)
        before = self.reader.run("stat", "-c", "%i %s %y %z", "back-1.pdf").stdout
        self.assertGreaterEqual(int(self.backup()["written"]), 2)
        began = time.monotonic()
        self.lose_the_store()
        done = self.restore()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.site.start()
        self.assertCameBack("back-1.pdf", "back-2.pdf")
        print(f"      drill: from the lost store to the first reads {time.monotonic() - began:.2f} s")
        self.assertEqual(self.reader.run("stat", "-c", "%i %s %y %z", "back-1.pdf").stdout, before)
        self.assertIn("damages: 0", self.site.ctl("fsck").stdout)
        self.store("back-3.pdf")

    def test_what_was_purged_stays_so(self):
        self.store("gone-1.pdf", "kept-1.pdf", source=GOOD_G4)
        self.backup()
        done = self.site.ctl("purge", "gone-1.pdf", *APPROVED)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.lose_the_store()
        self.assertEqual(self.restore().returncode, 0)
        self.site.start()
        self.assertNotIn("gone-1.pdf", self.reader.list())
        self.assertIn("kept-1.pdf", self.reader.list())
        self.assertCameBack("kept-1.pdf")
        self.assertIn("damages: 0", self.site.ctl("fsck").stdout)

    def test_an_old_copy_of_the_whole_directory(self):
        """Copied by hand, with its keys: the ledger knows better."""
        self.store("copied-1.pdf", "copied-2.pdf")
        self.site.stop()
        copy = self.site.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.state, copy)
        self.site.start()
        self.assertEqual(self.site.ctl("purge", "copied-1.pdf", *APPROVED).returncode, 0)
        self.site.stop()
        for name in STORE_FILES:
            shutil.copyfile(copy / name, self.state / name)
        self.site.start()
        self.assertNotIn("copied-1.pdf", self.reader.list())
        self.assertCameBack("copied-2.pdf")
        self.assertIn("damages: 0", self.site.ctl("fsck").stdout)

    def test_incremental(self):
        self.store("inc-1.pdf")
        first = self.backup()
        self.store("inc-2.pdf", source=GOOD_G4)
        second = self.backup()
        self.assertEqual(second["written"], "1")
        self.assertLess(int(second["bytes"]), int(first["bytes"]))
        third = self.backup()
        self.assertEqual(third["written"], "0")
        self.assertEqual(third["number"], "3")
        self.lose_the_store()
        self.assertEqual(self.restore().returncode, 0)
        self.site.start()
        self.assertCameBack("inc-1.pdf", "inc-2.pdf")
        self.assertEqual(self.backup("--full")["number"], "4")

    def test_the_unit_of_the_timer(self):
        """The command that it gives, with its directory in place of the one to be edited."""
        unit = (TOP / "packaging" / "kosekifs-backup.service").read_text()
        command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1].split()
        self.store("timer-1.pdf")
        self.assertEqual(command[0], "/usr/bin/kosekictl")
        words = [word.replace("${DIRECTORY}", str(self.backups)) for word in command[1:]]
        for number in (1, 2):
            self.assertEqual(self.site.ctl(*words).returncode, 0)
            self.assertEqual(len(list(self.backups.iterdir())), number)

    def test_refused(self):
        self.store("refused-1.pdf")
        self.backup()
        self.assertEqual(self.restore().returncode, 1, "over a store that is there")
        self.lose_the_store()
        empty = self.site.directory / "empty"
        empty.mkdir(exist_ok=True)
        done = self.restore(ledger=empty)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ledger", done.stderr)
        done = self.site.ctl("restore", "--from", self.backups, "--to", self.state)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ledger", done.stderr)
        self.assertEqual(self.restore("--number", "7").returncode, 1)
        self.assertEqual(self.restore("--number", "x").returncode, 64)
        name = next(self.backups.glob("*.ksb"))
        good = name.read_bytes()
        for at in (3, 9, 300, len(good) // 2, len(good) - 200, len(good) - 100, len(good) - 5):
            bad = bytearray(good)
            bad[at] ^= 1
            name.write_bytes(bad)
            done = self.restore()
            if at < len(good) - 64:  # the seal itself is the daemon's business
                self.assertEqual(done.returncode, 1, at)
            for left in STORE_FILES:
                (self.state / left).unlink(missing_ok=True)
        for size in (0, 10, 300, len(good) - 1):
            name.write_bytes(good[:size])
            self.assertEqual(self.restore().returncode, 1, size)
        name.write_bytes(good)
        self.assertEqual(self.restore().returncode, 0)
        self.site.start()
        self.assertCameBack("refused-1.pdf")

    def test_nothing_readable_in_a_backup(self):
        self.store("plain-1.pdf", source=GOOD_GRAY)
        self.backup()
        content = (self.site.served / "plain-1.pdf").read_bytes()
        backup = next(self.backups.glob("*.ksb")).read_bytes()
        self.assertNotIn(content[20_000:20_032], backup)
        self.assertNotIn(b"plain-1", backup)
        slots = (self.state / "slots").read_bytes()
        for at in range(4096, len(slots), 128):
            self.assertNotIn(slots[at + 24:at + 88], backup, "a wrapped key")

    def test_damaged_earlier_backup(self):
        self.store("earlier-1.pdf")
        self.backup()
        name = next(self.backups.glob("*.ksb"))
        bad = bytearray(name.read_bytes())
        bad[-5] ^= 1
        name.write_bytes(bad)
        done = self.site.ctl("backup", self.backups)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--full", done.stderr)
        self.assertEqual(self.backup("--full")["number"], "2")


class WithoutLedger(SystemTest):
    def test_no_backup(self):
        self.assertReads(self.reader, GOOD)
        directory = self.site.directory / "backups"
        directory.mkdir()
        done = self.site.ctl("backup", directory)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ledger", done.stderr)
        self.assertEqual(list(directory.iterdir()), [])
