"""What must not be readable is not, with the errno of docs/design.md, and says why."""

import csv
import json
import os
import shutil

from system.scene import GOOD, TOP, SystemTest, expectations

VECTORS = TOP / "tests" / "vectors"


class Samples(SystemTest):
    def test_every_bad_sample(self):
        bad = {n: o for n, (o, _) in expectations().items() if o != "OK"}
        self.assertGreaterEqual(len(bad), 9)
        for name, outcome in bad.items():
            with self.subTest(name):
                self.site.serve(self.samples / "documents" / name)
                self.assertFails(self.reader, name, outcome)
                self.assertFails(self.reader, name, outcome)
                self.assertEqual(self.gets(name), 1, "a rejection is remembered")
        self.assertEqual([n for n in self.reader.list() if n in bad], [])

    def test_why_and_report(self):
        name = "why-1.pdf"
        self.serve_copy(name, "K2026-000201.pdf")
        self.assertFails(self.reader, name, "EBADMSG")
        why = self.reader.text(f".kosekifs/why/{name}")
        self.assertIn("EBADMSG", why)
        self.assertGreater(len(why.split()), 10, why)
        report = json.loads(self.reader.text(f".kosekifs/report/{name}.json"))
        self.assertEqual(report["indication"], "TOTAL-FAILED")
        self.assertIn("fail", [check["outcome"] for check in report["checks"]])

    def test_rejected_is_fetched_again_when_it_changed(self):
        path = self.serve_copy("mend-1.pdf", "K2026-000201.pdf")
        self.assertFails(self.reader, "mend-1.pdf", "EBADMSG")
        self.serve_copy("mend-1.pdf", GOOD)
        os.utime(path, (1_800_000_000, 1_800_000_000))
        self.assertReads(self.reader, "mend-1.pdf")


class Names(SystemTest):
    MALFORMED = ["x", "no-suffix", ".hidden.pdf", "-dash.pdf", "_low.pdf", "two.dots.pdf",
                 "a b.pdf", "ü.pdf", "upper.PDF", "a.pdf ", "a.txt", "a.pdf.part", "~lock.pdf#",
                 "a" * 65 + ".pdf", "a" * 250 + ".pdf", "desktop.ini", "Thumbs.db", ".git",
                 "%41.pdf", "a%2fb.pdf", "?.pdf", "a\n.pdf", ".pdf", ".kosekifs.pdf"]

    def test_malformed_names_never_go_upstream(self):
        before = len(self.link.requests())
        for row in self.reader.read_all(self.MALFORMED):
            self.assertEqual(row["error"], "ENOENT", row)
        self.assertEqual(len(self.link.requests()), before)

    def test_longest_id_is_served(self):
        name = "L" + "9" * 63 + ".pdf"
        self.serve_copy(name)
        self.assertReads(self.reader, name)

    def test_unknown_id_is_remembered_for_a_while(self):
        for _ in range(3):
            self.assertFails(self.reader, "unknown-1.pdf", "ENOENT")
        self.assertEqual(self.heads("unknown-1.pdf"), 1)
        self.assertEqual(self.gets("unknown-1.pdf"), 0)

    def test_name_of_a_directory_as_file(self):
        self.assertFails(self.reader, GOOD + "/x", "ENOTDIR")


class NoRight(SystemTest):
    def test_stranger_causes_no_request(self):
        self.serve_copy("denied-1.pdf")
        before = len(self.link.requests())
        self.assertFails(self.stranger, "denied-1.pdf", "EACCES")
        self.assertFails(self.stranger, "denied-unknown.pdf", "EACCES")
        self.assertNotEqual(self.stranger.run("stat", "denied-1.pdf").returncode, 0)
        self.assertEqual(len(self.link.requests()), before)

    def test_stranger_and_what_is_stored(self):
        self.serve_copy("denied-2.pdf")
        self.assertReads(self.reader, "denied-2.pdf")
        self.assertNotIn("denied-2.pdf", self.stranger.list())
        self.assertFails(self.stranger, "denied-2.pdf", "EACCES")
        done = self.stranger.run("getfattr", "-n", "user.koseki.signer", "denied-2.pdf")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"Permission denied", done.stderr)
        self.assertIsNone(self.stranger.text(".kosekifs/report/denied-2.pdf.json"))
        self.assertReads(self.reader, "denied-2.pdf")

    def test_why_says_nothing_to_strangers(self):
        self.serve_copy("denied-3.pdf")
        self.assertFails(self.reader, "denied-3.pdf", "OK")
        self.assertFails(self.stranger, "denied-3.pdf", "EACCES")
        self.assertFails(self.stranger, "denied-not-there.pdf", "EACCES")
        one = self.stranger.text(".kosekifs/why/denied-3.pdf")
        other = self.stranger.text(".kosekifs/why/denied-not-there.pdf")
        self.assertTrue(one)
        self.assertEqual(one.replace("denied-3", "X"), other.replace("denied-not-there", "X"))

    def test_root_is_no_reader(self):
        self.serve_copy("denied-4.pdf")
        self.assertReads(self.reader, "denied-4.pdf")
        self.serve_copy("denied-5.pdf")
        root = self.site.reader(0, groups=())
        self.assertFails(root, "denied-4.pdf", "EACCES")
        self.assertFails(root, "denied-5.pdf", "EACCES")
        self.assertEqual(self.heads("denied-5.pdf"), 0)

    def test_backup_reads_what_is_stored_and_never_fetches(self):
        self.serve_copy("backup-1.pdf")
        self.assertReads(self.reader, "backup-1.pdf")
        self.serve_copy("backup-2.pdf")
        backup = self.site.reader(61188, groups=(61200,))
        self.assertIn("backup-1.pdf", backup.list())
        self.assertReads(backup, "backup-1.pdf")
        self.assertNotEqual(backup.read("backup-2.pdf")["error"], "OK")
        self.assertEqual((self.heads("backup-2.pdf"), self.gets("backup-2.pdf")), (0, 0))

    def test_primary_group_counts(self):
        self.serve_copy("primary-1.pdf")
        someone = self.site.reader(61177, groups=())
        someone.gid = 61100
        self.assertReads(someone, "primary-1.pdf")


