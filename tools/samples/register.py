"""What stands in the sample certificates: family registers of invented people.

Each function returns the pages of one document. Scans are made as a scanner would: a drawn page is
rendered with pdftoppm, grain is added, and the picture is encoded (CCITT Group 4 by tiffcp).
"""

import pathlib
import random
import struct
import subprocess
import tempfile
import zlib

from . import document
from .truetype import Subset

NOTICE = "見本（架空の戸籍・試験用）"
CLOSING = "これは、戸籍に記録されている事項の全部を証明した電子証明書である。"

CURRENT = [
    ("本　　籍", ["東京都千代田区霞が関一丁目１番地"]),
    ("氏　　名", ["見本　太郎"]),
    ("戸籍事項", []),
    ("　戸籍編製", ["【編製日】平成２０年４月１日"]),
    ("戸籍に記録されている者", ["【名】太郎", "【生年月日】昭和５６年３月３日　【配偶者区分】夫",
                    "【父】見本　一郎", "【母】見本　花子", "【続柄】長男"]),
    ("身分事項", []),
    ("　出　　生", ["【出生日】昭和５６年３月３日", "【出生地】東京都千代田区",
               "【届出日】昭和５６年３月１０日", "【届出人】父"]),
    ("　婚　　姻", ["【婚姻日】平成２０年４月１日", "【配偶者氏名】例示　桜子",
               "【従前戸籍】京都市上京区小山初音町１８番地　見本一郎"]),
    ("戸籍に記録されている者", ["【名】桜子", "【生年月日】昭和５７年１１月２３日　【配偶者区分】妻",
                    "【父】例示　健一", "【母】例示　由美", "【続柄】二女"]),
    ("身分事項", []),
    ("　出　　生", ["【出生日】昭和５７年１１月２３日", "【出生地】神奈川県鎌倉市",
               "【届出日】昭和５７年１２月１日", "【届出人】父"]),
    ("　婚　　姻", ["【婚姻日】平成２０年４月１日", "【配偶者氏名】見本　太郎",
               "【従前戸籍】神奈川県鎌倉市御成町２番地　例示健一"]),
    ("戸籍に記録されている者", ["【名】翔", "【生年月日】平成２２年７月７日",
                    "【父】見本　太郎", "【母】見本　桜子", "【続柄】長男"]),
    ("身分事項", []),
    ("　出　　生", ["【出生日】平成２２年７月７日", "【出生地】東京都港区",
               "【届出日】平成２２年７月１２日", "【届出人】父"]),
    ("", ["以下余白"]),
]

OLD_COLUMNS = [
    "本籍　東京府東京市麹町区外桜田町一番地",
    "前戸主　見本　安兵衛",
    "戸主　見本　源三郎　　明治弐拾年五月拾五日生",
    "父　亡　見本　安兵衛　　母　亡　タネ　　長男",
    "明治四拾弐年八月参日前戸主安兵衛死亡ニ因リ家督相続届出同日受附㊞",
    "妻　ハナ　　明治弐拾五年弐月弐拾八日生",
    "父　例示　甚五郎　　母　トメ　　弐女",
    "明治四拾四年四月拾日婚姻届出同日受附㊞",
    "長男　一郎　　大正参年九月九日生",
    "本籍ニ於テ出生父見本源三郎届出大正参年九月拾参日受附入籍㊞",
    "昭和参拾弐年法務省令第弐拾七号ニ依リ改製ニ付キ本戸籍消除㊞",
]


