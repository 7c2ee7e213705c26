"""What nginx can do wrong by its own means, as programs see it: statuses, limits, broken upstreams, files
that change under it, headers that contradict, restarts. What it cannot do linksim does
(test_link_faults, test_link_line), here also as the broken upstream."""

import json
import os
import socket
import subprocess

import testbed
from system.nginx import Nginx
from system.scene import GOOD, GOOD_GRAY, LARGE, SystemTest, sha256

ONLY_GET = "if ($request_method = GET) {{ return {}; }}"

# Location, errno, a part of the reason, and how many GETs it may cost at most.
LOCATIONS = {
    "absent": (ONLY_GET.format(404), "ENOENT", "404", 1),
    "over": (ONLY_GET.format(410), "ENOENT", "410", 1),
    "forbidden": (ONLY_GET.format(403), "ECONNREFUSED", "403", 1),
    "storm-429": (ONLY_GET.format(429) + " add_header Retry-After 1 always;", "ECONNREFUSED", "429", 8),
    "storm-503": (ONLY_GET.format(503) + " add_header Retry-After 1 always;", "ECONNREFUSED", "503", 8),
    "storm-503-silent": (ONLY_GET.format(503), "ECONNREFUSED", "503", 8),
    "broken": (ONLY_GET.format(500), "EPROTO", "500", 1),
    "redirect": (ONLY_GET.format("301 https://127.0.0.1:9/"), "EPROTO", "redirect", 1),
    "closed": (ONLY_GET.format(444), "ETIMEDOUT", "", 40),   # without an answer
    "upstream-gone": ("proxy_pass http://127.0.0.1:GONE;", "EHOSTUNREACH", "502", 0),
    "upstream-mute": ("if ($request_method = GET) { rewrite ^ /mute last; }", "EHOSTUNREACH", "504",
                      3),
    "page": ("if ($request_method = GET) { rewrite ^ /page.html last; }", "ESTALE", "", 2),
    "two-dates": ("add_header Date 'Thu, 01 Jan 2026 00:00:00 GMT';", "EPROTO", "two headers", 0),
    "coded": ("add_header Content-Encoding gzip;", "EPROTO", "Content-Encoding", 1),
    "ranged": ("add_header Content-Range 'bytes 0-1/2';", "EPROTO", "Content-Range", 1),
    "digest": ("add_header Repr-Digest 'sha-256=:" + "A" * 43 + "=:';", "EPROTO", "digest", 3),
    "mute": ("limit_rate 200;", "ETIMEDOUT", "", 12),
}


