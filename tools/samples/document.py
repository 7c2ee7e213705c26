"""Writes PDF 1.7 documents: pages of Japanese text and rules, and scanned images.

Every byte of the file belongs to the header, to an object that the cross-reference table lists, to
the table or to the trailer. There is room for one signature; signature.py fills it in.
"""

import zlib

PAGE = (595, 842)  # A4 in points


class Page:
    """One page under construction. Coordinates are points from the upper left corner."""

    def __init__(self, size=PAGE):
        self.size, self.operators, self.image = size, [], None

    def text(self, x, y, text, points=10.5):
        self.operators.append(("text", x, y, text, points))

    def vertical(self, x, y, text, points=10.5):
        """A column of upright characters, as in the registers kept by hand."""
        for i, character in enumerate(text):
            self.text(x, y + i * points * 1.1, character, points)

    def line(self, x1, y1, x2, y2, width=0.5):
        self.operators.append(("line", x1, y1, x2, y2, width))

    def frame(self, x, y, width, height, pen=0.8):
        for corner in ((x, y, x + width, y), (x, y + height, x + width, y + height),
                       (x, y, x, y + height), (x + width, y, x + width, y + height)):
            self.line(*corner, pen)

    def characters(self):
        return "".join(o[3] for o in self.operators if o[0] == "text")

    def content(self, subset):
        rows = []
        for operator in self.operators:
            if operator[0] == "line":
                _, x1, y1, x2, y2, width = operator
                rows.append(f"{width} w {x1:.2f} {self.size[1] - y1:.2f} m "
                            f"{x2:.2f} {self.size[1] - y2:.2f} l S")
            else:
                _, x, y, text, points = operator
                codes = "".join(f"{subset.glyph_of[c]:04X}" for c in text)
                rows.append(f"BT /F1 {points} Tf {x:.2f} {self.size[1] - y - points:.2f} Td "
                            f"<{codes}> Tj ET")
        if self.image:
            rows.insert(0, f"q {self.size[0]} 0 0 {self.size[1]} 0 0 cm /Im1 Do Q")
        return "\n".join(rows).encode()


class Image:
    """A scanned page, already encoded."""

    def __init__(self, width, height, depth, filter_name, data, parameters=""):
        self.dictionary = (f"/Type /XObject /Subtype /Image /Width {width} /Height {height} "
                           f"/ColorSpace /DeviceGray /BitsPerComponent {depth} "
                           f"/Filter /{filter_name}{parameters}")
        self.data = data


class File:
    """Objects and the cross-reference table."""

    def __init__(self):
        self.objects = []

    def reserve(self):
        self.objects.append(None)
        return len(self.objects)

    def put(self, number, content):
        self.objects[number - 1] = content if isinstance(content, bytes) else content.encode()
        return number

    def add(self, content):
        return self.put(self.reserve(), content)

    def add_stream(self, data, dictionary="", compress=True):
        if compress:
            data, dictionary = zlib.compress(data, 6), f"{dictionary} /Filter /FlateDecode"
        head = f"<<{dictionary} /Length {len(data)} >>\nstream\n".encode()
        return self.add(head + data + b"\nendstream")

    def write(self, root, info, identifier):
        out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
        for number, content in enumerate(self.objects, 1):
            offsets.append(len(out))
            out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
        start = len(out)
        out += f"xref\n0 {len(offsets) + 1}\n0000000000 65535 f \n".encode()
        out += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
        out += (f"trailer\n<< /Size {len(offsets) + 1} /Root {root} 0 R /Info {info} 0 R "
                f"/ID [<{identifier}> <{identifier}>] >>\n"
                f"startxref\n{start}\n%%EOF\n").encode()
        return bytes(out)


def text_string(text):
    """A PDF text string in UTF-16, written in hexadecimal."""
    return f"<FEFF{text.encode('utf-16-be').hex().upper()}>"


def add_font(file, font, subset, name):
    """The subset as a CID font with its own encoding and a map back to Unicode."""
    program = file.add_stream(subset.data, f" /Length1 {len(subset.data)}")
    scale = 1000 / font.units
    box = " ".join(str(round(x * scale)) for x in font.box)
    descriptor = file.add(
        f"<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [{box}] /ItalicAngle 0 "
        f"/Ascent {round(font.ascent * scale)} /Descent {round(font.descent * scale)} "
        f"/CapHeight {round(font.ascent * scale)} /StemV 80 /FontFile2 {program} 0 R >>")
    widths = " ".join(map(str, subset.widths()))
    descendant = file.add(
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{name} /CIDSystemInfo "
        f"<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor "
        f"{descriptor} 0 R /DW 1000 /W [0 [{widths}]] /CIDToGIDMap /Identity >>")
    pairs = sorted((glyph, ord(character)) for character, glyph in subset.glyph_of.items())
    rows = ["/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
            "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
            "1 begincodespacerange <0000> <FFFF> endcodespacerange"]
    for i in range(0, len(pairs), 100):
        block = pairs[i:i + 100]
        rows += [f"{len(block)} beginbfchar",
                 *(f"<{glyph:04X}> <{code:04X}>" for glyph, code in block), "endbfchar"]
    rows.append("endcmap CMapName currentdict /CMap defineresource pop end end")
    unicode_map = file.add_stream("\n".join(rows).encode())
    return file.add(f"<< /Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /Identity-H "
                    f"/DescendantFonts [{descendant} 0 R] /ToUnicode {unicode_map} 0 R >>")


def build(pages, font, subset, title, created, identifier, signature=None,
          compress=True):
    """The whole file; `signature` is the text of a signature dictionary, or None."""
    file = File()
    root, tree = file.reserve(), file.reserve()
    info = file.add(f"<< /Title {text_string(title)} /Producer (koseki sample) "
                    f"/CreationDate {created} >>")
    face = add_font(file, font, subset, "KSKMPL+IPAexMincho")
    field = file.reserve() if signature else None
    leaves = []
    for page in pages:
        images = ""
        if page.image:
            number = file.add_stream(page.image.data, f" {page.image.dictionary}", compress=False)
            images = f" /XObject << /Im1 {number} 0 R >>"
        content = file.add_stream(page.content(subset), compress=compress)
        annotation = f" /Annots [{field} 0 R]" if field and not leaves else ""
        leaves.append(file.add(
            f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 {page.size[0]} {page.size[1]}] "
            f"/Contents {content} 0 R /Resources << /Font << /F1 {face} 0 R >>{images} >>"
            f"{annotation} >>"))
    file.put(tree, f"<< /Type /Pages /Kids [{' '.join(f'{n} 0 R' for n in leaves)}] "
                   f"/Count {len(leaves)} >>")
    form = ""
    if signature:
        value = file.add(signature)
        file.put(field, f"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Signature1) "
                        f"/F 132 /Rect [0 0 0 0] /P {leaves[0]} 0 R /V {value} 0 R >>")
        form = f" /AcroForm << /Fields [{field} 0 R] /SigFlags 3 >>"
    file.put(root, f"<< /Type /Catalog /Version /1.7 /Pages {tree} 0 R /Lang (ja-JP){form} >>")
    return file.write(root, info, identifier)
