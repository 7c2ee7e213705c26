"""Path validation by table, of the kinds that NIST's PKITS has, with certificates made on the spot and
judged by kosekictl verify; what the mount makes of a verdict is tested elsewhere."""

import json
import os
import shutil
import subprocess
import unittest

from samples import pki
from system import minister, scene


class Paths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = scene.work_directory() / "Paths"
        shutil.rmtree(directory, ignore_errors=True)
        cls.minister = minister.Minister(directory, key_count=30)
        cls.template = scene.samples() / "documents" / scene.GOOD

    def authority(self, name, extensions, issuer=None, subject=None):
        """An authority with these lines instead of its usual extensions, and its list."""
        issuer = issuer or self.minister.root
        config = issuer.config.read_text()
        section = config[config.index("[authority_extensions]"):config.index("[signer_extensions]")]
        issuer.config.write_text(config.replace(section, f"[authority_extensions]\n{extensions}\n"))
        try:
            made = pki.Authority(self.minister.directory, self.minister.keys, name,
                                 subject or f"/C=JP/O=Test/OU={name}", issuer, years=10)
        finally:
            issuer.config.write_text(config)
        self.minister.write_list(made, f"{name}.crl")
        return made

    def judge(self, signer, chain, *options, dn=pki.MINISTER_DN, anchor="root"):
        """(indication, sub-indication, check) of a document signed so."""
        path = self.minister.directory / "document.pdf"
        bundle = self.minister.directory / "chain.pem"
        bundle.write_bytes(b"".join((self.minister.directory / f"{name}.pem").read_bytes()
                                    for name in chain or ["root"]))
        path.write_bytes(self.minister.document(self.template, signer=signer, chain="chain"))
        done = subprocess.run(
            [scene.build_directory() / "kosekictl", "verify", "--json", "--trust",
             self.minister.directory / f"{anchor}.pem", "--crl", self.minister.lists, "--signer", dn,
             *map(str, options), path], capture_output=True, text=True,
            # OpenSSL 3.0 leaks the policyConstraints of a certificate without policies.
            env={**os.environ, "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0"})
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        row = json.loads(done.stdout)
        reason = [reason["check"] for reason in row["reasons"] if reason["level"] in
                  ("fail", "undecided")]
        return row["indication"], row.get("sub_indication") or "", reason[0] if reason else ""

    GOOD = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n" \
           "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid"

    def test_table(self):
        constraints = ("INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE", "path-constraints")
        passed = ("TOTAL-PASSED", "", "")
        rows = {
            "plain": (self.GOOD, passed),
            "not-an-authority": (self.GOOD.replace("CA:TRUE", "CA:FALSE"), constraints),
            "may-not-certify": (self.GOOD.replace("keyCertSign,", ""), constraints),
            "path-length-0": (self.GOOD.replace("CA:TRUE", "CA:TRUE,pathlen:0"), passed),
            "names-permitted": (
                self.GOOD + "\nnameConstraints=critical,permitted;dirName:permitted\n[permitted]\n"
                "C=JP\nO=Japanese Government", passed),
            "names-excluded": (
                self.GOOD + "\nnameConstraints=critical,excluded;dirName:excluded\n[excluded]\n"
                "C=JP\nO=Japanese Government", constraints),
            "unknown-critical": (self.GOOD + "\n1.2.3.4=critical,ASN1:NULL", constraints),
            "unknown": (self.GOOD + "\n1.2.3.4=ASN1:NULL", passed),
            "policy-needed": (self.GOOD + "\npolicyConstraints=critical,requireExplicitPolicy:0",
                              constraints),
        }
        for name, (extensions, expected) in rows.items():
            with self.subTest(name):
                made = self.authority(name, extensions)
                self.minister.signer(f"{name}-signer", authority=made)
                self.assertEqual(self.judge(f"{name}-signer", [name]), expected)

    def test_path_length(self):
        upper = self.authority("upper", self.GOOD.replace("CA:TRUE", "CA:TRUE,pathlen:0"))
        lower = self.authority("below", self.GOOD, issuer=upper)
        self.minister.signer("below-signer", authority=lower)
        self.assertEqual(self.judge("below-signer", ["below", "upper"])[2], "path-constraints")
        self.assertEqual(self.judge("below-signer", ["below"])[2], "path-to-anchor")
        self.assertEqual(self.judge("below-signer", [], anchor="below")[0], "TOTAL-PASSED")

    def test_names(self):
        """RFC 5280 7.1: string types, case and runs of spaces make no difference; parts do."""
        for dn, good in ((pki.MINISTER_DN.upper().replace("CN=", "cn="), True),
                         (pki.MINISTER_DN.replace("Minister of", "Minister   of"), True),
                         (pki.MINISTER_DN.replace("Japanese", "Japanes"), False),
                         (pki.MINISTER_DN.replace("C=JP", "C=JP,DC=x"), False)):
            with self.subTest(dn):
                self.assertEqual(self.judge("signer", ["officials"], dn=dn)[0] == "TOTAL-PASSED",
                                 good)

    def test_pins_and_policies(self):
        digest = pki.openssl("x509", "-in", self.minister.directory / "signer.pem", "-noout",
                             "-fingerprint", "-sha256").decode().split("=")[1].strip()
        pin = digest.replace(":", "")
        self.assertEqual(self.judge("signer", ["officials"], "--signer-pin", pin)[0], "TOTAL-PASSED")
        self.assertEqual(self.judge("signer", ["officials"], "--signer-pin", "0" * 64),
                         ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE", "signer-pin"))
        self.assertEqual(self.judge("signer", ["officials"], "--signer-policy", "1.2.3")[2],
                         "path-constraints")

    def test_expired(self):
        """The signer expired; a receipt before that counts, one after it does not."""
        self.minister.signer("expired", days=(-30, -1))
        earlier = minister.at(-2).strftime("%Y-%m-%dT%H:%M:%SZ")
        relaxed = ("--policy", "signature-date-plausible=ignore")
        self.assertEqual(self.judge("expired", ["officials"], *relaxed),
                         ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE", "path-not-expired"))
        self.assertEqual(self.judge("expired", ["officials"], *relaxed, "--received", earlier)[0],
                         "TOTAL-PASSED")
