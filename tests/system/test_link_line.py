"""The faults of a line and of a link system, one by one, as programs see them: errno, reason, and
how often the link system was asked. Loss, rate and silence are made in a network namespace."""

import json
import os
import subprocess
import time

import testbed
from system.nginx import Nginx
from system.scene import GOOD, GOOD_GRAY, SystemTest, sha256

KIB = 1024

# What goes wrong, the errno, a part of the reason, and how many GETs that may cost. The kernel looks
# up and opens once more after ESTALE.
FAULTS = {
    "stall": ({"stall_after": 2000}, "ETIMEDOUT", "", 12),
    "slowloris": ({"rate": 300}, "ETIMEDOUT", "", 12),
    "no-length": ({"remove": ["Content-Length"]}, "EPROTO", "Content-Length", 1),
    "chunked": ({"chunked": True}, "EPROTO", "Transfer-Encoding", 1),
    "bomb": ({"gzip": True}, "EPROTO", "Content-Encoding", 1),
    "two-lengths": ({"headers": [["Content-Length", "5"]]}, "EPROTO", "two headers", 1),
    "wrong-tag": ({"etag": '"another"'}, "ESTALE", "validator", 2),
    "no-tag": ({"etag": None}, "ESTALE", "validator", 2),
    "endless-header": ({"headers": [["X", "y" * 1000]] * 60}, "EPROTO", "without end", 1),
    "storm-429": ({"status": 429, "retry_after": 1}, "ECONNREFUSED", "429", 8),
    "storm-503": ({"status": 503, "retry_after": 1}, "ECONNREFUSED", "503", 8),
    "storm-503-silent": ({"status": 503}, "ECONNREFUSED", "503", 8),
    "unavailable": ({"status": 502}, "EHOSTUNREACH", "502", 3),
    "redirect": ({"status": 302, "headers": [["Location", "https://127.0.0.1:9/"]]}, "EPROTO",
                 "redirect", 1),
    "flipped": ({"flip": 2000}, "EBADMSG", "", 1),
    "wrong-digest": ({"headers": [["Repr-Digest", "sha-256=:" + "A" * 43 + "=:"]]}, "EPROTO",
                     "digest", 3),
}


