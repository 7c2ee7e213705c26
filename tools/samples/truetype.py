"""Cuts a TrueType font down to the characters that a document uses, for embedding in a PDF."""

import struct

COMPONENT_WORDS, COMPONENT_SCALE, COMPONENT_MORE = 0x01, 0x08, 0x20
COMPONENT_XY_SCALE, COMPONENT_2X2 = 0x40, 0x80


class Font:
    """A TrueType font read from disk."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        count = struct.unpack_from(">H", self.data, 4)[0]
        self.tables = {}
        for i in range(count):
            tag, _, offset, size = struct.unpack_from(">4sLLL", self.data, 12 + 16 * i)
            self.tables[tag] = self.data[offset:offset + size]
        self.units = struct.unpack_from(">H", self.tables[b"head"], 18)[0]
        self.box = struct.unpack_from(">4h", self.tables[b"head"], 36)
        self.ascent, self.descent = struct.unpack_from(">2h", self.tables[b"hhea"], 4)
        glyphs = struct.unpack_from(">H", self.tables[b"maxp"], 4)[0]
        wide = struct.unpack_from(">h", self.tables[b"head"], 50)[0]
        layout = f">{glyphs + 1}{'L' if wide else 'H'}"
        self.offsets = [x if wide else 2 * x
                        for x in struct.unpack_from(layout, self.tables[b"loca"])]
        self.metrics = struct.unpack_from(">H", self.tables[b"hhea"], 34)[0]
        self.glyph_of = self._read_cmap()

    def _read_cmap(self):
        """The Unicode map: format 12 if there is one, else format 4."""
        table, found = self.tables[b"cmap"], {}
        for i in range(struct.unpack_from(">H", table, 2)[0]):
            platform, _, offset = struct.unpack_from(">HHL", table, 4 + 8 * i)
            found[(platform in (0, 3), struct.unpack_from(">H", table, offset)[0])] = offset
        glyph_of = {}
        if (True, 12) in found:
            base = found[(True, 12)]
            for i in range(struct.unpack_from(">L", table, base + 12)[0]):
                first, last, glyph = struct.unpack_from(">LLL", table, base + 16 + 12 * i)
                glyph_of.update((first + k, glyph + k) for k in range(last - first + 1))
            return glyph_of
        base = found[(True, 4)]
        half = struct.unpack_from(">H", table, base + 6)[0] // 2
        ends = struct.unpack_from(f">{half}H", table, base + 14)
        starts, deltas, ranges = (struct.unpack_from(f">{half}H", table, base + 16 + 2 * half * n)
                                  for n in (1, 2, 3))
        for i in range(half):
            for code in range(starts[i], min(ends[i], 0xFFFE) + 1):
                glyph = code
                if ranges[i]:
                    at = base + 16 + 6 * half + 2 * i + ranges[i] + 2 * (code - starts[i])
                    glyph = struct.unpack_from(">H", table, at)[0]
                glyph_of[code] = (glyph + deltas[i]) & 0xFFFF
        return glyph_of

    def outline(self, glyph):
        return self.tables[b"glyf"][self.offsets[glyph]:self.offsets[glyph + 1]]

    def advance(self, glyph):
        """Width in thousandths of the type size."""
        at = 4 * min(glyph, self.metrics - 1)
        return struct.unpack_from(">H", self.tables[b"hmtx"], at)[0] * 1000 // self.units


def components(outline):
    """Offsets in `outline` of the glyph numbers that a composite glyph refers to."""
    if len(outline) < 10 or struct.unpack_from(">h", outline)[0] >= 0:
        return
    at, flags = 10, COMPONENT_MORE
    while flags & COMPONENT_MORE:
        flags = struct.unpack_from(">H", outline, at)[0]
        yield at + 2
        at += 4 + (4 if flags & COMPONENT_WORDS else 2)
        at += (2 if flags & COMPONENT_SCALE else 4 if flags & COMPONENT_XY_SCALE
               else 8 if flags & COMPONENT_2X2 else 0)


class Subset:
    """The glyphs of some characters under new, dense numbers; number 0 is the missing glyph."""

    def __init__(self, font, characters):
        self.font, self.order = font, [0]
        self.glyph_of = {}
        for character in sorted(set(characters)):
            self.glyph_of[character] = self._number(font.glyph_of[ord(character)])
        self.data = self._build()

    def _number(self, glyph):
        if glyph not in self.order:
            self.order.append(glyph)
        return self.order.index(glyph)

    def widths(self):
        return [self.font.advance(glyph) for glyph in self.order]

    def _build(self):
        outlines, done = [], 0
        while done < len(self.order):  # grows while components are found
            outline = bytearray(self.font.outline(self.order[done]))
            for at in components(outline):
                glyph = struct.unpack_from(">H", outline, at)[0]
                struct.pack_into(">H", outline, at, self._number(glyph))
            outlines.append(bytes(outline) + bytes(-len(outline) % 4))
            done += 1
        return self._assemble(outlines)

    def _assemble(self, outlines):
        font, tables = self.font, {}
        offsets = [sum(map(len, outlines[:i])) for i in range(len(outlines) + 1)]
        tables[b"glyf"] = b"".join(outlines)
        tables[b"loca"] = struct.pack(f">{len(offsets)}L", *offsets)
        metrics = b""
        for glyph in self.order:
            row = min(glyph, font.metrics - 1)
            metrics += font.tables[b"hmtx"][4 * row:4 * row + 4]
        tables[b"hmtx"] = metrics
        head = bytearray(font.tables[b"head"])
        struct.pack_into(">L", head, 8, 0)
        struct.pack_into(">h", head, 50, 1)
        tables[b"head"] = bytes(head)
        for tag, at in ((b"hhea", 34), (b"maxp", 4)):
            table = bytearray(font.tables[tag])
            struct.pack_into(">H", table, at, len(self.order))
            tables[tag] = bytes(table)
        for tag in (b"cvt ", b"fpgm", b"prep"):
            if tag in font.tables:
                tables[tag] = font.tables[tag]
        return write_tables(tables)


def checksum(data):
    data += bytes(-len(data) % 4)
    return sum(struct.unpack(f">{len(data) // 4}L", data)) & 0xFFFFFFFF


def write_tables(tables):
    count = len(tables)
    power = 1 << (count.bit_length() - 1)
    header = struct.pack(">LHHHH", 0x10000, count, 16 * power, power.bit_length() - 1,
                         16 * (count - power))
    body, at = b"", 12 + 16 * count
    for tag in sorted(tables):
        header += struct.pack(">4sLLL", tag, checksum(tables[tag]), at + len(body),
                              len(tables[tag]))
        body += tables[tag] + bytes(-len(tables[tag]) % 4)
    return header + body
