"""kosekictl verify as operators use it: exit codes, lines, JSON, bad usage. And programs that are not
ours agree that what we accept is cryptographically valid."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

COMMAND = os.environ["VERIFY_COMMAND"]
PDF = pathlib.Path(os.environ["TESTS_VECTORS"]) / "pdf"
SIGNER = "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP"
WHEN = "2027-01-01T00:00:00Z"
TRUST = ["--trust", PDF / "pki/root.crt", "--signer", SIGNER, "--time", WHEN]
CRL = ["--crl", PDF / "pki/good.crl"]


def verify(*arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True,
                          timeout=60)


def expected(kind):
    rows = [line.split("\t") for line in (PDF / "EXPECT.tsv").read_text().splitlines()[1:]]
    return [PDF / row[0] for row in rows if row[1] == kind]


class Command(unittest.TestCase):
    def test_exit_codes(self):
        good, forged, undecided = (PDF / "ok_xstm.pdf", PDF / "bad_cms_bitflip.pdf",
                                   PDF / "bad_pki_evil.pdf")
        for files, status in (([good], 0), ([forged], 1), ([undecided], 2), ([good, good], 0),
                              ([good, undecided], 2), ([undecided, forged, good], 1)):
            with self.subTest(files=files):
                done = verify(*TRUST, *CRL, *files)
                self.assertEqual(done.returncode, status, done.stdout + done.stderr)
                self.assertEqual(len(done.stdout.splitlines()), len(files))
        done = verify(*TRUST, *CRL, good, PDF / "not-there.pdf")
        self.assertEqual(done.returncode, 66)
        self.assertIn("not-there.pdf", done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertEqual(verify(*TRUST, *CRL, PDF).returncode, 66)

    def test_usage(self):
        good = PDF / "ok_xstm.pdf"
        for arguments in ([], ["--nonsense"], TRUST, ["--trust"], [good],
                          [*TRUST, "--time", "yesterday", good],
                          [*TRUST, "--policy", "revocation", good],
                          [*TRUST, "--policy", "revocation=never", good],
                          [*TRUST, "--policy", "message-digest=ignore", good],
                          ["--trust", PDF / "pki/root.crt", "--signer", "nobody", good],
                          [*TRUST, "--trust", good, good],
                          [*TRUST, "--crl", PDF / "pki/root.crt", good]):
            with self.subTest(arguments=arguments):
                done = verify(*arguments)
                self.assertEqual(done.returncode, 64, done.stdout + done.stderr)
                self.assertTrue(done.stderr)
                self.assertFalse(done.stdout)
        self.assertEqual(verify("--trust", PDF / "none.crt", good).returncode, 66)
        self.assertEqual(verify("--help").returncode, 0)

    def test_revocation_lists(self):
        good = PDF / "ok_xstm.pdf"
        self.assertEqual(verify(*TRUST, good).returncode, 2)
        self.assertEqual(verify(*TRUST, "--policy", "revocation=ignore", good).returncode, 0)
        revoked = verify(*TRUST, *CRL, PDF / "bad_pki_revoked.pdf")
        self.assertEqual(revoked.returncode, 1)
        self.assertIn("REVOKED", revoked.stdout)
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(PDF / "pki/good.crl", directory)
            self.assertEqual(verify(*TRUST, "--crl", directory, good).returncode, 0)
            pathlib.Path(directory, "broken.crl").write_text("broken")
            self.assertEqual(verify(*TRUST, "--crl", directory, good).returncode, 64)

    def test_json(self):
        files = [PDF / "ok_xstm.pdf", PDF / "bad_img_dct.pdf", PDF / "bad_usf_empty.pdf"]
        done = verify(*TRUST, *CRL, "--json", *files)
        self.assertEqual(done.returncode, 1)
        good, image, empty = map(json.loads, done.stdout.splitlines())
        self.assertEqual([line["file"] for line in (good, image, empty)], list(map(str, files)))
        self.assertEqual(good["indication"], "TOTAL-PASSED")
        self.assertEqual(good["sub_indication"], None)
        self.assertEqual(good["signer"], SIGNER)
        self.assertEqual(good["signing_time"], "2026-11-01T00:30:00Z")
        self.assertEqual(good["reasons"], [])
        self.assertGreater(len(good["checks"]), 60)
        self.assertEqual({check["outcome"] for check in good["checks"]}, {"pass"})
        self.assertEqual(image["indication"], "TOTAL-FAILED")
        self.assertEqual(image["sub_indication"], "FORMAT_FAILURE")
        reason = image["reasons"][0]
        self.assertEqual((reason["check"], reason["level"]), ("image-filters", "fail"))
        self.assertIn("object 4", reason["text"])
        self.assertIn("DCTDecode", reason["text"])
        self.assertEqual(empty["signer"], None)

    def test_explain(self):
        done = verify("--explain")
        self.assertEqual(done.returncode, 0)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        names = [row[0] for row in rows]
        self.assertEqual(len(names), len(set(names)))
        for row in rows:
            self.assertEqual(len(row), 4)
            self.assertRegex(row[0], r"^[a-z0-9.-]+$")
            self.assertIn(row[1], ("crypto", "pki", "profile", "policy"))
            self.assertTrue(row[2] and row[3].endswith("."), row)

    def test_documented(self):
        """docs/validation-policy.md names each check that an operator can relax."""
        top = pathlib.Path(os.environ["TESTS_VECTORS"]).parents[1]
        text = (top / "docs/validation-policy.md").read_text()
        for line in verify("--explain").stdout.splitlines():
            name, basis = line.split("\t")[:2]
            if basis == "policy":
                self.assertIn(f"`{name}`", text)


def byte_range(document):
    """From the last /ByteRange in the file: good enough for what we accept, which has only one."""
    numbers = re.findall(rb"/ByteRange *\[([^\]]*)\]", document)[-1].split()
    return list(map(int, numbers))


class Oracles(unittest.TestCase):
    def test_openssl(self):
        for path in expected("accept"):
            with self.subTest(file=path.name), tempfile.TemporaryDirectory() as directory:
                document = path.read_bytes()
                _, b, c, d = byte_range(document)
                self.assertEqual(c + d, len(document))
                token = bytes.fromhex(document[b + 1:c - 1].decode())
                pathlib.Path(directory, "cms").write_bytes(token)
                pathlib.Path(directory, "content").write_bytes(document[:b] + document[c:])
                pathlib.Path(directory, "trust").write_bytes(
                    (PDF / "pki/root.crt").read_bytes() + (PDF / "pki/good.crl").read_bytes())
                done = subprocess.run(
                    ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "cms",
                     "-content", "content", "-CAfile", "trust", "-crl_check", "-purpose", "any",
                     "-attime", "1798761600", "-out", "/dev/null"],
                    cwd=directory, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(shutil.which("pdfsig"), "pdfsig (poppler-utils) is not installed")
    def test_pdfsig(self):
        for path in expected("accept"):
            with self.subTest(file=path.name):
                done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, text=True)
                self.assertIn("Signature is Valid", done.stdout)
                self.assertIn("Total document signed", done.stdout)

    @unittest.skipUnless(shutil.which("qpdf"), "qpdf is not installed")
    def test_qpdf(self):
        for path in expected("accept"):
            with self.subTest(file=path.name):
                done = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True)
                # 3: warnings, such as about linearisation data of a file that was added to.
                self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
