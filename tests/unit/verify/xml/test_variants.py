#!/usr/bin/python3
"""Signs many variants of one document by xmlsec1 (mode 2.0: CPython's C14N 2.0 and openssl) and compares what
the verify command says: "accept", or the name of the check that must reject. xmlsec1 itself must
find each accepted compatibility-mode document good.

usage: test_variants.py VERIFY-COMMAND SOURCE-ROOT
"""

import base64
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

COMMAND, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
sys.path.insert(0, str(ROOT / "tools"))

from samples import pki, xml_register, xml_signature as xs  # noqa: E402

ACCEPT = "accept"
START, INNER, END = xml_register.Register().content()
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class Case:
    def __init__(self, expect, template=None, after=None, start=START, inner=INNER, before="",
                 behind="", method=xs.C14N, transform=None, prefix="", id_attribute=None,
                 encode=None, certificates=("minister",)):
        self.__dict__.update(locals())

    def sign(self, shop):
        signature = xs.template(self.prefix, self.method, self.transform,
                                [shop.signer(name) for name in self.certificates])
        if self.template:
            edited = self.template(signature)
            assert edited != signature, "the template was not changed"
            signature = edited
        text = (xs.DECLARATION + self.before + self.start + self.inner + signature + "\n" + END
                + self.behind)
        source, target = shop.home / "in.xml", shop.home / "out.xml"
        source.write_bytes(self.encode(text) if self.encode else text.encode())
        extra = [f"--id-attr:{self.id_attribute}", "戸籍証明書"] if self.id_attribute else []
        done = subprocess.run(["xmlsec1", "--sign", "--privkey-pem", shop.key("minister"), *extra,
                               "--output", target, source], capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return self.finish(target.read_bytes())

    def finish(self, content):
        if not self.after:
            return content
        edited = self.after(content)
        assert edited != content, "the document was not changed"
        return edited

    def agrees(self, shop, path):
        extra = [f"--id-attr:{self.id_attribute}", "戸籍証明書"] if self.id_attribute else []
        return subprocess.run(["xmlsec1", "--verify", "--trusted-pem", shop.signer("root"),
                               "--untrusted-pem", shop.anchor, *extra, path],
                              capture_output=True).returncode == 0


class Case2:
    """Mode 2.0. `octets` canonicalizes as `parameters` say."""

    def __init__(self, expect, parameters="", octets=None, uri="", verifications=None, start=START,
                 inner=INNER, before="", behind="", after=None, name="CanonicalizationMethod",
                 signed_info=None):
        self.__dict__.update(locals())

    def sign(self, shop):
        octets = self.octets or (lambda text: ElementTree.canonicalize(text).encode())
        document = octets(self.before + self.start + self.inner + "\n" + END + self.behind)
        wanted = self.verifications or (lambda size: "")
        tag = f"dsig2:{self.name}" if self.name == "Canonicalization" else self.name
        info = (
            f'<SignedInfo xmlns="{xs.DSIG}" xmlns:dsig2="{xs.DSIG2}" xmlns:c14n2="{xs.C14N2}">'
            f'<CanonicalizationMethod Algorithm="{xs.C14N2}"/>'
            f'<SignatureMethod Algorithm="{xs.RSA_SHA256}"/><Reference><Transforms>'
            f'<Transform Algorithm="{xs.DSIG2}transform">'
            f'<dsig2:Selection Algorithm="{xs.DSIG2}xml" URI="{self.uri}"/>'
            f'<{tag} Algorithm="{xs.C14N2}">{self.parameters}</{tag}>{wanted(len(document))}'
            f'</Transform></Transforms><DigestMethod Algorithm="{xs.SHA256}"/>'
            f'<DigestValue>{base64.b64encode(hashlib.sha256(document).digest()).decode()}'
            f'</DigestValue></Reference></SignedInfo>')
        info = self.signed_info(info) if self.signed_info else info
        value = pki.openssl("dgst", "-sha256", "-sign", shop.key("minister"),
                            stdin=ElementTree.canonicalize(info).encode())
        signature = (f'<Signature xmlns="{xs.DSIG}">{info}<SignatureValue>'
                     f'{base64.b64encode(value).decode()}</SignatureValue>'
                     f'{xs.key_info("", [shop.signer("minister")])}</Signature>')
        text = (xs.DECLARATION + self.before + self.start + self.inner + signature + "\n" + END
                + self.behind)
        return self.after(text.encode()) if self.after else text.encode()

    def agrees(self, shop, path):
        return True  # there is no other program for mode 2.0


def swap(old, new):
    return lambda text: text.replace(old, new, 1)


def swap_octets(old, new):
    return lambda content: content.replace(old.encode(), new.encode(), 1)


def root_with(attributes):
    return START.replace(" 種別=", f" {attributes} 種別=", 1)


def verification(kind, content, outer=True):
    name = f"dsig2:{kind}"
    body = f"<{name}>{content}</{name}>" if outer else content
    return (f'<dsig2:Verifications><dsig2:Verification Type="{xs.DSIG2}{kind}">{body}'
            f'</dsig2:Verification></dsig2:Verifications>')


def last_bit(tag):
    """Sets an unused bit of the last base64 character before the padding."""
    def edit(content):
        end = content.index(f"=</{tag}>".encode())
        at = end - 1 if content[end - 1:end] != b"=" else end - 2
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        return content[:at] + bytes([alphabet[alphabet.index(content[at]) | 1]]) + content[at + 1:]
    return edit


def issuer_serial(shop):
    text = pki.openssl("x509", "-in", shop.signer("minister"), "-noout", "-issuer", "-serial",
                       "-nameopt", "RFC2253").decode()
    lines = dict(line.split("=", 1) for line in text.splitlines())
    return lines["issuer"].strip(), str(int(lines["serial"], 16))


def hints(shop, serial_offset=0, subject=None):
    issuer, serial = issuer_serial(shop)
    subject = subject or "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP"
    return swap("<X509Data>",
                f"<X509Data><X509IssuerSerial><X509IssuerName>{issuer}</X509IssuerName>"
                f"<X509SerialNumber>{int(serial) + serial_offset}</X509SerialNumber>"
                f"</X509IssuerSerial><X509SubjectName>{subject}</X509SubjectName>")


def key_value(shop, name):
    text = pki.openssl("rsa", "-in", shop.key(name), "-noout", "-modulus").decode()
    modulus = base64.b64encode(bytes.fromhex(text.strip().split("=")[1])).decode()
    return swap_octets("<X509Data>", f"<KeyValue><RSAKeyValue><Modulus>{modulus}</Modulus>"
                f"<Exponent>AQAB</Exponent></RSAKeyValue></KeyValue><X509Data>")


def prefix_list(prefixes):
    return lambda text: text.replace(
        f'<Transform Algorithm="{xs.EXCLUSIVE}"/>',
        f'<Transform Algorithm="{xs.EXCLUSIVE}"><InclusiveNamespaces xmlns="{xs.EXCLUSIVE}" '
        f'PrefixList="{prefixes}"/></Transform>', 1)


def cases_of_compatibility_mode(shop):
    exclusive = {"method": xs.EXCLUSIVE, "transform": xs.EXCLUSIVE}
    typed = INNER + f'<備考 {XSI} xmlns:t="urn:t" xsi:type="t:T">x</備考>\n'
    pretty = lambda text: text.replace("><", ">\n  <")  # noqa: E731
    return {
        # Encodings
        "plain": Case(ACCEPT),
        "utf-8 with mark": Case(ACCEPT, encode=lambda t: b"\xef\xbb\xbf" + t.encode()),
        "utf-16": Case(ACCEPT, encode=lambda t: t.replace("UTF-8", "UTF-16").encode("utf-16")),
        "line ends": Case(ACCEPT, encode=lambda t: t.replace("\n", "\r\n").encode()),
        "instruction before": Case(ACCEPT, before="<?koseki page='1'?>\n"),
        "character references": Case(ACCEPT, inner=INNER.replace("\U00020BB7", "&#x20BB7;")),
        # Canonicalization
        "1.1": Case(ACCEPT, method=xs.C14N11, transform=xs.C14N11),
        "1.0 named": Case(ACCEPT, transform=xs.C14N),
        "exclusive": Case(ACCEPT, **exclusive),
        "exclusive, prefix": Case(ACCEPT, prefix="ds", **exclusive),
        "mixed methods": Case(ACCEPT, method=xs.EXCLUSIVE, transform=xs.C14N11),
        "xml attributes": Case(ACCEPT, start=root_with('xml:lang="ja" xml:space="preserve" '
                                                       'xml:base="http://example.org/"')),
        "xml attributes, 1.1": Case(ACCEPT, method=xs.C14N11, transform=xs.C14N11,
                                    start=root_with('xml:lang="ja" xml:space="preserve"')),
        "signature's prefix on the root": Case(ACCEPT, prefix="ds",
                                               start=root_with(f'xmlns:ds="{xs.DSIG}"'),
                                               **exclusive),
        "xsi:type, inclusive": Case(ACCEPT, inner=typed),
        "xsi:type, prefix listed": Case(ACCEPT, inner=typed, template=prefix_list("t xsi"),
                                        **exclusive),
        "default listed": Case(ACCEPT, template=prefix_list("#default"), **exclusive),
        "xsi:type not signed": Case("xml-type-signed", inner=typed, **exclusive),
        "unused namespace": Case("xml-namespaces-signed", start=root_with('xmlns:u="urn:u"'),
                                 **exclusive),
        "namespace added": Case("xml-namespaces-signed",
                                after=swap_octets("<本籍>", '<本籍 xmlns:e="urn:evil">'),
                                **exclusive),
        "namespace added in the signature": Case(
            "xml-namespaces-signed",
            after=swap_octets("<KeyInfo>", '<KeyInfo xmlns:e="urn:evil">')),
        "namespace added, inclusive": Case(
            "xml-digest", after=swap_octets("<本籍>", '<本籍 xmlns:e="urn:evil">')),
        # References
        "Id": Case(ACCEPT, template=swap('URI=""', 'URI="#K1"'), start=root_with('Id="K1"'),
                   id_attribute="Id"),
        "xml:id": Case(ACCEPT, template=swap('URI=""', 'URI="#K1"'), start=root_with('xml:id="K1"')),
        "Id twice": Case("xml-reference", template=swap('URI=""', 'URI="#K1"'),
                         start=root_with('Id="K1" id="K1"'), id_attribute="Id"),
        "Id, instruction outside": Case("xml-reference", template=swap('URI=""', 'URI="#K1"'),
                                        start=root_with('Id="K1"'), id_attribute="Id",
                                        behind="<?page 2?>"),
        "xpointer": Case("xml-reference", template=swap('URI=""', 'URI="#xpointer(/)"')),
        "Reference with Type": Case("xml-signature-shape",
                                    template=swap('URI=""', 'URI="" Type="urn:t"')),
        "Reference with Id": Case(ACCEPT, template=swap('URI=""', 'URI="" Id="r1"')),
        "enveloped twice": Case("xml-transforms", template=lambda t: t.replace(
            f'<Transform Algorithm="{xs.DSIG}enveloped-signature"/>',
            f'<Transform Algorithm="{xs.DSIG}enveloped-signature"/>' * 2)),
        "xslt": Case("xml-transforms", after=swap_octets(
            f'Transform Algorithm="{xs.DSIG}enveloped-signature"',
            'Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"')),
        "2.0 method as transform": Case("xml-signature-mode", transform=xs.EXCLUSIVE, after=swap_octets(
            f'Transform Algorithm="{xs.EXCLUSIVE}"', f'Transform Algorithm="{xs.C14N2}"')),
        "2.0 method of SignedInfo": Case("xml-signature-mode", after=swap_octets(
            f'CanonicalizationMethod Algorithm="{xs.C14N}"',
            f'CanonicalizationMethod Algorithm="{xs.C14N2}"')),
        "unknown method": Case("xml-c14n-method", after=swap_octets(
            f'CanonicalizationMethod Algorithm="{xs.C14N}"',
            'CanonicalizationMethod Algorithm="urn:c14n"')),
        "with comments": Case("xml-c14n-comments", method=xs.C14N + "#WithComments"),
        # Algorithms
        "sha1": Case("xml-digest-method", template=swap(xs.SHA256, xs.DSIG + "sha1")),
        "sha512": Case("xml-digest-method", template=swap(
            xs.SHA256, "http://www.w3.org/2001/04/xmlenc#sha512")),
        "rsa-sha1": Case("xml-signature-method", template=swap(xs.RSA_SHA256, xs.DSIG + "rsa-sha1")),
        # Shape
        "pretty": Case(ACCEPT, template=pretty),
        "Ids": Case(ACCEPT, template=lambda t: t.replace("<SignedInfo>", '<SignedInfo Id="i">')
                    .replace("<SignatureValue/>", '<SignatureValue Id="v"/>')
                    .replace("<KeyInfo>", '<KeyInfo Id="k">').replace(
                        f'<Signature xmlns="{xs.DSIG}">', f'<Signature xmlns="{xs.DSIG}" Id="s">')),
        "comment inside": Case("xml-signature-shape", after=swap_octets(
            "<SignatureValue>", "<!-- x --><SignatureValue>")),
        "instruction inside": Case("xml-signature-shape", after=swap_octets(
            "<SignatureValue>", "<?x?><SignatureValue>")),
        "comment in the digest": Case("xml-signature-shape",
                                      after=swap_octets("</DigestValue>", "<!----></DigestValue>")),
        "comment in the value": Case("xml-signature-shape", after=swap_octets(
            "</SignatureValue>", "<!----></SignatureValue>")),
        "comment in the certificate": Case("xml-keyinfo", after=swap_octets(
            "</X509Certificate>", "<!----></X509Certificate>")),
        "order": Case("xml-signature-shape", after=lambda c: re.sub(
            rb"(<SignatureValue>.*</SignatureValue>)(<KeyInfo>.*</KeyInfo>)", rb"\2\1", c,
            flags=re.DOTALL)),
        "nested": Case("xml-signature-place", inner=INNER + "<控>",
                       template=lambda t: t + "</控>"),
        "two signatures": Case("xml-signature-one", after=lambda c: c.replace(
            b"</Signature>", b"</Signature><Signature xmlns='" + xs.DSIG.encode() + b"'/>", 1)),
        "unused bits of the digest": Case("xml-signature-shape", after=last_bit("DigestValue")),
        "unused bits of the value": Case("xml-signature-value", after=last_bit("SignatureValue")),
        # KeyInfo
        "chain": Case(ACCEPT, certificates=("minister", "official")),
        "chain upside down": Case(ACCEPT, certificates=("official", "minister")),
        "chain beyond the anchor": Case(ACCEPT, certificates=("minister", "official", "root")),
        "chain with a gap": Case("xml-certificates-one-path", certificates=("minister", "root")),
        "stranger beside": Case("xml-certificates-one-path", certificates=("minister", "colleague")),
        "hints": Case(ACCEPT, template=hints(shop)),
        "wrong serial number": Case("xml-keyinfo", template=hints(shop, 1)),
        "wrong subject": Case("xml-keyinfo", template=hints(shop, subject="CN=Nobody")),
        "key name": Case("xml-keyinfo-only-certificates",
                         template=swap("<X509Data>", "<KeyName>moj</KeyName><X509Data>")),
        "key value": Case("xml-keyinfo-only-certificates", after=key_value(shop, "minister")),
        "other key value": Case("xml-keyinfo", after=key_value(shop, "colleague")),
        "other signer": Case("xml-signature-value", certificates=("colleague",)),
        "octets behind the certificate": Case("xml-keyinfo", after=trailing_octet),
        # Content
        "comment in a text": Case("xml-comment-in-text", after=swap_octets("太郎", "太<!-- -->郎")),
        "comment between": Case("xml-comments", after=swap_octets("<本籍>", "<!-- --><本籍>")),
        "text changed": Case("xml-digest", after=swap_octets("太郎", "次郎")),
        "variation selector removed": Case("xml-digest", after=swap_octets("\U000E0100", "")),
        "CDATA": Case(ACCEPT, inner=INNER.replace("太郎", "<![CDATA[太郎]]>")),
        "relative namespace": Case("xml-namespace-names",
                                   after=swap_octets("<本籍>", '<本籍 xmlns:r="../r">')),
    }


def trailing_octet(content):
    start = content.index(b"<X509Certificate>") + len(b"<X509Certificate>")
    end = content.index(b"</X509Certificate>")
    der = base64.b64decode(content[start:end]) + b"\0"
    return content[:start] + base64.b64encode(der) + content[end:]


def cases_of_mode_2_0():
    c14n = ElementTree.canonicalize
    trim = "<c14n2:TrimTextNodes>true</c14n2:TrimTextNodes>"
    keep = "<c14n2:IgnoreComments>false</c14n2:IgnoreComments>"
    aware = ('<c14n2:QNameAware><c14n2:QualifiedAttr Name="type" '
             'NS="http://www.w3.org/2001/XMLSchema-instance"/></c14n2:QNameAware>')
    typed = INNER + f'<備考 {XSI} xmlns:t="urn:t" xsi:type="t:T">x</備考>\n'
    k = f'xmlns:k="{xml_register.NAMESPACE}"'
    length = lambda size: verification("DigestDataLength", size)  # noqa: E731
    commented = INNER.replace("<本籍>", "<!-- x --><本籍>")

    def position(path):
        return lambda size: verification("PositionAssertion", path).replace(
            "<dsig2:PositionAssertion>", f"<dsig2:PositionAssertion {k}>")

    def ids(content, outer=True):
        return lambda size: verification("IDAttributes", content, outer)

    own = ('<dsig2:UnqualifiedAttr Name="番" ParentName="戸籍証明書" '
           f'ParentNS="{xml_register.NAMESPACE}"/>')
    return {
        "plain": Case2(ACCEPT),
        "length": Case2(ACCEPT, verifications=length),
        "wrong length": Case2("xml-verifications",
                              verifications=lambda n: verification("DigestDataLength", n + 1)),
        "length not a number": Case2("xml-verifications",
                                     verifications=lambda n: verification("DigestDataLength", f"+{n}")),
        "Canonicalization of 2.0": Case2(ACCEPT, name="Canonicalization"),
        "instruction before": Case2(ACCEPT, before="<?koseki page='1'?>\n"),
        "trim": Case2(ACCEPT, trim, lambda t: c14n(t, strip_text=True).encode()),
        "trim, but not signed so": Case2("xml-digest", trim),
        "defaults spelled out": Case2(ACCEPT, "<c14n2:IgnoreComments>true</c14n2:IgnoreComments>"
                                      "<c14n2:TrimTextNodes>0</c14n2:TrimTextNodes>"
                                      "<c14n2:PrefixRewrite>none</c14n2:PrefixRewrite>"),
        "signed comment": Case2(ACCEPT, keep, lambda t: c14n(t, with_comments=True).encode(),
                                inner=commented),
        "signed comment removed": Case2(
            "xml-digest", keep, lambda t: c14n(t, with_comments=True).encode(), inner=commented,
            after=swap_octets("<!-- x -->", "")),
        "unsigned comment": Case2("xml-comments", inner=commented),
        "comment in a text": Case2("xml-comment-in-text", inner=INNER.replace("太郎", "太<!---->郎")),
        "QNameAware": Case2(ACCEPT, aware, lambda t: c14n(
            t, qname_aware_attrs=["{http://www.w3.org/2001/XMLSchema-instance}type"]).encode(),
            inner=typed),
        "QNameAware, rebound": Case2("xml-digest", aware, lambda t: c14n(
            t, qname_aware_attrs=["{http://www.w3.org/2001/XMLSchema-instance}type"]).encode(),
            inner=typed, after=swap_octets('xmlns:t="urn:t"', 'xmlns:t="urn:u"')),
        "xsi:type not signed": Case2("xml-type-signed", inner=typed),
        "unknown parameter": Case2("xml-signature-shape",
                                   "<c14n2:XmlAncestors>none</c14n2:XmlAncestors>"),
        "parameter twice": Case2("xml-signature-shape", trim + trim,
                                 lambda t: c14n(t, strip_text=True).encode()),
        "parameter of another value": Case2("xml-signature-shape",
                                            "<c14n2:PrefixRewrite>digest</c14n2:PrefixRewrite>"),
        "position": Case2(ACCEPT, verifications=position("/k:戸籍証明書")),
        "position, first": Case2(ACCEPT, verifications=position("/k:戸籍証明書[1]")),
        "position, any": Case2(ACCEPT, verifications=position("/*")),
        "position elsewhere": Case2("xml-verifications", verifications=position("/k:戸籍証明書/k:本籍")),
        "position of another name": Case2("xml-verifications", verifications=position("/k:戸籍")),
        "position without prefix": Case2("xml-verifications", verifications=position("/戸籍証明書")),
        "position second": Case2("xml-verifications", verifications=position("/k:戸籍証明書[2]")),
        "position by axis": Case2("xml-verifications", verifications=position("//k:戸籍証明書")),
        "Id": Case2(ACCEPT, uri="#K1", start=root_with('Id="K1"')),
        "Id of a part": Case2("xml-selection", uri="#K1",
                              inner=INNER.replace("<本籍>", '<本籍 Id="K1">')),
        "listed attribute": Case2(ACCEPT, uri="#K1", start=root_with('番="K1"'),
                                  verifications=ids(own)),
        "listed attribute, directly": Case2(ACCEPT, uri="#K1", start=root_with('番="K1"'),
                                            verifications=ids(own, False)),
        "attribute not listed": Case2("xml-selection", uri="#K1", start=root_with('番="K1"')),
        "another attribute listed": Case2("xml-verifications", uri="#K1", start=root_with('Id="K1"'),
                                          verifications=ids(own)),
        "id rule of another kind": Case2("xml-verifications", verifications=ids("<dsig2:Attr/>")),
        "verifications empty": Case2("xml-verifications",
                                     verifications=lambda n: "<dsig2:Verifications/>"),
        "external": Case2("xml-selection", uri="http://example.org/x.xml"),
        "transform of compatibility mode behind": Case2(
            "xml-signature-mode", signed_info=swap(
                "</Transforms>", f'<Transform Algorithm="{xs.EXCLUSIVE}"/></Transforms>')),
        "SignedInfo of compatibility mode": Case2(
            "xml-signature-mode", signed_info=swap(
                f'CanonicalizationMethod Algorithm="{xs.C14N2}"/><Sig',
                f'CanonicalizationMethod Algorithm="{xs.EXCLUSIVE}"/><Sig')),
        "canonicalization of compatibility mode": Case2(
            "xml-signature-mode", signed_info=swap(
                f'CanonicalizationMethod Algorithm="{xs.C14N2}"></Can',
                f'CanonicalizationMethod Algorithm="{xs.EXCLUSIVE}"></Can')),
        "text changed": Case2("xml-digest", after=swap_octets("太郎", "次郎")),
        "signed part changed": Case2("xml-signature-value", verifications=position("/*"),
                                     after=swap_octets(">/*<", ">/*[1]<")),
    }


class Shop:
    def __init__(self, home):
        self.home = home
        keys = pki.Keys(4)
        government = "/C=JP/O=Test Government"
        self.root = pki.Authority(home, keys, "root", f"{government}/OU=Test Root")
        self.official = pki.Authority(home, keys, "official", f"{government}/OU=TestSharedCA",
                                      self.root)
        self.official.issue("minister",
                            f"{government}/OU=Ministry of Justice/CN=Minister of Justice", "signer")
        self.official.issue("colleague", f"{government}/OU=Ministry of Health/CN=Minister", "signer")
        self.official.write_crl(home / "crls" / "official.crl")
        self.anchor = self.signer("official")

    def signer(self, name):
        return self.home / f"{name}.pem"

    def key(self, name):
        return self.home / f"{name}.key"

    def judge(self, paths):
        done = subprocess.run(
            [COMMAND, "--json", "--trust", self.anchor, "--crl", self.home / "crls",
             "--signer", "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP",
             *paths], capture_output=True, text=True)
        if done.stderr:
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]


