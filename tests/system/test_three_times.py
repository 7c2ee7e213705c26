"""The verdict at signing, at receipt and now, side by side: what became of signers and authorities after
their documents were received, and what is said of documents that come too late."""

import json
import subprocess
import unittest

import testbed
from samples import pki
from system import minister, scene
from system.test_revocation import RevocationTest
from system.test_trust_time import SimulatedTime

PASSED = ("TOTAL-PASSED", None, None)
REVOKED = ("TOTAL-FAILED", "REVOKED", "path-not-revoked")
EXPIRED = ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE", "path-not-expired")
REVOKED_LATER = ("TOTAL-PASSED", None, "revoked-later")


def short(times):
    return [(times[at]["indication"], times[at]["sub_indication"], times[at]["check"])
            for at in ("signing", "receipt", "now")]


class UnderTheMount(SimulatedTime):
    key_count = 8

    def report(self, name):
        return json.loads(self.reader.text(f".kosekifs/report/{name}.json"))

    def issue(self):
        """Signers and an authority that the week will change."""
        ending = pki.Authority(self.minister.directory, self.minister.keys, "ending",
                               "/C=JP/O=Test/OU=Ending", self.minister.root, years=4 / 365)
        self.minister.write_list(ending, "ending.crl")
        self.minister.signer("superseded")
        self.minister.signer("compromised")
        self.minister.signer("short", days=(-30, 4))
        self.minister.signer("under-ending", authority=ending)
        for name in ("superseded", "compromised", "short"):
            self.serve_signed(f"{name}.pdf", signer=name)
        self.serve_signed("authority.pdf", signer="under-ending", chain="ending")

    def test_a_week_later(self):
        self.issue()
        testbed.wait_until(lambda: self.list_in_force("Ending"), 30, "the list")
        names = ("superseded", "compromised", "short", "authority")
        for name in names:
            self.assertReads(self.reader, f"{name}.pdf")
            self.assertEqual(short(self.report(f"{name}.pdf")["times"]), [PASSED] * 3)
        self.minister.write_list(self.minister.officials, "officials.crl", number=0x40, entries=[
            ("superseded", "superseded", 3), ("compromised", "keyCompromise", 3)])
        self.await_list("Officials", "40")
        self.restart(7)
        self.serve_signed("too-late.pdf", signer="short", signed=minister.at(-1))
        self.assertFails(self.reader, "too-late.pdf", "EKEYEXPIRED")
        expected = {"superseded": [REVOKED_LATER, REVOKED_LATER, REVOKED],
                    "compromised": [REVOKED] * 3,
                    "short": [PASSED, PASSED, EXPIRED],
                    "authority": [PASSED, PASSED, EXPIRED],
                    "too-late": [("INDETERMINATE", "NO_POE", "path-not-expired"), EXPIRED, EXPIRED]}
        for name, wanted in expected.items():
            with self.subTest(name=name):
                times = self.report(f"{name}.pdf")["times"]
                self.assertEqual(short(times), wanted)
                self.assertLess(times["signing"]["time"], times["now"]["time"])
        self.assertEqual(self.report("superseded.pdf")["indication"], "TOTAL-PASSED")
        self.assertReads(self.reader, "superseded.pdf")
        self.assertReads(self.reader, "authority.pdf")
        self.assertIn("superseded", self.report("superseded.pdf")["times"]["now"]["text"])
        self.assertIn("of an authority expired",
                      self.report("authority.pdf")["times"]["now"]["text"])
        self.assertFails(self.reader, "compromised.pdf", "EKEYREVOKED")
        why = self.reader.text(".kosekifs/why/compromised.pdf")
        self.assertEqual(why.count("TOTAL-FAILED REVOKED path-not-revoked"), 3, why)
        told = self.assertOk(self.site.ctl("why", "superseded.pdf"))
        self.assertIn("sub_indication: REVOKED", told)
        # Who has no right to a certificate is told nothing of it.
        self.assertIsNone(self.stranger.text(".kosekifs/report/superseded.pdf.json"))


