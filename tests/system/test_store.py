"""What was fetched once stays: over restarts, crashes of the rooms, and damage is never served."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import testbed
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, SystemTest, sha256


class Store(SystemTest):
    SHOW = ("stat", "-c", "%i %s %y %z %a %u %g")

    def restart(self, **more):
        self.assertEqual(self.site.stop(), 0, self.site.log()[-1000:])
        self.configure(**more)
        self.site.start()

    def test_restart_keeps_all(self):
        for name, source in (("keep-1.pdf", GOOD), ("keep-2.pdf", GOOD_GRAY)):
            self.serve_copy(name, source)
            self.assertReads(self.reader, name)
        before = self.assertOk(self.reader.run(*self.SHOW, "keep-1.pdf", "keep-2.pdf"))
        asked = len(self.link.requests())
        self.restart()
        self.assertEqual(self.assertOk(self.reader.run(*self.SHOW, "keep-1.pdf", "keep-2.pdf")),
                         before)
        for name in ("keep-1.pdf", "keep-2.pdf"):
            self.assertIn(name, self.reader.list())
            self.assertReads(self.reader, name)
        self.assertEqual(len(self.link.requests()), asked, "fetched again")

    def test_store_without_link_system(self):
        self.serve_copy("alone-1.pdf")
        self.assertReads(self.reader, "alone-1.pdf")
        self.link.stop()
        try:
            self.restart()
            self.assertReads(self.reader, "alone-1.pdf")
        finally:
            self.link.start()

    def test_link_and_verify_may_die(self):
        for room in ("kosekifs-link", "kosekifs-verify", "kosekifs-keys"):
            with self.subTest(room):
                pid = self.site.room(room)
                os.kill(pid, signal.SIGKILL)
                testbed.wait_until(lambda: self.site.room(room) not in (None, pid), 10,
                                   f"another {room}")
                name = f"after-{room}.pdf"
                self.serve_copy(name)
                self.assertReads(self.reader, name)

    def test_date_of_an_answer_is_no_date_of_the_certificate(self):
        """Without Last-Modified the first Date stays, or mtime would move with each look."""
        shown = []

        def look():
            shown.append(self.assertOk(self.reader.run(*self.SHOW, "undated-1.pdf")))
            return self.heads("undated-1.pdf")
        for count, second in enumerate(("01", "02"), 1):
            self.link.fault("undated-1.pdf", method="HEAD", raw="HTTP/1.1 200 OK\r\n"
                            f"Date: Mon, 01 Jun 2026 00:00:{second} GMT\r\n"
                            'Content-Type: application/pdf\r\nETag: "v1"\r\n'
                            "Content-Length: 1000\r\nConnection: close\r\n\r\n")
            # One HEAD counts for a moment ([mount] entry_timeout).
            testbed.wait_until(lambda count=count: look() == count, 20, "another HEAD")
        self.assertEqual(len(set(shown)), 1, shown)

    def test_link_that_stands_still_is_replaced(self):
        self.assertReads(self.reader, GOOD)
        pid = self.site.room("kosekifs-link")
        os.kill(pid, signal.SIGSTOP)
        self.serve_copy("stuck-1.pdf")
        self.assertFails(self.reader, "stuck-1.pdf", "ETIMEDOUT")
        testbed.wait_until(lambda: self.site.room("kosekifs-link") not in (None, pid), 15,
                           "another kosekifs-link")
        self.assertReads(self.reader, "stuck-1.pdf")

    def test_nothing_readable_in_the_state_directory(self):
        self.serve_copy("secret-1.pdf", GOOD)
        self.assertReads(self.reader, "secret-1.pdf")
        content = (self.site.served / "secret-1.pdf").read_bytes()
        piece = content[20_000:20_032]
        for path in (self.site.directory / "state").rglob("*"):
            if path.is_file():
                self.assertNotIn(piece, path.read_bytes(), path)
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_kept_when_the_link_system_changes_it(self):
        self.serve_copy("fixed-1.pdf", GOOD)
        before = sha256(self.site.served / "fixed-1.pdf")
        self.assertReads(self.reader, "fixed-1.pdf")
        self.serve_copy("fixed-1.pdf", GOOD_G4)
        row = self.reader.read("fixed-1.pdf")
        self.assertEqual(row["sha256"], before)


class Crash(SystemTest):
    """kosekifs and kosekifs-mount are killed: what was stored is there after the next start, and
    whole."""

    def test_killed_while_fetching(self):
        self.assertReads(self.reader, GOOD)
        for i in range(3):
            with self.subTest(round=i):
                name = f"crash-{i}.pdf"
                self.serve_copy(name, GOOD_GRAY)
                self.link.fault(name, method="GET", stall_after=200_000)
                waiting = self.reader.start("cat", name)
                testbed.wait_until(lambda: self.gets(name), 5, "the GET")
                self.site.daemon.kill()  # nobody takes the mount over
                self.site.daemon.wait()
                self.site.daemon = None
                # Sooner than two waits for a kosekifs-keys that nobody starts anew.
                self.assertNotEqual(self.reader.finish(waiting, 8).returncode, 0)
                self.link.fault(name, method="GET")
                self.site.start()
                asked = self.gets(GOOD)
                self.assertReads(self.reader, GOOD)
                self.assertEqual(self.gets(GOOD), asked)
                self.assertNotIn(name, self.reader.list())
                self.assertReads(self.reader, name)


class Reloading(SystemTest):
    """A site with CRLs of its own that reads trust and access policy again on SIGHUP."""

    @classmethod
    def configure(cls):
        cls.crls = cls.site.directory / "crls"
        shutil.copytree(cls.samples / "signing" / "crls", cls.crls)
        super().configure(**{"trust.crls": cls.crls})

    def reload(self):
        settings = self.site.settings(self.link.url)
        settings["trust"]["crls"] = self.crls
        self.site.write_configuration(settings)
        self.site.daemon.send_signal(signal.SIGHUP)


class AccessChanged(Reloading):
    def test_access_policy(self):
        self.assertReads(self.reader, GOOD)
        self.assertFails(self.stranger, GOOD, "EACCES")
        self.site.policy["affair pension"]["readers"] = "61199"
        self.reload()
        testbed.wait_until(lambda: self.stranger.read(GOOD)["error"] == "OK", 5, "the new right")
        self.assertFails(self.reader, GOOD, "EACCES")
        self.assertEqual(self.reader.list(), [])
        self.site.policy = self.site.default_policy()
        self.reload()
        testbed.wait_until(lambda: self.reader.read(GOOD)["error"] == "OK", 5, "the old right")
        self.assertFails(self.stranger, GOOD, "EACCES")

    def test_wrong_policy_leaves_the_old_one(self):
        self.assertReads(self.reader, GOOD)
        before = len(self.site.log())
        self.site.policy["affair pension"]["raeders"] = "61199"
        self.reload()
        testbed.wait_until(lambda: "raeders" in self.site.log()[before:], 5, "the complaint")
        self.assertReads(self.reader, GOOD)
        self.site.policy = self.site.default_policy()
        self.reload()


class NewTrust(Reloading):
    settings = {"mount.open_timeout": "60s"}

    def newer_trust(self):
        """The same anchor in another file, so all that is stored has to be verified again."""
        official = self.samples / "signing" / "official.pem"
        again = shutil.copy(official, self.site.directory / "again.pem")
        settings = self.site.settings(self.link.url)
        settings["trust"].update(crls=self.crls, anchors=f"{official} {again}")
        settings["mount"]["open_timeout"] = "60s"
        self.site.write_configuration(settings)
        self.site.daemon.send_signal(signal.SIGHUP)

    def test_listed_again_while_the_link_system_is_silent(self):
        self.assertReads(self.reader, GOOD)
        self.serve_copy("silent-1.pdf")
        self.link.fault("silent-1.pdf", method="GET", stall_after=100)
        waiting = self.reader.start("cat", "silent-1.pdf")
        testbed.wait_until(lambda: self.gets("silent-1.pdf"), 5, "the GET")
        before = json.loads(self.reader.text(".kosekifs/status.json"))["verify"]
        self.newer_trust()

        def changed():
            now = json.loads(self.reader.text(".kosekifs/status.json"))["verify"]
            return now["trust_generation"] != before["trust_generation"]
        testbed.wait_until(changed, 15, "the new trust")
        testbed.wait_until(lambda: GOOD in self.reader.list(), 15, "the listing")
        self.assertIsNone(waiting.poll(), "the other one has not waited all the time")
        waiting.kill()
        self.reader.finish(waiting, 5)


class Revoked(Reloading):
    def test_revoked_while_it_is_stored(self):
        """The Minister's certificate is revoked: content stored, mapped and cached is withdrawn."""
        self.assertReads(self.reader, GOOD)
        self.assertIn(GOOD, self.reader.list())
        home = self.site.directory / "authority"
        shutil.copytree(self.samples / "signing", home)
        configuration = home / ".official" / "openssl.cnf"
        configuration.write_text(configuration.read_text().replace(
            str(self.samples / "signing"), str(home)))
        ca = ("openssl", "ca", "-config", configuration, "-keyfile", home / "official.key",
              "-cert", home / "official.pem")
        subprocess.run([*ca, "-revoke", home / "minister.pem", "-crl_reason", "keyCompromise"],
                       check=True, capture_output=True)
        subprocess.run([*ca, "-gencrl", "-out", self.crls / "newer.crl"], check=True,
                       capture_output=True)
        (self.crls / "official.crl").unlink()
        self.reload()
        testbed.wait_until(lambda: self.reader.read(GOOD)["error"] == "EKEYREVOKED", 5,
                           "the revocation")
        self.assertEqual(self.reader.list(), [])
        self.assertIn("revoked", self.reader.text(f".kosekifs/why/{GOOD}").lower())


