"""What a link system and a line can do wrong, and what the reader sees of it."""

import json
import os
import time

import testbed
from system.scene import GOOD, LARGE, SystemTest, sha256
from system.test_link_test import link_test


class Faults(SystemTest):
    settings = {"mount.open_timeout": "3s", "mount.lookup_timeout": "1s", "link.low_speed_time": "1s",
                "link.connect_timeout": "1s"}

    def test_cut_resumes_where_it_was(self):
        path = self.serve_copy("cut-1.pdf", LARGE)
        self.link.fault("cut-1.pdf", cut_after=1_000_000, times=3)
        self.assertReads(self.reader, "cut-1.pdf")
        gets = self.link.requests("cut-1.pdf", "GET")
        self.assertEqual(len(gets), 4, gets)
        starts = [int(g["range"].split("=")[1].split("-")[0]) for g in gets[1:]]
        self.assertEqual(starts, sorted(starts))
        self.assertGreater(starts[0], 0)
        self.assertTrue(all(g["if_range"] for g in gets[1:]), "resumed without If-Range")
        self.assertLess(sum(g["sent"] for g in gets), path.stat().st_size * 1.5)

    def test_changed_while_cut_never_mixes(self):
        path = self.serve_copy("mix-1.pdf", LARGE)
        self.link.fault("mix-1.pdf", cut_after=500_000, times=1, etag_changes=True)
        row = self.reader.read("mix-1.pdf")
        if row["error"] == "OK":
            self.assertEqual(row["size"], path.stat().st_size)
        else:
            self.assertEqual(row["error"], "ESTALE")

    def test_stall_ends_at_the_deadline(self):
        self.serve_copy("stall-1.pdf")
        self.link.fault("stall-1.pdf", stall_after=1000)
        began = time.monotonic()
        self.assertFails(self.reader, "stall-1.pdf", "ETIMEDOUT")
        self.assertGreater(time.monotonic() - began, 2)
        self.assertSoon(began, 3)
        self.assertIn("ETIMEDOUT", self.reader.text(".kosekifs/why/stall-1.pdf"))

    def test_over_long_body(self):
        """What follows Content-Length's bytes is no part of the body: refused or cut off."""
        path = self.serve_copy("long-1.pdf")
        self.link.fault("long-1.pdf", extra=1)
        row = self.reader.read("long-1.pdf")
        if row["error"] == "OK":
            self.assertEqual(row["sha256"], sha256(path))
        self.assertReads(self.reader, GOOD)

    def test_longer_than_was_said_before(self):
        self.serve_copy("long-2.pdf")
        self.link.fault("long-2.pdf", method="GET", length=62490, extra=1)
        self.assertIn(self.reader.read("long-2.pdf")["error"], ("ESTALE", "EPROTO"))
        self.assertNotIn("long-2.pdf", self.reader.list())

    def test_larger_than_the_limit(self):
        self.serve_copy("big-1.pdf", content=b"%PDF-1.7\n" + bytes(33 * 1024 * 1024))
        self.assertFails(self.reader, "big-1.pdf", "EFBIG")

    def test_truncated_for_ever(self):
        self.serve_copy("short-1.pdf")
        self.link.fault("short-1.pdf", truncate=1000)
        self.assertNotEqual(self.reader.read("short-1.pdf")["error"], "OK")

    def test_flipped_byte(self):
        self.serve_copy("flip-1.pdf")
        self.link.fault("flip-1.pdf", flip=2000)
        self.assertFails(self.reader, "flip-1.pdf", "EBADMSG")

    def test_wrong_content_range(self):
        self.serve_copy("range-1.pdf", LARGE)
        self.link.fault("range-1.pdf", cut_after=500_000, times=1, wrong_range=True)
        self.assertNotEqual(self.reader.read("range-1.pdf")["error"], "OK")

    def test_status_codes(self):
        expected = {404: "ENOENT", 410: "ENOENT", 403: "ECONNREFUSED", 401: "ECONNREFUSED",
                    503: "ECONNREFUSED", 429: "ECONNREFUSED", 202: "ETIMEDOUT", 500: "EPROTO",
                    301: "EPROTO", 418: "EPROTO"}
        cases = [(f"status-{status}-{method}.pdf", method, status, error)
                 for status, error in expected.items() for method in ("HEAD", "GET")]
        for name, method, status, _ in cases:
            self.serve_copy(name)
            self.link.fault(name, method=method, status=status)
        waiting = [self.reader.start("/usr/bin/python3", "-S", "-c", testbed.READ_PROGRAM, name)
                   for name, *_ in cases]   # most wait for a deadline
        for process, (name, _, _, error) in zip(waiting, cases):
            with self.subTest(name):
                row = json.loads(self.assertOk(self.reader.finish(process)))
                self.assertEqual(row["error"], error, row)

    def test_busy_for_a_moment(self):
        self.serve_copy("busy-1.pdf")
        self.link.fault("busy-1.pdf", method="GET", status=503, times=1, retry_after=1)
        self.assertReads(self.reader, "busy-1.pdf")

    def test_prepared_meanwhile(self):
        self.serve_copy("ready-1.pdf")
        self.link.fault("ready-1.pdf", method="GET", status=202, times=2, retry_after=1)
        self.assertReads(self.reader, "ready-1.pdf")

    def test_changed_between_look_up_and_open(self):
        path = self.serve_copy("change-1.pdf", GOOD)
        self.assertOk(self.reader.run("stat", "change-1.pdf"))
        self.serve_copy("change-1.pdf", "K2026-000102.pdf")
        os.utime(path, (1_800_000_000, 1_800_000_000))
        self.assertReads(self.reader, "change-1.pdf")  # the kernel looks up again by itself

    def test_other_length_in_get_than_in_head(self):
        self.serve_copy("lie-1.pdf")
        self.link.fault("lie-1.pdf", method="HEAD", length=12345)
        self.assertIn(self.reader.read("lie-1.pdf")["error"], ("ESTALE", "EPROTO"))
        self.assertNotIn("lie-1.pdf", self.reader.list())


