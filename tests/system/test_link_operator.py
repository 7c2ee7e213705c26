"""What operators do with the link: fetch many at once, see how it goes, print firewall rules, leave
out what may be left out within one room."""

import json
import os
import subprocess
import time

import testbed
from system.nginx import Nginx
from system.scene import GOOD, GOOD_G4, LARGE, SystemTest
from system.test_link_test import link_test


class Fetch(SystemTest):
    settings = {"mount.open_timeout": "2s", "mount.lookup_timeout": "2s",
                "mount.ready_timeout": "30s", "link.connect_timeout": "1s"}

    def test_many_with_a_line_each(self):
        names = [f"many-{i}.pdf" for i in range(20)]
        for name in names:
            self.serve_copy(name)
        listed = self.site.directory / "names.txt"
        listed.write_text("# of today\n" + "\n".join(names[2:]) + "\n\nmany-unknown.pdf\n")
        done = self.site.ctl("--json", "fetch", "many-0", "many-1.pdf", "--from", listed)
        self.assertEqual(done.returncode, 1, done.stderr)
        rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
        self.assertEqual(set(rows), set(names) | {"many-unknown.pdf"})
        self.assertEqual({rows[name]["state"] for name in names}, {"ready"})
        self.assertEqual(rows[names[0]]["bytes"], (self.site.served / names[0]).stat().st_size)
        self.assertIn("ENOENT", rows["many-unknown.pdf"]["error"])
        self.assertTrue(set(names) <= set(self.reader.list()))

    def test_text(self):
        self.serve_copy("text-1.pdf")
        done = self.site.ctl("fetch", "text-1.pdf")
        self.assertRegex(self.assertOk(done), r"^text-1\.pdf\tready\t\d+ bytes\t\d+ ms\n$")

    def test_waits_while_it_is_prepared(self):
        self.serve_copy("wait-1.pdf")
        self.link.fault("wait-1.pdf", method="GET", status=202, times=3, retry_after=1)
        self.assertEqual(self.site.ctl("fetch", "wait-1.pdf").returncode, 1)
        self.assertOk(self.site.ctl("fetch", "--wait", "wait-1.pdf"))

    def test_what_is_under_way_is_told(self):
        self.serve_copy("slow-9.pdf", LARGE)
        self.link.fault("slow-9.pdf", method="GET", rate=4 << 20, times=1)
        process = subprocess.Popen(
            ["script", "-qec", f"{self.site.build / 'kosekictl'} fetch --wait slow-9.pdf",
             "/dev/null"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, "KOSEKICTL_SOCKET": str(self.site.directory / "run/control.sock")})
        out, _ = process.communicate(timeout=60)
        self.assertIn("MiB/s", out)
        self.assertIn("slow-9.pdf\tready", out)

    def test_wrong_names(self):
        for arguments in ([], ["../etc/passwd"], ["--from", "/nonexistent"], ["a b.pdf"],
                          ["--fast", "a.pdf"]):
            with self.subTest(arguments):
                self.assertIn(self.site.ctl("fetch", *arguments).returncode, (64, 65, 66))


