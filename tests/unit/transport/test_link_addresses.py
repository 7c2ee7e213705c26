"""Several addresses, circuits, limits, HTTP/2, profiles, digests, waivers: kosekifs-link against
linksim and nginx."""

import base64
import hashlib
import time
import unittest

from link_case import NAME, SIZE, LinkTest, Scene
from link_site import LinkSim, Nginx, free_port


def setUpModule():
    Scene.prepare("addresses")


def nowhere():
    return f"https://127.0.0.1:{free_port()}/{{name}}"


class Addresses(LinkTest):
    """Preference, failover and circuit breaker."""

    def second(self):
        other = LinkSim(Scene.served, Scene.pki)
        self.addCleanup(other.stop)
        return other

    def test_the_first_that_works(self):
        other = self.second()
        probe = self.probe(f"{self.sim.url} {other.url}")
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(other.requests(), [])

    def test_failover(self):
        probe = self.probe(f"{nowhere()} https://nobody.invalid/{{name}} {self.sim.url}",
                           resolve="nobody.invalid=127.0.0.2")
        began = time.monotonic()
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertSoon(began, 1)
        self.assertEqual(len(self.sim.requests(NAME)), 1)

    def test_another_is_asked_when_one_is_busy_or_unavailable(self):
        other = self.second()
        probe = self.probe(f"{self.sim.url} {other.url}")
        for status in (429, 502, 503, 504):
            with self.subTest(status):
                self.sim.clear()
                self.sim.fault(status=status, retry_after="20")
                began = time.monotonic()
                self.assertGood(probe.wait(probe.get(NAME)))
                self.assertSoon(began, 1)
                self.assertEqual(len(self.sim.requests(NAME)), 1)

    def test_wrong_certificate_at_the_first(self):
        other = LinkSim(Scene.served, Scene.pki, server="server-expired")
        self.addCleanup(other.stop)
        probe = self.probe(f"{other.url} {self.sim.url}")
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(other.requests(), [])

    def test_what_is_not_there_is_not_asked_for_elsewhere(self):
        other = self.second()
        probe = self.probe(f"{self.sim.url} {other.url}")
        self.assertEnds(probe.wait(probe.get("nobody.pdf")), "not-found")
        self.assertEqual(other.requests(), [])

    def test_resumed_at_the_other(self):
        other = self.second()
        self.sim.fault(cut_after=100 * 1024, times=1)
        self.sim.fault(status=502, **{"from": 2})
        probe = self.probe(f"{self.sim.url} {other.url}")
        self.sim.clear()
        self.sim.fault(cut_after=100 * 1024, times=1)
        number = probe.get(NAME)
        outcome = self.assertGood(probe.wait(number))
        self.assertEqual(outcome["resumed"], 1)

    def test_circuit(self):
        port = free_port()
        probe = self.probe(f"https://127.0.0.1:{port}/certificates/{{name}}", breaker_failures=4,
                           breaker_time=1000)
        for _ in range(2):
            self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")
        began = time.monotonic()
        outcome = self.assertEnds(probe.wait(probe.get(NAME)), "unreachable", "left alone")
        self.assertLess(time.monotonic() - began, 0.5)
        self.assertEqual(outcome["status"], 0)
        self.assertTrue(probe.endpoints[0]["open"])
        self.assertEqual(probe.endpoints[0]["connect"], 4)
        sim = LinkSim(Scene.served, Scene.pki, port=port)
        self.addCleanup(sim.stop)
        time.sleep(1.2)   # the circuit's time
        numbers = [probe.get(NAME) for _ in range(3)]
        self.assertGood(probe.wait(numbers[0]))
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertFalse(probe.endpoints[0]["open"])

    def test_a_dead_address_is_not_hammered(self):
        """A hundred requests while nobody is there: as many connections as the circuit allows."""
        self.sim.fault(method="any", hang_up=True, raw="")
        probe = self.probe(breaker_failures=4, breaker_time=5000, low_speed_time=1000)
        for _ in range(10):
            outcomes = [probe.wait(number) for number in [probe.head(NAME) for _ in range(10)]]
            self.assertTrue(all(o["result"] in ("unreachable", "timed-out") for o in outcomes))
        self.assertLess(len(self.sim.requests(NAME)), 60)


class Limits(LinkTest):
    def test_requests_per_second(self):
        probe = self.probe(requests_per_second=20)
        began = time.monotonic()
        numbers = [probe.head(NAME, 20) for _ in range(40)]
        for number in numbers:
            self.assertEnds(probe.wait(number), "ok")
        self.assertGreater(time.monotonic() - began, 1.7)

    def test_bytes_per_second(self):
        probe = self.probe(bytes_per_second=2_000_000)
        began = time.monotonic()
        for number in [probe.get(NAME, 20) for _ in range(24)]:
            self.assertGood(probe.wait(number))
        # Eight may come at once in the end, and half a second may be owed.
        self.assertGreater(time.monotonic() - began, (24 - 8) * SIZE / 2_000_000 - 0.6)

    def test_a_large_body_does_not_keep_small_ones_out(self):
        probe = self.probe(bytes_per_second=1_000_000)
        large = probe.get("large.pdf", 60)
        began = time.monotonic()
        self.assertGood(probe.wait(probe.get("many-1.pdf", 20)), "many-1.pdf")
        self.assertLess(time.monotonic() - began, 4)
        probe.say("cancel", large)

    def test_source_address(self):
        probe = self.probe(source_address="127.0.0.3")
        self.assertGood(probe.wait(probe.get(NAME)))
        probe = self.probe(source_address="192.0.2.1")
        self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")

    def test_interface(self):
        probe = self.probe(interface="lo")
        self.assertGood(probe.wait(probe.get(NAME)))
        probe = self.probe(interface="nosuch0")
        self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")

    def test_address_family(self):
        url = self.sim.url.replace("127.0.0.1", "localhost")
        probe = self.probe(url, address_family="4", resolve="localhost=127.0.0.1,::1")
        self.assertGood(probe.wait(probe.get(NAME)))
        probe = self.probe(url, address_family="6", resolve="localhost=127.0.0.1")
        self.assertEnds(probe.wait(probe.get(NAME)), "unreachable")