class WithdrawnTrust(SystemTest):
    def test_revoked_after_it_was_stored(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        self.configure(**{"trust.anchors": self.samples / "signing" / "other.pem"})
        self.site.start()
        self.assertFails(self.reader, GOOD, "EKEYREJECTED")
        self.assertEqual(self.reader.list(), [])
        self.site.stop()
        self.configure()
        self.site.start()
        asked = self.gets(GOOD)
        testbed.wait_until(lambda: GOOD in self.reader.list(), 5, "the listing")
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.gets(GOOD), asked, "it was still there")


class DamagedStore(SystemTest):
    def test_damage_is_eio_or_fetched_again_but_never_served(self):
        self.serve_copy("damage-1.pdf", GOOD_GRAY)
        self.assertReads(self.reader, "damage-1.pdf")
        expected = sha256(self.site.served / "damage-1.pdf")
        self.site.stop()
        path = max((self.site.directory / "state").rglob("data.mdb"), key=lambda p: p.stat().st_size)
        content = bytearray(path.read_bytes())
        for at in range(64 * 1024, len(content), 8 * 4096):  # leaves the root pages alone
            content[at + 2000] ^= 1
        path.write_bytes(content)
        try:
            self.site.start()
        except testbed.Trouble:
            return  # refusing to start with a damaged store is right, too
        row = self.reader.read("damage-1.pdf")
        self.assertTrue(row["error"] != "OK" or row["sha256"] == expected, row)


class WrongMasterKey(SystemTest):
    def test_another_key_opens_nothing(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        pathlib.Path(self.site.directory, "keys", "master.key").write_bytes(os.urandom(32))
        with self.assertRaises(testbed.Trouble):
            self.site.start()
        self.assertIn("master key", self.site.log())
