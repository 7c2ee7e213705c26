"""The sample documents are what they claim to be, in the judgement of foreign programs."""

import re
import shutil
import subprocess
import tempfile
import unittest

from system.scene import expectations, samples


def split(path):
    """(signed bytes, DER of the signature) of a sample."""
    content = path.read_bytes()
    begin, end = map(int, re.search(rb"/ByteRange \[0 (\d+) (\d+) ", content).groups())
    der = bytes.fromhex(content[begin + 1:end - 1].decode())
    return content[:begin] + content[end:], der


class Judges(unittest.TestCase):
    def good(self):
        return [samples() / "documents" / n for n, (o, _) in expectations().items()
                if o == "OK" and n.endswith(".pdf")]

    def test_qpdf(self):
        for path in self.good():
            done = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_pdfsig(self):
        for path in self.good():
            done = subprocess.run(["pdfsig", "-nocert", path], capture_output=True, text=True)
            self.assertIn("Signature is Valid", done.stdout, path)
            self.assertIn("Total document signed", done.stdout, path)
        forged = samples() / "documents" / "K2026-000201.pdf"
        done = subprocess.run(["pdfsig", "-nocert", forged], capture_output=True, text=True)
        self.assertIn("Digest Mismatch", done.stdout)

    def test_openssl(self):
        anchor = samples() / "signing" / "official.pem"
        for path in self.good():
            signed, der = split(path)
            with tempfile.NamedTemporaryFile() as file:
                file.write(signed)
                file.flush()
                done = subprocess.run(
                    ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-content", file.name,
                     "-partial_chain", "-CAfile", anchor, "-purpose", "any", "-out", "/dev/null"],
                    input=der, capture_output=True)
            self.assertEqual(done.returncode, 0, f"{path}: {done.stderr}")

    def test_japanese_text_and_both_image_filters(self):
        if not shutil.which("pdfimages"):
            self.skipTest("pdfimages (poppler-utils) is not installed")
        text, filters = "", ""
        for path in self.good():
            text += subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True).stdout
            filters += subprocess.run(["pdfimages", "-list", path], capture_output=True,
                                      text=True).stdout
        self.assertIn("戸籍に記録されている者", text)
        self.assertIn("ccitt", filters)
        self.assertIn(" image ", filters)
