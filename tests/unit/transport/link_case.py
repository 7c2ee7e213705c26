"""One linksim for a class of tests, one kosekifs-link for a test, and what they fetch."""

import random
import shutil
import time
import unittest

import link_site
from link_site import DIRECTORY, LinkSim, Pki, Probe, digest

SIZE = 300 * 1024
NAME = "K2026-000001.pdf"


class Scene:
    """Certificates for TLS and documents to serve; made anew for each module of tests."""

    @classmethod
    def prepare(cls, module):
        link_site.allow_many_files()
        cls.directory = DIRECTORY / module
        shutil.rmtree(cls.directory, ignore_errors=True)
        cls.pki = Pki(cls.directory / "pki")
        cls.served = cls.directory / "served"
        cls.served.mkdir()
        cls.content = random.Random(1).randbytes(SIZE)
        (cls.served / NAME).write_bytes(cls.content)
        (cls.served / "large.pdf").write_bytes(random.Random(2).randbytes(8 << 20))
        (cls.served / "empty.pdf").write_bytes(b"")
        for i in range(100):
            (cls.served / f"many-{i}.pdf").write_bytes(random.Random(i).randbytes(20_000 + i))


# How many times longer than meant a thing may take: machines that run tests are busy with others.
SLACK = 10


class LinkTest(unittest.TestCase):
    """One linksim for a class, one kosekifs-link for a test."""

    server = {}

    @classmethod
    def setUpClass(cls):
        cls.sim = LinkSim(Scene.served, Scene.pki, **cls.server)
        cls.addClassCleanup(cls.sim.stop)

    def setUp(self):
        self.sim.clear()

    def assertSoon(self, began, seconds):
        """What began then is over by now, in these seconds on an idle machine."""
        self.assertLess(time.monotonic() - began, SLACK * seconds)

    def probe(self, url=None, **settings):
        probe = Probe(Scene.pki, url or self.sim.url, **settings)
        self.addCleanup(self.end, probe)
        return probe

    def end(self, probe):
        self.assertEqual(probe.close(), 0, "kosekifs-link did not end well")

    def assertGood(self, outcome, name=NAME):
        expected = (Scene.served / name).read_bytes()
        self.assertEqual(outcome["result"], "ok", outcome)
        self.assertEqual(outcome["size"], len(expected))
        self.assertEqual(outcome["held"], len(expected))
        self.assertEqual(outcome["sha256"], digest(expected))
        return outcome

    def assertEnds(self, outcome, result, detail=""):
        self.assertEqual(outcome["result"], result, outcome)
        self.assertIn(detail, outcome["detail"])
        if result != "ok":
            self.assertNotEqual(outcome["detail"], "")
        return outcome

    def one(self, result, detail="", timeout=5, method="GET", probe=None, **rule):
        """A GET or HEAD with one fault in force."""
        self.sim.clear()
        if rule:
            self.sim.fault(method=method, **rule)
        probe = probe or self.shared()
        number = probe.get(NAME, timeout) if method == "GET" else probe.head(NAME, timeout)
        return self.assertEnds(probe.wait(number), result, detail)

    def shared(self):
        if not hasattr(self, "shared_probe"):
            self.shared_probe = self.probe(low_speed_time=1000)
        return self.shared_probe