class Scripted(SystemTest):
    settings = {"mount.open_timeout": "4s", "mount.lookup_timeout": "3s", "link.low_speed_time": "1s",
                "link.connect_timeout": "2s", "link.low_speed_bytes": "1000", "link.breaker_failures": "0"}

    @classmethod
    def make_link(cls):
        link, key = cls.samples / "link", cls.site.directory / "keys" / "client.key"
        cls.upstream = testbed.LinkSim(cls.site.directory / "upstream", cls.site.served, link)
        cls.addClassCleanup(cls.upstream.stop)
        (cls.site.served / "page.html").write_text("<html>" + "a page that says sorry " * 9000)
        gone = str(testbed.free_port())
        blocks = [f"location = /{kind}.pdf {{ {text.replace('GONE', gone)} }}"
                  for kind, (text, *_) in LOCATIONS.items()]
        more = "\n".join([
            *blocks,
            "location /mute { internal; proxy_pass http://unix:%s; proxy_read_timeout 500ms; }"
            % cls.mute_socket(),
            "location = /no-tag.pdf { etag off; }",
            "location = /no-range.pdf { max_ranges 0; limit_rate 1m; }",
            "location = /slow.pdf { limit_rate 2m; }",
            "location /limited- { limit_req zone=few burst=3 nodelay; limit_req_status 503; }",
            "location = /changing.pdf { open_file_cache max=9; open_file_cache_valid 1h; }",
            f"location /up- {{ proxy_pass https://127.0.0.1:{cls.upstream.port}; proxy_buffering off;"
            f" proxy_ssl_certificate {link}/client.pem; proxy_ssl_certificate_key {key};"
            " proxy_ssl_protocols TLSv1.3; proxy_http_version 1.1; }"])
        return Nginx(cls.site.directory / "nginx", cls.site.served, link, more=more,
                     servers="limit_req_zone $server_port zone=few:1m rate=30r/s;")

    @classmethod
    def mute_socket(cls):
        """An upstream that takes connections and says nothing."""
        path = cls.site.directory / "mute"
        program = ("import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\n"
                   "s.listen(99)\nprint(flush=True)\ntime.sleep(3600)")
        process = testbed.start_servant(["/usr/bin/python3", "-c", program, path],
                                        stdout=subprocess.PIPE)
        cls.addClassCleanup(process.communicate)
        cls.addClassCleanup(process.kill)
        process.stdout.readline()
        return path

    def asked(self, name, method="GET"):
        return [status for _, m, n, status in self.link.log() if (m, n) == (method, name)]

    def test_each(self):
        for kind in LOCATIONS:
            self.serve_copy(f"{kind}.pdf")
        waiting = {kind: self.reader.start("cat", f"{kind}.pdf") for kind in LOCATIONS}
        for kind, process in waiting.items():
            with self.subTest(kind):
                name, (_, error, reason, most) = f"{kind}.pdf", LOCATIONS[kind]
                self.assertEqual(self.reader.finish(process, 60).returncode, 1)
                said = self.reader.text(f".kosekifs/why/{name}")
                self.assertIn(error, said)
                self.assertIn(reason, said)
                self.assertLessEqual(len(self.asked(name)), most)
                self.assertNotIn(name, self.reader.list())
        self.assertReads(self.reader, GOOD)

    def test_no_tag(self):
        self.serve_copy("no-tag.pdf")
        self.assertReads(self.reader, "no-tag.pdf")

    def test_limited_requests_are_all_answered(self):
        """More at one time than it takes: 503 for most of them, and all come in the end."""
        names = [f"limited-{i}.pdf" for i in range(8)]
        for name in names:
            self.serve_copy(name)
        waiting = [self.reader.start("sha256sum", name) for name in names]
        refused = 0
        for name, process in zip(names, waiting):
            done = self.reader.finish(process, 60)
            if done.returncode:   # the look-up has its own, shorter deadline
                self.assertReads(self.reader, name)
            refused += self.asked(name).count(503) + self.asked(name, "HEAD").count(503)
            self.assertEqual([s for s in self.asked(name) if s != 503], [200])
        self.assertLess(refused, 8 * len(names))

    def test_restarted_in_mid_body(self):
        path = self.serve_copy("slow.pdf", LARGE)
        waiting = self.reader.start("sha256sum", "slow.pdf")
        self.wait_for_half("slow.pdf")
        self.link.restart()
        self.assertIn(sha256(path), self.assertOk(self.reader.finish(waiting)).decode())
        self.assertEqual(self.asked("slow.pdf")[-1], 206)

    def test_restarted_where_ranges_are_passed_over(self):
        path = self.serve_copy("no-range.pdf", GOOD_GRAY)
        waiting = self.reader.start("sha256sum", "no-range.pdf")
        self.wait_for_half("no-range.pdf", 100_000)
        self.link.restart()
        self.assertIn(sha256(path), self.assertOk(self.reader.finish(waiting)).decode())
        self.assertEqual(self.asked("no-range.pdf")[-1], 200)

    def wait_for_half(self, name, size=1_000_000):
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.site.directory / "run" / "control.sock"))

            def received():
                control.sendall(b'{"command": "progress"}\n')
                rows = json.loads(control.recv(1 << 20))["fetches"]
                return any(row["name"] == name and row["received"] > size for row in rows)
            testbed.wait_until(received, 20, f"{size} bytes of {name}")

    def test_truncated_while_it_is_served(self):
        """nginx goes on promising the old length, and closes when the file ends before it."""
        path = self.serve_copy("changing.pdf", GOOD_GRAY)
        self.assertOk(self.reader.run("stat", "changing.pdf"))
        os.truncate(path, 200_000)
        row = self.reader.read("changing.pdf")
        self.assertIn(row["error"], ("ETIMEDOUT", "EHOSTUNREACH", "EPROTO", "ESTALE"))
        self.assertNotIn("changing.pdf", self.reader.list())
        self.assertLess(len(self.asked("changing.pdf")), 110)

    def test_upstream_cuts(self):
        for how in ("drop", "reset"):
            with self.subTest(how):
                name = f"up-{how}.pdf"
                self.serve_copy(name, LARGE)
                self.upstream.fault(name, cut_after=1_000_000, how=how, times=2)
                self.assertReads(self.reader, name)
                gets = self.upstream.requests(name, "GET")
                self.assertEqual(len(gets), 3)
                self.assertTrue(all(g["range"] and g["if_range"] for g in gets[1:]), gets)

    def test_upstream_lies(self):
        for kind, fault, errors in (
                ("chunked", {"chunked": True}, ("EPROTO",)),
                ("gzip", {"gzip": True}, ("EPROTO",)),
                ("range", {"cut_after": 300_000, "wrong_range": True}, ("EPROTO",)),
                ("changes", {"cut_after": 300_000, "etag_changes": True}, ("ESTALE", "OK")),
                ("stalls", {"stall_after": 1000}, ("ETIMEDOUT",))):
            with self.subTest(kind):
                name = f"up-{kind}.pdf"
                path = self.serve_copy(name, GOOD_GRAY)
                self.upstream.fault(name, **fault)
                row = self.reader.read(name)
                self.assertIn(row["error"], errors)
                if row["error"] == "OK":
                    self.assertEqual(row["sha256"], sha256(path))
                self.assertLessEqual(len(self.upstream.requests(name, "GET")), 12)
