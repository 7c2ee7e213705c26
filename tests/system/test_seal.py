"""Emergency seals: what is sealed is not served any more, not through anything that is open."""

import json
import os
import shutil
import signal
import time
import unittest

import testbed
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, GOOD_MIXED, SystemTest

OPERATOR, APPROVER, OTHER_APPROVER = 61401, 61402, 61403
OTHER_READER = 61102
# Reads until it is refused, in one of three ways, and tells when its last bytes came: the time is
# taken before the call that got them. Ends by itself after some seconds without being refused.
BUSY = """
import errno, mmap, os, sys, time
way, path = sys.argv[1:]
fd = os.open(path, os.O_RDONLY)
size = os.fstat(fd).st_size
view = mmap.mmap(fd, size, prot=mmap.PROT_READ) if way == "map" else None
error, last = "", 0
print("reading", flush=True)
end = time.monotonic() + 30
while not error and time.monotonic() < end:
    began = time.monotonic()
    try:
        if way == "map":
            view[began.__hash__() % size]  # a sealed page is SIGBUS
        elif way == "open":
            other = os.open(path, os.O_RDONLY)
            try:
                os.read(other, 100)
            finally:
                os.close(other)
        else:
            os.pread(fd, 4096, began.__hash__() % size // 4096 * 4096)
        last = began
        if way == "map":
            print(last, flush=True)
    except OSError as failure:
        error = errno.errorcode[failure.errno]
print(last, error, flush=True)
"""


