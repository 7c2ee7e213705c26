"""What operators do to trust by hand: lists that are handed over."""

import array
import fcntl
import hashlib
import json
import os
import signal
import socket
import threading

import testbed
from samples import pki
from system import minister  # noqa: F401
from system.test_revocation import RevocationTest


def memory_file(content, seal=True):
    file = os.memfd_create("lists", os.MFD_ALLOW_SEALING)
    os.write(file, content)
    if seal:
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW
                    | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return file


class Imported(RevocationTest):
    """No file in the drop directory changes here: lists come by kosekictl."""

    settings = {"trust.crl_grace": "24h"}

    def file(self, name, content):
        path = self.minister.directory / name
        path.write_bytes(content)
        return path

    def made(self, authority, name, **how):
        """A list of this authority outside the drop directory."""
        path = self.minister.write_list(authority, f"{name}.hidden", **how)
        return path.rename(self.minister.directory / name)

    def run_import(self, path, code=0):
        done = self.site.ctl("crl", "import", path)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def ask(self, fds=(), **request):
        """Past kosekictl: the request as it is, with these descriptors."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(str(self.site.directory / "run" / "control.sock"))
            line = json.dumps({"command": "crl-import", **request}).encode() + b"\n"
            more = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            peer.sendmsg([line], more)
            return json.loads(peer.makefile().readline())

    def test_life(self):
        self.serve_signed("import.pdf", signer="signer")
        self.assertReads(self.reader, "import.pdf")
        made = self.made(self.minister.officials, "next.crl", number=0x40)
        self.assertRegex(self.run_import(made), r"in force\t.*Officials.*\t40\t20.*Z\t20.*Z\t-")
        self.assertEqual(self.list_in_force("Officials")["number"], "40")
        self.assertIn("uid 0: next.crl", self.list_in_force("Officials")["source"])
        self.assertIn("in force already", self.run_import(made))
        older = self.made(self.minister.officials, "older.crl", issued=-1, number=0x39)
        for _ in range(2):   # and it is looked at each time
            self.assertRegex(self.run_import(older, 1), "refused\t.*\t39\t.*older than the list")
        rows = [row for row in self.audit("trust") if row.get("reason") == "revocation_list"
                and "next.crl" in row["detail"].get("source", "")]
        self.assertEqual([row["detail"]["number"] for row in rows], ["40"])
        self.assertTrue([row for row in self.audit("command") if row["reason"] == "crl-import"
                         and row["uid"] == 0])
        self.site.stop()
        self.site.start()
        self.assertEqual(self.list_in_force("Officials")["number"], "40")
        self.minister.signer("imported")
        self.serve_signed("gone.pdf", signer="imported")
        self.assertReads(self.reader, "gone.pdf")
        self.run_import(self.made(self.minister.officials, "revoking.crl", number=0x41,
                                  entries=[("imported", "keyCompromise", 0)]))
        testbed.wait_until(lambda: "gone.pdf" not in self.reader.list(), 30, "the revocation")
        self.assertFails(self.reader, "gone.pdf", "EKEYREVOKED")

    def test_several_in_one_file(self):
        pems = [pki.openssl("crl", "-inform", "DER", "-in", self.made(authority, f"{number}.crl",
                                                                     number=number))
                for authority, number in ((self.minister.root, 0x60), (self.minister.officials, 0x61))]
        text = self.run_import(self.file("both.pem", b"".join(pems)))
        self.assertEqual(text.count("in force\t"), 2, text)
        text = self.run_import(self.file("mixed.pem", pems[0] + b"-----BEGIN X509 CRL-----\nAAAA\n"
                                         b"-----END X509 CRL-----\n" + pems[1]), 1)
        self.assertEqual((text.count("in force already"), text.count("refused")), (2, 1), text)

    def test_refused(self):
        good = self.made(self.minister.officials, "good.crl", number=0x70).read_bytes()
        namesake = pki.Authority(self.minister.directory, self.minister.keys, "namesake",
                                 "/C=JP/O=Test/OU=Officials")
        future = self.made(self.minister.officials, "future.crl", issued=2, number=0x71)
        backwards = self.made(self.minister.officials, "backwards.crl", ends=-1, number=0x72)
        before = self.crl()["lists"]
        for content, words in (
                (b"\0", "not a revocation list"), (good[:-1], "not a revocation list"),
                (good + b"\0", "not a revocation list"),
                (good[:-1] + bytes([good[-1] ^ 1]), "not that of its issuer"),
                (self.without_key_id(namesake), "not that of its issuer"),
                (future.read_bytes(), "in the future"),
                (backwards.read_bytes(), "not after its thisUpdate"),
                ((self.minister.directory / "root.pem").read_bytes(), "not a revocation list")):
            with self.subTest(words):
                text = self.run_import(self.file("bad.crl", content), 1)
                self.assertRegex(text, f"refused\t.*{words}")
        self.assertEqual(self.crl()["lists"], before)

    @staticmethod
    def without_key_id(authority):
        """A list with this issuer's name and nothing that tells it from a namesake's."""
        config = authority.home / "plain.cnf"
        config.write_text(authority.config.read_text().replace("authorityKeyIdentifier = keyid\n", "",
                                                               1))
        pem = pki.openssl("ca", "-config", config, "-gencrl", "-keyfile", authority.key, "-cert",
                          authority.certificate)
        return pki.openssl("crl", "-outform", "DER", stdin=pem)

    def test_files_that_are_not_taken(self):
        for path, code in ((self.minister.directory, 66), ("/dev/null", 66), ("/nowhere.crl", 66),
                           (self.file("empty.crl", b""), 1)):
            self.run_import(path, code)
        large = self.file("large.crl", b"")
        os.truncate(large, 32 * 1024 * 1024 + 1)
        self.assertIn("is larger than", self.run_import(large, 66))
        self.assertEqual(self.site.ctl("crl", "import").returncode, 64)
        self.assertEqual(self.site.ctl("crl", "import", large, large).returncode, 64)

    def test_requests_that_lie(self):
        content = b"content"
        digest = hashlib.sha256(content).hexdigest()
        sealed, open_file = memory_file(content), memory_file(content, seal=False)
        pipe = os.pipe()
        self.addCleanup(lambda: [os.close(fd) for fd in (sealed, open_file, *pipe)])
        good = {"file": "x.crl", "sha256": digest}
        for fds, request, words in (
                ((), good, "one descriptor"), ((sealed, sealed), good, "one descriptor"),
                ((open_file,), good, "not a sealed memory file"),
                ((pipe[0],), good, "not a sealed memory file"),
                ((sealed,), {**good, "sha256": "0" * 64}, "not what sha256 says"),
                ((sealed,), {**good, "sha256": "00"}, "sha256 is needed"),
                ((sealed,), {"file": "x.crl"}, "sha256 is needed"),
                ((sealed,), {"sha256": digest}, "file is needed"),
                ((sealed,), {**good, "file": ""}, "file is needed"),
                ((sealed,), {**good, "file": "a\nb"}, "file is needed"),
                ((sealed,), {**good, "file": "a" * 128}, "file is needed"),
                ((sealed,), {**good, "file": 7}, "file is needed")):
            with self.subTest(words, request=request):
                reply = self.ask(fds, **request)
                self.assertFalse(reply["ok"])
                self.assertIn(words, reply["error"])
        row = self.ask((sealed,), **good)["lists"][0]   # and what is true is looked at
        self.assertEqual(row["state"], "refused")

    def test_two_at_once(self):
        """Each is answered; one may be told that the other is under way."""
        made = self.made(self.minister.officials, "once.crl", number=0x80)
        results = []
        threads = [threading.Thread(target=lambda: results.append(
            self.site.ctl("crl", "import", made))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        texts = [(done.returncode, done.stdout + done.stderr) for done in results]
        self.assertTrue(any(code == 0 for code, _ in texts), texts)
        for code, text in texts:
            self.assertIn("in force" if code == 0 else "another import is under way", text)


class Recorded(RevocationTest):
    """Who had trust and policy read again."""

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        cls.anchors = cls.site.directory / "anchors.pem"
        cls.anchors.write_bytes((cls.minister.directory / "root.pem").read_bytes())
        cls.set_configuration("anchors", cls.anchors)

    @classmethod
    def set_configuration(cls, key, value):
        text = cls.site.configuration.read_text().splitlines()
        cls.site.configuration.write_text("\n".join(
            f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text) + "\n")

    def generations(self):
        return [row["detail"] for row in self.audit("trust") if "generation" in row["detail"]]

    def reloads(self):
        return [(row["result"], row["detail"]["actor"], row["text"])
                for row in self.audit("configuration") if row.get("reason") == "reload"]

    def test_actors(self):
        first = self.generations()[-1]
        self.assertEqual((first["actor"], first["anchor_files"]), ("start", "1"))
        new = pki.Authority(self.minister.directory, self.minister.keys, "added",
                            "/C=JP/O=Test/OU=Added")
        self.anchors.write_bytes(self.anchors.read_bytes() + new.certificate.read_bytes())
        self.assertOk(self.site.ctl("reload"))
        second = self.generations()[-1]
        self.assertEqual(second["actor"], "command of uid 0")
        self.assertNotEqual(second["anchors_sha256"], first["anchors_sha256"])
        self.assertEqual(self.reloads()[-1][:2], ("ok", "command of uid 0"))
        policies = [row["detail"]["actor"] for row in self.audit("configuration")
                    if row.get("text") == "access policy"]
        self.assertEqual(policies[-1], "command of uid 0")
        self.anchors.write_bytes((self.minister.directory / "root.pem").read_bytes())
        self.site.daemon.send_signal(signal.SIGHUP)
        testbed.wait_until(lambda: self.generations()[-1]["anchors_sha256"] == first["anchors_sha256"],
                           30, "the signal to be heeded")
        self.assertEqual(self.generations()[-1]["actor"], "signal of uid 0")

        before = len(self.generations())
        self.anchors.write_text("no certificate")
        self.assertNotEqual(self.site.ctl("reload").returncode, 0)
        result, actor, text = self.reloads()[-1]
        self.assertEqual((result, actor), ("failed", "command of uid 0"))
        self.assertIn("not a certificate", text)
        self.assertEqual(len(self.generations()), before)
        self.anchors.write_bytes((self.minister.directory / "root.pem").read_bytes())
        self.set_configuration("entry_timeout", "1s")
        self.assertOk(self.site.ctl("reload"))
        self.assertEqual(self.reloads()[-1], ("ok", "command of uid 0", "all processes are replaced"))
        self.assertEqual(self.generations()[-1]["actor"], "start")


class Ending(RevocationTest):
    """Alerts 90, 30 and 7 days before an anchor, a signer's certificate or our own ends."""

    LEFT = {"ends-200": (200, None), "ends-85": (85, "notice"), "ends-25": (25, "warning"),
            "ends-5": (5, "critical")}

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        place = cls.minister.directory
        anchors = [place / "root.pem"]
        for name, (days, _) in cls.LEFT.items():
            pki.Authority(place, cls.minister.keys, name, f"/C=JP/O=Test/OU={name}",
                          years=days / 365)
            anchors.append(place / f"{name}.pem")
        Recorded.set_configuration.__func__(cls, "anchors", " ".join(map(str, anchors)))
        cls.client(20)

    @classmethod
    def client(cls, days):
        """Our own certificate, of so many days."""
        link, made = cls.samples / "link", cls.site.directory / "client.pem"
        request = pki.openssl("req", "-new", "-key", link / "client.key", "-subj",
                              "/C=JP/O=Inquiring Agency/CN=link server")
        made.write_bytes(pki.openssl("x509", "-req", "-CA", link / "ca.pem", "-CAkey", link / "ca.key",
                                     "-set_serial", "77", "-days", days, stdin=request))
        Recorded.set_configuration.__func__(cls, "certificate_file", made)

    def alerts(self, kind, words):
        rows = json.loads(self.assertOk(self.site.ctl("--json", "alerts")))["alerts"]
        return [row["severity"] for row in rows if row["kind"] == kind
                and words in row["subject"] + " " + row["text"]]

    def test_anchors(self):
        for name, (_, severity) in self.LEFT.items():
            expected = [severity] if severity else []
            testbed.wait_until(lambda: self.alerts("trust", f"OU={name},") == expected, 30,
                               f"{name}: {severity}")

    def test_signers(self):
        for days, severity in ((60, "notice"), (20, "warning"), (3, "critical")):
            self.minister.signer(f"signer-{days}", days=(-10, days))
            self.serve_signed(f"signer-{days}.pdf", signer=f"signer-{days}")
            self.assertReads(self.reader, f"signer-{days}.pdf")
            testbed.wait_until(lambda: severity in self.alerts("trust", "signer's certificate ends"),
                               30, f"{days}: {severity}")

    def test_client_certificate(self):
        for days, severity in ((20, "warning"), (6, "critical"), (80, "notice"), (120, None)):
            if days != 20:
                for row in json.loads(self.site.ctl("--json", "alerts").stdout)["alerts"]:
                    self.site.ctl("alerts", "ack", row["id"])
                known = self.alerts("keys", "client certificate")
                self.client(days)
                self.assertOk(self.site.ctl("reload"))
            else:
                known = []
            expected = known + ([severity] if severity else [])
            testbed.wait_until(lambda: self.alerts("keys", "client certificate") == expected, 30,
                               f"{days}: {severity}")
