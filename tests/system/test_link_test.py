"""kosekictl link test: each step fails on purpose, at link systems of two kinds."""

import json
import os
import signal
import subprocess
import time

import testbed
from samples import pki
from system.nginx import Nginx
from system.scene import GOOD, LARGE, SystemTest

STEPS = ["name", "route", "tls", "identity", "clock", "head", "range", "throughput"]


def link_test(site, *arguments):
    """Exit status and {step: row} of the one address."""
    done = site.ctl("--json", "link", "test", *arguments, timeout=60)
    if not done.stdout:
        return done.returncode, done.stderr
    reply = json.loads(done.stdout)
    return done.returncode, {row["step"]: row for row in reply["steps"]}


class LinkTest(SystemTest):
    def assertSteps(self, found, **expected):
        """These verdicts; the steps before the first that is named are ok."""
        status, steps = found
        self.assertIsInstance(steps, dict, found)
        self.assertEqual(list(steps), STEPS)
        before = STEPS[:min(map(STEPS.index, expected))] if expected else STEPS
        verdicts = {step: row["verdict"] for step, row in steps.items()}
        wanted = {**dict.fromkeys(before, "ok"), **expected}
        self.assertEqual({step: verdicts[step] for step in wanted}, wanted, steps)
        worst = set(verdicts.values())
        self.assertEqual(status, 1 if "fail" in worst else 2 if "warn" in worst else 0)
        for step, row in steps.items():
            if row["verdict"] in ("warn", "fail"):
                self.assertTrue(row["text"], step)
                self.assertTrue(row["hint"], step)
        return steps

    def status(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["link"]

    def trail(self):
        directory = self.site.directory / "state" / "audit"
        return [json.loads(line)["event"] for path in sorted(directory.glob("trail-*.jsonl"))
                for line in path.read_text().splitlines()]


class WithLinksim(LinkTest):
    settings = {"link.low_speed_time": "1s", "link.connect_timeout": "2s", "alerts.throughput": "1K"}

    def faulty(self, name, source=GOOD, **fault):
        self.serve_copy(name, source)
        self.link.fault(name, **fault)
        return link_test(self.site, "--name", name)

    def test_all_is_well(self):
        steps = self.assertSteps(link_test(self.site, "--name", LARGE))
        size = (self.site.served / LARGE).stat().st_size
        self.assertEqual(steps["head"]["size"], size)
        self.assertGreater(steps["throughput"]["bytes_per_second"], 1000)
        self.assertGreater(steps["tls"]["days_left"], 30)
        self.assertIn("TLSv1.3", steps["tls"]["text"])
        self.assertIn("CN=", steps["identity"]["text"])
        rest = self.link.requests(LARGE, "GET")[0]
        self.assertEqual(rest["range"], f"bytes={size - 65536}-")
        self.assertTrue(rest["if_range"])
        self.assertNotIn(LARGE, self.reader.list())   # nothing was stored

    def test_text(self):
        out = self.assertOk(self.site.ctl("link", "test", f"127.0.0.1:{self.link.port}", "--name",
                                          GOOD.removesuffix(".pdf")))
        self.assertIn(f"127.0.0.1:{self.link.port}: {GOOD}\n", out)
        self.assertEqual(out.count("\nok "), len(STEPS))

    def test_what_is_asked_for_is_on_record(self):
        self.assertReads(self.reader, GOOD)
        before = len(self.trail())
        self.assertSteps(link_test(self.site))
        self.assertSteps(link_test(self.site, "--name", LARGE))
        rows = [row for row in self.trail()[before:] if row.get("reason") == "link-test"]
        self.assertEqual([row["kind"] for row in rows], ["command"] * 4)
        self.assertEqual([row.get("name") for row in rows], [None, rows[1]["name"], LARGE, LARGE])
        self.assertIn(rows[1]["name"], self.reader.list())
        self.assertEqual(rows[1]["detail"]["address"], f"127.0.0.1:{self.link.port}")
        self.assertIn("stored", rows[1]["text"])

    def test_answers(self):
        """(fault, verdicts, a part of what is said)"""
        table = {
            "absent": ({"status": 404, "method": "HEAD"}, {"head": "fail", "range": "skipped"}, "404"),
            "over": ({"status": 410, "method": "HEAD"}, {"head": "fail"}, "410"),
            "broken": ({"status": 500, "method": "HEAD"}, {"head": "fail"}, "500"),
            "down": ({"status": 502, "method": "HEAD"}, {"head": "fail"}, "502"),
            "busy": ({"status": 503, "method": "HEAD"}, {"head": "warn"}, "503"),
            "made": ({"status": 202, "method": "HEAD"}, {"head": "warn"}, "202"),
            "nonsense": ({"raw": "NONSENSE\r\n\r\n", "method": "HEAD"},
                         {"identity": "skipped", "head": "fail"}, "HTTP/0.9"),
            "refused": ({"status": 403, "method": "HEAD"},
                        {"identity": "fail", "head": "skipped"}, "403"),
            "no-length": ({"remove": ["Content-Length"], "method": "HEAD"}, {"head": "fail"},
                          "Content-Length"),
            "weak": ({"weak": True, "method": "any"}, {"head": "warn", "range": "skipped",
                                                       "throughput": "ok"}, "weak ETag"),
            "no-tag": ({"etag": None, "method": "any"}, {"head": "warn", "range": "skipped",
                                                         "throughput": "ok"}, "no ETag"),
            "no-range": ({"ignore_range": True}, {"range": "warn", "throughput": "ok"}, "200"),
            "lie": ({"etag_lies": True}, {"range": "fail", "throughput": "ok"}, "validator"),
            "total": ({"total_lies": True}, {"range": "fail"}, "total"),
            "unsatisfied": ({"status": 416, "times": 1}, {"range": "fail", "throughput": "ok"}, "416"),
            "cut": ({"cut_after": 40_000}, {"range": "ok", "throughput": "fail"}, "cut after"),
            "chunked": ({"chunked": True}, {"range": "fail", "throughput": "fail"},
                        "Transfer-Encoding"),
        }
        for kind, (fault, verdicts, said) in table.items():
            with self.subTest(kind):
                steps = self.assertSteps(self.faulty(f"{kind}.pdf", **fault), **verdicts)
                first = next(iter(verdicts))
                bad = next((s for s in verdicts if verdicts[s] in ("fail", "warn")), first)
                self.assertIn(said, steps[bad]["text"])

    def test_clock(self):
        for ahead, verdict in ((0, "ok"), (20, "warn"), (-20, "warn"), (3600, "fail"),
                               (-90, "fail")):
            with self.subTest(ahead):
                steps = self.assertSteps(self.faulty("clock.pdf", clock=ahead, method="any"),
                                         clock=verdict, head="ok", range="ok", throughput="ok")
                self.assertAlmostEqual(steps["clock"]["ahead_s"], ahead, delta=3)
        self.assertSteps(self.faulty("no-date.pdf", raw="HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                                     method="HEAD"), clock="warn", head="warn")

    def test_stalls_and_slowness_are_bounded(self):
        began = time.monotonic()
        self.assertSteps(self.faulty("mute.pdf", stall_after=0, method="HEAD"), identity="skipped",
                         head="fail", range="skipped")
        self.assertSteps(self.faulty("slow.pdf", **{"from": 2}, rate=300), throughput="fail")
        self.assertSoon(began, 9)

    def test_below_what_was_agreed(self):
        """[alerts] throughput is 1 KB/s here: slow enough to be cut is worse than that."""
        self.assertSteps(self.faulty("narrow.pdf", LARGE, rate=3 << 20), throughput="ok")

    def test_one_at_a_time(self):
        self.serve_copy("long.pdf")
        self.link.fault("long.pdf", method="HEAD", stall_after=0)
        first = subprocess.Popen([self.site.build / "kosekictl", "link", "test", "--name", "long.pdf"],
                                 stdout=subprocess.DEVNULL, env={
            **os.environ, "KOSEKICTL_SOCKET": str(self.site.directory / "run/control.sock")})
        testbed.wait_until(lambda: self.heads("long.pdf"), 20, "the first one")
        status, said = link_test(self.site, "--name", GOOD)
        if first.poll() is None:
            self.assertEqual((status, "under way" in str(said)), (1, True), said)
        self.assertReads(self.reader, GOOD)   # a test is in nobody's way
        self.link.control("POST", "/release")
        self.assertEqual(first.wait(30), 0 if first.returncode == 0 else 1)
        self.assertSteps(link_test(self.site, "--name", GOOD))

    def test_kosekifs_link_ends_meanwhile(self):
        self.serve_copy("ends.pdf")
        self.link.fault("ends.pdf", method="HEAD", stall_after=0)
        first = subprocess.Popen([self.site.build / "kosekictl", "link", "test", "--name", "ends.pdf"],
                                 stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL, env={
            **os.environ, "KOSEKICTL_SOCKET": str(self.site.directory / "run/control.sock")})
        testbed.wait_until(lambda: self.heads("ends.pdf"), 20, "the first one")
        os.kill(self.site.room("kosekifs-link"), signal.SIGKILL)
        _, said = first.communicate(timeout=30)
        self.assertEqual(first.returncode, 1)
        self.assertIn("kosekifs-link ended", said)
        testbed.wait_until(lambda: self.status()["up"], 20, "another kosekifs-link")
        self.assertSteps(link_test(self.site, "--name", GOOD))

    def test_what_cannot_be_asked(self):
        for arguments, status in ((["--name", "../x.pdf"], 1), (["--name", "x" * 65], 1),
                                  (["--name", "x" * 90], 64), (["--name"], 64), (["a", "b"], 64),
                                  (["--fast"], 64), (["127.0.0.1:1"], 1), (["localhost"], 1)):
            with self.subTest(arguments):
                done = self.site.ctl("link", "test", *arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertTrue(done.stderr)
        self.assertEqual(self.site.ctl("link").returncode, 64)

    def test_readers_may_not(self):
        operator = self.site.reader(61401, groups=(testbed.CONTROL_GROUP,))
        done = operator.run(self.site.build / "kosekictl", "--socket",
                            self.site.directory / "run" / "control.sock", "link", "test")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"role", done.stderr)


class Circuits(LinkTest):
    """A circuit neither keeps a test out nor hears of it; the limit on requests holds."""

    settings = {"link.breaker_failures": "1", "link.breaker_time": "1h",
                "link.requests_per_second": "2", "link.connect_timeout": "2s"}

    def test_neither_asks_nor_tells(self):
        began = time.monotonic()
        self.assertSteps(link_test(self.site, "--name", GOOD))
        self.assertGreater(time.monotonic() - began, 0.9)   # three requests
        self.link.stop()
        self.assertSteps(link_test(self.site, "--name", GOOD), route="fail", tls="skipped")
        self.assertEqual(self.status()["addresses"][0]["circuit"], "closed")
        self.assertFails(self.reader, GOOD, "EHOSTUNREACH")
        testbed.wait_until(lambda: self.status()["addresses"][0]["circuit"] == "open", 20,
                           "the circuit")
        self.link.start()
        known = self.status()["addresses"]
        self.assertSteps(link_test(self.site, "--name", GOOD))
        self.assertEqual(self.status()["addresses"], known)


class Addresses(LinkTest):
    """Several addresses, each with a fault of its own; all but two are one nginx."""

    settings = {"link.connect_timeout": "1s", "link.low_speed_time": "1s", "link.server_pin": ""}

    SERVER = """server {{ listen {host}:{port} {listen}; root {served}; ssl_protocols TLSv1.3;
      ssl_certificate {cert}.pem; ssl_certificate_key {cert}.key; {more} }}"""

    @classmethod
    def make_link(cls):
        link, own = cls.samples / "link", cls.site.directory / "pki"
        own.mkdir()
        keys = pki.Keys(5)
        authority = pki.Authority(own, keys, "second", "/C=JP/O=Test/CN=Second CA")
        authority.issue("expired", "/C=JP/CN=localhost", "server", days=(-30, -3))
        authority.issue("ends", "/C=JP/CN=localhost", "server", days=(-30, 10))
        cls.both = own / "both.pem"
        cls.both.write_text((link / "ca.pem").read_text() + (own / "second.pem").read_text())
        wanted = "ssl_verify_client on; ssl_client_certificate {};"
        blocks = {
            "expired": {"cert": own / "expired"},
            "foreign": {"cert": link / "stranger"},
            "elsewhere": {"host": "127.0.0.2"},
            "open": {"cert": own / "ends"},
            "others": {"more": wanted.format(link / "stranger.pem")},
            "plain": {"listen": ""},
        }
        cls.hosts, servers = {}, []
        for kind, block in blocks.items():
            block = {"host": "127.0.0.1", "listen": "ssl", "cert": link / "server", "more": "",
                     "served": cls.site.served, "port": testbed.free_port(), **block}
            cls.hosts[kind] = f"{block['host']}:{block['port']}"
            servers.append(cls.SERVER.format(**block))
        cls.hosts["closed"] = f"127.0.0.1:{testbed.free_port()}"
        cls.hosts["unknown"] = "no-such-name.invalid:443"
        return Nginx(cls.site.directory / "nginx", cls.site.served, link, servers="\n".join(servers))

    @classmethod
    def configure(cls):
        urls = " ".join(f"https://{host}/{{name}}" for host in cls.hosts.values())
        super().configure(**{"link.url": urls, "link.ca_file": cls.both})

    def found(self, kind):
        return link_test(self.site, self.hosts[kind], "--name", GOOD)

    def test_each(self):
        cases = {
            "unknown": ({"name": "fail", "route": "skipped"}, "resolve"),
            "closed": ({"route": "fail", "tls": "skipped"}, "connect"),
            "plain": ({"tls": "fail", "identity": "skipped"}, ""),
            "expired": ({"tls": "fail", "identity": "skipped"}, "expired"),
            "foreign": ({"tls": "fail", "identity": "skipped"}, "issued by"),
            "elsewhere": ({"tls": "fail", "identity": "skipped"}, "name"),
            "open": ({"tls": "warn", "identity": "warn", "clock": "ok", "throughput": "ok"}, "days"),
            "others": ({"identity": "fail", "clock": "ok", "head": "skipped"}, "400"),
        }
        for kind, (verdicts, said) in cases.items():
            with self.subTest(kind):
                steps = self.assertSteps(self.found(kind), **verdicts)
                self.assertIn(said, steps[next(iter(verdicts))]["text"].lower())
        self.assertIn(self.found("expired")[1]["tls"]["days_left"], (-3, -4))

    def test_readers_get_it_from_the_one_that_works(self):
        """"open" is the fourth; those in front of it are each tried once."""
        self.serve_copy("failover-1.pdf")
        self.assertReads(self.reader, "failover-1.pdf")
        known = {}

        def told():   # once a second while there is something to do
            known.update((row["address"], row) for row in self.status()["addresses"])
            self.assertReads(self.reader, "failover-1.pdf")
            self.reader.run("stat", f"nobody-{time.monotonic_ns()}.pdf")
            return known[self.hosts["elsewhere"]]["failures_tls"]
        testbed.wait_until(told, 20, "the addresses' figures")
        for kind in ("expired", "foreign", "elsewhere"):
            self.assertGreater(known[self.hosts[kind]]["failures_tls"], 0, kind)
            self.assertEqual(known[self.hosts[kind]]["answers"], 0, kind)
        self.assertGreater(known[self.hosts["open"]]["answers"], 1)
        self.assertEqual(known[self.hosts["closed"]]["answers"], 0)

    def test_readers_of_each_alone(self):
        for kind, (error, reason) in {
                "expired": ("EHOSTUNREACH", "expired"), "foreign": ("EHOSTUNREACH", "self-signed"),
                "elsewhere": ("EHOSTUNREACH", "127.0.0.2"), "plain": ("EHOSTUNREACH", "SSL"),
                "closed": ("EHOSTUNREACH", "connect"), "unknown": ("EHOSTUNREACH", "resolve"),
                "others": ("EPROTO", "is our certificate the one")}.items():
            with self.subTest(kind):
                name = f"alone-{kind}.pdf"
                self.serve_copy(name)
                LinkTest.configure.__func__(type(self), **{
                    "link.url": f"https://{self.hosts[kind]}/{{name}}", "link.ca_file": self.both})
                self.assertOk(self.site.ctl("reload"))
                self.assertFails(self.reader, name, error)
                self.assertIn(reason.lower(), self.reader.text(f".kosekifs/why/{name}").lower())
                self.assertNotIn(name, self.reader.list())
        type(self).configure()
        self.assertOk(self.site.ctl("reload"))

    def test_all_of_them(self):
        done = self.site.ctl("link", "test", "--name", GOOD, timeout=60)
        self.assertEqual(done.returncode, 1)
        for host in self.hosts.values():
            self.assertIn(f"{host}: {GOOD}\n", done.stdout)
