"""Malware scan by a real clamd: what it finds is never readable; what happens without it is policy."""

import json
import signal
import socket
import threading
import unittest

import testbed
from system import clamd
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, GOOD_MIXED, LARGE, SystemTest, needs_root

NAME = "Test.Marked-1"


class Scan(SystemTest):
    when_down = "refuse"

    @classmethod
    def setUpClass(cls):
        needs_root()
        if not clamd.installed():
            raise unittest.SkipTest("clamd is not installed (package clamav-daemon)")
        super().setUpClass()

    @classmethod
    def configure(cls):
        cls.mark = cls.mark_of(GOOD_MIXED)
        cls.clamd = clamd.Clamd(cls.site.directory / "clamd", {NAME: cls.mark})
        cls.addClassCleanup(lambda: cls.clamd.stop())  # whichever it is by then
        cls.clamd.start()
        cls.settings = {"scan.clamd": cls.clamd.socket, "scan.when_down": cls.when_down,
                        "scan.timeout": "3s"}
        super().configure()

    @classmethod
    def mark_of(cls, name):
        """48 bytes that only this one of the good documents has, so that it may count as malware."""
        documents = {path.name: path.read_bytes()
                     for path in (cls.samples / "documents").glob("*.pdf")}
        for at in range(documents[name].index(b"/Contents <") + 100, len(documents[name]), 211):
            mark = documents[name][at:at + 48]
            if [other for other, content in documents.items() if mark in content] == [name]:
                return mark
        raise testbed.Trouble(f"{name} has nothing of its own")

    def records(self, kind, name):
        return self.site.events(kind=kind, name=name)

    def status(self):
        return json.loads(self.site.ctl("--json", "status").stdout)["status"]["scan"]

    def mark_again(self, marks):
        """clamd with other signatures."""
        self.clamd.stop()
        self.clamd = type(self).clamd = clamd.Clamd(self.site.directory / "clamd", marks)
        self.clamd.start()

    def alerts(self):
        return self.site.ctl("alerts").stdout


class Refusing(Scan):
    def test_marked(self):
        self.assertReads(self.reader, GOOD)
        self.assertEqual([r["reason"] for r in self.records("scan", GOOD)], ["clean"])
        self.serve_copy("marked-1.pdf", GOOD_MIXED)
        self.assertFails(self.reader, "marked-1.pdf", "EBADMSG")
        self.assertIn(NAME, self.reader.text(".kosekifs/why/marked-1.pdf"))
        self.assertNotIn("marked-1.pdf", self.reader.list())
        found, = self.records("scan", "marked-1.pdf")
        self.assertEqual((found["reason"], found["text"]), ("found", NAME + ".UNOFFICIAL"))
        self.assertEqual([r["result"] for r in self.records("verdict", "marked-1.pdf")],
                         ["ok", "failed"])
        self.assertIn("malware", self.alerts())
        gets = self.gets("marked-1.pdf")
        self.assertFails(self.reader, "marked-1.pdf", "EBADMSG")
        self.assertEqual(self.gets("marked-1.pdf"), gets, "a rejection is remembered")
        self.assertEqual(self.status()["found"], 1)

    def test_absent(self):
        self.serve_copy("absent-1.pdf")
        self.assertReads(self.reader, GOOD_G4)
        self.clamd.stop()
        try:
            self.assertFails(self.reader, "absent-1.pdf", "ENOKEY")
            self.assertIn("scanner", self.reader.text(".kosekifs/why/absent-1.pdf"))
            self.assertReads(self.reader, GOOD_G4)
            done = self.site.ctl("scan", GOOD_G4)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("scanner", done.stderr)
            self.assertReads(self.reader, GOOD_G4)
            self.assertNotIn("absent-1.pdf", self.reader.list())
            self.assertFalse(self.status()["up"])
        finally:
            self.clamd.start()
        self.assertReads(self.reader, "absent-1.pdf")
        self.assertTrue(self.status()["up"])

    def test_stopped_while_it_scans(self):
        self.serve_copy("stop-1.pdf")
        self.clamd.process.send_signal(signal.SIGSTOP)
        try:
            self.assertFails(self.reader, "stop-1.pdf", "ENOKEY")
            self.assertIn("timed out", self.reader.text(".kosekifs/why/stop-1.pdf"))
        finally:
            self.clamd.process.send_signal(signal.SIGCONT)
        self.assertReads(self.reader, "stop-1.pdf")

    def test_larger_than_clamd_takes(self):
        """Half a scan is none."""
        self.assertGreater((self.samples / "documents" / LARGE).stat().st_size, 2 << 20)
        self.serve_copy("large-1.pdf", LARGE)
        self.assertFails(self.reader, "large-1.pdf", "ENOKEY")
        self.assertIn("size limit", self.reader.text(".kosekifs/why/large-1.pdf"))

    def test_scanned_again(self):
        """A signature that came later: one certificate, then all."""
        for name, source in (("later-1.pdf", GOOD_GRAY), ("later-2.pdf", GOOD_GRAY),
                             ("later-3.pdf", GOOD_G4)):
            self.serve_copy(name, source)
            self.assertReads(self.reader, name)
        done = self.site.ctl("scan", "later-1.pdf")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.mark_again({NAME: self.mark, "Test.Later": self.mark_of(GOOD_GRAY)})
        done = self.site.ctl("scan", "later-1.pdf", "later-3.pdf")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("Test.Later", done.stderr)
        self.assertFails(self.reader, "later-1.pdf", "EBADMSG")
        self.assertReads(self.reader, "later-3.pdf")
        self.assertReads(self.reader, "later-2.pdf")
        self.assertEqual(self.site.ctl("scan", "--all").returncode, 0)
        testbed.wait_until(lambda: self.reader.read("later-2.pdf")["error"] == "EBADMSG", 20,
                           "the second one to be found")
        self.assertReads(self.reader, "later-3.pdf")
        self.assertNotIn("later-2.pdf", self.reader.list())
        self.site.daemon.send_signal(signal.SIGHUP)  # found content does not come back with trust
        self.assertFails(self.reader, "later-1.pdf", "EBADMSG")

    def test_command_refused(self):
        for words in (["scan"], ["scan", "--some"], ["scan", "nonsense"], ["scan", "never.pdf"],
                      ["scan", "--all", "x"]):
            with self.subTest(words):
                self.assertNotEqual(self.site.ctl(*words).returncode, 0)


