"""Peak memory of accepting: the whole process stays within a fixed part, the file and what is inflated."""

import os
import pathlib
import sys
import tempfile
import unittest
import zlib

from measured import FIXED_MAX, SANITIZED, measured
from test_pdf_variants import Signer, base, image, stream, write

WHEN = ("--time", "2027-01-01T00:00:00Z")
MIB = 1 << 20


def scanned_pages():
    """20 MiB of fax images, which are never inflated, and 2,000 small objects."""
    objects = base()
    for number in range(10, 30):
        objects[number] = image("/Filter /CCITTFaxDecode", os.urandom(MIB))
    for number in range(30, 2030):
        objects[number] = b"[" + b"0 " * 100 + b"]"
    return write(objects)


def long_text(inflated):
    """A page whose text inflates to so many bytes."""
    objects = base()
    line = b"BT /F1 12 Tf 72 700 Td (" + b"register " * 100 + b") Tj ET\n"
    objects[4] = stream(zlib.compress(line * (inflated // len(line))))
    return write(objects)


# name: (document, MiB it may inflate)
ACCEPTED = {
    "text": (lambda: long_text(1000), 0),
    "scanned pages": (scanned_pages, 0),
    "text of 40 MiB": (lambda: long_text(40 * MIB), 40),
}


@unittest.skipIf(SANITIZED, "a sanitizer's own memory would be measured")
class Peak(unittest.TestCase):
    def test_accepted(self):
        with tempfile.TemporaryDirectory() as directory:
            signer = Signer(directory)
            path = pathlib.Path(directory, "document.pdf")
            for name, (make, inflated) in ACCEPTED.items():
                with self.subTest(name):
                    path.write_bytes(signer.sign(make()))
                    status, output, _, memory = measured(
                        "--trust", signer.directory / "cert.pem", *WHEN, path)
                    size = path.stat().st_size / MIB
                    if os.environ.get("SHOW"):
                        print(f"{name}: {memory:.1f} MiB, file {size:.1f} MiB")
                    self.assertEqual(status, 0, output)
                    self.assertLess(memory, FIXED_MAX + size + inflated, output)


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
