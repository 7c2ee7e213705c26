"""Signs XML: compatibility mode by xmlsec1, 2.0 mode by CPython's Canonical XML 2.0 and openssl. Neither
shares code with verify."""

import base64
import hashlib
import pathlib
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

from . import pki

DSIG = "http://www.w3.org/2000/09/xmldsig#"
DSIG2 = "http://www.w3.org/2010/xmldsig2#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N11 = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
C14N2 = "http://www.w3.org/2010/xml-c14n2"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def certificate_base64(path):
    return base64.b64encode(pki.openssl("x509", "-in", path, "-outform", "DER")).decode()


def key_info(prefix, certificates):
    bodies = "".join(f"<{prefix}X509Certificate>{certificate_base64(path)}</{prefix}X509Certificate>"
                     for path in certificates)
    return (f"<{prefix}KeyInfo><{prefix}X509Data>{bodies}</{prefix}X509Data></{prefix}KeyInfo>")


def template(prefix, method, transform, certificates):
    """A Signature of compatibility mode for xmlsec1 to fill in."""
    p = f"{prefix}:" if prefix else ""
    xmlns = f"xmlns:{prefix}" if prefix else "xmlns"
    then = f'<{p}Transform Algorithm="{transform}"/>' if transform else ""
    return (f'<{p}Signature {xmlns}="{DSIG}"><{p}SignedInfo>'
            f'<{p}CanonicalizationMethod Algorithm="{method}"/>'
            f'<{p}SignatureMethod Algorithm="{RSA_SHA256}"/><{p}Reference URI=""><{p}Transforms>'
            f'<{p}Transform Algorithm="{DSIG}enveloped-signature"/>{then}</{p}Transforms>'
            f'<{p}DigestMethod Algorithm="{SHA256}"/><{p}DigestValue/></{p}Reference>'
            f'</{p}SignedInfo><{p}SignatureValue/>{key_info(p, certificates)}</{p}Signature>')


def sign(parts, signer, others=(), prefix="", method=C14N, transform=None):
    """Compatibility mode. `parts` is what Register.content() yields; `signer` the path of a .pem beside
    its .key."""
    start, inner, end = parts
    signature = template(prefix, method, transform, [signer, *others])
    with tempfile.TemporaryDirectory() as directory:
        source, target = pathlib.Path(directory, "in.xml"), pathlib.Path(directory, "out.xml")
        source.write_text(DECLARATION + start + inner + signature + "\n" + end + "\n", "utf-8")
        done = subprocess.run(["xmlsec1", "--sign", "--privkey-pem", signer.with_suffix(".key"),
                               "--output", target, source], capture_output=True)
        if done.returncode:
            raise RuntimeError(f"xmlsec1 --sign: {done.stderr.decode()}")
        return target.read_bytes()


def octets_2_0(text):
    return ElementTree.canonicalize(text).encode()


def sign_2_0(parts, signer, others=()):
    """2.0 mode: Selection of the whole document, Canonical XML 2.0 with its defaults, DigestDataLength."""
    start, inner, end = parts
    document = octets_2_0(start + inner + "\n" + end)
    digest = base64.b64encode(hashlib.sha256(document).digest()).decode()
    signed_info = (
        f'<SignedInfo xmlns="{DSIG}"><CanonicalizationMethod Algorithm="{C14N2}"/>'
        f'<SignatureMethod Algorithm="{RSA_SHA256}"/><Reference><Transforms>'
        f'<Transform Algorithm="{DSIG2}transform">'
        f'<dsig2:Selection xmlns:dsig2="{DSIG2}" Algorithm="{DSIG2}xml" URI=""/>'
        f'<CanonicalizationMethod Algorithm="{C14N2}"/>'
        f'<dsig2:Verifications xmlns:dsig2="{DSIG2}">'
        f'<dsig2:Verification Type="{DSIG2}DigestDataLength">'
        f'<dsig2:DigestDataLength>{len(document)}</dsig2:DigestDataLength></dsig2:Verification>'
        f'</dsig2:Verifications></Transform></Transforms><DigestMethod Algorithm="{SHA256}"/>'
        f'<DigestValue>{digest}</DigestValue></Reference></SignedInfo>')
    value = pki.openssl("dgst", "-sha256", "-sign", signer.with_suffix(".key"),
                        stdin=octets_2_0(signed_info))
    signature = (f'<Signature xmlns="{DSIG}">{signed_info}<SignatureValue>'
                 f'{base64.b64encode(value).decode()}</SignatureValue>'
                 f'{key_info("", [signer, *others])}</Signature>')
    return (DECLARATION + start + inner + signature + "\n" + end + "\n").encode()


def sign_exclusive(parts, signer):
    """Compatibility mode with exclusive canonicalization by CPython, which is right where libxml2, and so
    xmlsec1, is not: "&" in the name of a namespace."""
    start, inner, end = parts
    digest = hashlib.sha256(octets_2_0(start + inner + "\n" + end)).digest()
    signed_info = (
        f'<SignedInfo xmlns="{DSIG}"><CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<SignatureMethod Algorithm="{RSA_SHA256}"/><Reference URI=""><Transforms>'
        f'<Transform Algorithm="{DSIG}enveloped-signature"/><Transform Algorithm="{EXCLUSIVE}"/>'
        f'</Transforms><DigestMethod Algorithm="{SHA256}"/>'
        f'<DigestValue>{base64.b64encode(digest).decode()}</DigestValue></Reference></SignedInfo>')
    value = pki.openssl("dgst", "-sha256", "-sign", signer.with_suffix(".key"),
                        stdin=octets_2_0(signed_info))
    signature = (f'<Signature xmlns="{DSIG}">{signed_info}<SignatureValue>'
                 f'{base64.b64encode(value).decode()}</SignatureValue>'
                 f'{key_info("", [signer])}</Signature>')
    return (DECLARATION + start + inner + signature + "\n" + end + "\n").encode()