class Vectors:
    """Documents of tests/vectors, signed by programs that are not ours, through the mount."""

    serve_all = False
    expected = "expected"  # the column

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(cls.folder / "EXPECT.tsv", newline="") as file:
            cls.rows = list(csv.DictReader(file, delimiter="\t"))
        for row in cls.rows:
            shutil.copy(cls.folder / row["file"], cls.site.served)

    def test_accepted(self):
        rows = [row for row in self.rows if row[self.expected] == "accept"]
        for program in self.producers:
            self.assertTrue([r for r in rows if program.lower() in str(r.values()).lower()],
                            program)
        for row in rows:
            with self.subTest(row["file"]):
                self.assertReads(self.reader, row["file"])

    def test_rejected(self):
        rows = [row for row in self.rows if row[self.expected] == "reject"]
        self.assertGreater(len(rows), 50)
        allowed = {"EBADMSG", "EKEYREJECTED", "EKEYREVOKED", "EKEYEXPIRED", "ENOKEY"}
        read = self.reader.read_all([row["file"] for row in rows], timeout=120)
        for row, got in zip(rows, read):
            with self.subTest(**row):
                self.assertIn(got["error"], allowed)
        listed = self.reader.list()
        self.assertEqual([row["file"] for row in rows if row["file"] in listed], [])


class PdfVectors(Vectors, SystemTest):
    folder = VECTORS / "pdf"
    producers = ("openssl", "PDFBox", "iText", "@signpdf", "pyHanko")
    settings = {"trust.anchors": folder / "pki" / "root.crt",
                "trust.crls": folder / "pki" / "good.crl"}


class XmlVectors(Vectors, SystemTest):
    folder, expected = VECTORS / "xml", "expect"
    producers = ("xmlsec1", "jdk", "xml-crypto")
    settings = {"trust.anchors": folder / "pki" / "sub.crt",
                "trust.crls": folder / "pki" / "sub.crl",
                "trust.signer_dn": "CN=Minister of Justice,OU=Ministry of Justice,"
                                   "O=Test Government,C=JP"}


class Hidden(SystemTest):
    def test_status_and_metrics_name_no_certificate(self):
        self.assertReads(self.reader, GOOD)
        status = self.reader.text(".kosekifs/status.json")
        self.assertIsInstance(json.loads(status), dict)
        metrics = self.reader.text(".kosekifs/metrics")
        self.assertRegex(metrics, r"(?m)^kosekifs_\w+(\{[^}]*\})? \d")
        for text in (status, metrics):
            self.assertNotIn("K2026", text)

    def test_directory_is_reachable_but_not_listed(self):
        out = self.assertOk(self.reader.run("ls", "-a"))
        self.assertNotIn(b".kosekifs", out)
        self.assertOk(self.reader.run("stat", ".kosekifs"))

    def test_report_of_an_accepted_certificate(self):
        self.assertReads(self.reader, GOOD)
        report = json.loads(self.reader.text(f".kosekifs/report/{GOOD}.json"))
        self.assertEqual(report["indication"], "TOTAL-PASSED")
        self.assertIn("CN=Minister of Justice", report["signer"])

    def test_report_of_nothing(self):
        self.assertIsNone(self.reader.text(".kosekifs/report/never-seen.pdf.json"))
        self.assertIsNone(self.reader.text(".kosekifs/report/../../etc/passwd.json"))
        self.assertIsNone(self.reader.text(".kosekifs/nothing"))


class StaleRevocationData(SystemTest):
    """A CRL beyond its nextUpdate: nothing can be decided, so nothing is readable."""

    @classmethod
    def configure(cls):
        super().configure(**{"trust.crls": cls.samples / "signing" / "stale"})

    def test_undecided(self):
        self.assertFails(self.reader, GOOD, "ENOKEY")
        self.assertEqual(self.reader.list(), [])
        self.assertIn("ENOKEY", self.reader.text(f".kosekifs/why/{GOOD}"))


class AnchorAboveTheIssuer(SystemTest):
    """The bridge authority as anchor: the path goes through the issuer sent with the signature."""

    @classmethod
    def configure(cls):
        super().configure(**{"trust.anchors": cls.samples / "signing" / "bridge.pem"})

    def test_accepted(self):
        self.assertReads(self.reader, GOOD)

    def test_impostor(self):
        name = "K2026-000206.pdf"
        self.site.serve(self.samples / "documents" / name)
        self.assertFails(self.reader, name, "EKEYREJECTED")