class Digests(LinkTest):
    def header(self, name, content):
        value = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return [name, f"sha-256=:{value}:" if name == "Repr-Digest" else f"SHA-256={value}"]

    def test_agrees(self):
        for name in ("Repr-Digest", "Digest"):
            with self.subTest(name):
                self.sim.clear()
                self.sim.fault(cut_after=50_000, headers=[self.header(name, Scene.content)], times=1)
                probe = self.shared()
                self.assertGood(probe.wait(probe.get(NAME)))

    def test_differs_for_ever(self):
        for name in ("Repr-Digest", "Digest"):
            with self.subTest(name):
                self.one("protocol", "digest", headers=[self.header(name, b"another")])
                self.assertEqual(len(self.sim.requests(NAME)), 3)

    def test_flipped_once(self):
        self.sim.fault(flip=5000, times=1, headers=[self.header("Repr-Digest", Scene.content)])
        probe = self.shared()
        self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual(len(self.sim.requests(NAME)), 2)

    def test_malformed(self):
        for value in ("sha-256=:AAAA:", "sha-256=" + "A" * 44, "sha-256"):
            with self.subTest(value):
                self.one("protocol" if "=" in value else "ok", headers=[["Repr-Digest", value]])


class Profile(LinkTest):
    def profile(self, text):
        path = Scene.directory / "profile.conf"
        path.write_text(text)
        return path

    def test_site_of_its_own(self):
        """Another method, header names and meanings; resumed by the validator of that name."""
        path = self.profile("[request]\nlookup = GET\nheader = X-Agency: 131016\n"
                            "[headers]\netag = X-Version\n[status]\n425 = not-ready\n404 = busy\n")
        self.sim.fault(method="any", remove=["ETag"], headers=[["X-Version", '"v7"']])
        self.sim.fault(NAME, cut_after=100_000, times=1, remove=["ETag"],
                       headers=[["X-Version", '"v7"']])
        probe = self.probe(profile=path)
        outcome = self.assertGood(probe.wait(probe.get(NAME)))
        self.assertEqual((outcome["etag"], outcome["resumed"]), ('"v7"', 1))
        requests = self.sim.requests(NAME)
        self.assertEqual(requests[1]["if_range"], '"v7"')
        self.assertEqual(requests[0]["headers"]["x-agency"], "131016")
        self.sim.clear()
        self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertEqual([r["method"] for r in self.sim.requests(NAME)], ["GET"])
        self.assertEnds(probe.wait(probe.get("nobody.pdf", 1)), "busy")
        self.sim.fault(status=425)
        self.assertEnds(probe.wait(probe.get(NAME, 1)), "not-ready")

    def test_name_in_parts(self):
        probe = self.probe(self.sim.url.replace("{name}", "{id}.{type}"))
        self.assertGood(probe.wait(probe.get(NAME)))


class Plain(LinkTest):
    def test_http_is_refused_without_waivers(self):
        for waivers in ({}, {"waive_encryption": "same machine room"}):
            probe = self.probe("http://127.0.0.1:1/{name}", **waivers)
            self.assertEqual(probe.first["event"], "failed")
            self.assertIn("waived", probe.first["text"])

    def test_http_with_waivers(self):
        nginx = Nginx(Scene.directory / "nginx-plain", Scene.served, Scene.pki, listen="")
        self.addCleanup(nginx.stop)
        probe = self.probe(nginx.url, cert="", ca="", keys="absent",
                           waive_encryption="same machine room", waive_authentication="same room")
        self.assertGood(probe.wait(probe.get(NAME)))

    def test_no_client_certificate(self):
        sim = LinkSim(Scene.served, Scene.pki, client_ca=None)
        self.addCleanup(sim.stop)
        probe = self.probe(sim.url, cert="", keys="absent", waive_authentication="same room")
        self.assertGood(probe.wait(probe.get(NAME)))


class Two(LinkTest):
    """HTTP/2 with nginx."""

    def test_many_streams_one_connection(self):
        nginx = Nginx(Scene.directory / "nginx-2", Scene.served, Scene.pki, listen="ssl http2")
        self.addCleanup(nginx.stop)
        probe = self.probe(nginx.url, http="2")
        self.assertGood(probe.wait(probe.get(NAME)))
        numbers = {probe.get(f"many-{i}.pdf", 20): f"many-{i}.pdf" for i in range(60)}
        for number, name in numbers.items():
            self.assertGood(probe.wait(number), name)
        self.assertEnds(probe.wait(probe.head(NAME)), "ok")
        self.assertEnds(probe.wait(probe.head("nobody.pdf")), "not-found")

    def test_a_server_that_speaks_1_1_only(self):
        probe = self.probe(http="2")
        self.assertGood(probe.wait(probe.get(NAME)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