class OnTheCommandLine(unittest.TestCase):
    """`kosekictl verify --received` of the same events, without a daemon."""

    @classmethod
    def setUpClass(cls):
        directory = scene.work_directory() / cls.__name__
        if directory.exists():
            subprocess.run(["rm", "-rf", directory], check=True)
        cls.minister = minister.Minister(directory, key_count=8)
        ending = pki.Authority(directory, cls.minister.keys, "ending", "/C=JP/O=Test/OU=Ending",
                               cls.minister.root, years=4 / 365)
        cls.minister.write_list(ending, "ending.crl")
        for name, how in (("superseded", {}), ("compromised", {}), ("short", {"days": (-30, 4)}),
                          ("under-ending", {"authority": ending})):
            cls.minister.signer(name, **how)
        cls.minister.write_list(cls.minister.officials, "officials.crl", entries=[
            ("superseded", "superseded", 3), ("compromised", "keyCompromise", 3)])
        template = scene.samples() / "documents" / scene.GOOD
        for name, chain in (("superseded", "officials"), ("compromised", "officials"),
                            ("short", "officials"), ("under-ending", "ending")):
            (directory / f"{name}.pdf").write_bytes(cls.minister.document(template, name, chain))

    def verify(self, name, *options, received=0.01, now=7):
        def rfc3339(days):
            return minister.at(days).strftime("%Y-%m-%dT%H:%M:%SZ")
        done = subprocess.run(
            [scene.build_directory() / "kosekictl", "verify", "--trust",
             self.minister.directory / "root.pem", "--crl", self.minister.lists, "--signer",
             testbed.SIGNER_DN, "--time", rfc3339(now), "--received", rfc3339(received),
             *options, self.minister.directory / f"{name}.pdf"], capture_output=True, text=True)
        return done.returncode, done.stdout

    def times(self, name, **when):
        return short(json.loads(self.verify(name, "--json", **when)[1])["times"])

    def test_events(self):
        for name, wanted in {
                "superseded": [REVOKED_LATER, REVOKED_LATER, REVOKED],
                "compromised": [REVOKED] * 3,
                "short": [PASSED, PASSED, EXPIRED],
                "under-ending": [PASSED, PASSED, EXPIRED]}.items():
            with self.subTest(name=name):
                self.assertEqual(self.times(name), wanted)

    def test_received_after(self):
        """The time of signing that a document claims is no proof."""
        unproven = ("INDETERMINATE", "NO_POE")
        for name, wanted in {
                "superseded": [(*unproven, "path-not-revoked"), REVOKED, REVOKED],
                "compromised": [REVOKED] * 3,
                "short": [(*unproven, "path-not-expired"), EXPIRED, EXPIRED]}.items():
            with self.subTest(name=name):
                self.assertEqual(self.times(name, received=6), wanted)

    def test_not_by_time(self):
        """What is forged is forged at any time; and what the signer's lists say is not asked."""
        path = self.minister.directory / "forged.pdf"
        content = bytearray((self.minister.directory / "superseded.pdf").read_bytes())
        content[200] ^= 1
        path.write_bytes(bytes(content))
        reports = {json.dumps({**row, "time": None})
                   for row in json.loads(self.verify("forged", "--json")[1])["times"].values()}
        self.assertEqual(len(reports), 1)
        self.assertNotIn("PASSED", reports.pop())

    def test_lines(self):
        status, text = self.verify("short", "--times")
        self.assertEqual(status, 0)
        lines = text.splitlines()
        self.assertEqual(len(lines), 4)
        for line, begins in zip(lines[1:], ("  at signing (2", "  at receipt (2", "  at now (2")):
            self.assertTrue(line.startswith(begins), line)
        self.assertIn("INDETERMINATE OUT_OF_BOUNDS_NO_POE path-not-expired: the signer's", lines[3])
        self.assertEqual(len(self.verify("short")[1].splitlines()), 1)