class Accepting(Scan):
    when_down = "accept"

    def test_accepted_and_scanned_when_it_is_back(self):
        self.serve_copy("later-4.pdf")
        self.serve_copy("later-5.pdf", GOOD_MIXED)
        self.clamd.stop()
        try:
            self.assertReads(self.reader, "later-4.pdf")
            self.assertReads(self.reader, "later-5.pdf")
            self.assertEqual(self.records("scan", "later-5.pdf")[-1]["reason"], "unscanned")
            self.assertEqual(self.status()["not_yet_scanned"], 2)
            self.site.stop()  # the list outlives a restart
            self.site.start()
            self.assertEqual(self.status()["not_yet_scanned"], 2)
        finally:
            self.clamd.start()
        testbed.wait_until(lambda: self.status()["not_yet_scanned"] == 0, 40, "the scan")
        self.assertFails(self.reader, "later-5.pdf", "EBADMSG")
        self.assertReads(self.reader, "later-4.pdf")


class Scripted(SystemTest):
    """Something else on the socket, which does what the test wants."""

    REPLIES = (b"", b"stream: OK", b"OK\0", b"stream: OK \0", b"stream: OKAY\0", b" stream: OK\0",
               b"stream: FOUND\0", b"stream:  FOUND\0", b"stream: \x1b[2J<x> FOUND\0", b"\0",
               b"x" * 5000, b"stream: " + b"A" * 900 + b" FOUND\0", b"stream: OK\nstream: OK\0")

    @classmethod
    def configure(cls):
        cls.path = cls.site.directory / "false.sock"
        cls.server = socket.socket(socket.AF_UNIX)
        cls.server.bind(str(cls.path))
        cls.server.listen(8)
        cls.addClassCleanup(cls.server.close)
        cls.reply = b"stream: OK\0"
        cls.asked = threading.Semaphore(0)
        cls.may_answer = threading.Event()
        cls.may_answer.set()
        threading.Thread(target=cls.serve, daemon=True).start()
        cls.settings = {"scan.clamd": cls.path, "scan.timeout": "2s"}
        super().configure()

    @classmethod
    def serve(cls):
        while True:
            try:
                peer, _ = cls.server.accept()
            except OSError:
                return
            with peer:
                while not peer.recv(65536).endswith(b"\0\0\0\0"):
                    pass
                cls.asked.release()
                cls.may_answer.wait()
                peer.sendall(cls.reply)

    def test_nothing_passes_but_a_plain_ok(self):
        for number, reply in enumerate(self.REPLIES):
            with self.subTest(reply[:40]):
                type(self).reply = reply
                name = f"hostile-{number}.pdf"
                self.serve_copy(name)
                row = self.reader.read(name)
                self.assertIn(row["error"], ("ENOKEY", "EBADMSG"))
                self.assertNotIn("\x1b", self.reader.text(f".kosekifs/why/{name}"))
        type(self).reply = b"stream: OK\0"
        self.serve_copy("plain.pdf")
        self.assertReads(self.reader, "plain.pdf")

    def test_all_includes_what_is_under_way(self):
        """Its scan began before `scan --all` came, perhaps with older signatures."""
        self.serve_copy("under-way.pdf")
        self.assertReads(self.reader, "under-way.pdf")
        while self.asked.acquire(blocking=False):
            pass
        self.may_answer.clear()
        try:
            one = self.site.start_ctl("scan", "under-way.pdf")
            self.assertTrue(self.asked.acquire(timeout=20))
            self.assertEqual(self.site.ctl("scan", "--all").returncode, 0)
        finally:
            self.may_answer.set()
        _, errors = one.communicate(timeout=20)
        self.assertEqual(one.returncode, 0, errors)
        testbed.wait_until(lambda: len(self.site.events(kind="scan", name="under-way.pdf")) == 3,
                           20, "the second scan")


if __name__ == "__main__":
    unittest.main()
