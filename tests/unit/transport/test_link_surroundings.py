"""kosekifs-link among what surrounds it: time, network, trust, neighbours, its start, nginx."""

import os
import socket
import subprocess
import threading
import time
import unittest

import link_site
from link_case import NAME, SIZE, LinkTest, Scene
from link_site import LinkSim, Nginx, Probe



def setUpModule():
    Scene.prepare("test_link_surroundings")


class Deadlines(LinkTest):
    def test_stall_to_the_end(self):
        probe, asked = self.shared(), {}
        began = time.monotonic()
        for i, (method, ask, stall_after) in enumerate((
                ("GET", probe.get, 1000), ("GET", probe.get, 0), ("HEAD", probe.head, 0))):
            self.sim.fault(name=f"many-{i}.pdf", method=method, stall_after=stall_after)
            asked[f"{method} {stall_after}"] = ask(f"many-{i}.pdf", 1.5)
        for what, number in asked.items():
            with self.subTest(what):
                self.assertEnds(probe.wait(number), "timed-out")
                self.assertGreater(time.monotonic() - began, 1.4)
        self.assertSoon(began, 1.5)

    def test_head_is_not_behind_bodies(self):
        self.sim.fault(name="large.pdf", stall_after=1000)
        probe = self.probe(connections_max=8)
        stalled = [probe.get("large.pdf", 20) for _ in range(8)]
        queued = probe.get(NAME, 20)
        began = time.monotonic()
        for _ in range(20):
            self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertSoon(began, 0.5)
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
            self.assertSoon(began, within)
            self.assertEqual(outcome["status"], 0)

    def test_nobody_listens(self):
        self.fails(f"https://127.0.0.1:{link_site.free_port()}/{{name}}", "unreachable", 0.5)

    def test_no_such_name(self):
        self.fails("https://no-such-host.invalid/{name}", "unreachable", 2)

    def test_accepts_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/{{name}}"
            self.fails(url, "unreachable", 1, connect_timeout=500)

    def test_deadline_before_connect_timeout(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/{{name}}"
            self.fails(url, "timed-out", 0.7, timeout=0.7)

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
                           0.5)
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def test_back_again(self):
        port = link_site.free_port()
        probe = self.probe(f"https://127.0.0.1:{port}/certificates/{{name}}")
        self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")
        sim = LinkSim(Scene.served, Scene.pki, port=port)
        self.addCleanup(sim.stop)
        self.assertGood(probe.wait(probe.get(NAME)))


class Distrust(LinkTest):
    def refused(self, detail="", within=0.5, sim=None, asked=0, **settings):
        sim = sim or self.sim
        probe = self.probe(sim.url, **settings)
        for ask in (probe.get, probe.head):
            began = time.monotonic()
            self.assertEnds(probe.wait(ask(NAME, 20)), "tls-failed", detail)
            self.assertSoon(began, within)
        self.assertEqual(len(sim.requests()), asked)

    def other(self, **options):
        sim = LinkSim(Scene.served, Scene.pki, **options)
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
        probe = self.probe(pin=Scene.pki.pin("server"))
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_pin_holds_for_resumed_sessions(self):
        self.sim.fault(headers=[["Connection", "close"]], hang_up=True)
        probe = self.probe(pin=Scene.pki.pin("server") + ";sha256//" + "B" * 43 + "=")
        for _ in range(3):
            self.assertGood(probe.wait(probe.get(NAME)))

    def test_our_certificate_is_not_theirs(self):
        self.refused("our certificate", client="client-stranger")

    def test_server_that_wants_no_certificate(self):
        sim = self.other(client_ca=None)
        probe = self.probe(sim.url)
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_tls_1_2_where_it_is_allowed(self):
        for client_ca in (None, "ca"):
            sim = self.other(tls_min="1.2", tls_max="1.2", client_ca=client_ca)
            for client in ("client", "client-ec"):
                probe = self.probe(sim.url, client=client, tls_min="1.2")
                self.assertGood(probe.wait(probe.get(NAME)))


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
        self.assertSoon(began, 2)

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
        for what in ("name", "behind-name", "endpoint", "no-time", "time", "tail", "short", "file"):
            with self.subTest(f"test, {what}"):
                number += 1
                probe.say("hostile-test", number, what)
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
        probe = Probe(Scene.pki, settings.pop("url"), keys="absent", **settings)
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
        sim = LinkSim(Scene.served, Scene.pki, threads=8)
        sim.fault(stall_after=10)
        probe = self.probe(sim.url)
        for _ in range(12):
            probe.get(NAME, 60)
        while len(sim.requests()) < 8:
            time.sleep(0.01)
        began = time.monotonic()
        sim.stop()
        self.assertEqual(sim.process.returncode, 0)
        self.assertSoon(began, 1)


class WithNginx(LinkTest):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists("/usr/sbin/nginx"):
            raise unittest.SkipTest("nginx is not installed")
        cls.nginx = Nginx(Scene.directory / "nginx", Scene.served, Scene.pki)
        cls.addClassCleanup(cls.nginx.stop)

    def setUp(self):
        pass

    def test_fetch(self):
        probe = self.probe(self.nginx.url)
        head = self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertGood(probe.wait(probe.get(NAME, size=head["size"], etag=head["etag"],
                                             modified=head["last_modified"])))
        self.assertEnds(probe.wait(probe.get("nobody.pdf")), "not-found")
        deadline = time.monotonic() + 10  # nginx writes its log behind the answer
        while "nobody.pdf" not in self.nginx.log()[-1] and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertTrue(all(line.startswith("SUCCESS TLSv1.3") for line in self.nginx.log()[-3:]))

    def test_many(self):
        for client in ("client", "client-ec"):
            probe = self.probe(self.nginx.url, client=client)
            numbers = {probe.get(f"many-{i}.pdf"): f"many-{i}.pdf" for i in range(100)}
            for number, name in numbers.items():
                self.assertGood(probe.wait(number), name)

    def test_slow_transfer_resumed(self):
        """nginx itself is never cut off; the transfer is, by the low-speed limit."""
        nginx = Nginx(Scene.directory / "nginx-slow", Scene.served, Scene.pki, limit_rate="150k")
        self.addCleanup(nginx.stop)
        probe = self.probe(nginx.url, low_speed_time=1000, low_speed_bytes=1 << 20)
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertGreaterEqual(outcome["resumed"], 1)
        nginx.stop()  # only now every line is written
        self.assertIn("206", nginx.log()[-1])

    def test_certificate_refused(self):
        probe = self.probe(self.nginx.url, client="client-stranger")
        self.assertEnds(probe.wait(probe.get(NAME)), "protocol", "400")


if __name__ == "__main__":
    unittest.main(verbosity=2)
