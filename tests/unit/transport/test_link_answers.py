"""kosekifs-link and what linksim answers: good, cut, refused, without sense."""

import time
import unittest

from link_case import NAME, SIZE, LinkTest, Scene
from link_site import LinkSim, digest

KIB = 1024



def setUpModule():
    Scene.prepare("test_link_answers")


class Good(LinkTest):
    def test_get(self):
        probe = self.probe()
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual((outcome["status"], outcome["resumed"]), (200, 0))
        self.assertEqual(outcome["date"], int((Scene.served / NAME).stat().st_mtime))
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
        keylog = Scene.directory / "keylog"
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
        self.assertSoon(began, 1.2)
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
                self.assertEqual(outcome["sha256"], digest(Scene.content[:100 * KIB]))

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
                 418: "protocol", 500: "protocol"}
        for status, result in cases.items():
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {status}"):
                    outcome = self.one(result, str(status) if status != 206 else "206",
                                       method=method, status=status)
                    self.assertEqual(outcome["status"], status)
                    self.assertEqual(len(self.sim.requests(NAME)), 1)

    def test_redirect_is_not_followed(self):
        other = LinkSim(Scene.served, Scene.pki)
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
        probe, cases = self.shared(), []
        began = time.monotonic()
        for status, result in ((202, "not-ready"), (429, "busy"), (503, "busy")):
            for method, ask in (("GET", probe.get), ("HEAD", probe.head)):
                name = f"many-{len(cases)}.pdf"
                self.sim.fault(name=name, method=method, status=status, retry_after="1")
                cases.append((name, method, status, result, ask(name, 2.5)))
        for name, method, status, result, number in cases:
            with self.subTest(f"{method} {status}"):
                outcome = self.assertEnds(probe.wait(number), result, str(status))
                self.assertEqual(outcome["retry_after"], 1)
                self.assertIn(len(self.sim.requests(name)), (2, 3))
        self.assertSoon(began, 2.5)

    def test_no_use_waiting_beyond_the_deadline(self):
        began = time.monotonic()
        outcome = self.one("not-ready", "prepared", 20, status=202, retry_after="3600")
        self.assertSoon(began, 0.2)
        self.assertEqual(outcome["retry_after"], 3600)

    def test_waiting_is_no_busy_loop(self):
        probe, asked = self.shared(), {}
        for i, retry_after in enumerate(("0", "-1", "soon", "Thu, 01 Jan 1970 00:00:00 GMT")):
            self.sim.fault(name=f"many-{i}.pdf", status=503, retry_after=retry_after)
            asked[retry_after] = (f"many-{i}.pdf", probe.get(f"many-{i}.pdf", 1.5))
        for retry_after, (name, number) in asked.items():
            with self.subTest(retry_after):
                self.assertEnds(probe.wait(number), "busy")
                self.assertLessEqual(len(self.sim.requests(name)), 8)

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
        self.assertEqual(outcome["sha256"], digest(Scene.content[:len(body)]))

    def test_over_long_body_ends_where_it_said(self):
        outcome = self.one("ok", extra=100_000)
        self.assertEqual(outcome["sha256"], digest(Scene.content))

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
        self.assertEqual(outcome["sha256"], digest(Scene.content[:1000]))
        probe = self.shared()
        self.assertEnds(probe.wait(probe.get(NAME, size=SIZE)), "changed", "length")

    def test_flipped_byte_is_not_our_business(self):
        outcome = self.one("ok", flip=5000)
        self.assertNotEqual(outcome["sha256"], digest(Scene.content))

    def test_bytes_of_any_kind_do_not_reach_the_detail(self):
        outcome = self.one("protocol", raw="HTTP/1.1 \x1b[31m\xff\r\n\r\n")
        self.assertTrue(outcome["detail"].isprintable())


if __name__ == "__main__":
    unittest.main(verbosity=2)
