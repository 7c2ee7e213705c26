"""The store is looked after: fsck, export with approval, a new master key."""

import hashlib
import os
import stat
import subprocess

import testbed
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, SystemTest

APPROVED = ("--reason", "drill", "--approver", "head of section")


class Export(SystemTest):
    def test_handed_over(self):
        self.serve_copy("export-1.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "export-1.pdf")
        target = self.site.directory / "handed.pdf"
        done = self.site.ctl("export", "export-1.pdf", "--to", target, *APPROVED)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        content = (self.site.served / "export-1.pdf").read_bytes()
        self.assertEqual(target.read_bytes(), content)
        self.assertIn(hashlib.sha256(content).hexdigest(), done.stdout)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600)
        trail = "".join(p.read_text() for p in (self.site.directory / "state/audit").glob("*.jsonl"))
        self.assertIn('"kind":"export"', trail)
        self.assertIn("head of section", trail)

    def test_refusals(self):
        self.serve_copy("export-2.pdf")
        self.assertReads(self.reader, "export-2.pdf")
        self.serve_copy("export-3.pdf", "K2026-000201.pdf")
        self.assertFails(self.reader, "export-3.pdf", "EBADMSG")
        target = self.site.directory / "refused.pdf"
        for words, code in ((("export-2.pdf", *APPROVED), 64),
                            (("export-2.pdf", "--to", target, "--reason", "x"), 1),
                            (("export-3.pdf", "--to", target, *APPROVED), 1),
                            (("no-such.pdf", "--to", target, *APPROVED), 1),
                            (("../x", "--to", target, *APPROVED), 1),
                            (("export-2.pdf", "--to", "/dev/null", *APPROVED), 73)):
            done = self.site.ctl("export", *words)
            self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
            self.assertFalse(target.exists())


class Fsck(SystemTest):
    def fsck(self, *options):
        done = self.site.ctl("fsck", *options)
        return done.returncode, done.stdout + done.stderr

    def damage(self, *edits):
        """Damages the store while no daemon runs; an edit is a table and an inode number."""
        self.site.stop()
        program = self.site.build / "tests" / "unit" / "cache" / "damage-store"
        for edit in edits:
            subprocess.run([program, self.site.directory / "state", *map(str, edit)], check=True)
        self.site.start()

    def test_clean(self):
        self.assertReads(self.reader, GOOD)
        code, words = self.fsck()
        self.assertEqual(code, 0, words)
        self.assertIn("damages: 0", words)

    def test_finds_and_fetches_again(self):
        names = ["fsck-1.pdf", "fsck-2.pdf", "fsck-3.pdf"]
        for name in names:
            self.serve_copy(name, GOOD_G4)
            self.assertReads(self.reader, name)
        inodes = {name: int(self.reader.run("stat", "-c", "%i", name).stdout) for name in names}
        self.damage(("entries", inodes["fsck-1.pdf"]), ("chunks", inodes["fsck-2.pdf"]),
                    ("records", inodes["fsck-3.pdf"]))
        for name in names:
            self.assertFails(self.reader, name, "EIO")
        code, words = self.fsck()
        self.assertEqual(code, 1, words)
        for name in names:
            self.assertIn(name, words)
        self.assertNotIn(GOOD, words)
        code, words = self.fsck("--refetch")
        self.assertEqual(words.count("fetched again"), 3, words)
        for name in names:
            self.assertReads(self.reader, name)
        self.site.stop()
        self.site.start()
        code, words = self.fsck()
        self.assertEqual(code, 0, words)

    def test_mends_indexes_while_it_runs(self):
        self.serve_copy("index-1.pdf", GOOD_G4)
        self.assertReads(self.reader, "index-1.pdf")
        self.damage(("names", "index-1.pdf"))
        asked = self.gets("index-1.pdf")
        self.assertIn(b"Input/output error", self.reader.run("cat", "index-1.pdf").stderr)
        done = self.site.ctl("purge", "index-1.pdf", *APPROVED)
        self.assertIn("not erased", done.stdout)
        code, words = self.fsck()
        self.assertIn("indexes: wrong", words)
        pid = self.site.room("kosekifs-mount")
        code, words = self.fsck("--repair")
        self.assertEqual((code, "indexes: mended" in words), (1, True), words)
        self.assertNotIn("verdict", words)
        code, words = self.fsck()
        self.assertEqual((code, "indexes: good" in words), (0, True), words)
        self.assertReads(self.reader, "index-1.pdf")
        self.assertEqual(self.gets("index-1.pdf"), asked, "fetched again")
        self.assertEqual(self.site.room("kosekifs-mount"), pid)

    def test_usage(self):
        self.assertEqual(self.fsck("now")[0], 64)
        self.assertEqual(self.fsck("--reason", "x")[0], 64)


class RotateKey(SystemTest):
    def test_a_new_master_key(self):
        for name in ("rotate-1.pdf", "rotate-2.pdf"):
            self.serve_copy(name)
            self.assertReads(self.reader, name)
        keys = self.site.directory / "keys"
        old = keys / "master.key"
        new = keys / "master-2.key"
        new.write_bytes(os.urandom(32))
        new.chmod(0o600)
        self.site.stop()
        self.configure(**{"keys.master_key": new, "keys.previous_master_keys": old})
        self.site.start()
        self.assertReads(self.reader, "rotate-1.pdf")
        self.assertEqual(self.site.ctl("rotate-key").returncode, 64)
        self.assertEqual(self.site.ctl("rotate-key", "--reason", "x").returncode, 1)
        done = self.site.ctl("rotate-key", *APPROVED, "--destroy-old", "--config",
                             self.site.configuration)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("nothing is under an older master key", done.stdout)
        self.assertFalse(old.exists())
        again = self.site.ctl("rotate-key", *APPROVED)
        self.assertIn("rewrapped: 0", again.stdout)
        self.site.stop()
        self.configure(**{"keys.master_key": new})
        self.site.start()
        asked = len(self.link.requests())
        for name in ("rotate-1.pdf", "rotate-2.pdf"):
            self.assertReads(self.reader, name)
        self.assertEqual(len(self.link.requests()), asked, "fetched again")
