"""kosekictl: verification without a daemon, and the operator's commands with one."""

import json
import signal
import socket
import subprocess
import unittest

from system.scene import GOOD, SystemTest, build_directory, expectations, samples
import testbed


class Verify(unittest.TestCase):
    """Needs no root and no daemon."""

    def verify(self, *names, more=(), crl=True):
        signing = samples() / "signing"
        arguments = ["--trust", signing / "official.pem", "--signer", testbed.SIGNER_DN]
        if crl:
            arguments += ["--crl", signing / "crls"]
        paths = [samples() / "documents" / name for name in names]
        return subprocess.run([build_directory() / "kosekictl", "verify", *map(str, arguments),
                               *map(str, more), *map(str, paths)], capture_output=True, text=True)

    def test_good(self):
        good = [n for n, (o, _) in expectations().items() if o == "OK"]
        done = self.verify(*good)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), len(good))
        self.assertEqual(done.stdout.count("TOTAL-PASSED"), len(good))

    def test_bad(self):
        words = {"K2026-000201.pdf": "TOTAL-FAILED HASH_FAILURE", "K2026-000202.pdf": "TOTAL-FAILED",
                 "K2026-000204.pdf": "FORMAT_FAILURE", "K2026-000207.pdf": "REVOKED"}
        for name, (outcome, _) in expectations().items():
            if outcome == "OK":
                continue
            with self.subTest(name):
                done = self.verify(name)
                self.assertIn(done.returncode, (1, 2), done.stdout)
                self.assertIn(words.get(name, "T"), done.stdout)
                self.assertNotIn("TOTAL-PASSED", done.stdout)

    def test_json(self):
        done = self.verify(GOOD, "K2026-000201.pdf", more=["--json"])
        self.assertEqual(done.returncode, 1)
        good, bad = map(json.loads, done.stdout.splitlines())
        self.assertEqual(good["indication"], "TOTAL-PASSED")
        self.assertEqual(good["signer"], testbed.SIGNER_DN)
        self.assertRegex(good["signing_time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(bad["indication"], "TOTAL-FAILED")
        self.assertEqual(bad["sub_indication"], "HASH_FAILURE")
        for reason in bad["reasons"]:
            self.assertLessEqual({"check", "level", "text"}, set(reason))

    def test_without_revocation_data(self):
        self.assertEqual(self.verify(GOOD, crl=False).returncode, 2)
        done = self.verify(GOOD, crl=False, more=["--policy", "revocation=ignore"])
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_time(self):
        done = self.verify(GOOD, more=["--time", "2001-01-01T00:00:00Z"])
        self.assertIn(done.returncode, (1, 2), done.stdout)

    def test_another_signer(self):
        done = self.verify(GOOD, more=["--signer", "CN=Somebody,C=JP"])
        self.assertNotEqual(done.returncode, 0)

    def test_usage_and_unreadable(self):
        program = build_directory() / "kosekictl"
        self.assertEqual(subprocess.run([program, "verify", "--nonsense"],
                                        capture_output=True).returncode, 64)
        self.assertEqual(subprocess.run([program], capture_output=True).returncode, 64)
        self.assertEqual(self.verify("no-such-file.pdf").returncode, 66)


class Operator(SystemTest):
    def test_status(self):
        done = self.site.ctl("status")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout)

    def test_list(self):
        self.assertReads(self.reader, GOOD)
        done = self.site.ctl("list")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(GOOD, done.stdout)

    def test_why(self):
        self.serve_copy("ctl-1.pdf", "K2026-000207.pdf")
        self.assertFails(self.reader, "ctl-1.pdf", "EKEYREVOKED")
        done = self.site.ctl("why", "ctl-1.pdf")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("revoked", done.stdout.lower())

    def test_fetch(self):
        self.serve_copy("ctl-2.pdf")
        done = self.site.ctl("fetch", "ctl-2.pdf")
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        self.assertEqual(self.gets("ctl-2.pdf"), 1)
        self.assertReads(self.reader, "ctl-2.pdf")
        self.assertEqual(self.gets("ctl-2.pdf"), 1)

    def test_fetch_again_after_a_rejection(self):
        self.serve_copy("ctl-3.pdf", "K2026-000201.pdf")
        self.assertFails(self.reader, "ctl-3.pdf", "EBADMSG")
        self.assertNotEqual(self.site.ctl("fetch", "--again", "ctl-3.pdf").returncode, 0)
        self.assertEqual(self.gets("ctl-3.pdf"), 2)
        self.serve_copy("ctl-3.pdf", GOOD)
        self.assertEqual(self.site.ctl("fetch", "--again", "ctl-3.pdf").returncode, 0)
        self.assertReads(self.reader, "ctl-3.pdf")

    def test_fetch_clears_what_was_unknown(self):
        self.assertFails(self.reader, "ctl-4.pdf", "ENOENT")
        self.serve_copy("ctl-4.pdf")
        self.assertEqual(self.site.ctl("fetch", "ctl-4.pdf").returncode, 0)
        self.assertReads(self.reader, "ctl-4.pdf")

    def test_fetch_of_nothing(self):
        self.assertNotEqual(self.site.ctl("fetch", "ctl-5.pdf").returncode, 0)
        self.assertNotEqual(self.site.ctl("fetch", "../etc/passwd").returncode, 0)

    def test_strangers_may_not_connect(self):
        done = self.stranger.run(self.site.build / "kosekictl", "--socket",
                                 self.site.directory / "run" / "control.sock", "status")
        self.assertNotEqual(done.returncode, 0)

    def test_nonsense_on_the_socket_harms_nobody(self):
        path = str(self.site.directory / "run" / "control.sock")
        for words in (b"\0" * 10, b"{}\n", b"[1]\n", b'{"command":"status"' * 10_000, b"\n" * 1000,
                      b'{"command":"no-such"}\n', b"{" * 100_000):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(path)
                try:
                    peer.sendall(words)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assertEqual(self.site.ctl("status").returncode, 0)
        self.assertReads(self.reader, GOOD)

    def test_idle_peers_of_one_user_do_not_keep_others_out(self):
        path = str(self.site.directory / "run" / "control.sock")
        operator = self.site.reader(61401, groups=(testbed.CONTROL_GROUP,))
        peers = [socket.socket(socket.AF_UNIX) for _ in range(80)]
        try:
            for peer in peers:
                peer.connect(path)
            done = operator.run(self.site.build / "kosekictl", "--socket", path, "status")
            self.assertNotIn(b"turned", done.stderr)
            self.assertIn(b"role", done.stdout + done.stderr)  # answered, though without a role
        finally:
            for peer in peers:
                peer.close()
        testbed.wait_until(lambda: self.site.ctl("status").returncode == 0, 5, "places to be free")


class EndsWhileAnOperatorWaits(SystemTest):
    def test_fetch_under_way(self):
        self.serve_copy("ending-1.pdf")
        self.link.fault("ending-1.pdf", method="GET", stall_after=100)
        path = self.site.directory / "run" / "control.sock"
        with subprocess.Popen([self.site.build / "kosekictl", "--socket", path, "fetch",
                               "ending-1.pdf"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as asking:
            testbed.wait_until(lambda: self.gets("ending-1.pdf"), 5, "the GET")
            self.assertEqual(self.site.stop(), 0, self.site.log()[-2000:])
            asking.communicate(timeout=10)
        self.assertNotIn("Sanitizer", self.site.log())
        self.site.start()
        self.assertReads(self.reader, GOOD)


class SecondPerson(SystemTest):
    OPERATOR, APPROVER = 61401, 61402

    @classmethod
    def configure(cls):
        cls.site.policy["roles"].update(operator=cls.OPERATOR, approver=cls.APPROVER,
                                        second_person="fetch")
        super().configure()

    def pending(self):
        request = b'{"command":"pending"}\n'
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(5)
            peer.connect(str(self.site.directory / "run" / "control.sock"))
            peer.sendall(request)
            return json.loads(peer.makefile().readline())["pending"]

    def fetch(self, name):
        """Asked for, not done; the id to confirm."""
        self.serve_copy(name)
        self.ask(self.OPERATOR, "fetch", name)
        self.assertEqual(self.gets(name), 0)
        return next(row["id"] for row in self.pending() if row["request"]["name"] == name)

    def appoint(self, operator):
        self.site.policy["roles"]["operator"] = operator
        self.site.write_configuration(self.site.settings(self.link.url))
        self.site.daemon.send_signal(signal.SIGHUP)

    def test_another_one_confirms(self):
        number = self.fetch("second-1.pdf")
        self.assertNotEqual(self.ask(self.OPERATOR, "confirm", number)[0], 0)
        code, words = self.ask(self.APPROVER, "confirm", number)
        self.assertEqual(code, 0, words)
        self.assertEqual(self.gets("second-1.pdf"), 1)
        self.assertNotEqual(self.ask(self.APPROVER, "confirm", number)[0], 0, "twice")

    def test_a_role_taken_away_counts(self):
        number = self.fetch("second-2.pdf")
        self.appoint(61403)
        testbed.wait_until(lambda: "role" in self.ask(self.OPERATOR, "status")[1], 5, "the policy")
        code, words = self.ask(self.APPROVER, "confirm", number)
        self.assertNotEqual(code, 0, words)
        self.assertEqual(self.gets("second-2.pdf"), 0)
        self.appoint(self.OPERATOR)
        testbed.wait_until(lambda: self.ask(self.OPERATOR, "status")[0] == 0, 5, "the policy")
