"""Makes the corpus of fuzz_crl: revocation lists of every kind that is taken or refused, by openssl, and
the certificates that they are judged with.

usage: make_crl.py DIRECTORY"""

import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from samples import pki  # noqa: E402

ISSUED, ENDS = "20261220000000Z", "20270120000000Z"   # around VECTORS_NOW_S
IDP = "issuingDistributionPoint = critical,@idp"
# Name: lines of the section [crl], then a section [idp].
SCOPES = {
    "delta": ("deltaCRL = critical,ASN1:INTEGER:1", ""),
    "delta-not-critical": ("deltaCRL = ASN1:INTEGER:1", ""),
    "indirect": (IDP, "indirectCRL = TRUE"),
    "reasons": (IDP, "onlysomereasons = keyCompromise,CACompromise"),
    "attributes": (IDP, "onlyAA = TRUE"),
    "user": (IDP, "onlyuser = TRUE"),
    "authorities": (IDP, "onlyCA = TRUE"),
    "point": (IDP, "fullname = URI:http://crl.koseki.invalid/official.crl"),
    "relative": (IDP, "relativename = relative\n[relative]\nCN = one"),
    "scope-malformed": ("issuingDistributionPoint = critical,DER:30058301", ""),
    "unknown-critical": ("1.2.3.4 = critical,ASN1:NULL", ""),
    "unknown": ("1.2.3.4 = ASN1:UTF8:anything", ""),
    "number-malformed": ("2.5.29.20 = ASN1:UTF8:7", ""),
    "number-negative": ("2.5.29.20 = ASN1:INTEGER:-7", ""),
}
NUMBERS = {"number-0": "00", "number-20": "7F" + "EE" * 19, "number-21": "7F" + "EE" * 20,
           "number-60": "7F" * 60}
TIMES = {"backwards": (ENDS, ISSUED), "no-time-at-all": (ISSUED, ISSUED),
         "future": ("20310101000000Z", "20310201000000Z"), "stale": ("20250101000000Z",
                                                                     "20250201000000Z"),
         "far": ("20261220000000Z", "99991231235959Z"), "past": ("19500101000000Z", ENDS)}
REASONS = ("", "keyCompromise", "CACompromise", "superseded", "removeFromCRL",
           "holdInstruction,1.2.840.10040.2.2", "keyTime,20260101000000Z")


def tlv(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def contents(der):
    """Of the first element."""
    head = 2 + (der[1] & 0x7f if der[1] & 0x80 else 0)
    size = int.from_bytes(der[2:head], "big") if head > 2 else der[1]
    return der[head:head + size]


def signed(tbs, key):
    """A list of this body with a signature over it."""
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=tbs, check=True,
                               capture_output=True).stdout
    return tlv(0x30, tbs + algorithm + tlv(3, b"\0" + signature))


