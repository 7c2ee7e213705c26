"""What the documents say of commands, options and configuration keys is so."""

import pathlib
import re
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [path for path in sorted([TOP / "README.md", *(TOP / "docs").rglob("*"),
                                      *(TOP / "packaging").rglob("*")]) if path.is_file()]
MANUAL = TOP / "docs" / "man" / "kosekictl.1"


def plain(path):
    """Without the marks of Markdown and man pages."""
    text = path.read_text(errors="replace")
    text = re.sub(r"\\f.|^\.[A-Z]{1,2} ", "", text, flags=re.M).replace("\\-", "-")
    return re.sub(r"[`*\"]", "", text)


def commands_shown(path):
    """What a document shows to be typed: code of Markdown, lines of man pages that are bold."""
    text = path.read_text(errors="replace")
    code = re.findall(r"`([^`\n]+)`|^    (.*)" if path.suffix == ".md" else r"^\.BI? ()(.*)", text,
                      re.M)
    lines = ("".join(parts).replace("\\-", "-") for parts in code)
    return [line[at.start():] for line in lines for at in re.finditer(r"\bkosekictl ", line)]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        usage = re.search(r"usage_text\[\] =(.*?);\n", (TOP / "tools" / "kosekictl.c").read_text(),
                          re.S).group(1)
        rows = re.findall(r'^ *"  (\S.*)', usage, re.M)
        cls.commands = {word for row in rows
                        for part in re.sub(r"\[.*?\]", "", re.split(r"   +", row)[0]).split(" | ")
                        for word in re.findall(r"^[a-z][a-z-]+", part)}
        cls.words = "".join(path.read_text() for path in (TOP / "tools").glob("*.c"))

    def test_named_ones_exist(self):
        self.assertGreater(len(self.commands), 30)
        for path in DOCUMENTS:
            for line in commands_shown(path):
                word = re.match(r"kosekictl (?:--json )?([a-z][a-z-]*)?", line).group(1)
                with self.subTest(path.relative_to(TOP), line=line):
                    self.assertTrue(word is None or word in self.commands)

    def test_all_are_in_the_manual(self):
        manual = plain(MANUAL)
        self.assertEqual([word for word in sorted(self.commands)
                          if not re.search(rf"\b{re.escape(word)}\b", manual)], [])

    def test_options_exist(self):
        known = set(re.findall(r"--[a-z][a-z-]+", self.words))
        for path in DOCUMENTS:
            for line in commands_shown(path):
                with self.subTest(path.relative_to(TOP), line=line):
                    self.assertLessEqual(set(re.findall(r" (--[a-z][a-z-]+)", line)), known)

    def test_options_are_in_documents(self):
        options = set(re.findall(r'strcmp\([^,]+, "(--[a-z-]+)"\)', self.words))
        self.assertGreater(len(options), 20)
        text = "".join(map(plain, DOCUMENTS))
        self.assertEqual([option for option in sorted(options) if option not in text], [])


class Keys(unittest.TestCase):
    def test_named_ones_exist(self):
        header = (TOP / "base" / "config.h").read_text()
        tables = {name.lower(): set(re.findall(r"\bX\([A-Z_]+, ([a-z0-9_]+),", body))
                  for name, body in re.findall(r"#define CONFIG_([A-Z]+)\(X\)(.*?)\n\n", header, re.S)}
        self.assertGreater(len(tables), 8)
        for path in DOCUMENTS:
            for section, key in re.findall(r"\[([a-z]+)\] ([a-z]+_[a-z_]+)", plain(path)):
                if section in tables:
                    with self.subTest(path.relative_to(TOP)):
                        self.assertIn(key, tables[section])


if __name__ == "__main__":
    unittest.main()
