"""What operators do to trust by hand: lists that are handed over, anchors that come and go; what is on
record of it, and what they are told of before something ends."""

import array
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import threading

import testbed
from samples import pki
from system import minister  # noqa: F401
from system.test_revocation import RevocationTest

APPROVER_UID, APPROVER_GROUP = 61401, 61400


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

    def ask(self, fds=(), command="crl-import", **request):
        """Past kosekictl: the request as it is, with these descriptors."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(str(self.site.directory / "run" / "control.sock"))
            line = json.dumps({"command": command, **request}).encode() + b"\n"
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
        rows = [row for row in self.site.events(kind="trust") if row.get("reason") == "revocation_list"
                and "next.crl" in row["detail"].get("source", "")]
        self.assertEqual([row["detail"]["number"] for row in rows], ["40"])
        self.assertTrue([row for row in self.site.events(kind="command") if row["reason"] == "crl-import"
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
        return [row["detail"] for row in self.site.events(kind="trust") if "generation" in row["detail"]]

    def reloads(self):
        return [(row["result"], row["detail"]["actor"], row["text"])
                for row in self.site.events(kind="configuration") if row.get("reason") == "reload"]

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
        policies = [row["detail"]["actor"] for row in self.site.events(kind="configuration")
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


class AnchorTest(RevocationTest):
    """[trust] anchors names a directory."""

    second_person = None

    @classmethod
    def configure(cls, **more):
        if cls.second_person:
            cls.site.policy["roles"].update({"approver": f"@{APPROVER_GROUP}",
                                             "second_person": cls.second_person})
        super().configure(**more)
        cls.anchors = cls.site.directory / "anchors"
        cls.anchors.mkdir()
        shutil.copy(cls.minister.directory / "root.pem", cls.anchors)
        Recorded.set_configuration.__func__(cls, "anchors", cls.anchors)

    def run_trust(self, *arguments, code=0, reason="letter of 1 April", config=None):
        more = ["--config", config or self.site.configuration]
        if arguments[0] != "check":
            more += ["--reason", reason]
        done = self.site.ctl("trust", *arguments, *more)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def authority(self, name, **how):
        """The file of its certificate; self.made has the authority."""
        self.made = getattr(self, "made", {})
        self.made[name] = pki.Authority(self.minister.directory, self.minister.keys, name,
                                        f"/C=JP/O=Test/OU={name}", **how)
        return self.minister.directory / f"{name}.pem"

    def special(self, name, *options, key="rsa:2048"):
        """A self-signed certificate that `openssl req` makes."""
        path = self.minister.directory / f"{name}.pem"
        pki.openssl("req", "-x509", "-newkey", key, "-nodes", "-keyout", "/dev/null", "-out", path,
                    "-subj", f"/C=JP/O=Test/OU={name}", "-days", "100", *options)
        return path

    @staticmethod
    def digest(path):
        return hashlib.sha256(pki.openssl("x509", "-in", path, "-outform", "DER")).hexdigest()

    def files(self):
        return {path.name: path.read_bytes() for path in self.anchors.iterdir()}

    def in_force(self):
        return {row["sha256"] for row in self.trust()["anchors"]}

    def await_in_force(self, *digests):
        """Trust is read at once; what is shown comes from a worker that was asked about it."""
        testbed.wait_until(lambda: self.in_force() == set(digests), 30, f"anchors: {digests}")

    def bad_ones(self):
        """(file, words, whether the daemon would refuse it too)"""
        place = self.minister.directory
        many = self.special("weak", key="rsa:1024")
        text = place / "text.pem"
        text.write_text("no certificate")
        two = place / "two.pem"
        two.write_bytes(self.special("two-a").read_bytes() + self.special("two-b").read_bytes())
        damaged = place / "damaged.der"
        damaged.write_bytes(pki.openssl("x509", "-in", place / "root.pem", "-outform", "DER")[:-1])
        return ((many, "too weak, 1024 bits"), (text, "not a certificate"),
                (damaged, "not a certificate"), (two, "holds 2 certificates"),
                (place / "signer.pem", "not the certificate of an authority"),
                (self.special("leaf", "-addext", "basicConstraints=critical,CA:FALSE"),
                 "not the certificate of an authority"),
                (self.special("critical", "-addext", "1.2.3.4=critical,ASN1:NULL"), "critical"),
                (self.authority("ended", years=-1 / 365), "validity has ended"),
                (place / "root.pem", "it is there twice"))


class Anchors(AnchorTest):
    def test_roll_over(self):
        """A new anchor beside the old one, then without it."""
        new = self.authority("newroot")
        self.minister.signer("newly", authority=self.made["newroot"])
        self.minister.write_list(self.made["newroot"], "newroot.crl")
        self.serve_signed("old-anchor.pdf")
        self.serve_signed("new-anchor.pdf", signer="newly", chain="newroot")
        self.assertReads(self.reader, "old-anchor.pdf")
        self.assertFails(self.reader, "new-anchor.pdf", "EKEYREJECTED")
        root = self.digest(self.minister.directory / "root.pem")
        self.assertIn("good", self.run_trust("check", new))
        self.await_in_force(root)
        self.assertEqual(list(self.files()), ["root.pem"])
        (self.anchors / ".new").write_text("left by a power cut")
        (self.anchors / ".gone").write_text("left by a power cut")

        self.assertIn("in force", self.run_trust("add", new))
        self.await_in_force(root, self.digest(new))
        self.assertEqual(set(self.files()), {"root.pem", f"{self.digest(new)}.pem"})
        self.assertEqual((self.anchors / f"{self.digest(new)}.pem").stat().st_mode & 0o777, 0o444)
        testbed.wait_until(lambda: self.reader.read("new-anchor.pdf")["error"] == "OK", 30,
                           "the new anchor")
        self.assertReads(self.reader, "old-anchor.pdf")
        self.assertIn("it is there twice", self.run_trust("add", new, code=1))

        text = self.run_trust("remove", root, code=1)
        self.assertIn("no path to an anchor", text)
        self.assertIn("could be read no more", text)
        self.assertReads(self.reader, "old-anchor.pdf")
        colons = ":".join(root[i:i + 2] for i in range(0, 64, 2)).upper()
        self.assertIn("removed", self.run_trust("remove", colons, "--anyway"))
        self.await_in_force(self.digest(new))
        testbed.wait_until(lambda: self.reader.read("old-anchor.pdf")["error"] == "EKEYREJECTED",
                           30, "the end of the old one")
        self.assertReads(self.reader, "new-anchor.pdf")
        self.assertIn("there is no trust anchor",
                      self.run_trust("remove", self.digest(new), "--anyway", code=1))
        self.assertIn("no file in", self.run_trust("remove", root, code=1))

        der = self.minister.directory / "root.der"
        der.write_bytes(pki.openssl("x509", "-in", self.minister.directory / "root.pem", "-outform",
                                    "DER"))
        self.run_trust("add", der, reason="back again")
        self.assertIn(f"{root}.der", self.files())
        testbed.wait_until(lambda: self.reader.read("old-anchor.pdf")["error"] == "OK", 30,
                           "the old one again")
        self.run_trust("remove", self.digest(new), "--anyway")
        self.await_in_force(root)
        done = [(row["uid"], row["detail"]["action"], row["detail"]["certificate"], row["text"])
                for row in self.site.events(kind="configuration") if row.get("reason") == "anchor"]
        self.assertEqual(done, [(0, "add", self.digest(new), "letter of 1 April"),
                                (0, "remove", root, "letter of 1 April"),
                                (0, "add", root, "back again"),
                                (0, "remove", self.digest(new), "letter of 1 April")])
        generations = [row["detail"]["actor"] for row in self.site.events(kind="trust")
                       if "generation" in row["detail"]]
        self.assertEqual(generations[-4:], ["command of uid 0"] * 4)

    def test_refused(self):
        files = self.files()
        for path, words in self.bad_ones():
            with self.subTest(words, path=path.name):
                if "holds 2" not in words:   # each of two is judged by itself
                    self.assertIn(words, self.run_trust("check", path, code=1))
                self.assertIn(words, self.run_trust("add", path, code=1))
        self.assertEqual(self.files(), files)
        self.await_in_force(self.digest(self.minister.directory / "root.pem"))

    def test_check(self):
        self.assertIn("good", self.run_trust("check"))
        self.serve_signed("check.pdf")
        self.assertReads(self.reader, "check.pdf")
        other = self.authority("other")
        text = self.run_trust("check", "--only", other, code=1)
        self.assertIn("no path to an anchor", text)
        self.assertIn("1 would lead to no anchor", text)
        self.assertIn("0 would lead to no anchor", self.run_trust("check", other))
        self.assertIn("0 would lead to no anchor",
                      self.run_trust("check", "--only", self.minister.directory / "root.pem", other))
        begins = self.authority("begins")
        early = self.minister.directory / "begins-later.pem"
        self.made["begins"].issue("begins-later", "/C=JP/O=Test/OU=Later", "authority", days=(5, 50))
        self.assertIn("has not begun", self.run_trust("check", early, begins))
        self.assertReads(self.reader, "check.pdf")

    def test_command_lines(self):
        root = self.minister.directory / "root.pem"
        for arguments, code in ((["add"], 64), (["remove"], 64), (["add", root, root], 64),
                                (["add", root, "--anyway"], 64), (["add", root, "--only"], 64),
                                (["remove", "00"], 1), (["remove", "x" * 64], 1),
                                (["remove", "0" * 64], 1), (["remove", "0" * 66], 1),
                                (["add", "/nowhere.pem"], 66), (["add", "/dev/null"], 66),
                                (["add", self.anchors], 66), (["check", "/nowhere.pem"], 66),
                                (["check", "--only"], 1)):
            with self.subTest(arguments):
                self.run_trust(*arguments, code=code)
        self.run_trust("add", root, reason="two\nlines", code=1)
        self.run_trust("add", root, config="/nowhere.conf", code=78)
        done = self.site.ctl("trust", "add", root, "--config", self.site.configuration)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--reason", done.stderr)
        large = self.minister.directory / "large.pem"
        large.write_bytes(b"")
        os.truncate(large, 1024 * 1024 + 1)
        self.run_trust("add", large, code=66)
        self.assertEqual(list(self.files()), ["root.pem"])

    def test_undone_when_the_reload_is_refused(self):
        new = self.authority("undone")
        files = self.files()
        text = self.site.configuration.read_text()
        access = self.site.directory / "access.conf"
        policy = access.read_text()
        access.write_text(policy + "[nonsense]\nx = y\n")
        try:
            words = self.run_trust("add", new, code=1)
            self.assertIn("the anchors are as they were", words)
            self.assertEqual(self.files(), files)
            shutil.copy(new, self.anchors / "beside.pem")
            self.assertIn("as they were", self.run_trust("remove", self.digest(new), code=1))
            self.assertEqual(set(self.files()), {"beside.pem", *files})
        finally:
            (self.anchors / "beside.pem").unlink(missing_ok=True)
            access.write_text(policy)
        self.assertEqual(self.site.configuration.read_text(), text)
        self.assertOk(self.site.ctl("reload"))
        self.await_in_force(self.digest(self.minister.directory / "root.pem"))

    def test_not_there_not_ours_or_busy(self):
        new = self.authority("busy")
        files = self.files()
        lock = os.open(self.anchors, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("by somebody else", self.run_trust("add", new, code=1))
        finally:
            os.close(lock)
        self.anchors.chmod(0o777)
        try:
            self.assertIn("must not be able to write", self.run_trust("add", new, code=78))
        finally:
            self.anchors.chmod(0o755)
        alone = self.site.directory / "alone.conf"
        alone.write_text(self.site.configuration.read_text().replace(
            f"anchors = {self.anchors}", f"anchors = {self.anchors}/root.pem"))
        self.assertIn("names no directory", self.run_trust("add", new, code=1, config=alone))
        done = self.reader.run(self.site.build / "kosekictl", "trust", "check", "--config",
                               self.site.configuration)
        self.assertIn(b"no daemon: its signers are not looked at", done.stderr)
        self.assertEqual(self.files(), files)

    def test_requests_that_lie(self):
        good = {"command": "trust-change", "action": "add", "certificate": "0" * 64,
                "subject": "CN=x", "not_after": "2030-01-01T00:00:00Z", "reason": "why"}
        before = len(self.site.events(kind="configuration"))
        for key, value in (("action", "replace"), ("certificate", "00"), ("certificate", 7),
                           ("subject", "x" * 3000), ("not_after", "soon"), ("reason", ""),
                           ("reason", "a\nb"), ("reason", "a" * 400), ("action", None)):
            with self.subTest(key, value=value):
                reply = Imported.ask(self, **{**good, key: value})
                self.assertFalse(reply["ok"])
        for request in ({"command": "trust", "action": "other"},
                        {"command": "trust", "action": "paths", "after": -1},
                        {"command": "trust", "action": "paths", "after": 5000},
                        {"command": "trust", "action": "paths", "after": "1"}):
            self.assertFalse(Imported.ask(self, **request)["ok"])
        self.assertEqual(len(self.site.events(kind="configuration")), before)


class SecondPerson(AnchorTest):
    second_person = "trust-change crl-import"

    def confirm(self, words):
        number = words.split("kosekictl confirm ")[1].split('"')[0]
        self.assertNotEqual(self.site.ctl("confirm", number).returncode, 0)
        approver = self.site.reader(APPROVER_UID, (APPROVER_GROUP, testbed.CONTROL_GROUP))
        done = approver.run(self.site.build / "kosekictl", "--socket",
                            self.site.directory / "run" / "control.sock", "confirm", number)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_nothing_before_somebody_confirms(self):
        new, other = self.authority("second"), self.authority("third")
        words = self.run_trust("add", new, code=75)
        self.assertEqual(list(self.files()), ["root.pem"])
        self.confirm(words)
        self.run_trust("add", other, code=75)   # is not what was confirmed
        self.run_trust("add", new, code=75, reason="another one")
        self.assertEqual(list(self.files()), ["root.pem"])
        self.run_trust("add", new)
        root = self.digest(self.minister.directory / "root.pem")
        self.await_in_force(root, self.digest(new))
        self.run_trust("remove", self.digest(new), code=75)
        self.await_in_force(root, self.digest(new))

    def test_lists(self):
        self.serve_signed("second.pdf")   # brings the issuer's certificate
        self.assertReads(self.reader, "second.pdf")
        made = Imported.made(self, self.minister.officials, "second.crl", number=0x55)
        done = self.site.ctl("crl", "import", made)
        self.assertEqual(done.returncode, 75, done.stderr)
        self.confirm(done.stdout)
        self.assertNotEqual(self.list_in_force("Officials")["number"], "55")
        self.assertIn("in force", self.assertOk(self.site.ctl("crl", "import", made)))
        self.assertEqual(self.list_in_force("Officials")["number"], "55")
        self.assertEqual(self.site.ctl("crl", "import", made).returncode, 75)

    def test_roles(self):
        nobody = self.site.reader(61403, (testbed.CONTROL_GROUP,))
        made = Imported.made(self, self.minister.officials, "role.crl", number=0x56)
        made.chmod(0o644)
        done = nobody.run(self.site.build / "kosekictl", "--socket",
                          self.site.directory / "run" / "control.sock", "crl", "import", made)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"your role does not allow", done.stderr)
