"""A Minister of our own making for tests about trust: authorities, signers at any time, revocation
lists of any kind, documents signed by whom we like. All made with the openssl command line."""

import datetime
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from samples import pki, signature  # noqa: E402

# Of RFC 5280 5.3.1: whether a document received before the revocation stays valid. The openssl program
# does not know privilegeWithdrawn and aACompromise; tests/unit/base/test_signer.c does.
REASONS = {
    "unspecified": False, "keyCompromise": False, "CACompromise": False,
    "affiliationChanged": True, "superseded": True, "cessationOfOperation": True,
}


def at(days=0, seconds=0):
    return (datetime.datetime.now(datetime.timezone.utc)
            + datetime.timedelta(days=days, seconds=seconds))


def generalized(moment):
    return moment.strftime("%Y%m%d%H%M%SZ")


class Minister:
    """A root authority, an authority of officials below it, and signers."""

    def __init__(self, directory, key_count=20):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.keys = pki.Keys(key_count)
        self.root = pki.Authority(self.directory, self.keys, "root", "/C=JP/O=Test/OU=Root")
        self.officials = pki.Authority(self.directory, self.keys, "officials",
                                       "/C=JP/O=Test/OU=Officials", self.root, years=10)
        self.lists = self.directory / "lists"
        self.lists.mkdir()
        self.signer("signer")
        self.write_lists()

    def signer(self, name, days=(-30, 3650), authority=None, subject=pki.MINISTER):
        return (authority or self.officials).issue(name, subject, "signer", days=days)

    def write_lists(self, **span):
        self.write_list(self.root, "root.crl", **span)
        self.write_list(self.officials, "officials.crl", **span)

    def write_list(self, authority, name, issued=0, ends=30, entries=None, number=None):
        """The list of this authority, `issued` and `ends` in days from now. `entries` are rows
        (certificate, reason, days) of what is revoked; given once they stay."""
        if entries is not None:
            self.set_revoked(authority, entries)
        if number is not None:
            (authority.home / "crlnumber").write_text(f"{number:04X}\n")
        made = self.directory / f".{name}.new"
        authority.write_crl(made, generalized(at(issued)), generalized(at(ends)))
        made.rename(self.lists / name)
        return self.lists / name

    def set_revoked(self, authority, entries):
        rows = []
        for certificate, reason, days in entries:
            serial = pki.openssl("x509", "-in", self.directory / f"{certificate}.pem", "-noout",
                                 "-serial").decode().strip().split("=")[1]
            date = at(days).strftime("%y%m%d%H%M%SZ")
            suffix = f",{reason}" if reason else ""
            rows.append(f"R\t360101000000Z\t{date}{suffix}\t{serial}\tunknown\t/CN={certificate}\n")
        (authority.home / "index.txt").write_text("".join(rows))

    def document(self, template, signer="signer", chain="officials", signed=None):
        """The document of the samples, signed anew; `signed` is the time that it claims."""
        content = pathlib.Path(template).read_bytes()
        moment = signed or signature.now()
        content = re.sub(rb"/M \(D:[^)]*\)", lambda m: b"/M " + signature.pdf_date(moment)
                         .encode().ljust(len(m[0]) - 3), content)
        content = re.sub(rb"/ByteRange \[0 [0-9 ]*\]",
                         b"/ByteRange [0 " + b" ".join([b"9" * 10] * 3) + b"]", content)
        content = re.sub(rb"/Contents <[0-9A-F]+>",
                         b"/Contents <" + b"0" * 2 * signature.CONTENTS_SIZE + b">", content)
        return signature.sign(content, self.directory / f"{signer}.pem",
                              self.directory / f"{chain}.pem")