class Lists:
    def __init__(self, directory, work):
        self.directory = directory
        keys = pki.Keys(6)
        self.root = pki.Authority(work, keys, "root", "/C=JP/O=Test/OU=Root")
        self.officials = pki.Authority(work, keys, "officials", "/C=JP/O=Test/OU=Officials",
                                       self.root, years=10)
        self.namesake = pki.Authority(work, keys, "namesake", "/C=JP/O=Test/OU=Officials")
        self.stranger = pki.Authority(work, keys, "stranger", "/C=JP/O=Test/OU=Stranger")
        self.officials.issue("signer", pki.MINISTER, "signer")
        place = directory / "pki"
        place.mkdir(parents=True, exist_ok=True)
        for name in ("root", "officials", "signer"):
            pki.openssl("x509", "-in", work / f"{name}.pem", "-outform", "DER", "-out",
                        place / f"{name}.der")

    def make(self, name, authority=None, extension="", section="", number="05",
             times=(ISSUED, ENDS), rows=(), digest="sha256"):
        authority = authority or self.officials
        text = pki.AUTHORITY_CONFIG.format(home=authority.home)
        if "2.5.29.20" in extension:
            text = text.replace("crlnumber = ", "unused = ")
        config = authority.home / "special.cnf"
        config.write_text(text.replace("[crl]\n", f"[crl]\n{extension}\n") + f"[idp]\n{section}\n")
        (authority.home / "crlnumber").write_text(number + "\n")
        (authority.home / "index.txt").write_text("".join(rows))
        pem = pki.openssl("ca", "-config", config, "-gencrl", "-md", digest, "-keyfile",
                          authority.key, "-cert", authority.certificate, "-crl_lastupdate",
                          times[0], "-crl_nextupdate", times[1])
        der = pki.openssl("crl", "-outform", "DER", stdin=pem)
        (self.directory / f"{name}.crl").write_bytes(der)
        return der, pem

    def make_all(self):
        good, pem = self.make("good")
        pem_of_root = self.make("root", self.root)[1]
        (self.directory / "good.pem").write_bytes(pem)
        (self.directory / "two.pem").write_bytes(pem + pem_of_root)
        row = "R\t360101000000Z\t261221000000Z{}\t{}\tunknown\t/CN=x\n"
        for i, reason in enumerate(REASONS):
            self.make(f"reason-{i}", rows=[row.format("," + reason if reason else "", "1001")])
        self.make("entries", rows=[row.format("", f"{n:06X}") for n in range(4096, 4096 + 60)])
        self.make("long-serial", rows=[row.format("", "7F" * 40)])
        for name, (extension, section) in SCOPES.items():
            self.make(name, extension=extension, section=section)
        for name, number in NUMBERS.items():
            self.make(name, number=number)
        for name, times in TIMES.items():
            self.make(name, times=times)
        self.make("namesake", self.namesake)
        self.make("stranger", self.stranger)
        self.make("sha1", digest="sha1")
        self.make_bodies(good)

    def make_bodies(self, good):
        """What openssl's command does not write."""
        body, key = contents(contents(good)), self.officials.key
        end = re.search(rb"\x17\x0d270120000000Z", body)
        bodies = {
            "no-end": body[:end.start()] + body[end.end():],
            "version-1": body[3:],
            "version-3": b"\2\1\2" + body[3:],
            "time-generalized": body[:end.start()] + b"\x18\x0f20270120000000Z" + body[end.end():],
            "time-letters": body[:end.start()] + b"\x17\x0d2701XX000000Z" + body[end.end():],
            "time-february-30": body[:end.start()] + b"\x17\x0d270230000000Z" + body[end.end():],
            "time-offset": body[:end.start()] + b"\x17\x11270120000000+0900" + body[end.end():],
            "entry-of-another-issuer": self.with_entry(body, end, tlv(
                0x30, bytes.fromhex("0603551d1d0101ff") + tlv(4, tlv(0x30, tlv(0xa4, tlv(
                    0x30, tlv(0x31, tlv(0x30, bytes.fromhex("0603550403") + tlv(12, b"nobody"))))))))),
            "entry-critical": self.with_entry(body, end, bytes.fromhex("300a06032a03040101ff0400")),
            "entry-reason-7": self.with_entry(body, end, bytes.fromhex("300a0603551d1504030a0107")),
            "entry-twice": self.with_entry(body, end, b"", 2),
            "entry-reason-99": self.with_entry(body, end, bytes.fromhex("300a0603551d1504030a0163")),
        }
        for name, content in bodies.items():
            (self.directory / f"{name}.crl").write_bytes(signed(tlv(0x30, content), key))
        others = {"cut": good[:-5], "longer": good + b"\0", "forged": good[:-1] + bytes(
            [good[-1] ^ 1]), "empty": b"", "nothing": b"\x30\0", "endless": b"\x30\x80" + good[4:],
            "huge-length": b"\x30\x84\x7f\xff\xff\xff" + good[4:],
            "certificate": (self.directory / "pki" / "root.der").read_bytes()}
        for name, content in others.items():
            (self.directory / f"{name}.crl").write_bytes(content)

    @staticmethod
    def with_entry(body, end, extension, count=1):
        extensions = tlv(0x30, extension) if extension else b""
        entry = tlv(0x30, b"\2\2\x10\1" + b"\x17\x0d261221000000Z" + extensions)
        return body[:end.end()] + tlv(0x30, entry * count) + body[end.end():]


with tempfile.TemporaryDirectory() as temporary:
    Lists(pathlib.Path(sys.argv[1]), pathlib.Path(temporary)).make_all()