class Seals(SystemTest):
    @classmethod
    def configure(cls):
        cls.site.policy["roles"].update(operator=OPERATOR, approver=f"{APPROVER}, {OTHER_APPROVER}")
        cls.site.policy["affair tax"] = {"purpose": "tax", "readers": OTHER_READER, "ids": "*"}
        super().configure()

    def setUp(self):
        self.other = self.site.reader(OTHER_READER, groups=())
        for reader in (self.reader, self.other):
            for name in (GOOD, GOOD_G4):
                self.assertReads(reader, name)

    def tearDown(self):
        for seal in self.seals():
            self.unseal(seal["id"])

    def ask(self, uid, *words):
        return super().ask(uid, "--json", *words)

    def seal(self, *words):
        """The time when the command had returned."""
        code, text = self.ask(OPERATOR, "seal", *words, "--reason", "test")
        self.assertEqual(code, 0, text)
        return time.monotonic()

    def seals(self):
        return json.loads(self.ask(OPERATOR, "seals")[1])["seals"]

    def unseal(self, number):
        code, text = self.ask(APPROVER, "unseal", number, "--reason", "over")
        self.assertEqual(code, 0, text)
        pending = json.loads(text)["pending"]
        code, text = self.ask(OTHER_APPROVER, "confirm", pending)
        self.assertEqual(code, 0, text)

    def busy(self, reader, way, name):
        process = reader.start("/usr/bin/python3", "-S", "-c", BUSY, way, name)
        self.assertEqual(process.stdout.readline(), b"reading\n")
        return process

    def outcome(self, reader, process):
        """(time of the last bytes, the error that ended it; SIGBUS for a mapping)."""
        done = reader.finish(process)
        if done.returncode == -signal.SIGBUS:
            return float(done.stdout.split()[-1]), "SIGBUS"
        last, _, error = done.stdout.decode().splitlines()[-1].partition(" ")
        return float(last), error

    def test_nothing_after_it_returned(self):
        """Eight busy readers, by descriptor, by mapping and by opening anew."""
        ways = ["pread", "map", "open", "pread"]
        crowd = [(reader, self.busy(reader, way, name), way) for reader, name in
                 ((self.reader, GOOD), (self.other, GOOD_G4)) for way in ways]
        returned = self.seal()
        for reader, process, way in crowd:
            last, error = self.outcome(reader, process)
            self.assertLess(last, returned, way)
            self.assertEqual(error, "SIGBUS" if way == "map" else "EPERM", way)
        self.assertFails(self.reader, GOOD_GRAY, "EPERM")
        self.assertNotEqual(self.reader.run("ls").returncode, 0, "an empty listing would lie")
        self.assertNotEqual(self.reader.run("getfattr", "-d", GOOD).stdout.count(b"sha256"), 1)
        self.assertEqual(json.loads(self.ask(OPERATOR, "status")[1])["status"]["state"], "sealed")

    def test_survives_kill_and_restart(self):
        self.seal()
        for pids in self.site.rooms().values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        self.site.daemon.kill()
        self.site.daemon.wait()
        self.site.daemon = None
        self.site.stop()
        self.site.start()
        self.assertFails(self.reader, GOOD, "EPERM")
        self.assertEqual([seal["scope"] for seal in self.seals()], ["all"])
        self.unseal(self.seals()[0]["id"])
        self.assertReads(self.reader, GOOD)

    def test_damaged_list_seals_everything(self):
        path = self.site.directory / "state" / "seals.json"
        for content in (b"", b"{}", b"[]", b'{"next":0,"seals":[]}',
                        b'{"next":1,"seals":[{"id":1}]}', b"\0" * 100):
            with self.subTest(content):
                self.site.stop()
                path.write_bytes(content)
                os.chown(path, testbed.ROOM_USERS["mount"], testbed.ROOM_USERS["mount"])
                self.site.start()
                self.assertFails(self.reader, GOOD, "EPERM")
                self.assertEqual([seal["id"] for seal in self.seals()], [0])
        self.unseal(0)
        self.assertReads(self.reader, GOOD)

    def test_a_name(self):
        pages = self.busy(self.reader, "pread", GOOD)
        returned = self.seal("--name", GOOD)
        last, error = self.outcome(self.reader, pages)
        self.assertEqual(error, "EPERM")
        self.assertLess(last, returned)
        self.assertFails(self.other, GOOD, "EPERM")
        self.assertReads(self.other, GOOD_G4)
        self.assertNotIn(GOOD, self.reader.list())
        self.assertIn(GOOD_G4, self.reader.list())
        self.seal("--name", "never-seen.pdf")
        self.serve_copy("never-seen.pdf")
        self.assertFails(self.reader, "never-seen.pdf", "EPERM")
        self.assertEqual(self.heads("never-seen.pdf"), 0)

    def test_a_user(self):
        """Pages that others bring in are not his; others go on when he has let go."""
        held = self.busy(self.other, "pread", GOOD)
        mapped = self.busy(self.other, "map", GOOD)
        held.send_signal(signal.SIGSTOP)
        returned = self.seal("--user", str(OTHER_READER))
        self.assertEqual(self.outcome(self.other, mapped)[1], "SIGBUS")
        self.assertFails(self.reader, GOOD, "EPERM")  # would fill the pages that he reads from
        held.send_signal(signal.SIGCONT)
        last, error = self.outcome(self.other, held)
        self.assertEqual(error, "EPERM")
        self.assertLess(last, returned)
        self.assertReads(self.reader, GOOD)
        self.assertFails(self.other, GOOD_G4, "EPERM")

    def test_open_files_of_a_process_before(self):
        """kosekifs-mount is killed and taken up again: what was blocked stays blocked."""
        held = self.busy(self.other, "pread", GOOD)
        held.send_signal(signal.SIGSTOP)
        self.seal("--user", str(OTHER_READER))
        os.kill(self.site.room("kosekifs-mount"), signal.SIGKILL)
        self.assertFails(self.reader, GOOD, "EPERM")
        self.assertReads(self.reader, GOOD_G4)
        held.send_signal(signal.SIGCONT)
        self.assertEqual(self.outcome(self.other, held)[1], "EPERM")
        testbed.wait_until(lambda: self.reader.read(GOOD)["error"] == "OK", 10, "the release")

    def test_an_affair(self):
        pages = self.busy(self.other, "pread", GOOD)
        returned = self.seal("--affair", "tax")
        last, error = self.outcome(self.other, pages)
        self.assertEqual(error, "EPERM")
        self.assertLess(last, returned)
        self.assertFails(self.other, GOOD_MIXED, "EPERM")
        self.assertReads(self.reader, GOOD)

    def test_export(self):
        out = self.site.directory / "handed-over.pdf"
        out.unlink(missing_ok=True)
        self.seal("--name", GOOD)
        done = self.site.ctl("export", GOOD, "--to", out, "--reason", "x", "--approver", "y")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("seal", done.stderr)
        self.assertFalse(out.exists() and out.stat().st_size)
        done = self.site.ctl("export", GOOD_G4, "--to", out, "--reason", "x", "--approver", "y")
        self.assertEqual(done.returncode, 0, done.stderr)

    def newer_trust(self, number):
        """The same anchors in one file more: all that is stored has to be verified again."""
        official = self.samples / "signing" / "official.pem"
        again = [str(shutil.copy(official, self.site.directory / f"again-{n}.pem"))
                 for n in range(number)]
        super().configure(**{"trust.anchors": " ".join([str(official), *again])})
        before = self.verify_status()["trust_generation"]
        self.site.daemon.send_signal(signal.SIGHUP)
        testbed.wait_until(lambda: self.verify_status()["trust_generation"] != before, 20,
                           "the new trust")

    def verify_status(self):
        return json.loads(self.ask(OPERATOR, "status")[1])["status"]["verify"]

    def verdicts(self, name):
        return len(self.site.events(kind="verdict", name=name))

    def test_new_trust_leaves_sealed_content_alone(self):
        """It is not decrypted to be verified anew, until it may be read again."""
        before = self.verdicts(GOOD), self.verdicts(GOOD_G4)
        self.seal("--name", GOOD)
        self.newer_trust(1)
        testbed.wait_until(lambda: self.verdicts(GOOD_G4) > before[1], 20, "the others' turn")
        self.assertReads(self.other, GOOD_G4)
        self.assertEqual(self.verdicts(GOOD), before[0])
        self.seal()
        self.newer_trust(2)
        self.unseal(self.seals()[1]["id"])
        self.unseal(self.seals()[0]["id"])
        testbed.wait_until(lambda: self.verdicts(GOOD) > before[0], 20, "its turn")
        self.assertReads(self.reader, GOOD)
        rows = [(event["kind"], event.get("name")) for event in self.site.events()]
        sealed_all = max(i for i, (kind, _) in enumerate(rows) if kind == "seal")
        unsealed = min(i for i, (kind, _) in enumerate(rows)
                       if kind == "unseal" and i > sealed_all)
        self.assertNotIn("verdict", [kind for kind, _ in rows[sealed_all:unsealed]])

    def test_a_fetch_under_way(self):
        """What is being fetched when the seal comes is not given out."""
        self.serve_copy("slow-seal.pdf")
        self.link.fault("slow-seal.pdf", method="GET", delay=1.5)
        process = self.reader.start("cat", "slow-seal.pdf")
        testbed.wait_until(lambda: self.gets("slow-seal.pdf"), 10, "the fetch")
        self.seal()
        done = self.reader.finish(process)
        self.assertEqual(done.stdout, b"")

    def test_two_unseal_one_seals(self):
        self.assertNotEqual(self.ask(self.reader.uid, "seal", "--reason", "x")[0], 0)
        self.seal("--name", GOOD)
        number = self.seals()[0]["id"]
        self.assertNotEqual(self.ask(OPERATOR, "unseal", number, "--reason", "x")[0], 0)
        code, text = self.ask(APPROVER, "unseal", number, "--reason", "x")
        self.assertEqual(code, 0, text)
        pending = json.loads(text)["pending"]
        self.assertNotEqual(self.ask(APPROVER, "confirm", pending)[0], 0)
        self.assertEqual(len(self.seals()), 1)
        self.assertFails(self.reader, GOOD, "EPERM")
        self.assertEqual(self.ask(OTHER_APPROVER, "confirm", pending)[0], 0)
        self.assertReads(self.reader, GOOD)
        seal, unseal = self.site.events(kind="seal")[-1], self.site.events(kind="unseal")[-1]
        self.assertEqual(seal["detail"]["asked_by"], str(OPERATOR))
        self.assertEqual(unseal["detail"]["asked_by"], str(APPROVER))
        self.assertEqual(unseal["uid"], OTHER_APPROVER)

    def test_refused(self):
        for words in (["seal"], ["seal", "--reason", ""], ["seal", "--name", "x", "--reason", "y"],
                      ["seal", "--name", GOOD, "--user", "root", "--reason", "x"],
                      ["seal", "--user", "no such user", "--reason", "x"],
                      ["seal", "--reason", "x" * 300], ["seal", "--affair", "", "--reason", "x"],
                      ["seal", "--affair", "a" * 100, "--reason", "x"],
                      ["seal", "--name"], ["unseal", "1"], ["unseal", "x", "--reason", "y"],
                      ["unseal", "-1", "--reason", "y"], ["seals", "more"]):
            with self.subTest(words):
                self.assertNotEqual(self.ask(OPERATOR, *words)[0], 0)
        self.assertEqual(self.seals(), [])
        self.seal("--name", GOOD)
        self.assertNotEqual(self.ask(OPERATOR, "seal", "--name", GOOD, "--reason", "again")[0], 0)


if __name__ == "__main__":
    unittest.main()
