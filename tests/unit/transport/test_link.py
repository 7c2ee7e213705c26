"""kosekifs-link, with kosekifs-keys, against linksim and nginx over loopback."""

import os
import random
import shutil
import socket
import subprocess
import threading
import time
import unittest

import link_site
from link_site import DIRECTORY, KEYS, LinkSim, Nginx, Pki, Probe, digest

KIB = 1024
SIZE = 300 * KIB
NAME = "K2026-000001.pdf"


def setUpModule():
    global pki, served, content
    link_site.allow_many_files()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    pki = Pki(DIRECTORY / "pki")
    served = DIRECTORY / "served"
    served.mkdir()
    content = random.Random(1).randbytes(SIZE)
    (served / NAME).write_bytes(content)
    (served / "large.pdf").write_bytes(random.Random(2).randbytes(8 << 20))
    (served / "empty.pdf").write_bytes(b"")
    for i in range(100):
        (served / f"many-{i}.pdf").write_bytes(random.Random(i).randbytes(20_000 + i))


class LinkTest(unittest.TestCase):
    """One linksim for a class, one kosekifs-link for a test."""

    server = {}

    @classmethod
    def setUpClass(cls):
        cls.sim = LinkSim(served, pki, **cls.server)
        cls.addClassCleanup(cls.sim.stop)

    def setUp(self):
        self.sim.clear()

    def probe(self, url=None, **settings):
        probe = Probe(pki, url or self.sim.url, **settings)
        self.addCleanup(self.end, probe)
        return probe

    def end(self, probe):
        self.assertEqual(probe.close(), 0, "kosekifs-link did not end well")

    def assertGood(self, outcome, name=NAME):
        expected = (served / name).read_bytes()
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


class Good(LinkTest):
    def test_get(self):
        probe = self.probe()
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual((outcome["status"], outcome["resumed"]), (200, 0))
        self.assertEqual(outcome["date"], int((served / NAME).stat().st_mtime))
        request, = self.sim.requests(NAME, "GET")
        self.assertEqual(request["client"], "commonName=client")
        self.assertEqual(request["tls"], "TLSv1.3")
        self.assertEqual(set(request["headers"]), {"host", "user-agent", "accept"})

    def test_get_with_ec_key(self):
        probe = self.probe(client="client-ec")
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(self.sim.requests(NAME)[0]["client"], "commonName=client-ec")

    def test_head_then_get_with_its_validator(self):
        probe = self.probe()
        head = probe.wait(probe.head(NAME))
        self.assertEnds(head, "ok")
        self.assertEqual(head["size"], SIZE)
        outcome = probe.wait(probe.get(NAME, size=SIZE, etag=head["etag"],
                                       modified=head["last_modified"]))
        self.assertGood(outcome)
        self.assertEqual(outcome["etag"], head["etag"])

    def test_empty_body(self):
        probe = self.probe()
        self.assertGood(probe.wait(probe.get("empty.pdf")), "empty.pdf")

    def test_connections_are_kept(self):
        probe = self.probe()
        for _ in range(20):
            self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(len({r["connection"] for r in self.sim.requests(NAME)}), 1)

    def test_hundred_at_once_on_few_connections(self):
        probe = self.probe(connections_max=4)
        numbers = {probe.get(f"many-{i}.pdf"): f"many-{i}.pdf" for i in range(100)}
        for number, name in numbers.items():
            self.assertGood(probe.wait(number), name)
        requests = self.sim.requests()
        self.assertEqual(len(requests), 100)
        self.assertLessEqual(len({r["connection"] for r in requests}), 4)

    def test_sessions_are_resumed(self):
        """Connections that the server closes cost no signature but the first."""
        self.sim.fault(headers=[["Connection", "close"]], hang_up=True)
        probe = self.probe()
        for _ in range(5):
            self.assertGood(probe.wait(probe.get(NAME)))
        probe.say("keys-kill")
        probe.others.get(timeout=10)
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(len({r["connection"] for r in self.sim.requests(NAME)}), 6)

    def test_progress_is_told(self):
        self.sim.fault(rate=600_000)
        probe = self.probe()
        self.assertGood(probe.wait(probe.get(NAME)))
        sizes = [event["size"] for event in probe.progress]
        self.assertGreaterEqual(len(sizes), 2)
        self.assertLessEqual(len(sizes), 12)
        self.assertEqual(sizes, sorted(sizes))

    def test_environment_has_no_say(self):
        keylog = DIRECTORY / "keylog"
        probe = self.probe(environment={"https_proxy": "http://127.0.0.1:1", "ALL_PROXY": "x:1",
                                        "SSLKEYLOGFILE": str(keylog), "SSL_CERT_FILE": "/nowhere",
                                        "OPENSSL_CONF": "/nowhere"})
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertFalse(keylog.exists())