class Line(SystemTest):
    settings = {"mount.open_timeout": "6s", "mount.lookup_timeout": "2s", "link.low_speed_time": "1s",
                "link.connect_timeout": "2s", "link.low_speed_bytes": "1000"}

    def faulty(self, name, source=GOOD, **fault):
        path = self.serve_copy(name, source)
        self.link.fault(name, **{"method": "GET", **fault})
        return path

    def test_cut_at_every_64_kib(self):
        for how in ("drop", "close", "reset"):
            with self.subTest(how):
                name = f"cut-{how}.pdf"
                path = self.faulty(name, GOOD_GRAY, cut_after=64 * KIB, how=how)
                self.assertReads(self.reader, name)
                gets = self.link.requests(name, "GET")
                self.assertLessEqual(len(gets), path.stat().st_size // (48 * KIB) + 2)
                starts = [int(g["range"].split("=")[1][:-1]) for g in gets if g["range"]]
                self.assertEqual(starts, sorted(starts))

    def test_faults(self):
        for kind, (fault, *_) in FAULTS.items():
            self.faulty(f"{kind}.pdf", **fault)
        processes = {kind: self.reader.start("cat", f"{kind}.pdf") for kind in FAULTS}
        for kind, process in processes.items():
            with self.subTest(kind):
                name, (_, error, reason, most) = f"{kind}.pdf", FAULTS[kind]
                self.assertEqual(self.reader.finish(process, 60).returncode, 1)
                text = self.reader.text(f".kosekifs/why/{name}")
                self.assertIn(error, text)
                self.assertIn(reason, text)
                self.assertLessEqual(self.gets(name), most)
                self.assertNotIn(name, self.reader.list())
        self.assertReads(self.reader, GOOD)

    def test_flapping(self):
        """The link system comes and goes; whatever is opened then is right or has a reason."""
        for i in range(6):
            name = f"flap-{i}.pdf"
            self.serve_copy(name)
            if i % 2:
                self.link.stop()
            row = self.reader.read(name)
            if i % 2:
                self.assertEqual(row["error"], "EHOSTUNREACH")
                self.link.start()
            else:
                self.assertEqual(row.get("sha256"), sha256(self.site.served / name), row)


class Namespace(SystemTest):
    """Daemon and nginx in a network namespace of their own, whose line is made bad."""

    settings = {"mount.open_timeout": "60s", "mount.lookup_timeout": "5s",
                "link.connect_timeout": "1s", "link.low_speed_time": "2s", "link.breaker_time": "1s"}

    @classmethod
    def make_link(cls):
        cls.holder = testbed.start_servant(["unshare", "--net", "sleep", "3600"])
        cls.addClassCleanup(cls.holder.wait)
        cls.addClassCleanup(cls.holder.kill)
        own = os.readlink("/proc/self/ns/net")
        testbed.wait_until(
            lambda: os.readlink(f"/proc/{cls.holder.pid}/ns/net") != own, 10, "the namespace")
        cls.enter = ["nsenter", "-t", str(cls.holder.pid), "-n"]
        cls.inside("ip", "link", "set", "lo", "up")
        return Inside(cls.site.directory / "nginx", cls.site.served, cls.samples / "link", cls.enter)

    @classmethod
    def inside(cls, *argv, text=None):
        return subprocess.run([*cls.enter, *argv], check=True, capture_output=True, text=True,
                              input=text, timeout=30).stdout

    @classmethod
    def configure(cls):
        super().configure()
        cls.site.start = cls.start_inside

    @classmethod
    def start_inside(cls):
        """READY=1 goes to an abstract socket, which does not reach out of a network namespace."""
        site = cls.site
        with open(site.log_path, "ab") as log:
            site.daemon = testbed.start_servant(
                [*cls.enter, site.build / "kosekifs", "-f", site.mount_point, "-o",
                 f"config={site.configuration}"], stdout=log, stderr=log, cwd="/")
        testbed.wait_until(lambda: "certificates can be read" in site.log(), 30, "the daemon")

    def rules(self, text):
        self.inside("nft", "-f", "-", text=text)
        self.addCleanup(self.inside, "nft", "flush", "ruleset")

    def test_loss(self):
        """One packet in ten of both directions is lost."""
        port = self.link.port
        self.rules("table inet line {\n chain input {\n  type filter hook input priority 0;\n"
                   f"  tcp sport {port} numgen random mod 10 == 0 drop\n"
                   f"  tcp dport {port} numgen random mod 10 == 0 drop\n }}\n}}\n")
        self.serve_copy("loss-1.pdf", GOOD_GRAY)
        for _ in range(3):   # the look-up has its own deadline, and may be unlucky
            row = self.reader.read("loss-1.pdf", timeout=90)
            if row["error"] == "OK":
                break
        self.assertEqual(row.get("sha256"), sha256(self.site.served / "loss-1.pdf"), row)

    def test_rate(self):
        self.inside("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "4mbit", "burst", "70k",
                    "latency", "400ms")
        self.addCleanup(self.inside, "tc", "qdisc", "del", "dev", "lo", "root")
        self.serve_copy("rate-1.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "rate-1.pdf", timeout=90)

    def test_black_hole(self):
        """Nobody answers: a reason at the look-up's deadline, and few attempts. Then the line is
        there again."""
        for i in range(3):
            self.serve_copy(f"hole-{i}.pdf")
        port = self.link.port
        self.rules("table inet line {\n counter asked { }\n chain input {\n"
                   "  type filter hook input priority 0;\n"
                   f"  tcp dport {port} tcp flags & (syn | ack) == syn counter name asked\n"
                   f"  tcp dport {port} drop\n }}\n}}\n")
        began = time.monotonic()
        waiting = [self.reader.start("cat", f"hole-{i}.pdf") for i in range(3)]
        for i, process in enumerate(waiting):
            self.assertEqual(self.reader.finish(process, 60).returncode, 1)
            said = self.reader.text(f".kosekifs/why/hole-{i}.pdf")
            self.assertTrue("ETIMEDOUT" in said or "EHOSTUNREACH" in said, said)
        self.assertSoon(began, 6)
        counters = json.loads(self.inside("nft", "-j", "list", "counters"))
        asked = [o["counter"]["packets"] for o in counters["nftables"] if "counter" in o]
        self.assertLess(asked[0], 40)
        self.inside("nft", "flush", "ruleset")
        testbed.wait_until(lambda: self.reader.read("hole-1.pdf")["error"] == "OK", 30, "the line")


class Inside(Nginx):
    """nginx in that namespace."""

    def __init__(self, home, served, link, enter):
        self.enter = enter
        super().__init__(home, served, link)

    def start(self):
        self.process = testbed.start_servant(
            [*self.enter, "/usr/sbin/nginx", "-e", self.home / "error.log", "-p", self.home, "-c",
             self.home / "nginx.conf"], stderr=subprocess.PIPE)

        def listening():
            done = subprocess.run([*self.enter, "ss", "-Hltn"], capture_output=True, text=True)
            return f":{self.port} " in done.stdout
        testbed.wait_until(listening, 20, "nginx")
