"""kosekictl revalidate: what an older program accepted and this one would not is found, and withheld when
asked for; what a new trust changes has been changed already."""

import json
import os
import shutil
import signal
import subprocess
import time

import testbed
from samples import pki
from system.scene import GOOD, SystemTest, build_directory, fill_store
from system.test_revocation import Holder, RevocationTest

BAD = {"K2026-000201.pdf": "HASH_FAILURE", "K2026-000204.pdf": "FORMAT_FAILURE"}
LINES = 3
APPROVED = ("--reason", "test", "--approver", "head of section")


def fill(site, count, files=()):
    """As another program would have stored them, while no daemon runs."""
    site.stop()
    fill_store(site, count, files=files)
    site.start()


class Revalidating:
    def revalidate(self, *options):
        """Exit status, rows by name, totals."""
        done = self.site.ctl("--json", "revalidate", *options, timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(lines, done.stderr)
        return done.returncode, {row["name"]: row for row in lines[:-1]}, lines[-1]

    def ended(self):
        return [row for row in self.site.events(kind="command") if "revalidate" in row["reason"] and
                row["reason"].endswith("ended")]


class OlderProgram(Revalidating, RevocationTest):
    """The store has what this program refuses, under the trust that is in force."""

    key_count = 5

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lower = pki.Authority(cls.minister.directory, cls.minister.keys, "lonely",
                              "/C=JP/O=Test/OU=Lonely", cls.minister.root, years=10)
        cls.minister.signer("lonely-signer", authority=lower)   # no list of this authority
        template = cls.samples / "documents" / GOOD
        desk = cls.site.directory / "older"
        desk.mkdir()
        (desk / "lonely.pdf").write_bytes(
            cls.minister.document(template, signer="lonely-signer", chain="lonely"))
        (desk / "lost.pdf").write_bytes(template.read_bytes())
        for name in BAD:
            shutil.copy(cls.samples / "documents" / name, desk)
        (cls.site.served / "model.pdf").write_bytes(cls.minister.document(template))
        row = cls.reader.read("model.pdf")
        assert row["error"] == "OK", row
        fill(cls.site, LINES, sorted(desk.iterdir()))
        inode = int(cls.reader.run("stat", "-c", "%i", "lost.pdf").stdout)
        cls.site.stop()
        subprocess.run([build_directory() / "tests" / "unit" / "cache" / "damage-store",
                        cls.site.directory / "state", "chunks", str(inode)], check=True)
        cls.site.start()
        cls.lines = [f"filled-{i:07}.pdf" for i in range(LINES)]
        cls.stored = 1 + LINES + len(BAD) + 2

    def test_1_only_told(self):
        verdicts = len(self.site.events(kind="verdict"))
        status, rows, totals = self.revalidate()
        self.assertEqual(status, 2)
        self.assertEqual(set(rows), {*self.lines, *BAD, "lonely.pdf", "lost.pdf"})
        for name, sub in {**BAD, **dict.fromkeys(self.lines, "FORMAT_FAILURE")}.items():
            row = rows[name]
            self.assertEqual((row["change"], row["applied"]), ("verdict", False), row)
            self.assertEqual(row["before"]["indication"], "TOTAL-PASSED")
            self.assertEqual((row["after"]["indication"], row["after"]["sub_indication"]),
                             ("TOTAL-FAILED", sub))
            self.assertTrue(row["after"]["check"] and row["after"]["text"], row)
        self.assertEqual(rows["lonely.pdf"]["change"], "undecided")
        self.assertEqual(rows["lonely.pdf"]["after"]["sub_indication"], "TRY_LATER")
        self.assertEqual(rows["lost.pdf"]["change"], "unreadable")
        counts = {key: totals[key] for key in ("looked_at", "unchanged", "verdict", "undecided",
                                               "unreadable", "applied", "stored")}
        self.assertEqual(counts, {
            "looked_at": self.stored, "unchanged": 1, "verdict": LINES + len(BAD), "undecided": 1,
            "unreadable": 1, "applied": 0, "stored": self.stored})
        # Nothing has changed: no verdict in the trail, everything readable as before.
        self.assertEqual(len(self.site.events(kind="verdict")), verdicts)
        self.assertEqual(self.reader.read(self.lines[0])["error"], "OK")
        self.assertEqual(set(self.reader.list()), {*rows, "model.pdf"})
        trail = [row["reason"] for row in self.site.events(kind="command")]
        self.assertIn("revalidate", trail)
        self.assertEqual(self.ended()[-1]["detail"]["verdicts"], str(LINES + len(BAD)))

    def test_2_resumed(self):
        """A run may begin after any number; another than that is refused."""
        inode = int(self.reader.run("stat", "-c", "%i", self.lines[-1]).stdout)
        _, rows, totals = self.revalidate("--after", inode)
        self.assertNotIn(self.lines[-1], rows)
        self.assertEqual(totals["looked_at"], len(BAD) + 2)
        self.assertEqual(self.revalidate("--after", totals["reached"])[1], {})
        for words in (("--after", "-1"), ("--after", "x"), ("--after",), ("now",),
                      ("--follow", "--apply"), ("--follow", "--stop")):
            self.assertEqual(self.site.ctl("revalidate", *words).returncode, 64, words)
        done = self.site.ctl("revalidate", "--after", 1 << 40)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("out of range", done.stderr)

    def test_3_applied(self):
        """Withheld, not erased: readers, seals, legal holds and the trail."""
        held, sealed, opened = self.lines
        self.assertOk(self.site.ctl("hold", held, *APPROVED))
        self.assertOk(self.site.ctl("seal", "--name", sealed, "--reason", "test"))
        holder = Holder(self, opened)
        self.assertEqual(holder.read(), "OK")
        status, rows, totals = self.revalidate("--apply", "--reason", "new program")
        self.assertEqual(status, 2)
        self.assertEqual(totals["applied"], LINES - 1 + len(BAD))
        self.assertEqual((rows[sealed]["change"], totals["sealed"]), ("sealed", 1))
        self.assertNotEqual(holder.read(), "OK")
        self.assertEqual({row["applied"] for row in rows.values() if row["change"] == "verdict"},
                         {True})
        self.assertFalse(rows["lonely.pdf"]["applied"])
        for name in (held, opened, *BAD):
            self.assertFails(self.reader, name, "EBADMSG")
        self.assertFails(self.reader, sealed, "EPERM")
        self.assertEqual(set(self.reader.list()), {"model.pdf", "lonely.pdf", "lost.pdf"})
        self.assertReads(self.reader, "model.pdf")
        self.assertEqual(self.reader.read("lonely.pdf")["error"], "OK")
        done = self.site.ctl("purge", held, *APPROVED)
        self.assertIn("legal hold", done.stdout + done.stderr)
        refused = {row["name"] for row in self.site.events(kind="verdict") if row["result"] == "failed"}
        self.assertEqual(refused & {*self.lines, *BAD}, {held, opened, *BAD})
        begun = [row for row in self.site.events(kind="command") if row["reason"] == "revalidate-apply"]
        self.assertEqual(begun[-1]["text"], "new program")
        self.assertEqual(self.ended()[-1]["reason"], "revalidate-apply ended")
        # Once is enough.
        status, rows, totals = self.revalidate()
        self.assertEqual(set(rows), {"lonely.pdf", "lost.pdf", sealed})
        self.assertEqual(totals["unchanged"], self.stored - 3)

    def test_4_as_text(self):
        done = self.site.ctl("revalidate")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, "lonely.pdf\tundecided\tTOTAL-PASSED -> INDETERMINATE "
                                      "TRY_LATER\trevocation: ")
        self.assertRegex(done.stdout, "lost.pdf\tunreadable\tno verdict\t")
        self.assertIn(f"looked_at: {self.stored}", done.stdout)


