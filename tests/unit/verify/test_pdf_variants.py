"""One document in many forms, each signed by openssl: what any producer may write is accepted, and one
rule broken at a time is rejected by the check made for it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zlib

COMMAND = os.environ["VERIFY_COMMAND"]
SUBJECT = "/C=JP/O=Japanese Government/OU=Ministry of Justice/CN=Minister of Justice"
DIGITS = "0" * 8192


def byterange(layout="{0} {1} {2} {3}"):
    """A placeholder of its final size; the numbers of `layout` are known when all is written."""
    return f"@{layout}@".ljust(80)


SIGNATURE = ("<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached "
             "/Name (Minister of Justice) /M (D:20260101120000+09'00') "
             f"/ByteRange {byterange()} /Contents <{DIGITS}> >>")
TEXT = zlib.compress(b"BT /F1 12 Tf 72 700 Td (register) Tj ET")


def stream(data, entries="/Filter /FlateDecode"):
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def image(filters, data=b"\0" * 32, more=""):
    return stream(data, f"/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray "
                        f"/BitsPerComponent 1 {more} {filters}")


def base():
    return {
        1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] /SigFlags 3 >> >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [6 0 R] >>",
        4: stream(TEXT),
        5: SIGNATURE.encode(),
        6: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Signature1) /V 5 0 R /Rect [0 0 0 0] "
           b"/F 132 /P 3 0 R >>",
    }


def write(objects, eol=b"\n", header=b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", trailer="", order=None,
          tail=b"", entry_eol=b" \n", gap=b"", gap_grows=(0, 0)):
    """`gap_grows`: how much more /ByteRange leaves out, before and behind; sign() reads the mark."""
    if gap_grows != (0, 0):
        mark = byterange("{0} %d+{1} {2}+%d {3}" % gap_grows)
        objects = {number: body.replace(byterange().encode(), mark.encode())
                   for number, body in objects.items()}
    out = bytearray(header)
    offsets = {}
    for number in order or sorted(objects):
        offsets[number] = len(out)
        out += b"%d 0 obj" % number + eol + objects[number] + eol + b"endobj" + eol + gap
    xref = len(out)
    size = max(objects) + 1
    out += b"xref" + eol + b"0 %d" % size + eol + b"0000000000 65535 f" + entry_eol
    for number in range(1, size):
        if number in offsets:
            out += b"%010d 00000 n" % offsets[number] + entry_eol
        else:
            out += b"0000000000 00000 f" + entry_eol
    out += b"trailer" + eol + f"<< /Size {size} /Root 1 0 R {trailer} >>".encode() + eol
    out += b"startxref" + eol + b"%d" % xref + eol + b"%%EOF" + eol + tail
    return bytes(out)


def write_streams(objects, compressed=(1, 2, 3, 6), entries="", filters="", reverse=False):
    """With an object stream and a cross-reference stream."""
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    table = {0: (0, 0, 255)}
    container, xref_number = max(objects) + 1, max(objects) + 2
    head, body = b"", b""
    for index, number in enumerate(compressed):
        head += b"%d %d " % (number, len(body))
        body += objects[number] + b" "
        table[number] = (2, container, index)
    for number in sorted(set(objects) - set(compressed)):
        table[number] = (1, len(out), 0)
        out += b"%d 0 obj\n" % number + objects[number] + b"\nendobj\n"
    table[container] = (1, len(out), 0)
    packed = zlib.compress(head + body)
    out += b"%d 0 obj\n" % container + stream(
        packed, f"/Type /ObjStm /N {len(compressed)} /First {len(head)} /Filter /FlateDecode")
    out += b"\nendobj\n"
    xref = len(out)
    table[xref_number] = (1, xref, 0)
    rows = b"".join(bytes([t]) + a.to_bytes(3, "big") + bytes([b])
                    for t, a, b in (table[n] for n in sorted(table)))
    if filters:  # PNG predictor "up"
        previous, predicted = bytes(5), b""
        for i in range(0, len(rows), 5):
            row = rows[i:i + 5]
            predicted += b"\x02" + bytes((x - y) % 256 for x, y in zip(row, previous))
            previous = row
        rows = zlib.compress(predicted)
    out += b"%d 0 obj\n" % xref_number + stream(
        rows, f"/Type /XRef /W [1 3 1] /Size {xref_number + 1} /Root 1 0 R {filters} {entries}")
    out += b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % xref
    return bytes(out)


def update(document, objects, size, prev=None, trailer=""):
    """A revision more."""
    prev = prev if prev is not None else int(re.findall(rb"startxref\s+(\d+)", document)[-1])
    out = bytearray(document)
    rows = b""
    for number in sorted(objects):
        rows += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n" % number + objects[number] + b"\nendobj\n"
    xref = len(out)
    out += b"xref\n" + rows + b"trailer\n"
    out += f"<< /Size {size} /Root 1 0 R /Prev {prev} {trailer} >>\n".encode()
    out += b"startxref\n%d\n%%%%EOF\n" % xref
    return bytes(out)


def changed(**objects):
    result = base()
    result.update({int(key[1:]): value for key, value in objects.items()})
    return result


def with_signature(old, new):
    assert old in SIGNATURE
    return changed(_5=SIGNATURE.replace(old, new, 1).encode())


def with_page(more, **objects):
    page = base()[3].replace(b"/Type /Page ", b"/Type /Page " + more + b" ")
    return changed(_3=page, **objects)


def revised(**later):
    unsigned = base()
    del unsigned[5], unsigned[6]
    unsigned[1] = b"<< /Type /Catalog /Pages 2 0 R >>"
    first = write(unsigned)
    signed = base()
    more = {int(key[1:]): value for key, value in later.items()}
    return update(first, {1: signed[1], 5: signed[5], 6: signed[6], **more}, 7)


UNSIGNED_FIELD = b"<< /FT /Sig /T (Signature2) >>"
FORM = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Filter /FlateDecode"
INLINE_GOOD = b"q BI /W 8 /H 8 /BPC 1 /CS /G /F /CCF ID \x00\x10\x01 EI Q"
INLINE_BAD = b"q BI /W 8 /H 8 /BPC 1 /CS /G /F /DCT ID \xff\xd8 EI Q"

ACCEPTED = {
    "as it is": lambda: write(base()),
    "CR LF": lambda: write(base(), eol=b"\r\n", entry_eol=b"\r\n"),
    "CR": lambda: write(base(), eol=b"\r", entry_eol=b" \r"),
    "no binary comment": lambda: write(base(), header=b"%PDF-1.4\n"),
    "blank lines between objects": lambda: write(base(), gap=b"\n \n"),
    "objects in another order": lambda: write(base(), order=[6, 4, 2, 5, 1, 3]),
    "free numbers between": lambda: write(changed(_9=b"null")),
    "comment inside an object": lambda: write(changed(_2=b"<< /Type /Pages % pages\n/Kids [3 0 R] "
                                                         b"/Count 1 >>")),
    "catalog version": lambda: write(changed(_1=base()[1].replace(b"/Pages",
                                                                  b"/Version /1.7 /Pages"))),
    "form indirect": lambda: write(changed(
        _1=b"<< /Type /Catalog /Pages 2 0 R /AcroForm 7 0 R >>",
        _7=b"<< /Fields 8 0 R /SigFlags 9 0 R >>", _8=b"[6 0 R]", _9=b"3")),
    "widget as kid of the field": lambda: write(changed(
        _6=b"<< /FT /Sig /T (s) /V 5 0 R /Kids [7 0 R] >>",
        _7=b"<< /Type /Annot /Subtype /Widget /Parent 6 0 R /Rect [0 0 0 0] /F 132 >>")),
    "field type inherited": lambda: write(changed(
        _6=b"<< /FT /Sig /T (group) /Kids [7 0 R] >>",
        _7=b"<< /Type /Annot /Subtype /Widget /T (s) /V 5 0 R /Parent 6 0 R /Rect [0 0 0 0] >>")),
    "streams": lambda: write_streams(base()),
    "streams with predictor": lambda: write_streams(
        base(), filters="/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 5 >>"),
    "streams with index": lambda: write_streams(base(), entries="/Index [0 9]"),
    "name in hexadecimal": lambda: write(with_signature(
        "(Minister of Justice)", "<" + b"Minister of Justice".hex() + ">")),
    "another filter": lambda: write(with_signature("/Adobe.PPKLite", "/Example.Handler")),
    "more entries": lambda: write(with_signature("/Type", "/Reason (x) /Location (Tokyo) /Type")),
    "escaped names": lambda: write(with_signature("/SubFilter", "/Sub#46ilter")),
    "date in UTC": lambda: write(with_signature("+09'00'", "Z")),
    "date without zone": lambda: write(with_signature("+09'00'", "")),
    "length indirect": lambda: write(changed(_4=stream(TEXT).replace(
        b"/Length %d" % len(TEXT), b"/Length 7 0 R"), _7=b"%d" % len(TEXT))),
    "contents as array": lambda: write(changed(_3=base()[3].replace(b"4 0 R", b"[4 0 R 4 0 R]"))),
    "revisions": revised,
    "object replaced by the signing revision": lambda: revised(_4=stream(TEXT)),
    "image Flate": lambda: write(with_page(
        b"/Resources << /XObject << /Im 7 0 R >> >>", _7=image("/Filter /FlateDecode"))),
    "image CCITT after Flate": lambda: write(with_page(
        b"/Resources << /XObject << /Im 7 0 R >> >>",
        _7=image("/Filter [/FlateDecode /CCITTFaxDecode] /DecodeParms [null << /K -1 >>]"))),
    "image filter indirect": lambda: write(with_page(
        b"/Resources << /XObject << /Im 7 0 R >> >>", _7=image("/Filter 8 0 R"),
        _8=b"[/FlateDecode]")),
    "inline CCITT": lambda: write(changed(_4=stream(zlib.compress(INLINE_GOOD)))),
    "appearance": lambda: write(changed(
        _6=base()[6].replace(b"/F 132", b"/AP << /N 7 0 R >> /F 132"),
        _7=stream(zlib.compress(INLINE_GOOD), FORM))),
    "go to a page": lambda: write(changed(_1=base()[1].replace(
        b"/Pages", b"/OpenAction << /S /GoTo /D [3 0 R /Fit] >> /Pages"))),
}

REJECTED = {
    "pdf-header": {
        "junk before": lambda: write(base(), header=b"\n%PDF-1.7\n"),
        "version 1.8": lambda: write(base(), header=b"%PDF-1.8\n"),
        "version 2.0": lambda: write(base(), header=b"%PDF-2.0\n"),
        "version 1.70": lambda: write(base(), header=b"%PDF-1.70\n"),
    },
    "bytes-after-end": {
        "two ends of line": lambda: write(base(), tail=b"\n"),
        "a zero": lambda: write(base(), tail=b"\0"),
    },
    "every-byte": {
        "comment between objects": lambda: write(base(), gap=b"% x\n"),
        "object that no table lists": lambda: write(base(), gap=b"9 0 obj null endobj\n"),
        "two comments": lambda: write(base(), header=b"%PDF-1.7\n%one\n%two\n"),
    },
    "cross-reference": {
        "entries of 19 bytes": lambda: write(base(), entry_eol=b"\n"),
    },
    "cross-reference-form": {
        "size too small": lambda: write(changed(_7=b"null")).replace(b"/Size 8", b"/Size 7"),
    },
    "catalog": {
        "no type": lambda: write(changed(_1=base()[1].replace(b"/Type /Catalog", b""))),
    },
    "catalog-version": {
        "2.0": lambda: write(changed(_1=base()[1].replace(b"/Pages", b"/Version /2.0 /Pages"))),
        "a string": lambda: write(changed(_1=base()[1].replace(b"/Pages",
                                                               b"/Version (1.7) /Pages"))),
    },
    "pdf-syntax": {
        "length too small": lambda: write(changed(_4=stream(TEXT).replace(
            b"/Length %d" % len(TEXT), b"/Length %d" % (len(TEXT) - 3)))),
        "length too large": lambda: write(changed(_4=stream(TEXT).replace(
            b"/Length %d" % len(TEXT), b"/Length %d" % (len(TEXT) + 3)))),
        "length missing": lambda: write(changed(_4=stream(TEXT).replace(
            b"/Length %d" % len(TEXT), b""))),
        "CR alone behind stream": lambda: write(changed(_4=stream(TEXT).replace(
            b"stream\n", b"stream\r", 1))),
        "value after the value": lambda: write(changed(_2=base()[2] + b" 5")),
        "content not Flate": lambda: write(changed(_4=stream(b"no zlib"))),
    },
    "duplicate-key": {
        "in the page": lambda: write(with_page(b"/Rotate 0 /Ro#74ate 90")),
        "in a nested dictionary": lambda: write(with_page(b"/A << /B << /C 1 /C 2 >> >>")),
    },
    "signature-field": {
        "fields empty": lambda: write(changed(_1=base()[1].replace(b"[6 0 R]", b"[]"))),
        "no fields": lambda: write(changed(_1=base()[1].replace(b"/Fields [6 0 R]", b""))),
        "signed twice": lambda: write(changed(
            _1=base()[1].replace(b"[6 0 R]", b"[6 0 R 7 0 R]"),
            _7=b"<< /FT /Sig /T (t) /V 5 0 R >>")),
        "same field twice": lambda: write(changed(
            _1=base()[1].replace(b"[6 0 R]", b"[6 0 R 6 0 R]"))),
    },
    "other-form-fields": {
        "unsigned signature field": lambda: write(changed(
            _1=base()[1].replace(b"[6 0 R]", b"[6 0 R 7 0 R]"), _7=UNSIGNED_FIELD)),
        "button": lambda: write(changed(
            _1=base()[1].replace(b"[6 0 R]", b"[7 0 R 6 0 R]"), _7=b"<< /FT /Btn /T (b) >>")),
    },
    "signature-flags": {
        "absent": lambda: write(changed(_1=base()[1].replace(b"/SigFlags 3", b""))),
        "1": lambda: write(changed(_1=base()[1].replace(b"/SigFlags 3", b"/SigFlags 1"))),
    },
    "xfa-form": {
        "XFA": lambda: write(changed(_1=base()[1].replace(b"/SigFlags", b"/XFA [] /SigFlags"))),
    },
    "signature-dictionary": {
        "direct": lambda: write(changed(
            _5=b"null", _6=base()[6].replace(b"5 0 R", SIGNATURE.encode()))),
        "another generation": lambda: write(changed(_6=base()[6].replace(b"5 0 R", b"5 1 R"))),
        "nowhere": lambda: write(changed(_6=base()[6].replace(b"5 0 R", b"50 0 R"))),
        "a stream": lambda: write(changed(_6=base()[6].replace(b"5 0 R", b"4 0 R"))),
    },
    "signature-type": {"absent": lambda: write(with_signature("/Type /Sig", ""))},
    "signature-filter": {"a string": lambda: write(with_signature("/Adobe.PPKLite", "(x)"))},
    "signature-subfilter": {
        "sha1": lambda: write(with_signature("adbe.pkcs7.detached", "adbe.pkcs7.sha1")),
        "indirect": lambda: write({**with_signature("/adbe.pkcs7.detached", "7 0 R"),
                                   7: b"/adbe.pkcs7.detached"}),
    },
    "signature-name": {
        "another": lambda: write(with_signature("Minister", "Ministry")),
        "a name object": lambda: write(with_signature("(Minister of Justice)", "/Minister")),
    },
    "signature-date": {
        "24 o'clock": lambda: write(with_signature("120000", "240000")),
        "no D:": lambda: write(with_signature("D:", "")),
    },
    "signature-date-complete": {"a day": lambda: write(with_signature("120000+09'00'", ""))},
    "signature-date-plausible": {
        "the future": lambda: write(with_signature("20260101", "20290101")),
        "before the certificate": lambda: write(with_signature("20260101", "20200101")),
    },
    "byterange": {
        "five numbers": lambda: write(with_signature(byterange(), byterange("{0} {1} {2} {3} 0"))),
        "real number": lambda: write(with_signature(byterange(), byterange("0.0 {1} {2} {3}"))),
        "2^64 more": lambda: write(with_signature(
            byterange(), byterange("18446744073709551616 {1} {2} {3}"))),
        "indirect numbers": lambda: write({
            **with_signature(byterange(), byterange("7 0 R {1} {2} {3}")), 7: b"0"}),
    },
    "byterange-gap": {
        "digits under another key": lambda: write(with_signature(
            f"<{DIGITS}>", f"<00> /Other <{DIGITS}>")),
        "white space before": lambda: write(with_signature("/Contents <", "/Contents  <"),
                                            gap_grows=(1, 0)),
    },
    "byterange-tight": {
        "white space behind": lambda: write(base(), gap_grows=(0, 1)),
    },
    "signature-contents": {
        "white space inside": lambda: write(with_signature(f"<{DIGITS}>", f"<\n{DIGITS}>")),
        "indirect": lambda: write({**with_signature(f"<{DIGITS}>", "7 0 R"),
                                   7: f"<{DIGITS}>".encode()}),
    },
    "image-filters": {
        "JPEG": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                        _7=image("/Filter /DCTDecode"))),
        "escaped": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                           _7=image("/Filter /#44CTDecode"))),
        "by reference": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                                _7=image("/Filter 8 0 R"), _8=b"[9 0 R]",
                                                _9=b"/JPXDecode")),
        "abbreviated": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                               _7=image("/Filter /Fl"))),
        "LZW": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                       _7=image("/Filter /LZWDecode"))),
        "run length": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                              _7=image("/Filter [/RunLengthDecode]"))),
        "soft mask": lambda: write(with_page(
            b"/Resources << /XObject << /Im 7 0 R >> >>",
            _7=image("/Filter /FlateDecode", more="/SMask 8 0 R"),
            _8=image("/Filter /DCTDecode"))),
        "thumbnail": lambda: write(with_page(
            b"/Thumb 7 0 R", _7=stream(b"x", "/Width 1 /Height 1 /Filter /ASCII85Decode"))),
        "mask without a type": lambda: write(with_page(
            b"/Resources << /XObject << /Im 7 0 R >> >>",
            _7=image("/Filter /FlateDecode", more="/Mask 8 0 R"),
            _8=stream(b"x", "/Filter /ASCII85Decode"))),
    },
    "inline-image-filters": {
        "page": lambda: write(changed(_4=stream(zlib.compress(INLINE_BAD)))),
        "page not compressed": lambda: write(changed(_4=stream(INLINE_BAD, ""))),
        "second of two contents": lambda: write(changed(
            _3=base()[3].replace(b"4 0 R", b"7 0 R"), _7=b"[4 0 R 8 0 R]",
            _8=stream(zlib.compress(INLINE_BAD)))),
        "form": lambda: write(with_page(b"/Resources << /XObject << /Fm 7 0 R >> >>",
                                        _7=stream(zlib.compress(INLINE_BAD), FORM))),
        "form named Image": lambda: write(with_page(b"/Resources << /XObject << /Image 7 0 R >> >>",
                                                    _7=stream(zlib.compress(INLINE_BAD), FORM))),
        "form without a type": lambda: write(with_page(
            b"/Resources << /XObject 8 0 R >>", _7=stream(zlib.compress(INLINE_BAD)),
            _8=b"<< /Fm 7 0 R >>")),
        "appearance": lambda: write(changed(
            _6=base()[6].replace(b"/F 132", b"/AP << /N << /On 7 0 R >> >> /F 132"),
            _7=stream(zlib.compress(INLINE_BAD)))),
        "pattern": lambda: write(with_page(
            b"/Resources << /Pattern << /P 7 0 R >> >>",
            _7=stream(zlib.compress(INLINE_BAD), "/PatternType 1 /Filter /FlateDecode"))),
        "glyph": lambda: write(with_page(
            b"/Resources << /Font << /F 7 0 R >> >>",
            _7=b"<< /Type /Font /Subtype /Type3 /CharProcs 8 0 R >>", _8=b"<< /a 9 0 R >>",
            _9=stream(zlib.compress(INLINE_BAD)))),
        "content of unknown filter": lambda: write(changed(
            _4=stream(b"~>", "/Filter /ASCII85Decode"))),
    },
    "image-unfiltered": {
        "image": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                         _7=image(""))),
        "inline": lambda: write(changed(_4=stream(zlib.compress(
            b"BI /W 8 /H 1 /BPC 8 /CS /G ID 01234567 EI Q")))),
    },
    "orphan-image-filters": {
        "nothing refers to it": lambda: write(changed(_7=image("/Filter /DCTDecode"))),
        "inline in an orphan": lambda: write(changed(_7=stream(zlib.compress(INLINE_BAD), FORM))),
    },
    "external-stream": {
        "content": lambda: write(changed(_4=stream(TEXT, "/F (other.bin) /Filter /FlateDecode"))),
    },
    "other-signature": {
        "usage rights": lambda: write(changed(
            _1=base()[1].replace(b"/Pages", b"/Perms << /UR3 7 0 R >> /Pages"),
            _7=b"<< /Type /Sig /ByteRange [0 1 2 3] /Contents <00> >>")),
        "time-stamp nobody refers to": lambda: write(changed(_7=b"<< /Type /DocTimeStamp >>")),
    },
    "active-javascript": {
        "names": lambda: write(changed(_1=base()[1].replace(
            b"/Pages", b"/Names << /JavaScript << /Names [] >> >> /Pages"))),
        "next": lambda: write(changed(_1=base()[1].replace(
            b"/Pages", b"/OpenAction << /S /GoTo /D [3 0 R] /Next 7 0 R >> /Pages"),
            _7=b"<< /S /JavaScript >>")),
    },
    "active-action": {
        name: (lambda name: lambda: write(changed(
            _6=base()[6].replace(b"/F 132", b"/A << /S /%s >> /F 132" % name.encode()))))(name)
        for name in ("Launch", "URI", "GoToR", "GoToE", "SubmitForm", "ImportData", "ResetForm",
                     "Hide", "SetOCGState", "Thread")
    },
    "active-trigger": {"AA": lambda: write(with_page(b"/AA << /O << /S /GoTo >> >>"))},
    "active-media": {
        "screen": lambda: write(changed(_7=b"<< /Type /Annot /Subtype /Screen >>")),
        "rich media": lambda: write(changed(_7=b"<< /Type /Annot /Subtype /RichMedia >>")),
        "3D": lambda: write(changed(_7=b"<< /Type /Annot /Subtype /3D >>")),
        "rendition": lambda: write(changed(_7=b"<< /S /Rendition >>")),
    },
    "embedded-file": {
        "names": lambda: write(changed(_1=base()[1].replace(
            b"/Pages", b"/Names << /EmbeddedFiles 7 0 R >> /Pages"), _7=b"<< /Names [] >>")),
        "attachment": lambda: write(changed(_7=b"<< /Type /Annot /Subtype /FileAttachment >>")),
        "stream": lambda: write(changed(_7=stream(TEXT, "/Type /EmbeddedFile /Filter /FlateDecode"))),
    },
    "optional-content": {
        "group": lambda: write(changed(_7=b"<< /Type /OCG /Name (x) >>")),
        "entry": lambda: write(with_page(b"/Resources << /XObject << /Im 7 0 R >> >>",
                                         _7=image("/Filter /FlateDecode", more="/OC null"))),
    },
    "collection": {"portfolio": lambda: write(changed(_1=base()[1].replace(
        b"/Pages", b"/Collection << >> /Pages")))},
    "revision-chain": {
        "behind the end": lambda: write(base(), trailer="/Prev 99999999"),
        "negative": lambda: write(base(), trailer="/Prev -1"),
        "indirect": lambda: write(base(), trailer="/Prev 1 0 R"),
    },
    "hybrid-reference": {"XRefStm": lambda: write(base(), trailer="/XRefStm (x)")},
    "encryption": {"Encrypt": lambda: write(base(), trailer="/Encrypt << /Filter /Standard >>")},
}


class Signer:
    """A certificate of the Minister that is an anchor itself, so no list is needed."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
            "default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\nC=optional\nO=optional\n"
            "OU=optional\nCN=supplied\n[e]\nbasicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n")
        (self.directory / "index").write_text("")
        (self.directory / "serial").write_text("77\n")
        self.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
                 "req.pem", "-subj", SUBJECT)
        self.run("ca", "-batch", "-notext", "-config", "ca.cnf", "-selfsign", "-keyfile", "key.pem",
                 "-in", "req.pem", "-out", "cert.pem", "-startdate", "20240101000000Z", "-enddate",
                 "20340101000000Z", "-preserveDN")

    def run(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True,
                              text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def sign(self, document):
        """Fills in /ByteRange, then the digits of /Contents."""
        b, c = re.search(rb"<\s*0{8000,}>", document).span()
        digits = re.search(rb"0{8000,}", document).start()
        mark = re.search(rb"(?<=/ByteRange )@([^@]*)@ *", document)
        layout = mark.group(1).decode()
        grown = re.search(r"(\d+)\+\{1\} \{2\}\+(\d+)", layout)
        if grown:
            layout = layout.replace(grown.group(0), "{1} {2}")
            b, c = b - int(grown.group(1)), c + int(grown.group(2))
        text = ("[" + layout.format(0, b, c, len(document) - c) + "]").encode()
        document = (document[:mark.start()] + text.ljust(len(mark.group(0))) +
                    document[mark.end():])
        (self.directory / "content").write_bytes(document[:b] + document[c:])
        self.run("cms", "-sign", "-binary", "-in", "content", "-signer", "cert.pem", "-inkey",
                 "key.pem", "-outform", "DER", "-out", "cms", "-nosmimecap", "-md", "sha256")
        token = (self.directory / "cms").read_bytes().hex().encode()
        return document[:digits] + token + document[digits + len(token):]


class Variants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.signer = Signer(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def judge(self, document, *options):
        path = self.signer.directory / "document.pdf"
        path.write_bytes(self.signer.sign(document))
        done = subprocess.run(
            [COMMAND, "--json", "--trust", self.signer.directory / "cert.pem", "--time",
             "2027-01-01T00:00:00Z", *options, path], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        report = json.loads(done.stdout)
        decisive = [reason for reason in report["reasons"] if reason["level"] == "fail"] or \
                   [reason for reason in report["reasons"] if reason["level"] == "undecided"]
        return done.returncode, decisive[0] if decisive else None

    def test_accepted(self):
        for name, make in ACCEPTED.items():
            with self.subTest(name):
                status, reason = self.judge(make())
                self.assertEqual(status, 0, reason)

    def test_rejected(self):
        for check, cases in REJECTED.items():
            for name, make in cases.items():
                with self.subTest(f"{check}: {name}"):
                    status, reason = self.judge(make())
                    self.assertNotEqual(status, 0)
                    self.assertEqual(reason["check"], check, reason)

    def test_relaxed(self):
        """A policy check at ignore lets its own cases pass. (Bytes of objects that are regarded as
        missing belong to nothing, so every-byte goes with it.)"""
        listed = subprocess.run([COMMAND, "--explain"], capture_output=True, text=True).stdout
        policies = {row.split("\t")[0] for row in listed.splitlines()
                    if row.split("\t")[1] == "policy"}
        for check in policies & REJECTED.keys() - {"encryption"}:
            for name, make in REJECTED[check].items():
                with self.subTest(f"{check}: {name}"):
                    status, reason = self.judge(make(), "--policy", f"{check}=ignore", "--policy",
                                                "every-byte=ignore")
                    self.assertEqual(status, 0, reason)
        status, reason = self.judge(REJECTED["encryption"]["Encrypt"](), "--policy",
                                    "encryption=ignore")
        self.assertEqual((status, reason["check"]), (2, "pdf-readable"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv, verbosity=2)