class Resume(LinkTest):
    def test_cut_goes_on_where_it_was(self):
        for how in ("drop", "close", "reset"):
            with self.subTest(how):
                self.sim.clear()
                self.sim.fault(cut_after=100 * KIB, how=how, times=1)
                probe = self.shared()
                outcome = self.assertGood(probe.wait(probe.get(NAME)))
                self.assertEqual(outcome["resumed"], 1)
                first, second = self.sim.requests(NAME)
                self.assertIsNone(first["range"])
                self.assertEqual(second["range"], f"bytes={100 * KIB}-")
                self.assertEqual(second["if_range"], outcome["etag"])
                self.assertEqual(second["status"], 206)
                self.assertEqual(first["sent"] + second["sent"], SIZE)

    def test_cut_at_every_16_kib(self):
        self.sim.fault(cut_after=16 * KIB)
        probe = self.probe()
        outcome = self.assertGood(probe.wait(probe.get(NAME, 30)))
        self.assertEqual(outcome["resumed"], (SIZE - 1) // (16 * KIB))
        self.assertEqual(sum(r["sent"] for r in self.sim.requests(NAME)), SIZE)

    def test_cut_before_first_byte(self):
        self.sim.fault(cut_after=0, times=2)
        probe = self.probe()
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertTrue(all(r["range"] is None for r in self.sim.requests(NAME)))

    def test_stall_goes_on_where_it_was(self):
        self.sim.fault(stall_after=100 * KIB, times=1)
        outcome = self.one_stalled()
        self.assertEqual(outcome["resumed"], 1)
        self.assertEqual(self.sim.requests(NAME)[1]["range"], f"bytes={100 * KIB}-")

    def one_stalled(self):
        probe = self.probe(low_speed_time=1000)
        began = time.monotonic()
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertLess(time.monotonic() - began, 4)
        return outcome

    def test_slower_than_the_limit_counts_as_stall(self):
        self.sim.fault(rate=2000, times=1)
        probe = self.probe(low_speed_time=1000, low_speed_bytes=8000)
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(outcome["resumed"], 1)

    def test_given_up_after_resume_max(self):
        self.sim.fault(cut_after=1000)
        probe = self.probe(resume_max=3)
        outcome = self.assertEnds(probe.wait(probe.get(NAME)), "unreachable", "3 resumptions")
        self.assertEqual(outcome["resumed"], 3)
        self.assertEqual(len(self.sim.requests(NAME)), 4)

    def test_without_strong_validator_from_the_beginning(self):
        for rule in ({"etag": None}, {"weak": True}):
            with self.subTest(rule):
                self.sim.clear()
                self.sim.fault(cut_after=100 * KIB, times=1, **rule)
                self.sim.fault(method="any", **rule)
                probe = self.shared()
                self.assertGood(probe.wait(probe.get(NAME)))
                self.assertEqual([r["range"] for r in self.sim.requests(NAME)], [None, None])

    def test_ranges_ignored(self):
        self.sim.fault(cut_after=100 * KIB, times=1)
        self.sim.fault(method="any", ignore_range=True)
        probe = self.probe()
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual([r["status"] for r in self.sim.requests(NAME)], [200, 200])

    def test_range_refused(self):
        self.sim.fault(cut_after=100 * KIB, times=1)
        self.sim.fault(method="any", status=416, times=1, **{"from": 2})
        probe = self.probe()
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual([r["status"] for r in self.sim.requests(NAME)], [200, 416, 200])

    def test_changed_version_begins_anew(self):
        self.sim.fault(cut_after=100 * KIB, times=1, etag_changes=True)
        probe = self.probe()
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertIn("changed", outcome["etag"])
        self.assertEqual([r["status"] for r in self.sim.requests(NAME)], [200, 200])

    def test_changed_version_is_not_the_expected_one(self):
        probe = self.probe()
        head = probe.wait(probe.head(NAME))
        self.sim.fault(cut_after=100 * KIB, times=1, etag_changes=True)
        outcome = probe.wait(probe.get(NAME, size=SIZE, etag=head["etag"]))
        self.assertEnds(outcome, "changed", "validator")

    def test_lies_about_the_rest_are_never_mixed_in(self):
        cases = {"etag_lies": ("changed", "validator"), "total_lies": ("changed", "total"),
                 "wrong_range": ("protocol", "Content-Range")}
        for lie, (result, detail) in cases.items():
            with self.subTest(lie):
                self.sim.clear()
                self.sim.fault(cut_after=100 * KIB, times=1)
                self.sim.fault(method="any", **{lie: True})
                probe = self.shared()
                outcome = self.assertEnds(probe.wait(probe.get(NAME)), result, detail)
                self.assertEqual(outcome["sha256"], digest(content[:100 * KIB]))

    def test_rest_without_etag(self):
        self.sim.fault(cut_after=100 * KIB, times=1)
        self.sim.fault(method="any", remove=["ETag"], **{"from": 2})
        probe = self.probe()
        self.assertEnds(probe.wait(probe.get(NAME)), "changed")


class Refusals(LinkTest):
    def test_status(self):
        cases = {404: "not-found", 410: "gone", 401: "forbidden", 403: "forbidden",
                 204: "protocol", 206: "protocol", 301: "protocol", 302: "protocol",
                 304: "protocol", 400: "protocol", 407: "protocol", 416: "protocol",
                 418: "protocol", 500: "protocol", 502: "protocol"}
        for status, result in cases.items():
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {status}"):
                    outcome = self.one(result, str(status) if status != 206 else "206",
                                       method=method, status=status)
                    self.assertEqual(outcome["status"], status)
                    self.assertEqual(len(self.sim.requests(NAME)), 1)

    def test_redirect_is_not_followed(self):
        other = LinkSim(served, pki)
        self.addCleanup(other.stop)
        self.one("protocol", "redirect", status=302,
                 headers=[["Location", other.url.replace("{name}", NAME)]])
        self.assertEqual(other.requests(), [])

    def test_unwanted_body_keeps_the_connection(self):
        probe = self.probe()
        for _ in range(5):
            self.assertEnds(probe.wait(probe.get("nobody.pdf")), "not-found")
        self.assertEqual(len({r["connection"] for r in self.sim.requests()}), 1)

    def test_prepared_meanwhile(self):
        began = time.monotonic()
        outcome = self.one("ok", status=202, times=2, retry_after="1")
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertEqual([r["status"] for r in self.sim.requests(NAME)], [202, 202, 200])
        self.assertEqual(outcome["size"], SIZE)

    def test_retry_after_as_date(self):
        from email.utils import formatdate
        outcome = self.one("ok", status=503, times=1,
                           retry_after=formatdate(time.time() + 2, usegmt=True))
        self.assertEqual([r["status"] for r in self.sim.requests(NAME)], [503, 200])
        first, second = self.sim.requests(NAME)
        self.assertGreater(second["time"] - first["time"], 0.9)
        self.assertEqual(outcome["resumed"], 0)

    def test_not_ready_in_time(self):
        for status, result in ((202, "not-ready"), (429, "busy"), (503, "busy")):
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {status}"):
                    began = time.monotonic()
                    outcome = self.one(result, str(status), 2.5, method=method, status=status,
                                       retry_after="1")
                    self.assertLess(time.monotonic() - began, 3)
                    self.assertEqual(outcome["retry_after"], 1)
                    self.assertIn(len(self.sim.requests(NAME)), (2, 3))

    def test_no_use_waiting_beyond_the_deadline(self):
        began = time.monotonic()
        outcome = self.one("not-ready", "prepared", 5, status=202, retry_after="3600")
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(outcome["retry_after"], 3600)

    def test_waiting_is_no_busy_loop(self):
        for retry_after in ("0", "-1", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"):
            with self.subTest(retry_after):
                self.one("busy", timeout=1.5, status=503, retry_after=retry_after)
                self.assertLessEqual(len(self.sim.requests(NAME)), 8)

    def test_another_version_than_expected(self):
        probe = self.shared()
        for asked in ({"size": SIZE + 1}, {"etag": '"other"'}, {"etag": 'W/"x"'},
                      {"modified": 12345}):
            with self.subTest(asked):
                self.assertEnds(probe.wait(probe.get(NAME, **asked)), "changed")

    def test_larger_than_allowed(self):
        probe = self.shared()
        outcome = self.assertEnds(probe.wait(probe.get(NAME, size_max=SIZE - 1)), "too-large",
                                  str(SIZE))
        self.assertEqual(outcome["held"], 0)
        self.assertGood(probe.wait(probe.get(NAME, size_max=SIZE)))


class Nonsense(LinkTest):
    def test_framing(self):
        cases = {
            "no length": dict(remove=["Content-Length"]),
            "chunked": dict(chunked=True),
            "chunked and length": dict(chunked=True, headers=[["Content-Length", "5"]]),
            "gzip": dict(gzip=True),
            "unknown coding": dict(headers=[["Content-Encoding", "identity, br"]]),
            "two lengths": dict(headers=[["Content-Length", "5"]]),
            "the same length twice": dict(headers=[["Content-Length", str(SIZE)]]),
            "list of lengths": dict(length=f"{SIZE}, {SIZE}"),
            "negative length": dict(length="-1"),
            "length with plus": dict(length="+5"),
            "hexadecimal length": dict(length="0x10"),
            "empty length": dict(length=""),
            "20 digits": dict(length="18446744073709551617"),
            "twenty zeros": dict(length="00000000000000000005"),
            "beyond int64": dict(length="9223372036854775808"),
            "two tags": dict(headers=[["ETag", '"second"']]),
            "tag with control character": dict(etag='"a\x01b"'),
            "tag without quotes": dict(etag="abc"),
            "tag with quote inside": dict(etag='"a"b"'),
            "over-long tag": dict(etag='"' + "x" * 300 + '"'),
            "range in a 200": dict(headers=[["Content-Range", "bytes 0-9/10"]]),
            "folded line": dict(headers=[["X-A", "1\r\n folded"]]),
            "blank before colon": dict(headers=[["X-A ", "1"]]),
            "line without colon": dict(headers=[["X-A\r\nrubbish", "1"]]),
            "control character": dict(headers=[["X-A", "a\x07b"]]),
            "endless header": dict(headers=[[f"X-{i}", "y"] for i in range(200)]),
            "large header": dict(headers=[[f"X-{i}", "y" * 1000] for i in range(40)]),
            "one line of 200 KB": dict(headers=[["X-A", "y" * 200_000]]),
            "HTTP/0.9": dict(raw="rubbish\r\n\r\n"),
            "HTTP/2 line": dict(raw="HTTP/2 200\r\nContent-Length: 5\r\n\r\n"),
            "status of two digits": dict(raw="HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\n"),
            "status 999": dict(raw="HTTP/1.1 999 Oh\r\nContent-Length: 5\r\n\r\n"),
            "endless 1xx": dict(raw="HTTP/1.1 100 Continue\r\n\r\n" * 500),
            "switching": dict(raw="HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"),
        }
        for name, rule in cases.items():
            for method in ("GET", "HEAD"):
                if method == "HEAD" and name in ("no length",):
                    continue
                with self.subTest(f"{method}: {name}"):
                    self.one("protocol", method=method, **rule)
                    self.assertEqual(len(self.sim.requests(NAME)), 1, "asked again")

    def test_head_without_length(self):
        self.one("protocol", "Content-Length", method="HEAD", remove=["Content-Length"])

    def test_interim_answers_are_passed_over(self):
        body = "x" * 5
        outcome = self.one("ok", raw="HTTP/1.1 103 Early Hints\r\nETag: \"no\"\r\n\r\n"
                           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual(outcome["etag"], "")
        self.assertEqual(outcome["sha256"], digest(content[:len(body)]))

    def test_over_long_body_ends_where_it_said(self):
        outcome = self.one("ok", extra=100_000)
        self.assertEqual(outcome["sha256"], digest(content))

    def test_leftovers_of_another_answer(self):
        """A HEAD answered with a body spoils the connection, not the next request."""
        self.sim.fault(method="HEAD", headers=[["Connection", "keep-alive\r\n\r\nrubbish\r\nX: y"]])
        probe = self.probe()
        for _ in range(10):
            probe.wait(probe.head(NAME))
            self.assertGood(probe.wait(probe.get(NAME)))

    def test_announced_larger_than_allowed(self):
        self.one("too-large", length=str(33 << 20))

    def test_truncated_for_ever(self):
        self.one("timed-out", timeout=2, length=str(SIZE + 5))
        self.assertLess(len(self.sim.requests(NAME)), 40)

    def test_shorter_document_is_whole(self):
        """A link system may serve what it likes; kosekifs-verify sees that it is cut off."""
        outcome = self.one("ok", truncate=1000)
        self.assertEqual(outcome["sha256"], digest(content[:1000]))
        probe = self.shared()
        self.assertEnds(probe.wait(probe.get(NAME, size=SIZE)), "changed", "length")

    def test_flipped_byte_is_not_our_business(self):
        outcome = self.one("ok", flip=5000)
        self.assertNotEqual(outcome["sha256"], digest(content))

    def test_bytes_of_any_kind_do_not_reach_the_detail(self):
        outcome = self.one("protocol", raw="HTTP/1.1 \x1b[31m\xff\r\n\r\n")
        self.assertTrue(outcome["detail"].isprintable())


class Deadlines(LinkTest):
    def test_stall_to_the_end(self):
        for method, rule in (("GET", dict(stall_after=1000)), ("GET", dict(stall_after=0)),
                             ("HEAD", dict(stall_after=0))):
            with self.subTest(f"{method} {rule}"):
                began = time.monotonic()
                self.one("timed-out", timeout=1.5, method=method, **rule)
                spent = time.monotonic() - began
                self.assertGreater(spent, 1.4)
                self.assertLess(spent, 2)

    def test_head_is_not_behind_bodies(self):
        self.sim.fault(name="large.pdf", stall_after=1000)
        probe = self.probe(connections_max=8)
        stalled = [probe.get("large.pdf", 20) for _ in range(8)]
        queued = probe.get(NAME, 20)
        began = time.monotonic()
        for _ in range(20):
            self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertLess(time.monotonic() - began, 1)
        self.assertNotIn(queued, probe.events)
        for number in stalled:
            probe.say("cancel", number)
        self.assertGood(probe.wait(queued, 5))
        for number in stalled:
            self.assertEqual(probe.wait(number)["result"], "cancelled")

    def test_deadline_runs_in_the_queue(self):
        self.sim.fault(name="large.pdf", stall_after=1000)
        probe = self.probe(connections_max=1)
        probe.get("large.pdf", 5)
        queued = probe.get(NAME, 0.5)
        self.assertEnds(probe.wait(queued, 2), "timed-out", "no connection")
        self.assertEqual(self.sim.requests(NAME), [])

    def test_order_of_arrival(self):
        self.sim.fault(rate=2_000_000)
        probe = self.probe(connections_max=1)
        numbers = [probe.get(f"many-{i}.pdf", 20) for i in range(10)]
        ends = [probe.wait(number)["at"] for number in numbers]
        self.assertEqual(ends, sorted(ends))

    def test_cancel(self):
        self.sim.fault(stall_after=1000)
        probe = self.probe()
        number = probe.get(NAME, 20)
        probe.say("cancel", number)
        self.assertEqual(probe.wait(number, 2)["result"], "cancelled")
        probe.say("cancel", 999)
        self.sim.clear()
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_five_thousand_requests(self):
        """4,096 are held, the others refused at once; each has one outcome."""
        self.sim.fault(stall_after=0)
        probe = self.probe(connections_max=2)
        numbers = [probe.get(NAME, 4) for _ in range(5000)]
        results = [probe.wait(number)["result"] for number in numbers]
        self.assertEqual(results.count("busy"), 5000 - 4096)
        self.assertEqual(results.count("timed-out"), 4096)
        self.sim.clear()
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_few_descriptors(self):
        """None is lost when the limit on descriptors is low: those beyond it are refused."""
        self.sim.fault(stall_after=0)
        probe = self.probe(few_files=400, connections_max=2)
        results = []
        for _ in range(5):
            numbers = [probe.get(NAME, 1) for _ in range(60)]
            results += [probe.wait(number)["result"] for number in numbers]
        self.assertEqual(set(results), {"timed-out"})
        numbers = [probe.get(NAME, 1) for _ in range(200)]
        results = [probe.wait(number)["result"] for number in numbers]
        self.assertGreaterEqual(results.count("busy"), 100)
        self.assertEqual(results.count("busy") + results.count("timed-out"), 200)

    def test_outcomes_survive_a_full_socket(self):
        probe = self.probe()
        self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        probe.say("deaf")
        probe.others.get(timeout=10)
        numbers = [probe.head("nobody.pdf", 3) for _ in range(300)]
        until = time.monotonic() + 10
        while len(self.sim.requests("nobody.pdf")) < 100 and time.monotonic() < until:
            time.sleep(0.05)
        probe.say("listen")
        for number in numbers:
            self.assertIn(probe.wait(number)["result"], ("not-found", "timed-out"))


class Unreachable(LinkTest):
    def fails(self, url, result, within, detail="", timeout=60, **settings):
        probe = self.probe(url, **settings)
        for ask in (probe.get, probe.head):
            began = time.monotonic()
            outcome = probe.wait(ask(NAME, timeout))
            self.assertEnds(outcome, result, detail)
            self.assertLess(time.monotonic() - began, within)
            self.assertEqual(outcome["status"], 0)

    def test_nobody_listens(self):
        self.fails(f"https://127.0.0.1:{link_site.free_port()}/{{name}}", "unreachable", 2)

    def test_no_such_name(self):
        self.fails("https://no-such-host.invalid/{name}", "unreachable", 12)

    def test_accepts_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/{{name}}"
            self.fails(url, "unreachable", 4, connect_timeout=500)

    def test_deadline_before_connect_timeout(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/{{name}}"
            self.fails(url, "timed-out", 1.5, timeout=0.7)

    def test_speaks_something_else(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def talk():
                while True:
                    try:
                        client, _ = listener.accept()
                    except OSError:
                        return
                    client.sendall(b"220 smtp.example ESMTP\r\n")
                    client.close()
            thread = threading.Thread(target=talk)
            thread.start()
            try:
                self.fails(f"https://127.0.0.1:{listener.getsockname()[1]}/{{name}}", "tls-failed",
                           3)
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def test_back_again(self):
        port = link_site.free_port()
        probe = self.probe(f"https://127.0.0.1:{port}/certificates/{{name}}")
        self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")
        sim = LinkSim(served, pki, port=port)
        self.addCleanup(sim.stop)
        self.assertGood(probe.wait(probe.get(NAME)))


class Distrust(LinkTest):
    def refused(self, detail="", within=3, sim=None, asked=0, **settings):
        sim = sim or self.sim
        probe = self.probe(sim.url, **settings)
        for ask in (probe.get, probe.head):
            began = time.monotonic()
            self.assertEnds(probe.wait(ask(NAME, 20)), "tls-failed", detail)
            self.assertLess(time.monotonic() - began, within)
        self.assertEqual(len(sim.requests()), asked)

    def other(self, **options):
        sim = LinkSim(served, pki, **options)
        self.addCleanup(sim.stop)
        return sim

    def test_issuer_of_another(self):
        self.refused("certificate", ca="stranger-ca")

    def test_expired_server(self):
        self.refused("expired", sim=self.other(server="server-expired"))

    def test_server_of_another_name(self):
        self.refused("", sim=self.other(server="server-elsewhere"))

    def test_old_tls(self):
        self.refused("", sim=self.other(tls_min="1.2", tls_max="1.2", client_ca=None))

    def test_pin(self):
        self.refused("pin", pin="sha256//" + "A" * 43 + "=")
        probe = self.probe(pin=pki.pin("server"))
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_pin_holds_for_resumed_sessions(self):
        self.sim.fault(headers=[["Connection", "close"]], hang_up=True)
        probe = self.probe(pin=pki.pin("server") + ";sha256//" + "B" * 43 + "=")
        for _ in range(3):
            self.assertGood(probe.wait(probe.get(NAME)))

    def test_our_certificate_is_not_theirs(self):
        self.refused("our certificate", client="client-stranger")

    def test_server_that_wants_no_certificate(self):
        sim = self.other(client_ca=None)
        probe = self.probe(sim.url)
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_tls_1_2_only_without_client_certificate(self):
        sim = self.other(tls_min="1.2", tls_max="1.2", client_ca=None)
        probe = self.probe(sim.url, tls_min="1.2")
        self.assertGood(probe.wait(probe.get(NAME)))
        self.refused("kosekifs-keys did not sign", tls_min="1.2",
                     sim=self.other(tls_min="1.2", tls_max="1.2"))


class Keys(LinkTest):
    def test_refusal(self):
        probe = self.probe(keys="refuse")
        self.assertEnds(probe.wait(probe.get(NAME)), "tls-failed", "it refuses")
        self.assertEqual(probe.others.get(timeout=5)["content_size"] - 98, 48)

    def test_garbage(self):
        for keys in ("garbage", "endless"):
            with self.subTest(keys):
                probe = self.probe(keys=keys)
                self.assertEnds(probe.wait(probe.get(NAME, 3)), "tls-failed")
        self.assertEqual(self.sim.requests(), [])

    def test_silence_costs_five_seconds(self):
        probe = self.probe(keys="mute")
        began = time.monotonic()
        outcome = probe.wait(probe.get(NAME, 6))
        self.assertEnds(outcome, "tls-failed", "does not answer")
        self.assertLess(time.monotonic() - began, 7)

    def test_restart(self):
        probe = self.probe()
        probe.say("keys-kill")
        probe.others.get(timeout=10)
        waiting = probe.get(NAME, 10)
        gone = probe.get(NAME, 0.5)
        self.assertEnds(probe.wait(gone), "tls-failed", "not running")
        probe.say("keys-start")
        self.assertGood(probe.wait(waiting))

    def test_absent_from_the_beginning(self):
        probe = self.probe(keys="absent")
        self.assertEnds(probe.wait(probe.get(NAME, 1)), "tls-failed", "not running")


class Hostile(LinkTest):
    def test_requests_that_are_not_as_they_must_be(self):
        probe = self.probe()
        number = 8000
        for what in ("sealed", "half-sealed", "filled", "regular", "read-only", "append", "socket",
                     "name", "etag", "time", "size", "short"):
            with self.subTest(what):
                number += 1
                probe.say("hostile", number, what)
                self.assertEnds(probe.wait(number, 5), "internal", "malformed")
        for what in ("type", "packet"):
            probe.say("hostile", number, what)
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(len(self.sim.requests()), 1)

    def test_id_in_use(self):
        self.sim.fault(stall_after=10, stall_seconds=1)
        probe = self.probe()
        number = probe.get(NAME)
        probe.say("head", number, NAME, 1000)
        self.assertEqual(probe.wait(number)["size"], SIZE)

    def test_another_mount(self):
        self.sim.fault(name="large.pdf", stall_after=10)
        probe = self.probe(connections_max=1)
        for _ in range(10):
            probe.get("large.pdf", 60)
        probe.say("remount")
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(len(probe.events), 1)


class Start(unittest.TestCase):
    def refused(self, *words, **settings):
        settings = {"url": "https://127.0.0.1:1/{name}", **settings}
        probe = Probe(pki, settings.pop("url"), keys="absent", **settings)
        self.assertEqual(probe.first["event"], "failed", probe.first)
        for word in words:
            self.assertIn(word, probe.first["text"])
        self.assertEqual(probe.close(), 0)

    def test_client_certificate(self):
        cases = {"client-expired": "expired at", "client-future": "not valid before",
                 "client-p384": "secp384r1", "client-ed25519": "ED25519",
                 "client-short": "1024 bits", "client-server": "TLS clients",
                 "empty": "holds no certificate", "broken": "cannot be parsed",
                 "cut": "cannot be parsed", "with-key": "holds a private key"}
        for client, text in cases.items():
            with self.subTest(client):
                self.refused("[link] certificate_file", f"{client}.pem", text, client=client)

    def test_issuers(self):
        for ca, text in {"empty": "holds no certificate", "broken": "cannot be parsed"}.items():
            with self.subTest(ca):
                self.refused("[link] ca_file", f"{ca}.pem", text, ca=ca)

    def test_pin(self):
        for pin in ("sha256//short=", "/etc/passwd", "sha256//" + "A" * 43, "x",
                    "sha256//" + "A" * 43 + "=;"):
            with self.subTest(pin):
                self.refused("[link] server_pin", pin=pin)

    def test_url(self):
        for url in ("http://127.0.0.1/{name}", "https:///{name}", "https://a/b",
                    "https://u:p@a/{name}", "https://{name}/x", "https://a/{name}#f",
                    "https://a/{name}/{name}", "https://a/{id}", "file:///{name}",
                    "https://a?x={name}"):
            with self.subTest(url):
                self.refused("[link] url", url=url)

    def test_tls_min(self):
        self.refused("[link] tls_min", tls_min="1.1")

    def test_without_supervisor(self):
        done = subprocess.run([link_site.LINK], pass_fds=(), timeout=10, capture_output=True,
                              check=False)
        self.assertNotEqual(done.returncode, 0)


class Crowd(LinkTest):
    """linksim itself, among many connections."""

    server = {"threads": 8}

    def test_silent_connections_keep_nobody_out(self):
        crowd = []
        try:
            for _ in range(1200):
                crowd.append(socket.create_connection(("127.0.0.1", self.sim.port), 10))
            probe = self.probe()
            self.assertGood(probe.wait(probe.get(NAME, 30)))
        finally:
            for connection in crowd:
                connection.close()

    def test_stops_while_answers_stall(self):
        sim = LinkSim(served, pki, threads=8)
        sim.fault(stall_after=10)
        probe = self.probe(sim.url)
        for _ in range(12):
            probe.get(NAME, 60)
        while len(sim.requests()) < 8:
            time.sleep(0.01)
        began = time.monotonic()
        sim.stop()
        self.assertEqual(sim.process.returncode, 0)
        self.assertLess(time.monotonic() - began, 3)


class WithNginx(LinkTest):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists("/usr/sbin/nginx"):
            raise unittest.SkipTest("nginx is not installed")
        cls.nginx = Nginx(DIRECTORY / "nginx", served, pki)
        cls.addClassCleanup(cls.nginx.stop)

    def setUp(self):
        pass

    def test_fetch(self):
        probe = self.probe(self.nginx.url)
        head = self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertGood(probe.wait(probe.get(NAME, size=head["size"], etag=head["etag"],
                                             modified=head["last_modified"])))
        self.assertEnds(probe.wait(probe.get("nobody.pdf")), "not-found")
        self.assertTrue(all(line.startswith("SUCCESS TLSv1.3") for line in self.nginx.log()[-3:]))

    def test_many(self):
        for client in ("client", "client-ec"):
            probe = self.probe(self.nginx.url, client=client)
            numbers = {probe.get(f"many-{i}.pdf"): f"many-{i}.pdf" for i in range(100)}
            for number, name in numbers.items():
                self.assertGood(probe.wait(number), name)

    def test_slow_transfer_resumed(self):
        """nginx itself is never cut off; the transfer is, by the low-speed limit."""
        nginx = Nginx(DIRECTORY / "nginx-slow", served, pki, limit_rate="150k")
        self.addCleanup(nginx.stop)
        probe = self.probe(nginx.url, low_speed_time=1000, low_speed_bytes=1 << 20)
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertGreaterEqual(outcome["resumed"], 1)
        self.assertIn("206", nginx.log()[-1])

    def test_certificate_refused(self):
        probe = self.probe(self.nginx.url, client="client-stranger")
        self.assertEnds(probe.wait(probe.get(NAME)), "protocol", "400")


if __name__ == "__main__":
    unittest.main(verbosity=2)
