"""Time and trust: lists that are fetched, that age and stay away; signers and authorities that expire
or change over; clocks that cannot be relied on."""

import http.server
import pathlib
import shutil
import subprocess
import unittest
import threading


import testbed
from samples import pki
from system import minister, scene
from system.test_revocation import RevocationTest  # noqa: F401


class ListServer:
    """An HTTP server for the directory of lists that can be down, or lie."""

    def __init__(self, directory):
        self.asked, self.down = [], False
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(directory))

            def do_GET(self):
                outer.asked.append(self.path)
                if outer.down:
                    self.send_error(503)
                elif self.path == "/moved.crl":
                    self.send_response(302)
                    self.send_header("Location", "/officials.crl")
                    self.end_headers()
                else:
                    super().do_GET()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Fetched(RevocationTest):
    """No list comes from a file: the authority's web server has them."""

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        cls.server = ListServer(cls.minister.lists)
        cls.addClassCleanup(cls.server.close)
        host = f"127.0.0.1:{cls.server.port}"
        urls = [f"http://{host}/{name}" for name in ("root.crl", "officials.crl", "moved.crl")]
        super_settings = cls.site.settings(cls.link.url)
        super_settings["trust"].update({"anchors": cls.minister.directory / "root.pem", "crls": ""})
        super_settings["mount"]["entry_timeout"] = "0"
        super_settings["link"]["crl_hosts"] = host
        super_settings["crl"] = {"urls": " ".join([*urls, "http://localhost:1/other.crl"]),
                                 "refresh": "1s"}
        cls.site.write_configuration(super_settings)

    def test_life(self):
        """Fetched, kept over a restart without the server, replaced by a newer one."""
        self.serve_signed("first.pdf")
        testbed.wait_until(lambda: self.list_in_force("Root"), 30, "the root's list")
        self.reader.read("first.pdf")   # brings the officials' certificate with it
        testbed.wait_until(lambda: self.reader.read("first.pdf")["error"] == "OK", 30,
                           f"the officials' list: {self.crl()}")
        rows = {row["url"].rsplit("/", 1)[1]: row for row in self.crl()["fetches"]}
        self.assertIn("crl_hosts", rows["other.crl"]["failure"])
        self.assertNotEqual(rows["moved.crl"]["failure"], "")
        self.assertIn("crl_hosts", rows["official.crl"]["failure"])   # named by the certificate
        self.server.down = True
        self.site.stop()
        self.site.start()
        self.assertReads(self.reader, "first.pdf")
        self.serve_signed("second.pdf")
        self.assertReads(self.reader, "second.pdf")
        self.server.down = False
        self.minister.write_list(self.minister.officials, "officials.crl",
                                 entries=[("signer", "keyCompromise", 0)])
        self.assertOk(self.site.ctl("crl", "refresh"))
        testbed.wait_until(lambda: "first.pdf" not in self.reader.list(), 40, "the revocation")
        self.assertFails(self.reader, "first.pdf", "EKEYREVOKED")


class Ageing(RevocationTest):
    settings = {"trust.crl_grace": "24h"}

    def test_states(self):
        """Grace: the list still counts and an alert says so."""
        lower = pki.Authority(self.minister.directory, self.minister.keys, "ageing",
                              "/C=JP/O=Test/OU=Ageing", self.minister.root, years=10)
        self.minister.signer("ageing-signer", authority=lower)
        self.minister.write_list(lower, "ageing.crl", issued=-1, ends=-0.5)
        self.serve_signed("ageing.pdf", signer="ageing-signer", chain="ageing")
        testbed.wait_until(lambda: self.list_in_force("Ageing"), 30, "its list")
        self.assertReads(self.reader, "ageing.pdf")
        self.assertEqual(self.list_in_force("Ageing")["state"], "aging")
        self.minister.write_list(lower, "ageing.crl", issued=-0.9, ends=-0.8, number=0x50)
        testbed.wait_until(lambda: self.list_in_force("Ageing")["number"] == "50", 30, "the next")
        self.assertReads(self.reader, "ageing.pdf")
        self.minister.write_list(lower, "ageing.crl", ends=1, number=0x51)
        testbed.wait_until(lambda: self.list_in_force("Ageing")["state"] == "fresh", 30, "the last")

    def test_missing(self):
        """An authority without any list: undecided, never a silent yes; then its list comes."""
        lower = pki.Authority(self.minister.directory, self.minister.keys, "lonely",
                              "/C=JP/O=Test/OU=Lonely", self.minister.root, years=10)
        self.minister.signer("lonely-signer", authority=lower)
        self.serve_signed("lonely.pdf", signer="lonely-signer", chain="lonely")
        self.assertFails(self.reader, "lonely.pdf", "ENOKEY")
        self.assertIn("revocation", self.reader.text(".kosekifs/why/lonely.pdf"))
        self.minister.write_list(lower, "lonely.crl")
        testbed.wait_until(lambda: self.reader.read("lonely.pdf")["error"] == "OK", 30, "its list")

    def test_rollover(self):
        """A new authority under a new anchor, both in force; then the old anchor goes."""
        new = pki.Authority(self.minister.directory, self.minister.keys, "newroot",
                            "/C=JP/O=Test/OU=New Root")
        self.minister.signer("newly", authority=new)
        self.minister.write_list(new, "newroot.crl")
        self.serve_signed("old-anchor.pdf")
        self.serve_signed("new-anchor.pdf", signer="newly", chain="newroot")
        self.assertReads(self.reader, "old-anchor.pdf")
        self.assertFails(self.reader, "new-anchor.pdf", "EKEYREJECTED")
        both = f"{self.minister.directory}/root.pem {self.minister.directory}/newroot.pem"
        self.anchors(both)
        testbed.wait_until(lambda: self.reader.read("new-anchor.pdf")["error"] == "OK", 30,
                           "the new anchor")
        self.assertReads(self.reader, "old-anchor.pdf")
        subjects = {row["subject"]: row for row in self.trust()["anchors"]}
        self.assertEqual(len(subjects), 2)
        for row in subjects.values():
            self.assertEqual(len(row["sha256"]), 64)
            self.assertGreater(row["not_after"], row["not_before"])
        self.anchors(self.minister.directory / "newroot.pem")
        testbed.wait_until(lambda: self.reader.read("old-anchor.pdf")["error"] == "EKEYREJECTED", 30,
                           "the end of the old one")
        self.assertReads(self.reader, "new-anchor.pdf")
        self.anchors(self.minister.directory / "root.pem")

    def anchors(self, value):
        text = self.site.configuration.read_text().splitlines()
        self.site.configuration.write_text("\n".join(
            f"anchors = {value}" if line.startswith("anchors =") else line for line in text) + "\n")
        self.assertOk(self.site.ctl("reload"))