class Patient(SystemTest):
    """An open may take so long that nothing else here is mistaken for its end."""

    settings = {"mount.open_timeout": "60s", "mount.lookup_timeout": "1s"}

    def test_stalled_look_up_ends_at_its_deadline(self):
        self.serve_copy("stall-2.pdf")
        self.link.fault("stall-2.pdf", method="HEAD", stall_after=0)
        began = time.monotonic()
        self.assertFails(self.reader, "stall-2.pdf", "ETIMEDOUT")
        self.assertSoon(began, 1)

    def test_one_bad_line_disturbs_nobody(self):
        self.serve_copy("slow-1.pdf")
        self.link.fault("slow-1.pdf", stall_after=10)
        waiting = self.reader.start("cat", "slow-1.pdf")
        testbed.wait_until(lambda: self.gets("slow-1.pdf"), 20, "the GET of slow-1.pdf")
        self.assertReads(self.reader, GOOD)
        self.reader.list()
        self.assertIsNone(waiting.poll())
        waiting.terminate()
        self.assertNotEqual(self.reader.finish(waiting).returncode, 0)


class Unreachable(SystemTest):
    def test_nobody_listens(self):
        self.link.stop()
        try:
            self.assertFails(self.reader, "nobody-1.pdf", "EHOSTUNREACH")
            self.assertEqual(self.reader.list(), [])
        finally:
            self.link.start()
        self.serve_copy("back-1.pdf")
        self.assertReads(self.reader, "back-1.pdf")


class WrongServer(SystemTest):
    """The server's certificate is in order, its key is not the pinned one."""

    settings = {"link.server_pin": "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}

    def test_pin(self):
        self.assertFails(self.reader, GOOD, "EHOSTUNREACH")
        status, steps = link_test(self.site, "--name", GOOD)
        self.assertEqual((status, steps["tls"]["verdict"]), (1, "fail"))
        self.assertIn("server_pin", steps["tls"]["hint"])
        self.assertEqual(self.link.requests(), [])


class ForeignServer(SystemTest):
    """The server's certificate comes from an authority that is not ours."""

    @classmethod
    def configure(cls):
        super().configure(**{"link.ca_file": cls.samples / "link" / "stranger.pem",
                             "link.server_pin": ""})

    def test_authority(self):
        self.assertFails(self.reader, GOOD, "EHOSTUNREACH")
        status, steps = link_test(self.site, "--name", GOOD)
        self.assertEqual((status, steps["tls"]["verdict"]), (1, "fail"))
        self.assertIn("ca_file", steps["tls"]["hint"])
        self.assertEqual(self.link.requests(), [])


class RefusedClient(SystemTest):
    """Our client certificate comes from an authority that the link system does not know."""

    @classmethod
    def configure(cls):
        stranger = cls.samples / "link" / "client-stranger"
        (cls.site.directory / "keys" / "client.key").write_bytes(
            stranger.with_suffix(".key").read_bytes())
        super().configure(**{"link.certificate_file": stranger.with_suffix(".pem")})

    def test_refused(self):
        self.assertFails(self.reader, GOOD, "EHOSTUNREACH")
        status, steps = link_test(self.site, "--name", GOOD)
        self.assertEqual((status, steps["tls"]["verdict"], steps["identity"]["verdict"]),
                         (1, "ok", "fail"), steps)
        self.assertIn("closed when it was shown", steps["identity"]["text"])
