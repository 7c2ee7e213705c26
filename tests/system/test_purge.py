"""Destruction with approval and record: what was purged is gone from mount, store and disk."""

import hashlib
import json
import subprocess
import time

import testbed
from system.scene import GOOD, GOOD_GRAY, SystemTest


class Purge(SystemTest):
    def ctl(self, *words):
        return self.site.ctl(*words)

    def test_purged_is_gone(self):
        self.serve_copy("purge-1.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "purge-1.pdf")
        done = self.ctl("purge", "purge-1.pdf", "--reason", "the affair is closed", "--approver",
                        "head of section")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("erased", done.stdout)
        self.assertNotIn("purge-1.pdf", self.reader.list())
        self.assertIsNone(self.reader.text(".kosekifs/report/purge-1.pdf.json"))
        record = self.site.directory / "state" / "erasures.jsonl"
        checked = self.ctl("erasures", record)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        line = json.loads(record.read_text().splitlines()[-1])["record"]
        content = (self.site.served / "purge-1.pdf").read_bytes()
        self.assertEqual(line["name"], "purge-1.pdf")
        self.assertEqual(line["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual(line["approver"], "head of section")
        forged = self.site.directory / "forged.jsonl"
        forged.write_text(record.read_text().replace("head of section", "head of sektion"))
        self.assertEqual(self.ctl("erasures", forged).returncode, 1)
        # Who still has a right fetches it again, as a new file.
        asked = self.gets("purge-1.pdf")
        self.assertReads(self.reader, "purge-1.pdf")
        self.assertEqual(self.gets("purge-1.pdf"), asked + 1)

    def test_cached_pages_go_too(self):
        """A program that has it open and read gets no byte any more."""
        self.serve_copy("purge-2.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "purge-2.pdf")
        program = ("import os, sys\n"
                   "fd = os.open('purge-2.pdf', os.O_RDONLY)\n"
                   "assert os.pread(fd, 4096, 0)\n"
                   "print('open', flush=True)\n"
                   "sys.stdin.readline()\n"
                   "try:\n"
                   "    print(len(os.pread(fd, 4096, 0)))\n"
                   "except OSError as failure:\n"
                   "    print('refused', failure.errno)\n")
        running = self.reader.start("/usr/bin/python3", "-c", program, stdin=subprocess.PIPE)
        self.assertEqual(running.stdout.readline(), b"open\n")
        done = self.ctl("purge", "purge-2.pdf", "--reason", "test", "--approver", "a")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        out, err = running.communicate(b"\n", timeout=10)
        self.assertIn(b"refused", out, err)

    def test_needs_reason_and_approver(self):
        self.serve_copy("purge-3.pdf")
        self.assertReads(self.reader, "purge-3.pdf")
        self.assertEqual(self.ctl("purge", "purge-3.pdf").returncode, 64)
        self.assertEqual(self.ctl("purge", "purge-3.pdf", "--approver", "a").returncode, 64)
        self.assertEqual(self.ctl("purge", "--reason", "x", "--approver", "a").returncode, 64)
        for words in (("--reason", "x"), ("--reason", "", "--approver", "a"),
                      ("--reason", "x", "--approver", ""), ("--reason", "x" * 400, "--approver", "a"),
                      ("--reason", "x", "--approver", "a" * 200)):
            done = self.ctl("purge", "purge-3.pdf", *words)
            self.assertEqual(done.returncode, 1, f"{words}: {done.stdout}{done.stderr}")
        for name in ("../x.pdf", "x.doc", "a" * 80 + ".pdf"):
            done = self.ctl("purge", "purge-3.pdf", name, "--reason", "x", "--approver", "a")
            self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("purge-3.pdf", self.reader.list(), "nothing was done by halves")
        done = self.ctl("purge", "no-such.pdf", "--reason", "x", "--approver", "a")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not known", done.stdout)

    def test_too_many_names(self):
        names = [f"many-{i}.pdf" for i in range(201)]
        done = self.ctl("purge", *names, "--reason", "x", "--approver", "a")
        self.assertEqual(done.returncode, 1)
        self.assertIn("200", done.stderr)

    def test_legal_hold(self):
        self.serve_copy("hold-1.pdf")
        self.assertReads(self.reader, "hold-1.pdf")
        self.assertEqual(self.ctl("hold", "hold-1.pdf", "--reason", "lawsuit", "--approver",
                                  "a").returncode, 0)
        done = self.ctl("purge", "hold-1.pdf", "--reason", "x", "--approver", "a")
        self.assertEqual(done.returncode, 1)
        self.assertIn("legal hold", done.stdout)
        self.assertReads(self.reader, "hold-1.pdf")
        self.assertEqual(self.ctl("release", "hold-1.pdf", "--reason", "over", "--approver",
                                  "a").returncode, 0)
        self.assertEqual(self.ctl("purge", "hold-1.pdf", "--reason", "x", "--approver",
                                  "a").returncode, 0)
        self.assertEqual(self.ctl("hold", "hold-1.pdf", "--reason", "x", "--approver",
                                  "a").returncode, 1)

    def test_raw_disk_after_a_purge(self):
        """Neither plaintext nor a key that was in use stands anywhere in the state directory."""
        self.serve_copy("raw-1.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "raw-1.pdf")
        content = (self.site.served / "raw-1.pdf").read_bytes()
        slots = self.site.directory / "state" / "slots"
        before = {slots.read_bytes()[at:at + 128] for at in range(4096, slots.stat().st_size, 128)}
        done = self.ctl("purge", "raw-1.pdf", "--reason", "x", "--approver", "a")
        self.assertEqual(done.returncode, 0, done.stdout)
        after = {slots.read_bytes()[at:at + 128] for at in range(4096, slots.stat().st_size, 128)}
        gone = [slot for slot in before - after if slot[16:20] == b"\0\0\0\2"]
        self.assertEqual(len(gone), 1, "one keyed slot was overwritten")
        wrapped = gone[0][24:88]
        for path in (self.site.directory / "state").rglob("*"):
            if path.is_file():
                bytes_ = path.read_bytes()
                self.assertNotIn(wrapped, bytes_, path)
                self.assertNotIn(content[20_000:20_032], bytes_, path)


class ApprovedPurge(SystemTest):
    OPERATOR, APPROVER = 61401, 61402

    @classmethod
    def configure(cls):
        cls.site.policy["roles"].update(operator=cls.OPERATOR, approver=cls.APPROVER,
                                        second_person="purge")
        super().configure()

    def test_second_person(self):
        self.serve_copy("two-1.pdf")
        self.assertReads(self.reader, "two-1.pdf")
        code, words = self.ask(self.OPERATOR, "purge", "two-1.pdf", "--reason", "x")
        self.assertEqual(code, 75, words)
        self.assertIn("two-1.pdf", self.reader.list())
        number = words.split("confirm ")[1].split('"')[0]
        self.assertNotEqual(self.ask(self.OPERATOR, "confirm", number)[0], 0)
        code, words = self.ask(self.APPROVER, "confirm", number)
        self.assertEqual(code, 0, words)
        self.assertIn("erased", words)
        self.assertNotIn("two-1.pdf", self.reader.list())
        line = (self.site.directory / "state" / "erasures.jsonl").read_text().splitlines()[-1]
        record = json.loads(line)["record"]
        self.assertEqual((record["asked_by"], record["approved_by"]), (self.OPERATOR, self.APPROVER))


class Retention(SystemTest):
    settings = {"retention.keep": "2s", "retention.look": "200ms"}

    def test_expires_and_held_stays(self):
        for name in ("old-1.pdf", "old-2.pdf"):
            self.serve_copy(name)
            self.assertReads(self.reader, name)
        self.assertEqual(self.site.ctl("hold", "old-2.pdf", "--reason", "x", "--approver",
                                       "a").returncode, 0)
        testbed.wait_until(lambda: "old-1.pdf" not in self.reader.list(), 10, "the expiry")
        self.assertIn("old-2.pdf", self.reader.list())
        self.site.ctl("release", "old-2.pdf", "--reason", "x", "--approver", "a")
        testbed.wait_until(lambda: "old-2.pdf" not in self.reader.list(), 10, "the expiry")


class RetentionOfAnAffair(SystemTest):
    settings = {"retention.keep": "1s", "retention.look": "200ms"}

    @classmethod
    def configure(cls):
        cls.site.policy["affair pension"]["ids"] = "L* K* old*"
        cls.site.policy["affair long"] = {"readers": f"@{testbed.AFFAIR_GROUP}", "ids": "L*",
                                          "keep_days": 30}
        super().configure()

    def test_the_longest_counts(self):
        for name in ("L-1.pdf", "old-3.pdf"):
            self.serve_copy(name)
            self.assertReads(self.reader, name)
        testbed.wait_until(lambda: "old-3.pdf" not in self.reader.list(), 10, "the expiry")
        self.assertIn("L-1.pdf", self.reader.list())


class Eviction(SystemTest):
    """A quota for about three certificates."""

    serve_all = False

    @classmethod
    def configure(cls):
        size = (cls.samples / "documents" / GOOD).stat().st_size
        super().configure(**{"mount.quota": 4 * size, "retention.evict_unused": "1ms",
                             "retention.high_water": 80, "retention.low_water": 60})

    def test_the_longest_unused_leaves(self):
        for i in range(3):
            self.serve_copy(f"lru-{i}.pdf")
            self.assertReads(self.reader, f"lru-{i}.pdf")
            time.sleep(1.1)  # the clock of uses has seconds
        self.serve_copy("lru-3.pdf")
        self.assertReads(self.reader, "lru-3.pdf")
        testbed.wait_until(lambda: "lru-0.pdf" not in self.reader.list(), 10, "the eviction")
        self.assertIn("lru-3.pdf", self.reader.list())
        self.assertReads(self.reader, "lru-0.pdf")  # it can be fetched again


class Full(SystemTest):
    """Without eviction: the new one is refused, the old ones are served."""

    serve_all = False

    @classmethod
    def configure(cls):
        size = (cls.samples / "documents" / GOOD).stat().st_size
        super().configure(**{"mount.quota": 2 * size})

    def test_full(self):
        for i in range(2):
            self.serve_copy(f"full-{i}.pdf")
            self.assertReads(self.reader, f"full-{i}.pdf")
        self.serve_copy("full-2.pdf")
        self.assertFails(self.reader, "full-2.pdf", "ENOSPC")
        for i in range(2):
            self.assertReads(self.reader, f"full-{i}.pdf")
        self.site.ctl("purge", "full-0.pdf", "--reason", "x", "--approver", "a")
        self.assertReads(self.reader, "full-2.pdf")
