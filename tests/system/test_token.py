"""The keys are on a PKCS#11 token, which signs and wraps; nginx wants the client certificate."""

import json
import os
import pathlib
import time

import testbed
from system.nginx import Nginx
from system.scene import GOOD, GOOD_G4, SystemTest
from system.softhsm import Token


class TokenTest(SystemTest):
    """RSA, TLS 1.3, and the master key beside it."""

    kind, protocols = "rsa:2048", "TLSv1.3"
    serve_all = False

    @classmethod
    def make_link(cls):
        return Nginx(cls.site.directory / "nginx", cls.site.served, cls.samples / "link",
                     protocols=cls.protocols)

    @classmethod
    def configure(cls, **more):
        cls.token = Token(cls.site.directory / "token")
        cls.token.make_master_key("master")
        certificate = cls.token.make_tls_key("tls", cls.kind, cls.samples / "link")
        settings = cls.token.settings(master_key=cls.token.uri("master", "secret-key"),
                                      tls_key=cls.token.uri("tls", "private"))
        for name in ("master.key", "client.key"):
            (cls.site.directory / "keys" / name).unlink()
        super().configure(**{"link.certificate_file": certificate, **settings, **more})

    def read_fresh(self, prefix, count=1):
        """Certificates that have to be fetched; their names."""
        names = [f"{prefix}-{number}.pdf" for number in range(count)]
        for number, name in enumerate(names):
            self.serve_copy(name, GOOD if number % 2 else GOOD_G4)
            self.assertReads(self.reader, name)
        return names

    def status(self):
        return json.loads(self.assertOk(self.site.ctl("--json", "status")))["status"]["keys"]

    def key_records(self):
        """The details of all records of key use in the trail."""
        return [event["detail"] for event in self.site.events(kind="key")]


class Rate(TokenTest):
    """A link system that wants a handshake for each request, and few that are signed."""

    settings = {"keys.signatures_per_second": 1, "keys.signatures_burst": 3}

    @classmethod
    def make_link(cls):
        return Nginx(cls.site.directory / "nginx", cls.site.served, cls.samples / "link",
                     more="keepalive_timeout 0; ssl_session_cache off; ssl_session_tickets off;")

    def test_signatures_are_rationed(self):
        began = time.monotonic()
        for number in range(3):
            name = f"rationed-{number}.pdf"
            self.serve_copy(name)
            testbed.wait_until(lambda: self.reader.read(name)["error"] == "OK", 30, name)
        testbed.wait_until(lambda: self.status()["limited"] > 0, 30, "the count")
        most = 3 + (time.monotonic() - began) + 1
        self.assertLessEqual(self.status()["tls13_signatures"], most)
        self.assertLessEqual(len(self.link.log()), most)
        self.assertIn("more TLS signatures were asked for", self.assertOk(self.site.ctl("alerts")))


class Rsa(TokenTest):
    def test_certificates_come_and_stay(self):
        names = self.read_fresh("stays", 4)
        self.assertEqual({verified for verified, *_ in self.link.log()}, {"SUCCESS"})
        self.site.stop()
        self.site.start()
        for name in names:
            self.assertReads(self.reader, name)
        gets = [name for _, method, name, _ in self.link.log() if method == "GET"]
        self.assertEqual(len(gets), len(set(gets)), "what is stored is not fetched again")

    def test_status(self):
        testbed.wait_until(lambda: self.status()["up"], 20, "the first answer of kosekifs-keys")
        keys = self.status()
        self.assertEqual((keys["master_key"], keys["tls_key"], keys["token"]),
                         ("token", "token", "there"))
        self.assertEqual(keys["certificate_subject"], "CN=tls,O=Agency,C=JP")
        self.assertRegex(keys["certificate_not_after"], r"^20\d\d-\d\d-\d\dT")
        text = self.site.ctl("status").stdout + self.site.log()
        for secret in (self.token.pin.read_text(), "pkcs11:"):
            self.assertNotIn(secret, text)
        # Thirty days: within the time that calls for a new one.
        alerts = self.assertOk(self.site.ctl("alerts"))
        self.assertIn("our TLS client certificate ends at", alerts)

    def test_key_use_is_on_record(self):
        before = len(self.key_records())
        self.read_fresh("recorded")
        self.site.stop()
        used = self.key_records()[before:]
        self.site.start()
        self.assertGreater(sum(int(d.get("tls13_signatures", 0)) for d in used), 0, used)
        self.assertGreater(sum(int(d.get("wrapped", 0)) for d in used), 0, used)
        self.assertFalse([d for d in used if "refused" in d or "tls12_signatures" in d], used)

    def test_token_is_taken_away_and_comes_back(self):
        stored = self.read_fresh("kept")[0]
        self.site.stop()
        self.site.start()   # no data key is in memory
        tokens, away = self.token.home / "tokens", self.token.home / "tokens.away"
        self.kill_connections()
        tokens.rename(away)
        self.addCleanup(lambda: away.exists() and away.rename(tokens))
        self.serve_copy("unsigned.pdf")
        # Either of two deadlines of the look-up comes first; only kosekifs-link knows the reason.
        testbed.wait_until(lambda: self.reader.read("unsigned.pdf")["error"] == "EHOSTUNREACH", 20,
                           "the refusal")
        self.assertIn("the token with the key is not there",
                      self.reader.text(".kosekifs/why/unsigned.pdf"))
        self.assertFails(self.reader, stored, "EIO")
        away.rename(tokens)
        testbed.wait_until(lambda: self.reader.read(stored)["error"] == "OK", 20, "the token")
        self.assertReads(self.reader, "unsigned.pdf")
        testbed.wait_until(lambda: self.status()["token"] == "there", 30, "the status")
        self.assertNotIn("count low", self.token.flags())

    def kill_connections(self):
        """The next fetch needs a handshake."""
        self.link.restart()