class DistrustedClock(RevocationTest):
    settings = {"crl.clock": "refuse"}

    def test_refused(self):
        """This machine's clock is not synchronised, or this test has nothing to say."""
        if "unsynchronised" not in (self.site.directory / "state" / "audit").glob(
                "trail-*.jsonl").__iter__().__next__().read_text():
            self.skipTest("the clock is synchronised here")
        self.serve_signed("clock.pdf")
        self.assertFails(self.reader, "clock.pdf", "ENOKEY")
        self.assertIn("clock", self.reader.text(".kosekifs/why/clock.pdf"))
        self.assertEqual(self.reader.list(), [])


class SimulatedTime(RevocationTest):
    """The daemon's processes at another time: each is started through a script that loads other_time.c,
    since the supervisor gives its children a clean environment."""

    @classmethod
    def setUpClass(cls):
        if scene.sanitized():
            raise unittest.SkipTest("a sanitizer and a library loaded before it do not go together")
        super().setUpClass()
        cls.clock = cls.site.directory / "other_time.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", cls.clock,
                        pathlib.Path(__file__).with_name("other_time.c")], check=True)

    def restart(self, days):
        """All processes as if so many days had gone by."""
        self.site.stop()
        programs = self.site.directory / "programs"
        shutil.rmtree(programs, ignore_errors=True)
        programs.mkdir()
        build = scene.build_directory().resolve()
        for name in ("mount", "link", "verify", "keys"):
            script = programs / f"kosekifs-{name}"
            script.write_text(f"#!/bin/sh\nexport LD_PRELOAD={self.clock} "
                              f"OTHER_TIME_S={days * 86400}\n"
                              f"exec {build}/kosekifs-{name}\n")
            script.chmod(0o755)
        shutil.copy(build / "kosekifs", programs / "kosekifs")
        self.site.build, before = programs, self.site.build
        try:
            self.site.start()
        finally:
            self.site.build = before


class Simulated(SimulatedTime):
    settings = {"trust.crl_grace": "48h"}

    def test_a_week_without_lists(self):
        """Lists of three days with two days of grace; nothing newer for a week."""
        self.minister.write_lists(ends=3)
        self.minister.signer("short", days=(-30, 4))
        self.serve_signed("long.pdf")
        self.serve_signed("short.pdf", signer="short")
        testbed.wait_until(lambda: (self.list_in_force("Officials") or {}).get("number", "01") != "01",
                           30, "the short lists")
        self.assertReads(self.reader, "long.pdf")
        self.assertReads(self.reader, "short.pdf")
        self.restart(1)
        self.assertReads(self.reader, "long.pdf")
        self.assertEqual(self.list_in_force("Officials")["state"], "fresh")
        self.restart(4)       # in the grace
        self.assertReads(self.reader, "long.pdf")
        self.assertEqual(self.list_in_force("Officials")["state"], "aging")
        testbed.wait_until(lambda: "counts until" in self.site.ctl("alerts").stdout, 20, "an alert")
        self.restart(7)
        self.assertFails(self.reader, "long.pdf", "ENOKEY")
        self.assertNotIn("long.pdf", self.reader.list())
        self.assertEqual(self.list_in_force("Officials")["state"], "stale")
        testbed.wait_until(lambda: "no longer counts" in self.site.ctl("alerts").stdout, 20,
                           "an alert")
        # New lists come on the seventh day. The short signer has expired: received before, it stays.
        self.minister.write_lists(issued=6.9, ends=20)
        testbed.wait_until(lambda: self.reader.read("long.pdf")["error"] == "OK", 30, "new lists")
        self.assertReads(self.reader, "short.pdf")
        self.serve_signed("short-late.pdf", signer="short")
        self.assertFails(self.reader, "short-late.pdf", "EKEYEXPIRED")
        # Back to the first day: the clock is behind what the store has seen.
        self.restart(0)
        testbed.wait_until(lambda: "was " in self.site.ctl("alerts").stdout and
                           "clock behind" in self.site.ctl("alerts").stdout, 20, "the alert")
        self.assertTrue(self.site.events(kind="clock", reason="behind"))
