"""Incidents: an intruder among normal traffic, and the dossier that says what he read."""

import html.parser
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import testbed
from system.scene import GOOD, SystemTest

OPERATOR, INTRUDER = 61401, 61666
FIELDS = ("overview", "contact", "notified", "damage", "measures", "cause", "prevention")


class Text(html.parser.HTMLParser):
    """The text of a page, and that nothing on it leads elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.parts, self.links = [], []
        self.feed(page)
        self.text = " ".join(self.parts)

    def handle_data(self, data):
        self.parts.append(data)

    def handle_starttag(self, tag, attributes):
        self.links += [(tag, key) for key, _ in attributes if key in ("src", "href", "action")]
        if tag in ("script", "link", "img", "iframe", "object"):
            self.links.append((tag, ""))


class Incident(SystemTest):
    @classmethod
    def configure(cls):
        cls.site.policy["roles"].update(operator=OPERATOR, auditor=OPERATOR)
        super().configure()

    def setUp(self):
        self.files = self.site.directory / "incidents"
        self.out = self.site.directory / "out"
        for directory in (self.files, self.out):
            shutil.rmtree(directory, ignore_errors=True)
        self.out.mkdir()

    def incident(self, *words, code=0):
        done = self.site.ctl("incident", "--directory", self.files, "--trail",
                             self.site.directory / "state" / "audit", *words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def open(self, *words, kind="leak", title="不審な閲覧 <script>"):
        return self.incident("open", "--kind", kind, "--title", title, "--since", "1h",
                             *words).stdout.strip()

    def report(self, number):
        """(dossier, page) that `report` wrote."""
        paths = self.incident("report", number, "--out", self.out).stdout.split()
        self.assertEqual([pathlib.Path(path).suffix for path in paths], [".json", ".html"])
        for path in paths:
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        return (json.loads(pathlib.Path(paths[0]).read_text()), pathlib.Path(paths[1]))

    def test_intruder_among_normal_traffic(self):
        """He reads 37 certificates, some twice, and is refused others."""
        names = [f"case-{number:03}.pdf" for number in range(60)]
        for name in names:
            self.serve_copy(name)
        other = self.site.reader(61102)
        intruder = self.site.reader(INTRUDER)  # he got into the group
        stolen = sorted(names[3:40])
        self.assertEqual(len(stolen), 37)
        for reader, share in ((self.reader, names[:30]), (other, names[20:])):
            self.assertEqual({row["error"] for row in reader.read_all(share)}, {"OK"})
        self.assertEqual({row["error"] for row in intruder.read_all(stolen + stolen[:5])}, {"OK"})
        self.assertFails(self.site.reader(INTRUDER, groups=()), names[50], "EACCES")

        number = self.open("--user", str(INTRUDER))
        self.incident("note", number, "連絡を受けた & 調べ始めた")
        self.incident("set", number, "cause", "an account's password")
        dossier, path = self.report(number)
        self.assertEqual(sorted(row["name"] for row in dossier["reads"]), stolen)
        self.assertEqual({row["uid"] for row in dossier["reads"]}, {INTRUDER})
        self.assertEqual(sum(row["count"] for row in dossier["reads"]), 42)
        self.assertGreater(dossier["figures"].pop("denied"), 0)
        self.assertEqual(dossier["figures"], {"opens": 42, "certificates": 37, "users": 1,
                                              "failed": 0, "timeline_cut": False})
        self.assertEqual([row["name"] for row in dossier["refusals"]], [names[50]])
        self.assertTrue(dossier["trail"]["whole"])
        self.assertIn("trust_generation", dossier["services"]["verify"])
        self.assertTrue({"start", "trust"} <= {row["kind"] for row in dossier["timeline"]})

        page = Text(path.read_text())
        self.assertEqual(page.links, [])
        for words in ("不正アクセス行為等発生報告書", "第3-5(2)ウ", "不審な閲覧 <script>",
                      "連絡を受けた & 調べ始めた", "an account's password", "未記入", *stolen):
            self.assertIn(words, page.text)
        for name in set(names) - set(stolen) - {names[50]}:
            self.assertNotIn(name, page.text)
        self.look_at(path, stolen)

    def look_at(self, path, stolen):
        """The page as a browser and a printer have it."""
        chromium = shutil.which("chromium")
        if not chromium or not shutil.which("pdftotext"):
            return
        paper = path.with_suffix(".pdf")
        common = [chromium, "--headless", "--no-sandbox", "--disable-gpu",
                  f"--user-data-dir={self.out / 'profile'}"]
        subprocess.run([*common, "--no-pdf-header-footer", f"--print-to-pdf={paper}",
                        path.as_uri()], check=True, capture_output=True, timeout=120)
        text = subprocess.run(["pdftotext", "-layout", paper, "-"], check=True,
                              capture_output=True, text=True).stdout
        for name in stolen:
            self.assertIn(name, text)
        self.assertIn("不正アクセス", text)

    def test_of_all_users_and_of_one_certificate(self):
        self.serve_copy("one-1.pdf")
        self.assertReads(self.reader, "one-1.pdf")
        self.assertReads(self.site.reader(61103), "one-1.pdf")
        dossier, _ = self.report(self.open("--name", "one-1.pdf"))
        self.assertEqual([(row["uid"], row["name"]) for row in dossier["reads"]],
                         [(61101, "one-1.pdf"), (61103, "one-1.pdf")])
        dossier, _ = self.report(self.open("--until", "30m"))
        self.assertEqual(dossier["reads"], [])

    def test_without_a_daemon(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        self.addCleanup(self.site.start)
        number = self.open(kind="outage", title="停止")
        done = self.incident("note", number, "power failed")
        self.assertIn("not in the audit trail", done.stderr)
        dossier, path = self.report(number)
        self.assertIn("unreachable", dossier["services"])
        self.assertIn(GOOD, {row["name"] for row in dossier["reads"]})
        self.assertIn("stop", {row["kind"] for row in dossier["timeline"]})
        self.assertIn("作動停止等発生報告書", path.read_text())

    def test_close_asks_for_what_people_write(self):
        before = len(self.site.events())
        number = self.open()
        done = self.incident("close", number, code=1)
        for field in FIELDS:
            self.assertIn(field, done.stderr)
        for field in FIELDS[:-1]:
            self.incident("set", number, field, f"text of {field}")
        self.assertIn("prevention", self.incident("close", number, code=1).stderr)
        self.incident("set", number, "prevention", "training")
        self.incident("close", number)
        self.incident("note", number, "too late", code=1)
        self.assertIn("closed", self.incident("list").stdout)
        _, path = self.report(number)
        self.assertNotIn("未記入", Text(path.read_text()).text)
        written = [row["detail"] for row in self.site.events()[before:] if row.get("reason") == "incident"
                   and row["detail"].get("incident") == number]
        self.assertEqual([row["action"] for row in written],
                         ["open", *["set"] * len(FIELDS), "close", "report"])

    def test_changed_file(self):
        number = self.open()
        self.incident("note", number, "first")
        self.incident("note", number, "second")
        path = self.files / f"incident-{number}.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        damaged = {"edited": lines[0] + lines[1].replace(b"first", b"fifth") + lines[2],
                   "deleted": lines[0] + lines[2], "doubled": b"".join(lines) + lines[2],
                   "swapped": lines[0] + lines[2] + lines[1], "no beginning": b"".join(lines[1:]),
                   "empty": b"", "nonsense": b"x\n", "long": lines[0] + b"[" * 20000 + b"\n",
                   "NUL": lines[0] + b"\0" * 10 + b"\n"}
        for name, content in damaged.items():
            with self.subTest(name):
                path.write_bytes(content)
                self.incident("note", number, "more", code=65)
                self.incident("report", number, "--out", self.out, code=65)
        path.write_bytes(b"".join(lines) + lines[2][:30])  # torn by a crash
        self.incident("note", number, "third")
        self.assertEqual([json.loads(line).get("text") for line in path.read_text().splitlines()],
                         [None, "first", "second", "third"])

    def test_tampered_trail_is_told(self):
        self.assertReads(self.reader, GOOD)
        trail = self.site.directory / "tampered"
        shutil.rmtree(trail, ignore_errors=True)
        shutil.copytree(self.site.directory / "state" / "audit", trail)
        path = sorted(trail.glob("trail-*.jsonl"))[0]
        path.write_text(path.read_text().replace(GOOD, "Other.pdf", 1))
        number = self.open()
        done = self.site.ctl("incident", "--directory", self.files, "--trail", trail, "report",
                             number, "--out", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        dossier = json.loads(pathlib.Path(done.stdout.split()[0]).read_text())
        self.assertFalse(dossier["trail"]["whole"])
        self.assertEqual(dossier["trail"]["faults"][0]["fault"], "changed")
        self.assertIn("NOT whole", pathlib.Path(done.stdout.split()[1]).read_text())

    def test_usage(self):
        number = self.open()
        for words in ([], ["open"], ["open", "--kind", "theft", "--title", "x", "--since", "1h"],
                      ["open", "--kind", "leak", "--title", "x"],
                      ["open", "--kind", "leak", "--title", "", "--since", "1h"],
                      ["open", "--kind", "leak", "--title", "x" * 500, "--since", "1h"],
                      ["open", "--kind", "leak", "--title", "x", "--since", "once"],
                      ["open", "--kind", "leak", "--title", "x", "--since", "1h", "--until", "2h"],
                      ["open", "--kind", "leak", "--title", "x", "--since", "1h", "--name", "x"],
                      ["open", "--kind", "leak", "--title", "x", "--since", "1h", "--user", "-"],
                      ["note", number], ["note", number, ""], ["note", "0", "x"],
                      ["note", "-1", "x"], ["note", number, "x" * 8001],
                      ["set", number, "weather", "x"], ["set", number, "cause"],
                      ["report", number], ["close"], ["list", "x"], ["shred", number]):
            with self.subTest(words):
                self.incident(*words, code=64)
        self.incident("note", "9999", "x", code=66)
        self.incident("report", number, "--out", self.out / "not there", code=73)
        self.assertEqual(len(list(self.files.iterdir())), 1)


if __name__ == "__main__":
    unittest.main()