class Firewall(SystemTest):
    serve_all = False

    def test_rules_of_the_configuration(self):
        out = self.assertOk(self.site.ctl("firewall", "--config", self.site.configuration))
        self.assertIn(f"ip daddr 127.0.0.1 tcp dport {self.link.port} accept", out)
        self.assertIn("IPAddressAllow=127.0.0.1\n", out)
        self.assertIn("IPAddressDeny=any", out)
        self.assertNotIn("dport 53", out)   # no name is asked for

    def test_rules_hold(self):
        """In a network namespace of its own: what is configured gets through, nothing else."""
        rules = self.site.directory / "rules.nft"
        rules.write_text(self.assertOk(self.site.ctl(
            "firewall", "--config", self.site.configuration, "nftables")))
        program = (f"ip link set lo up && nft -f {rules} && "
                   f"setpriv --reuid {testbed.ROOM_USERS['link']} --clear-groups "
                   f"/usr/bin/python3 -c 'import socket, errno\n"
                   f"def attempt(port):\n"
                   f"    with socket.socket() as s:\n"
                   f"        s.settimeout(2)\n"
                   f"        return errno.errorcode.get(s.connect_ex((\"127.0.0.1\", port)))\n"
                   f"print(attempt({self.link.port}), attempt(9))'")
        done = subprocess.run(["unshare", "--net", "sh", "-c", program], capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(done.stdout.split(), ["ECONNREFUSED", "EHOSTUNREACH"], done.stderr)


class Waived(SystemTest):
    """No TLS within one machine room: explicit, with a reason, shown and recorded."""

    REASON = "link server and link system stand in one locked rack"

    @classmethod
    def make_link(cls):
        return Nginx(cls.site.directory / "nginx", cls.site.served, cls.samples / "link", listen="")

    @classmethod
    def configure(cls, **more):
        settings = cls.site.settings(cls.link.url)
        for key in ("ca_file", "certificate_file", "server_pin"):
            del settings["link"][key]
        del settings["keys"]["tls_key"]
        settings["waivers"] = {"link_encryption": cls.REASON, "link_authentication": cls.REASON}
        cls.site.write_configuration(settings)

    def test_read_shown_and_recorded(self):
        self.assertReads(self.reader, GOOD)
        status = json.loads(self.reader.text(".kosekifs/status.json"))
        self.assertEqual(status["waivers"], {"link_authentication": self.REASON,
                                             "link_encryption": self.REASON})
        found, steps = link_test(self.site)
        self.assertEqual((found, steps["tls"]["verdict"], steps["identity"]["verdict"],
                          steps["range"]["verdict"]), (0, "skipped", "skipped", "ok"), steps)
        self.assertEqual(self.recorded(), 2)
        self.site.stop()
        self.site.start()
        self.assertEqual(self.recorded(), 4)
        self.assertReads(self.reader, GOOD_G4)

    def recorded(self):
        trail = self.site.directory / "state" / "audit"
        text = "".join(path.read_text(errors="replace") for path in sorted(trail.glob("*")) if path.is_file())
        return sum(self.REASON in line and '"waiver"' in line for line in text.splitlines())


class Shares(SystemTest):
    """One user's many requests keep no other user out."""

    settings = {"mount.open_timeout": "60s", "mount.fetches_max": "4", "mount.waiters_max": "40",
                "mount.waiters_share": "50"}

    def test_turns(self):
        for i in range(24):
            self.serve_copy(f"flood-{i}.pdf")
            self.link.fault(f"flood-{i}.pdf", method="GET", delay=0.5)
        flood = [self.reader.start("cat", f"flood-{i}.pdf", stdout=subprocess.DEVNULL)
                 for i in range(18)]
        testbed.wait_until(lambda: self.queued() >= 8, 20, "a queue")
        self.serve_copy("other-1.pdf")
        other = self.site.reader(61102)
        before = len(self.link.requests(method="GET"))
        self.assertReads(other, "other-1.pdf")
        # It was served within two turns of the four places, not behind the queue.
        self.assertLess(len(self.link.requests(method="GET")) - before, 10)
        for process in flood:
            self.assertOk(self.reader.finish(process, 60))

    def test_one_user_does_not_take_all_places_to_wait(self):
        self.serve_copy("hold-1.pdf")
        self.link.fault("hold-1.pdf", method="GET", stall_after=0)
        self.assertOk(self.reader.run("stat", "hold-1.pdf"))
        crowd = [self.reader.start("cat", "hold-1.pdf") for _ in range(24)]
        testbed.wait_until(lambda: self.waiting() >= 20, 20, "them to wait")
        outcomes = [p.poll() for p in crowd]
        testbed.wait_until(lambda: sum(p.poll() is not None for p in crowd) >= 4, 20, "refusals")
        self.assertReads(self.site.reader(61102), GOOD)
        for process in crowd:
            process.kill()
            self.reader.finish(process, 10)
        self.assertEqual(len(outcomes), 24)

    def status(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))

    def queued(self):
        return self.status()["link"]["queued"]

    def waiting(self):
        return self.status()["requests"]["waiting"]


class Watched(SystemTest):
    """A line that is narrower than it shall be is an alert."""

    settings = {"alerts.throughput": "100M", "alerts.queueing": "1ms", "mount.line_window": "2s",
                "mount.fetches_max": "1"}

    def test_alert(self):
        for i in range(8):
            self.serve_copy(f"narrow-{i}.pdf")
            self.link.fault(f"narrow-{i}.pdf", method="GET", delay=0.2)
        self.site.ctl("fetch", *(f"narrow-{i}.pdf" for i in range(8)))
        time.sleep(2)
        self.serve_copy("narrow-9.pdf")
        self.assertReads(self.reader, "narrow-9.pdf")
        def alerts():
            return self.assertOk(self.site.ctl("alerts"))
        testbed.wait_until(lambda: "throughput" in alerts() and "queueing" in alerts(), 20, "alerts")
        self.assertIn("kosekifs_link_queueing_milliseconds_total",
                      self.reader.text(".kosekifs/metrics"))
