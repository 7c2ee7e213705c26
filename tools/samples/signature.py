"""Signs a PDF as the technical standard says: a detached PKCS#7 signature made by `openssl cms`."""

import datetime
import re

from . import pki

CONTENTS_SIZE = 8192  # bytes reserved for the DER of the signature
RANGE_WIDTH = 10      # digits reserved for each number of /ByteRange


def pdf_date(moment):
    text = moment.strftime("D:%Y%m%d%H%M%S%z")
    return f"({text[:-2]}'{text[-2:]}')"


def now():
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=9)))


def dictionary(name="Minister of Justice"):
    """A signature dictionary whose /ByteRange and /Contents wait to be filled in."""
    blank = " ".join(["9" * RANGE_WIDTH] * 3)
    return (f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached "
            f"/Name ({name}) /M {pdf_date(now())} /ByteRange [0 {blank}] "
            f"/Contents <{'0' * 2 * CONTENTS_SIZE}> >>")


def sign(document, signer, chain):
    """`document` was built with dictionary(); `signer` is the path of a .pem beside its .key."""
    match = re.search(rb"/ByteRange \[0 (9{%d} 9{%d} 9{%d})\] /Contents (<0+>)"
                      % ((RANGE_WIDTH,) * 3), document)
    begin, end = match.span(2)
    numbers = f"{begin} {end} {len(document) - end}".ljust(3 * RANGE_WIDTH + 2).encode()
    document = document[:match.start(1)] + numbers + document[match.end(1):]
    cms = pki.openssl("cms", "-sign", "-binary", "-md", "sha256", "-nosmimecap",
                      "-signer", signer, "-inkey", signer.with_suffix(".key"),
                      "-certfile", chain, "-outform", "DER",
                      stdin=document[:begin] + document[end:])
    if len(cms) > CONTENTS_SIZE:
        raise RuntimeError(f"a signature of {len(cms)} bytes does not fit")
    filled = cms.hex().upper().ljust(2 * CONTENTS_SIZE, "0").encode()
    return document[:begin + 1] + filled + document[end - 1:]
