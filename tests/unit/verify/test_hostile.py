"""Files made to exhaust a parser: each is refused, quickly and in little memory."""

import os
import pathlib
import resource
import sys
import tempfile
import unittest
import zlib

from measured import FIXED_MAX, INFLATE_MAX, SANITIZED, measured

PDF = pathlib.Path(os.environ["TESTS_VECTORS"]) / "pdf"
SECONDS_MAX = 20 if SANITIZED else 2


def make(objects, trailer="", root=1, prev=None, size=None, table=True):
    """A PDF file of numbered objects (bytes), with a right cross-reference table."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, offset in offsets.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, offset)
    size = size or max(offsets, default=0) + 1
    prev = f"/Prev {prev}" if prev is not None else ""
    out += f"trailer\n<< /Size {size} /Root {root} 0 R {prev} {trailer} >>\n".encode()
    out += b"startxref\n%d\n%%%%EOF\n" % xref
    return bytes(out)


def stream(data, entries=""):
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


CATALOG = b"<< /Type /Catalog /AcroForm << /Fields [2 0 R] /SigFlags 3 >> >>"
FIELD = b"<< /FT /Sig /T (s) /V 3 0 R >>"
def bomb(size=200):
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size)) + packer.flush()


BOMB = bomb()


def endless_prev():
    one = make({1: CATALOG})
    at = one.index(b"xref\n")
    return make({1: CATALOG}, prev=at)


def many_sections():
    out = bytearray(b"%PDF-1.7\n")
    prev = ""
    for _ in range(2000):
        at = len(out)
        out += f"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 9 /Root 1 0 R {prev} >>\n".encode()
        prev = f"/Prev {at}"
    out += b"startxref\n%d\n%%%%EOF\n" % at
    return bytes(out)


def nested_sections():
    """Sections that begin inside one another: each would be read to the same end."""
    comment = b"%" + b"x" * 2_000_000 + b"\n"
    out = bytearray(b"%PDF-1.7\n")
    starts = []
    for _ in range(250):
        starts.append(len(out))
        out += b"xref % "
    out += b"\n" + comment + b"0 1\n0000000000 65535 f \ntrailer\n"
    out += f"<< /Size 9 /Root 1 0 R /Prev {starts[-2]} >>\n".encode()
    out += b"startxref\n%d\n%%%%EOF\n" % starts[-1]
    return bytes(out)


def object_stream_in_itself():
    """Object 5 is an object stream that says it is inside itself, by a cross-reference stream."""
    entries = bytes([0, 0, 0, 0]) + bytes([2, 0, 5, 0]) * 4 + bytes([2, 0, 5, 0])
    out = bytearray(b"%PDF-1.7\n")
    at = len(out)
    body = stream(entries, "/Type /XRef /W [1 2 1] /Size 6 /Root 1 0 R")
    out += b"6 0 obj\n" + body + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % at
    return bytes(out)


def cross_reference_bomb():
    out = bytearray(b"%PDF-1.7\n")
    out += b"6 0 obj\n" + stream(
        BOMB, "/Type /XRef /W [1 2 1] /Size 500000 /Root 1 0 R /Filter /FlateDecode")
    out += b"\nendobj\nstartxref\n9\n%%EOF\n"
    return bytes(out)


def overlapping_objects():
    """Every object begins inside the one before and ends with the file."""
    count = 30000
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number in range(1, count):
        offsets.append(len(out))
        out += b"%d 0 obj (" % number
    out += b")" * count
    xref = len(out)
    out += b"xref\n1 %d\n" % len(offsets)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, xref)
    return bytes(out)


HOSTILE = {
    "endless /Prev": endless_prev,
    "many sections": many_sections,
    "nested sections": nested_sections,
    "object stream in itself": object_stream_in_itself,
    "cross-reference bomb": cross_reference_bomb,
    "overlapping objects": overlapping_objects,
    "deep arrays": lambda: make({1: b"[" * 3_000_000 + b"]" * 3_000_000}),
    "deep dictionaries": lambda: make({1: b"<</A " * 1_000_000 + b"0" + b">>" * 1_000_000}),
    "wide array": lambda: make({1: b"[" + b"0 " * 8_000_000 + b"]"}),
    "open string": lambda: make({1: b"(" * 8_000_000}),
    "long comment": lambda: make({1: b"%" + b"x" * 16_000_000 + b"\n null"}),
    "large /Size": lambda: make({1: CATALOG}, size=2_000_000_000),
    "large table": lambda: make({1: CATALOG}).replace(b"0 1\n", b"0 999999999\n"),
    "content bomb": lambda: make({1: CATALOG, 2: FIELD, 4: stream(BOMB, "/Filter /FlateDecode"),
                                  5: b"<< /Type /Page /Contents 4 0 R >>"}),
    "double bomb": lambda: make({1: CATALOG, 2: FIELD,
                                 4: stream(zlib.compress(BOMB),
                                           "/Filter [/FlateDecode /FlateDecode]"),
                                 5: b"<< /Type /Page /Contents 4 0 R >>"}),
    "object stream bomb": lambda: make({1: CATALOG, 4: stream(
        BOMB, "/Type /ObjStm /N 100000 /First 1000000 /Filter /FlateDecode")}),
    "reference to itself": lambda: make({1: b"1 0 R"}),
    "reference circle": lambda: make({1: b"2 0 R", 2: b"1 0 R"}),
    "field circle": lambda: make({1: CATALOG, 2: b"<< /Kids [2 0 R 2 0 R 2 0 R 2 0 R] >>"}),
    "fields referring to a large object": lambda: make(
        {1: CATALOG, 2: b"<< /T (a) /Kids [" + b"3 0 R " * 4000 + b"] >>",
         3: b"<< /T (b) /A [" + b"0 " * 100_000 + b"] >>"}),
    "filters referring to a large object": lambda: make(
        {1: CATALOG, 2: b"[" + b"/FlateDecode " * 100_000 + b"]",
         **{n: stream(b"", "/Filter 2 0 R") for n in range(3, 3000)}}),
    "length of itself": lambda: make(
        {1: CATALOG, 2: b"<< /Length 2 0 R >>\nstream\nendstream"}),
    "one key in many": lambda: make(
        {1: b"<< " + b" ".join(b"/K%d 0" % n for n in range(60_000)) + b" /K7 0 >>"}),
    "many objects": lambda: make({n: b"null" for n in range(1, 140_000)}),
    "many references": lambda: make({1: CATALOG, **{n: b"[" + b"1 0 R " * 1000 + b"]"
                                                    for n in range(2, 400)}}),
    "token bomb": lambda: make({1: CATALOG, 2: FIELD, 3: b"<< /Contents <" + b"30" * 8_000_000
                                + b"> >>"}),
    "nothing but end marks": lambda: b"%PDF-1.7\n" + b"startxref\n9\n%%EOF\n" * 500_000,
}


class Hostile(unittest.TestCase):
    def test_hostile(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "file.pdf")
            for name, maker in HOSTILE.items():
                with self.subTest(name):
                    path.write_bytes(maker())
                    status, output, seconds, memory = measured(
                        "--trust", PDF / "pki/root.crt", "--policy", "revocation=ignore", path)
                    size = path.stat().st_size / 1024 / 1024
                    if os.environ.get("SHOW"):
                        print(f"{seconds:6.2f} s {memory - size:7.1f} MiB  {output.strip()}")
                    self.assertIn(status, (1, 2), output)
                    self.assertLess(seconds, SECONDS_MAX, output)
                    if not SANITIZED:
                        self.assertLess(memory - size, FIXED_MAX + INFLATE_MAX, output)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(argv=sys.argv, verbosity=2)
