"""What the world does after the fetch: revocation lists that come, age, lie or stay away, and signers
who are revoked for each reason, before and after a document was received."""

import json
import shutil
import subprocess
import time

import testbed
from samples import pki
from system import minister, scene

DOCUMENT = scene.GOOD


class RevocationTest(scene.SystemTest):
    serve_all = False
    key_count = 20     # that are made at once, ahead
    settings = {"audit.sync_within": "10ms"}

    @classmethod
    def configure(cls, **more):
        directory = cls.site.directory / "minister"
        cls.minister = minister.Minister(directory, cls.key_count)
        super().configure(**{"trust.anchors": directory / "root.pem",
                             "trust.crls": cls.minister.lists,
                             "mount.entry_timeout": "0",
                             **more})

    def serve_signed(self, name, **how):
        template = self.samples / "documents" / DOCUMENT
        (self.site.served / name).write_bytes(self.minister.document(template, **how))

    def crl(self):
        return json.loads(self.assertOk(self.site.ctl("--json", "crl")))["revocation"]

    def trust(self):
        return json.loads(self.assertOk(self.site.ctl("--json", "trust", "show")))

    def list_in_force(self, part):
        return next((row for row in self.crl()["lists"] if part in row["issuer"]), None)

    def await_list(self, part, number):
        """Until a list of this issuer with this number is in force and everybody is judged by it."""
        testbed.wait_until(lambda: (self.list_in_force(part) or {}).get("number") == number, 30,
                           f"list {number} of {part}: {self.crl()}")