class Many(Revalidating, RevocationTest):
    """A run that takes a while: it does not need who asked, reads go on, it can be stopped, resumed,
    and cut off by a crash."""

    key_count = 3
    COUNT = int(os.environ.get("KOSEKIFS_REVALIDATE_COUNT", "250"))
    settings = {"mount.map_size": "1G"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        template = cls.samples / "documents" / GOOD
        (cls.site.served / "model.pdf").write_bytes(cls.minister.document(template))
        row = cls.reader.read("model.pdf")
        assert row["error"] == "OK", row
        fill(cls.site, cls.COUNT)

    def begin(self, *options):
        """A run of which the first rows have come; whoever asked is gone."""
        asked = subprocess.Popen([self.site.build / "kosekictl", "--socket",
                                  self.site.directory / "run" / "control.sock", "revalidate",
                                  *options], stdout=subprocess.PIPE, text=True)
        self.assertIn("filled-", asked.stdout.readline())
        asked.send_signal(signal.SIGINT)
        asked.wait(10)
        asked.stdout.close()

    def follow(self):
        done = self.site.ctl("--json", "revalidate", "--follow", timeout=120)
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def test_1_goes_on_by_itself(self):
        began = time.monotonic()
        self.begin()
        done = self.site.ctl("revalidate")
        if "under way" not in done.stderr:     # it has ended already
            self.assertEqual(done.returncode, 2, done)
        self.assertReads(self.reader, "model.pdf")
        self.assertFails(self.reader, "no-such.pdf", "ENOENT")
        status, totals = self.follow()
        self.assertEqual((status, totals["looked_at"], totals["verdict"]),
                         (2, self.COUNT + 1, self.COUNT))
        self.assertFalse(totals["stopped"])
        print(f"      {self.COUNT} certificates in {time.monotonic() - began:.1f} s")

    def test_2_crash(self):
        """kosekifs-mount is killed: the run is gone, nothing has changed."""
        self.begin()
        os.kill(self.site.room("kosekifs-mount"), signal.SIGKILL)
        self.assertReads(self.reader, "model.pdf")
        testbed.wait_until(lambda: "nothing was" in self.site.ctl("revalidate", "--follow").stderr,
                           30, "the next kosekifs-mount")
        self.assertEqual(len(self.reader.list()), self.COUNT + 1)

    def test_3_stopped_and_resumed(self):
        self.begin("--apply")
        self.assertOk(self.site.ctl("revalidate", "--stop"))
        status, totals = self.follow()
        self.assertFalse(totals["running"])
        applied = totals["applied"]
        if totals["stopped"]:     # before it came to the end
            self.assertEqual(status, 1)
            self.assertEqual(self.ended()[-1]["result"], "failed")
            _, rows, rest = self.revalidate("--apply", "--after", totals["reached"])
            self.assertEqual(len(rows), rest["verdict"])
            self.assertEqual(totals["looked_at"] + rest["looked_at"], self.COUNT + 1)
            applied += rest["applied"]
        self.assertEqual(applied, self.COUNT)
        self.assertEqual(self.reader.list(), ["model.pdf"])
        self.assertEqual(self.revalidate()[0], 0)


class Trust(Revalidating, RevocationTest):
    """What follows from a reload or a revocation list is in force without being asked for."""

    key_count = 5
    settings = {"trust.policy": "every-byte=ignore bytes-after-end=ignore"}

    def reload(self, **settings):
        self.configure(**settings)
        self.assertOk(self.site.ctl("reload"))

    @classmethod
    def configure(cls, **more):
        if hasattr(cls, "minister"):
            super(RevocationTest, cls).configure(
                **{"trust.anchors": cls.minister.directory / "root.pem",
                   "trust.crls": cls.minister.lists, "mount.entry_timeout": "0", **more})
        else:
            super().configure(**more)

    def test_policy(self):
        padded = self.site.directory / "padded.pdf"
        padded.write_bytes((self.samples / "documents" / GOOD).read_bytes() + b"behind the end\n")
        (self.site.served / "padded.pdf").write_bytes(self.minister.document(padded))
        self.serve_signed("plain.pdf")
        self.assertReads(self.reader, "plain.pdf")
        self.assertReads(self.reader, "padded.pdf")
        self.assertEqual(self.revalidate()[0], 0)
        self.reload(**{"trust.policy": "every-byte=ignore bytes-after-end=fail"})
        testbed.wait_until(lambda: self.reader.list() == ["plain.pdf"], 30, "the new level")
        status, rows, totals = self.revalidate()
        self.assertEqual((status, rows, totals["unchanged"]), (0, {}, 2))
        self.reload(**{"trust.policy": "every-byte=ignore bytes-after-end=warn"})
        testbed.wait_until(lambda: "padded.pdf" in self.reader.list(), 30, "the next level")
        self.assertEqual(self.revalidate()[0], 0)

    def test_revoked(self):
        """What a revocation did to stored verdicts is in force without being written, and is no
        difference; only that there is something to say of a certificate that is served."""
        for reason in ("superseded", "keyCompromise"):
            self.minister.signer(reason)
            self.serve_signed(f"{reason}.pdf", signer=reason)
            self.assertReads(self.reader, f"{reason}.pdf")
        self.minister.write_list(self.minister.officials, "officials.crl", entries=[
            ("superseded", "superseded", 0.00001), ("keyCompromise", "keyCompromise", 0)])
        testbed.wait_until(lambda: "keyCompromise.pdf" not in self.reader.list(), 30, "the list")
        time.sleep(1)   # the date of the revocation
        status, rows, totals = self.revalidate()
        self.assertEqual({name: row["change"] for name, row in rows.items()},
                         {"superseded.pdf": "remarks"})
        self.assertEqual(rows["superseded.pdf"]["after"]["check"], "revoked-later")
        self.assertEqual((status, totals["unchanged"]), (2, totals["looked_at"] - 1))
        self.assertEqual(self.revalidate("--apply")[2]["applied"], 1)
        self.assertEqual(self.revalidate()[0], 0)
        report = json.loads(self.reader.text(".kosekifs/report/superseded.pdf.json"))
        self.assertIn("revoked-later", [row["check"] for row in report["checks"]
                                        if row["outcome"] == "warn"])
        self.assertReads(self.reader, "superseded.pdf")
        self.assertFails(self.reader, "keyCompromise.pdf", "EKEYREVOKED")


class TwoPersons(SystemTest):
    """Who may ask, and that somebody else confirms what the policy says."""

    serve_all = False
    OPERATOR, APPROVER, VIEWER = 61301, 61302, 61303

    @classmethod
    def configure(cls):
        cls.site.policy["roles"].update(operator=cls.OPERATOR, approver=cls.APPROVER,
                                        viewer=cls.VIEWER, second_person="revalidate-apply")
        super().configure()

    def ask(self, uid, *words):
        person = self.site.reader(uid, groups=(testbed.CONTROL_GROUP,))
        path = self.site.directory / "run" / "control.sock"
        done = person.run(self.site.build / "kosekictl", "--socket", path, *words)
        return done.returncode, (done.stdout + done.stderr).decode()

    def test_confirmed(self):
        for uid in (self.VIEWER, self.APPROVER):
            code, words = self.ask(uid, "revalidate")
            self.assertEqual((code, "role" in words), (1, True), words)
        self.assertEqual(self.ask(self.VIEWER, "revalidate", "--follow")[0], 1)
        code, words = self.ask(self.OPERATOR, "revalidate", "--follow")
        self.assertEqual((code, "nothing was" in words), (1, True), words)
        code, words = self.ask(self.OPERATOR, "revalidate")
        self.assertEqual(code, 0, words)
        code, words = self.ask(self.OPERATOR, "revalidate", "--apply", "--reason", "x")
        self.assertEqual(code, 75, words)
        number = words.split("confirm ")[1].split('"')[0]
        code, words = self.ask(self.APPROVER, "confirm", number)
        self.assertEqual((code, "begun" in words), (0, True), words)
        code, words = self.ask(self.OPERATOR, "revalidate", "--follow")
        self.assertEqual((code, "apply: true" in words), (0, True), words)