class Ec(TokenTest):
    kind = "EC:prime256v1"

    def test_certificates_come(self):
        self.read_fresh("ec", 3)
        self.assertEqual({verified for verified, *_ in self.link.log()}, {"SUCCESS"})


class RsaTls12(TokenTest):
    protocols = "TLSv1.2"
    settings = {"link.tls_min": "1.2"}

    def test_certificates_come_and_it_is_on_record(self):
        self.read_fresh("old", 2)
        self.assertEqual({verified for verified, *_ in self.link.log()}, {"SUCCESS"})
        self.site.stop()
        used = self.key_records()
        self.site.start()
        self.assertGreater(sum(int(d.get("tls12_signatures", 0)) for d in used), 0, used)
        self.assertEqual(sum(int(d.get("tls13_signatures", 0)) for d in used), 0, used)


class EcTls12(RsaTls12):
    kind = "EC:prime256v1"


class RsaTls12Refused(TokenTest):
    """Not by default."""

    protocols = "TLSv1.2"

    def test_nothing_comes(self):
        self.serve_copy("never.pdf")
        self.assertFails(self.reader, "never.pdf", "EHOSTUNREACH")
        self.assertEqual(self.link.log(), [])


class Traced(TokenTest):
    """kosekifs-link under strace from its first moment, with keys on a token and in files."""

    def start_traced(self):
        traces = self.site.directory / "traces"
        traces.mkdir(exist_ok=True)
        for old in traces.iterdir():
            old.unlink()
        self.site.stop()
        self.site.start(before=["strace", "-D", "-ff", "-qq", "-s", "300", "-e",
                                "trace=%file,recvmsg", "-o", traces / "t"])
        return traces

    def trace_of(self, traces, program):
        """What the process that became this program did, from there on."""
        for path in traces.iterdir():
            text = path.read_text(errors="replace")
            begin = text.find(f'/{program}", ["{program}"]')
            if text.startswith("execve(") or begin < 0:
                continue
            return text[begin:]
        self.fail(f"no trace of {program}")

    def test_link_opens_no_key(self):
        traces = self.start_traced()
        link = self.site.room("kosekifs-link")
        self.read_fresh("traced", 2)
        held = {os.readlink(f"/proc/{link}/fd/{fd}") for fd in os.listdir(f"/proc/{link}/fd")}
        self.site.stop()
        keys, link = (self.trace_of(traces, f"kosekifs-{room}") for room in ("keys", "link"))
        for place in (str(self.token.home / "tokens"), "libsofthsm2.so"):
            self.assertIn(place, keys, "what is looked for would be seen")
            self.assertNotIn(place, link)
        self.assertNotIn(str(self.token.home), link)
        self.assertNotIn(str(self.site.directory / "keys"), link)
        self.assertLessEqual({name for name in held if name.startswith("/")},
                             {"/dev/null", str(self.site.log_path)})
        self.site.start()

    def test_link_opens_no_key_file(self):
        key = self.site.directory / "keys" / "file.key"
        key.write_bytes((self.samples / "link" / "client.key").read_bytes())
        key.chmod(0o400)
        before = self.site.configuration.read_text()
        self.addCleanup(self.restore, before)
        settings = self.token.settings(tls_key=key,
                                       master_key=self.token.uri("master", "secret-key"))
        SystemTest.configure.__func__(type(self), **settings)
        traces = self.start_traced()
        link = self.site.room("kosekifs-link")
        self.read_fresh("file", 2)
        held = {os.readlink(f"/proc/{link}/fd/{fd}") for fd in os.listdir(f"/proc/{link}/fd")}
        self.site.stop()
        link = self.trace_of(traces, "kosekifs-link")
        supervisor = [path.read_text(errors="replace") for path in traces.iterdir()
                      if path.read_text(errors="replace").startswith("execve(")]
        self.assertTrue(any(str(key) in text for text in supervisor))
        self.assertNotIn("file.key", link)
        self.assertNotIn(str(key), held)

    def restore(self, text):
        self.site.stop()
        self.site.configuration.write_text(text)
        self.site.start()
