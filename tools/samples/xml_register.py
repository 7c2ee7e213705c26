"""Koseki certificates in XML by the test schema tests/vectors/xml/schema/koseki.xsd. The people are
invented; their names have variation sequences and characters beyond the basic plane on purpose."""

from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:example:koseki-test:2"

HUSBAND = {"氏": "\U00020BB7野", "名": "太郎", "出生日": "1981-01-10", "続柄": "夫"}
WIFE = {"氏": "\U00020BB7野", "名": "花子", "出生日": "1982-02-11", "続柄": "妻"}
DAUGHTER = {"氏": "\U00020BB7野", "名": "葵", "出生日": "2012-05-05", "続柄": "長女"}
MARRIAGE = [("婚姻", "2010-04-01", ("葛\U000E0100城", "花子"))]


class Register:
    """One certificate; change an attribute to make it wrong."""

    def __init__(self, kind="戸籍"):
        self.kind, self.issued, self.compiled = kind, "2026-11-20", "2010-04-01"
        self.domicile = "東京都千代田区霞が関一丁目１番"
        self.head = ("\U00020BB7野", "太郎")
        self.people = [dict(HUSBAND, 事項=MARRIAGE), dict(WIFE), dict(DAUGHTER)]
        self.numbers = None
        self.extra = ""
        if kind == "除籍":
            for person in self.people:
                person["除籍日"] = "2024-12-01"

    @staticmethod
    def name(tag, family, given):
        return f"<{tag}><氏>{escape(family)}</氏><名>{escape(given)}</名></{tag}>"

    def person(self, number, person):
        lines = [f"  <記載者 番号={quoteattr(str(number))}>",
                 "    " + self.name("氏名", person["氏"], person["名"]),
                 f"    <出生日>{person['出生日']}</出生日>",
                 f"    <続柄>{person['続柄']}</続柄>"]
        for what, day, spouse in person.get("事項", []):
            partner = self.name("配偶者", *spouse) if spouse else ""
            lines.append(f"    <身分事項 名={quoteattr(what)}><日>{day}</日>{partner}</身分事項>")
        if "除籍日" in person:
            lines.append(f"    <除籍日>{person['除籍日']}</除籍日>")
        return "\n".join(lines + ["  </記載者>"])

    def content(self):
        """The document element's start tag, what is in it, and its end tag."""
        numbers = self.numbers or range(1, len(self.people) + 1)
        inner = [f"  <本籍>{escape(self.domicile)}</本籍>",
                 "  " + self.name("筆頭者", *self.head),
                 f"  <編製日>{self.compiled}</編製日>",
                 *map(self.person, numbers, self.people)]
        start = (f"<戸籍証明書 xmlns={quoteattr(NAMESPACE)} 種別={quoteattr(self.kind)} "
                 f"発行日={quoteattr(self.issued)}>")
        return start, "\n" + "\n".join(inner) + "\n" + self.extra, "</戸籍証明書>"


def valid_registers():
    """(name, register, why) of certificates that the schema accepts."""
    yield "current", Register(), "現在戸籍"
    yield "removed", Register("除籍"), "除籍"
    many = Register()
    many.people += [dict(DAUGHTER, 名=f"子{i}", 続柄="二女") for i in range(60)]
    yield "many", many, "63 persons"


def invalid_registers():
    """The same of certificates that it refuses, each by one rule."""
    unknown = Register()
    unknown.people[2]["続柄"] = "養子の妻"
    yield "relation", unknown, "a relation that is not in the list"
    date = Register()
    date.people[1]["出生日"] = "1982-02-30"
    yield "date", date, "30 February"
    early = Register()
    early.issued = "2009-12-31"
    yield "issued-early", early, "assertion: issued before the register was compiled"
    head = Register()
    head.head = ("吉野", "太郎")
    yield "head", head, "assertion: the head is none of the persons (BMP character instead of plane 2)"
    alive = Register("除籍")
    del alive.people[2]["除籍日"]
    yield "not-removed", alive, "assertion: a removed register with a person not removed"
    alone = Register()
    alone.people[0]["事項"] = [("婚姻", "2010-04-01", None)]
    yield "marriage-alone", alone, "alternative type: a marriage without spouse"
    twice = Register()
    twice.numbers = [1, 2, 2]
    yield "number-twice", twice, "unique: the same number twice"
    stray = Register()
    stray.extra = "  <備考>なし</備考>\n"
    yield "stray-element", stray, "an element that the schema does not know"
    nobody = Register()
    nobody.people = []
    yield "nobody", nobody, "no person at all"