def said(report):
    if report["indication"] == "TOTAL-PASSED":
        return ACCEPT
    against = [r for r in report["reasons"] if r["level"] in ("fail", "undecided")]
    return against[0]["check"] if against else "nothing"


def main():
    if not shutil.which("xmlsec1"):
        print("skipped: xmlsec1 is not installed")
        return 77
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(pathlib.Path(directory))
        cases = [(f"1.x {name}", case) for name, case in cases_of_compatibility_mode(shop).items()]
        cases += [(f"2.0 {name}", case) for name, case in cases_of_mode_2_0().items()]
        paths = []
        for number, (name, case) in enumerate(cases):
            paths.append(shop.home / f"case{number}.xml")
            try:
                paths[-1].write_bytes(case.sign(shop))
            except (RuntimeError, AssertionError) as error:
                raise RuntimeError(f"{name} cannot be made: {error}") from error
        for (name, case), path, report in zip(cases, paths, shop.judge(paths), strict=True):
            outcome = said(report)
            if outcome != case.expect:
                wrong += 1
                reasons = [r for r in report["reasons"] if r["level"] in ("fail", "undecided")]
                print(f"{name}: {outcome} instead of {case.expect}: {reasons}")
            elif outcome == ACCEPT and not case.agrees(shop, path):
                wrong += 1
                print(f"{name}: accepted, but xmlsec1 finds it bad")
    print(f"{len(cases)} variants, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