def current_register(issue_number):
    """A certificate of all matters of a computerised register, as many pages as it takes."""
    rows = [(label if i == 0 else "", value)
            for label, values in CURRENT for i, value in enumerate(values or [""])]
    per_page, pages = 25, []
    total = -(-len(rows) // per_page)
    for first in range(0, len(rows), per_page):
        page = document.Page()
        page.text(60, 36, NOTICE, 9)
        page.text(60, 60, f"（{total}の{len(pages) + 1}）", 10.5)
        page.text(230, 58, "全　部　事　項　証　明", 14)
        page.frame(56, 88, 483, 26.5 * per_page)
        page.line(200, 88, 200, 88 + 26.5 * per_page)
        for i, (label, value) in enumerate(rows[first:first + per_page]):
            top = 88 + 26.5 * i
            if label and i:
                page.line(56, top, 539, top, 0.3)
            page.text(62, top + 8, label)
            page.text(208, top + 8, value)
        page.text(60, 766, f"発行番号　{issue_number}", 9)
        pages.append(page)
    pages[-1].text(60, 782, CLOSING, 10)
    pages[-1].text(380, 800, "法務大臣　見本　法子", 12)
    return pages


def old_register_drawing():
    """One opened page of a register kept by hand, columns from right to left."""
    page = document.Page()
    page.text(200, 30, NOTICE, 9)
    page.frame(40, 60, 515, 720, 1.5)
    for i, column in enumerate(OLD_COLUMNS):
        x = 515 - 46 * i
        page.vertical(x, 76, column, 15)
        page.line(x - 12, 60, x - 12, 780, 0.6)
    page.vertical(48, 668, "改製原戸籍", 17)
    return page


def render(page, font, dpi, gray):
    """The picture of a drawn page as (width, height, samples), by pdftoppm."""
    drawing = document.build([page], font, Subset(font, page.characters()), "scan",
                             "(D:20260401090000+09'00')", "00" * 16)
    done = subprocess.run(["pdftoppm", "-r", str(dpi), "-gray" if gray else "-mono", "-"],
                          input=drawing, capture_output=True, check=True)
    magic, size, rest = done.stdout.split(b"\n", 2)
    width, height = map(int, size.split())
    return width, height, rest.split(b"\n", 1)[1] if magic == b"P5" else rest


def grain(samples, rng, gray):
    """Dirt of the glass and noise of the sensor; the same on every run."""
    if gray:
        mask = int.from_bytes(bytes([3]) * len(samples), "big")
        noise = rng.getrandbits(8 * len(samples)) & mask
        return (int.from_bytes(samples, "big") ^ noise).to_bytes(len(samples), "big")
    dirty = bytearray(samples)
    for _ in range(400):
        dirty[rng.randrange(len(dirty))] ^= 1 << rng.randrange(8)
    return bytes(dirty)


def scan_g4(page, font, seed, dpi=200):
    """A black-and-white scan in CCITT Group 4; libtiff's tiffcp is the encoder."""
    width, height, bits = render(page, font, dpi, gray=False)
    bits = grain(bits, random.Random(seed), gray=False)
    with tempfile.TemporaryDirectory() as directory:
        plain, packed = pathlib.Path(directory, "plain.tif"), pathlib.Path(directory, "g4.tif")
        plain.write_bytes(write_tiff(width, height, bits))
        subprocess.run(["tiffcp", "-c", "g4", "-r", str(height), plain, packed], check=True)
        data = read_tiff_strip(packed.read_bytes())
    return document.Image(width, height, 1, "CCITTFaxDecode", data,
                          f" /DecodeParms << /K -1 /Columns {width} /Rows {height} "
                          f"/BlackIs1 false >>")


def scan_flate(page, font, seed, dpi=120):
    """A grey scan in Flate."""
    width, height, samples = render(page, font, dpi, gray=True)
    samples = grain(samples, random.Random(seed), gray=True)
    return document.Image(width, height, 8, "FlateDecode", zlib.compress(samples, 6))


def write_tiff(width, height, bits):
    """An uncompressed bilevel TIFF, 0 = white."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, 1), (259, 3, 1), (262, 3, 0),
               (273, 4, 0), (277, 3, 1), (278, 4, height), (279, 4, len(bits))]
    directory_size = 2 + 12 * len(entries) + 4
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        value = 8 + directory_size if tag == 273 else value
        directory += struct.pack("<HHLL", tag, kind, 1, value)
    return struct.pack("<2sHL", b"II", 42, 8) + directory + struct.pack("<L", 0) + bits


def read_tiff_strip(tiff):
    """The only strip of a little-endian TIFF."""
    at, found = struct.unpack_from("<L", tiff, 4)[0], {}
    for i in range(struct.unpack_from("<H", tiff, at)[0]):
        tag, _, _, value = struct.unpack_from("<HHLL", tiff, at + 2 + 12 * i)
        found[tag] = value
    if found.get(266, 1) != 1:
        raise RuntimeError("tiffcp wrote the bits the other way round")
    return tiff[found[273]:found[273] + found[279]]


def scanned(image):
    page = document.Page()
    page.image = image
    return page
