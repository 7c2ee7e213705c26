"""Each caller sees and opens what the policy gives him."""

import testbed
from system.scene import GOOD, SystemTest, fill_store


class Affairs(SystemTest):
    serve_all = False

    @classmethod
    def configure(cls):
        cls.site.policy = {
            "policy": {"version": "7", "utc_offset": "+09:00"},
            "roles": {"backup": "@61200"},
            "affair pension": {"purpose": "pension", "readers": "@61100", "ids": "P*"},
            "affair passport": {"purpose": "passport", "readers": "61155 @61500", "ids": "T* X-??",
                                "formats": "pdf"},
            "affair past": {"purpose": "ended", "readers": "@61600", "ids": "*",
                            "valid_to": "2020-03-31"},
            "affair counted": {"purpose": "few", "readers": "@61700", "ids": "C*",
                               "opens_per_day": "2"},
        }
        super().configure()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        content = (cls.samples / "documents" / "K2026-000101.pdf").read_bytes()
        for name in ("P1", "P2", "T1", "X-01", "X-001", "C1", "Z1"):
            (cls.site.served / f"{name}.pdf").write_bytes(content)
        cls.pension = cls.site.reader(61101, groups=(61100,))
        cls.passport = cls.site.reader(61155, groups=())
        cls.both = cls.site.reader(61102, groups=(61100, 61500))

    def test_table(self):
        table = {
            "P1.pdf": (True, False, True), "P2.pdf": (True, False, True),
            "T1.pdf": (False, True, True), "X-01.pdf": (False, True, True),
            "X-001.pdf": (False, False, False), "Z1.pdf": (False, False, False),
        }
        for name, rights in table.items():
            for who, right in zip((self.pension, self.passport, self.both), rights):
                with self.subTest(name, uid=who.uid):
                    self.assertFails(who, name, "OK" if right else "EACCES")
        self.assertEqual(self.heads("Z1.pdf") + self.heads("X-001.pdf"), 0)
        self.assertEqual(self.pension.list(), ["P1.pdf", "P2.pdf"])
        self.assertEqual(self.passport.list(), ["T1.pdf", "X-01.pdf"])
        self.assertEqual(self.both.list(), ["P1.pdf", "P2.pdf", "T1.pdf", "X-01.pdf"])
        self.assertEqual(self.site.reader(61188, groups=(61200,)).list(),
                         sorted({*self.both.list(), *self.counted_list()}))
        self.assertEqual(self.site.reader(61103, groups=()).list(), [])

    def counted_list(self):
        """What the test of daily opens may have fetched already."""
        return [n for n in self.site.reader(61107, groups=(61700,)).list()]

    def test_validity(self):
        self.assertFails(self.site.reader(61104, groups=(61600,)), "P1.pdf", "EACCES")

    def test_opens_per_day(self):
        counted = self.site.reader(61105, groups=(61700,))
        for outcome in ("OK", "OK", "EACCES", "EACCES"):
            self.assertFails(counted, "C1.pdf", outcome)
        self.assertFails(self.site.reader(61106, groups=(61700,)), "C1.pdf", "OK")

    def test_rights_go_with_the_group(self):
        dropped = self.site.reader(61101, groups=())
        self.assertFails(dropped, "P1.pdf", "EACCES")

    def test_denials_on_what_the_kernel_knows_are_recorded(self):
        self.assertFails(self.pension, "P1.pdf", "OK")
        self.assertFails(self.passport, "P1.pdf", "EACCES")
        trail = b"".join(p.read_bytes() for p in (self.site.directory / "state").rglob("*audit*")
                         if p.is_file())
        trail += b"".join(p.read_bytes() for p in (self.site.directory / "state").rglob("*/*.jsonl"))
        self.assertIn(b"P1.pdf", trail)
        self.assertIn(b"61155", trail)


class FewAmongMany(SystemTest):
    """Who may list few of many certificates gets them all, in replies that are bounded."""

    COUNT = 3000   # several times what is looked at for one reply

    @classmethod
    def configure(cls):
        cls.site.policy["affair few"] = {"purpose": "few", "readers": "61150", "ids": "filled-*99"}
        cls.site.policy["affair last"] = {"purpose": "last", "readers": "61151",
                                          "ids": f"filled-*{cls.COUNT - 1}"}
        cls.site.policy["affair none"] = {"purpose": "none", "readers": "61152", "ids": "Z*"}
        super().configure()

    def test_listings_are_whole(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        fill_store(self.site, self.COUNT)
        self.site.start()
        everything = self.reader.list()
        self.assertEqual(len(everything), self.COUNT + 1)
        for uid, ending in ((61150, "99.pdf"), (61151, f"{self.COUNT - 1}.pdf"), (61152, "none"),
                            (61153, "nobody")):
            with self.subTest(uid=uid):
                reader = self.site.reader(uid, groups=())
                expected = [name for name in everything if name.endswith(ending)]
                self.assertEqual(reader.list(), expected)
                found = self.assertOk(reader.run("find", ".", "-type", "f", "-printf", "%f\\n"))
                self.assertEqual(sorted(found.decode().split()), expected)


class Audit(SystemTest):
    def test_each_open_is_recorded(self):
        name = "record-1.pdf"
        self.serve_copy(name)
        self.assertReads(self.reader, name)
        self.assertReads(self.reader, name)
        self.assertFails(self.stranger, name, "EACCES")

        def lines():
            found = []
            for path in (self.site.directory / "state").rglob("*"):
                if path.is_file() and path.suffix != ".mdb":
                    found += [x for x in path.read_bytes().split(b"\n") if name.encode() in x]
            return found
        testbed.wait_until(lambda: len(lines()) >= 3, 5, "the audit lines")
        self.assertGreaterEqual(sum(b"61101" in x for x in lines()), 2)
        self.assertGreaterEqual(sum(b"61199" in x for x in lines()), 1)