class Holder:
    """A program of a reader that keeps a file open and reads from it when told to."""

    PROGRAM = """
import errno, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
for line in sys.stdin:
    try:
        print("OK" if os.pread(file, 4096, int(line)) else "empty", flush=True)
    except OSError as failure:
        print(errno.errorcode[failure.errno], flush=True)
"""

    def __init__(self, test, name):
        self.process = test.reader.start("/usr/bin/python3", "-S", "-c", self.PROGRAM, name,
                                         stdin=subprocess.PIPE, text=True)
        test.addCleanup(self.close)
        test.assertEqual(self.process.stdout.readline().strip(), "open")

    def read(self, offset=0):
        self.process.stdin.write(f"{offset}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


class LaterRevoked(RevocationTest):
    def publish(self, entries, authority=None, name="officials.crl", part="Officials", **how):
        authority = authority or self.minister.officials
        number = (authority.home / "crlnumber").read_text().strip()
        self.minister.write_list(authority, name, entries=entries, **how)
        self.await_list(part, number.lower())

    def test_each_reason(self):
        """A document received before, open and closed; and one received after."""
        holders = {}
        for reason in minister.REASONS:
            self.minister.signer(f"signer-{reason}")
            for when in ("before", "after"):
                self.serve_signed(f"{reason}-{when}.pdf", signer=f"signer-{reason}")
            self.assertReads(self.reader, f"{reason}-before.pdf")
            holders[reason] = Holder(self, f"{reason}-before.pdf")
            self.assertEqual(holders[reason].read(), "OK")
        def distrusted():
            return sum(row["status"] != "good" for row in self.trust()["signers"])
        expected = distrusted() + len(minister.REASONS)
        moment = 2 / 86400
        self.publish([(f"signer-{reason}", reason, moment) for reason in minister.REASONS])
        testbed.wait_until(lambda: distrusted() == expected, 30, "all signers to be revoked")
        time.sleep(2.5)   # the revocations' date
        for reason, stays in minister.REASONS.items():
            before = f"{reason}-before.pdf"
            with self.subTest(reason=reason):
                self.assertFails(self.reader, f"{reason}-after.pdf", "EKEYREVOKED")
                if stays:
                    self.assertReads(self.reader, before)
                    self.assertIn(before, self.reader.list())
                    self.assertEqual(holders[reason].read(), "OK")
                else:
                    self.assertFails(self.reader, before, "EKEYREVOKED")
                    self.assertNotIn(before, self.reader.list())
                    testbed.wait_until(lambda: holders[reason].read() == "EKEYREVOKED", 10,
                                       "the pages to be dropped")
                    self.assertIn("revoked", self.reader.text(f".kosekifs/why/{before}"))
                    self.assertTrue([row for row in self.site.events(kind="verdict")
                                     if row.get("name") == before and row["result"] == "failed"])
        alerts = self.assertOk(self.site.ctl("alerts"))
        self.assertIn("may no longer be trusted", alerts)

    def test_dropped_from_the_list(self):
        """Once revoked, always revoked: the next list no longer names the certificate."""
        self.minister.signer("dropped")
        self.serve_signed("dropped.pdf", signer="dropped")
        self.assertReads(self.reader, "dropped.pdf")
        self.publish([("dropped", "keyCompromise", 0)])
        testbed.wait_until(lambda: "dropped.pdf" not in self.reader.list(), 30, "the revocation")
        self.publish([])
        self.assertFails(self.reader, "dropped.pdf", "EKEYREVOKED")
        self.site.stop()
        self.site.start()
        self.assertFails(self.reader, "dropped.pdf", "EKEYREVOKED")

    def test_hold_is_lifted(self):
        self.minister.signer("held")
        self.serve_signed("held.pdf", signer="held")
        self.assertReads(self.reader, "held.pdf")
        self.publish([("held", "certificateHold", 0)])
        testbed.wait_until(lambda: "held.pdf" not in self.reader.list(), 30, "the suspension")
        self.assertFails(self.reader, "held.pdf", "ENOKEY")
        gets = self.gets("held.pdf")
        self.publish([])
        testbed.wait_until(lambda: "held.pdf" in self.reader.list(), 30, "the end of it")
        self.assertReads(self.reader, "held.pdf")
        self.assertEqual(self.gets("held.pdf"), gets)

    def test_authority_revoked(self):
        """An authority of its own, so that the others go on."""
        lower = pki.Authority(self.minister.directory, self.minister.keys, "lower",
                              "/C=JP/O=Test/OU=Lower", self.minister.root, years=10)
        self.minister.signer("lower-signer", authority=lower)
        self.minister.write_list(lower, "lower.crl")
        testbed.wait_until(lambda: self.list_in_force("OU=Lower"), 30, "the list")
        self.serve_signed("lower.pdf", signer="lower-signer", chain="lower")
        self.assertReads(self.reader, "lower.pdf")
        self.publish([("lower", "CACompromise", 0)], self.minister.root, "root.crl", "OU=Root")
        testbed.wait_until(lambda: "lower.pdf" not in self.reader.list(), 30, "the revocation")
        self.assertFails(self.reader, "lower.pdf", "EKEYREVOKED")


class Lists(RevocationTest):
    """Which lists are taken and which are not; what was in force stays."""

    def setUp(self):
        self.serve_signed(f"{self._testMethodName}.pdf")
        self.assertReads(self.reader, f"{self._testMethodName}.pdf")

    def await_refusal(self, words):
        testbed.wait_until(lambda: any(words in row["reason"] for row in self.crl()["refused"]), 30,
                           f"a refusal: {words}: {self.crl()['refused']}")
        self.assertReads(self.reader, f"{self._testMethodName}.pdf")

    def put(self, name, content):
        new = self.minister.directory / ".put"
        new.write_bytes(content)
        new.rename(self.minister.lists / name)

    def test_garbage(self):
        self.put("garbage.crl", b"not a list")
        self.await_refusal("not a revocation list")
        self.put("cut.crl", (self.minister.lists / "officials.crl").read_bytes()[:-5])
        self.await_refusal("not a revocation list")

    def test_forged(self):
        """A signature that is not the issuer's; and a list of somebody with the issuer's name."""
        content = bytearray((self.minister.lists / "officials.crl").read_bytes())
        content[-1] ^= 1
        self.put("forged.crl", bytes(content))
        self.await_refusal("signature is not that of its issuer")

    def test_wrong_issuer(self):
        """Lists of others that revoke the signer: with the issuer's name and another key, told apart by
        its identifier or by nothing, and with another name. None says anything about the signer."""
        namesake = pki.Authority(self.minister.directory, self.minister.keys, "namesake",
                                 "/C=JP/O=Test/OU=Officials")
        stranger = pki.Authority(self.minister.directory, self.minister.keys, "stranger",
                                 "/C=JP/O=Test/OU=Stranger")
        before = self.list_in_force("Officials")
        everybody = [("signer", "keyCompromise", -1)]
        self.minister.write_list(stranger, "stranger.crl", entries=everybody, number=0x7000)
        testbed.wait_until(lambda: self.list_in_force("Stranger"), 30, "the stranger's list")
        self.minister.write_list(namesake, "namesake.crl", entries=everybody, number=0x7001)
        testbed.wait_until(lambda: any(row["number"] == "7001" for row in self.crl()["lists"]), 30,
                           "the namesake's list")
        waiting = [row["number"] for row in self.crl()["lists"] if not row["issuer_known"]]
        self.assertEqual(sorted(waiting), ["7000", "7001"])
        config = namesake.config.read_text()
        namesake.config.write_text(config.replace("[crl]\nauthorityKeyIdentifier = keyid\n", "[crl]\n"))
        self.minister.write_list(namesake, "nameless.crl", number=0x7002)
        self.await_refusal("signature is not that of its issuer")
        self.serve_signed("after-others.pdf")
        self.assertReads(self.reader, "after-others.pdf")
        self.assertEqual([row["status"] for row in self.trust()["signers"]], ["good"])
        self.assertIn(before["number"], [row["number"] for row in self.crl()["lists"]
                                         if "Officials" in row["issuer"] and row["issuer_known"]])
        for name in ("stranger.crl", "namesake.crl", "nameless.crl"):
            (self.minister.lists / name).unlink()

    def test_older_and_future(self):
        authority = self.minister.officials
        number = int((authority.home / "crlnumber").read_text(), 16)
        self.minister.write_list(authority, "officials.crl", number=number + 5)
        self.await_list("Officials", f"{number + 5:02x}")
        self.minister.write_list(authority, "older.crl", issued=-3, number=number + 1)
        self.await_refusal("older than the list in force")
        self.minister.write_list(authority, "contradicts.crl", issued=-2, number=number + 9)
        self.await_refusal("older than the list in force")
        self.minister.write_list(authority, "future.crl", issued=1, number=number + 20)
        self.await_refusal("dated in the future")
        self.assertEqual(self.list_in_force("Officials")["number"], f"{number + 5:02x}")

    def test_delta_and_indirect(self):
        self.put("delta.crl", self.special_list("deltaCRL = critical,ASN1:INTEGER:1"))
        self.await_refusal("delta list")
        self.put("indirect.crl", self.special_list(
            "issuingDistributionPoint = critical,@idp", "[idp]\nindirectCRL = TRUE\n"))
        self.await_refusal("indirect list")
        self.put("reasons.crl", self.special_list(
            "issuingDistributionPoint = critical,@idp", "[idp]\nonlysomereasons = keyCompromise\n"))
        self.await_refusal("some revocation reasons only")
        self.put("unknown.crl", self.special_list("1.2.3.4 = critical,ASN1:NULL"))
        self.await_refusal("critical extension")

    def special_list(self, extension, section=""):
        authority = self.minister.officials
        config = authority.home / "special.cnf"
        config.write_text(authority.config.read_text().replace(
            "[crl]\n", f"[crl]\n{extension}\n") + section)
        pem = pki.openssl("ca", "-config", config, "-gencrl", "-keyfile", authority.key, "-cert",
                          authority.certificate)
        return pki.openssl("crl", "-outform", "DER", stdin=pem)

    def test_several_in_one_file(self):
        pems = b"".join(pki.openssl("crl", "-inform", "DER", "-in", self.minister.lists / name)
                        for name in ("root.crl", "officials.crl"))
        before = len(self.crl()["lists"])
        self.put("both.pem", pems)
        self.put("nonsense.crl", b"x" * 40)
        testbed.wait_until(lambda: any("nonsense" in row["source"] for row in self.crl()["refused"]),
                           30, "what came after")
        self.assertEqual(len(self.crl()["lists"]), before)

    def test_restart_needs_no_files(self):
        hidden = self.minister.directory / "hidden"
        shutil.copytree(self.minister.lists, hidden)
        self.site.stop()
        for path in self.minister.lists.iterdir():
            path.unlink()
        try:
            self.site.start()
            self.assertReads(self.reader, "test_restart_needs_no_files.pdf")
            self.serve_signed("after-restart.pdf")
            self.assertReads(self.reader, "after-restart.pdf")
        finally:
            for path in hidden.iterdir():
                shutil.move(path, self.minister.lists / path.name)
