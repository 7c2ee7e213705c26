"""A wrong configuration is explained at once, and nothing is mounted."""

import os
import pathlib
import subprocess
import unittest

import testbed
from system.scene import TOP, SystemTest, build_directory, needs_root, samples, work_directory



class WrongConfiguration(unittest.TestCase):
    """Starts the daemon with one thing wrong; nothing of it may stay."""

    @classmethod
    def setUpClass(cls):
        needs_root()

    def setUp(self):
        self.site = testbed.Site(work_directory() / "Wrong", build_directory(), samples())
        self.addCleanup(self.site.close)
        self.settings = self.site.settings("https://127.0.0.1:9/{name}")

    def start(self, mount_point=None):
        """Exit code and words of a daemon that should end by itself."""
        self.site.write_configuration(self.settings)
        if mount_point:
            self.site.mount_point = mount_point
        try:
            self.site.start()
        except testbed.Trouble:
            self.assertFalse(self.site.mounted(), "it was mounted")
            return self.site.exit_code, self.site.log()
        self.site.stop()
        self.fail("it was mounted:\n" + self.site.log())

    def assertRefused(self, *words, mount_point=None):
        code, text = self.start(mount_point)
        self.assertGreater(code, 0, text)
        for word in words:
            self.assertIn(str(word), text)
        return text

    def line_of(self, key):
        self.site.write_configuration(self.settings)
        lines = self.site.configuration.read_text().splitlines()
        return next(i for i, line in enumerate(lines, 1) if line.startswith(f"{key} "))

    def test_unknown_key(self):
        self.settings["link"]["urll"] = "x"
        self.assertRefused(f"kosekifs.conf:{self.line_of('urll')}:", "urll")

    def test_unknown_section(self):
        self.settings["lnik"] = {"url": "x"}
        self.assertRefused("lnik")

    def test_all_mistakes_at_once(self):
        self.settings["mount"]["open_timeout"] = "soon"
        self.settings["mount"]["nonsense"] = "1"
        self.settings["link"]["tls_min"] = "1.0"
        del self.settings["trust"]["signer_dn"]
        text = self.assertRefused("open_timeout", "nonsense", "tls_min", "signer_dn")
        for key in ("open_timeout", "nonsense", "tls_min"):
            self.assertIn(f"kosekifs.conf:{self.line_of(key)}:", text)

    def test_configuration_missing(self):
        done = subprocess.run([build_directory() / "kosekifs", "-f", self.site.mount_point, "-o",
                               "config=/nonexistent/kosekifs.conf"], capture_output=True, text=True)
        self.assertGreater(done.returncode, 0)
        self.assertIn("/nonexistent/kosekifs.conf", done.stderr)

    def test_mount_point_missing(self):
        self.assertRefused("nowhere", mount_point=self.site.directory / "nowhere")

    def test_mount_point_is_a_file(self):
        path = self.site.directory / "file"
        path.touch()
        self.assertRefused(path, mount_point=path)

    def test_mount_point_not_empty(self):
        (self.site.mount_point / "something").touch()
        self.assertRefused(self.site.mount_point, "empty")

    def test_mount_point_busy(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "busy", self.site.mount_point],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", self.site.mount_point], check=True)
        self.assertRefused(self.site.mount_point)

    def test_master_key_readable_by_others(self):
        path = self.site.directory / "keys" / "master.key"
        path.chmod(0o644)
        self.assertRefused(path)

    def test_master_key_too_short(self):
        (self.site.directory / "keys" / "master.key").write_bytes(b"short")
        self.assertRefused("master")

    def test_master_key_missing(self):
        (self.site.directory / "keys" / "master.key").unlink()
        self.assertRefused("master.key")

    def test_master_key_named_twice(self):
        path = self.settings["keys"]["master_key"]
        self.settings["keys"]["previous_master_keys"] = path
        self.assertRefused("same master key", "previous_master_keys")

    def test_four_previous_master_keys(self):
        paths = [self.site.directory / "keys" / f"older{i}.key" for i in range(4)]
        for path in paths:
            path.write_bytes(os.urandom(32))
            path.chmod(0o400)
        self.settings["keys"]["previous_master_keys"] = " ".join(map(str, paths))
        self.assertRefused("previous_master_keys", "more than three")

    def test_credentials_without_their_directory(self):
        self.settings["keys"]["master_key"] = "credential:master"
        self.settings["keys"]["tls_key"] = "credential:client.key"
        self.assertRefused("credential:master: there are no credentials", "LoadCredential=",
                           "credential:client.key: there are no")

    def test_previous_master_key_missing(self):
        self.settings["keys"]["previous_master_keys"] = self.site.directory / "keys" / "older.key"
        self.assertRefused("older.key")

    def test_link_key_is_not_that_of_the_certificate(self):
        other = samples() / "link" / "client-stranger.key"
        (self.site.directory / "keys" / "client.key").write_bytes(other.read_bytes())
        self.assertRefused("tls_key", "certificate_file")

    def test_link_certificate_expired(self):
        expired = samples() / "link" / "client-expired"
        (self.site.directory / "keys" / "client.key").write_bytes(
            expired.with_suffix(".key").read_bytes())
        self.settings["link"]["certificate_file"] = expired.with_suffix(".pem")
        self.assertRefused("client-expired.pem", "expired")

    def test_anchor_is_no_certificate(self):
        path = self.site.directory / "anchor.pem"
        path.write_text("no certificate\n")
        self.settings["trust"]["anchors"] = path
        self.assertRefused("anchor.pem")

    def test_plain_http(self):
        self.settings["link"]["url"] = "http://127.0.0.1:9/{name}"
        self.assertRefused("url", "http://", "link_encryption", "link_authentication")

    def test_access_policy_wrong(self):
        self.site.policy["affair pension"]["raeders"] = "x"
        self.assertRefused("access.conf:", "raeders")

    def test_access_policy_missing(self):
        self.settings["mount"]["access_policy"] = self.site.directory / "none.conf"
        self.assertRefused("none.conf")

    def test_state_directory_missing(self):
        self.settings["mount"]["state_directory"] = self.site.directory / "none" / "state"
        self.assertRefused("none/state")

    def test_unknown_user(self):
        self.settings["users"] = {**testbed.ROOM_USERS, "link": "no-such-user-here"}
        self.assertRefused("no-such-user-here")

    def test_dump_config_reads_back(self):
        self.site.write_configuration(self.settings)
        program = build_directory() / "kosekifs"
        first = subprocess.run([program, "--dump-config", "-o", f"config={self.site.configuration}"],
                               capture_output=True, text=True)
        self.assertEqual(first.returncode, 0, first.stderr)
        dumped = pathlib.Path(self.site.directory, "dumped.conf")
        dumped.write_text(first.stdout)
        second = subprocess.run([program, "--dump-config", "-o", f"config={dumped}"],
                                capture_output=True, text=True)
        self.assertEqual(second.stdout, first.stdout)
        self.assertIn("open_timeout", first.stdout)


class Processes(SystemTest):
    """Who the daemon's processes are, and what they leave behind."""

    def test_each_room_is_its_own_user_without_capabilities(self):
        rooms = self.site.rooms()
        self.assertLessEqual({f"kosekifs-{r}" for r in ("mount", "link", "verify", "keys")},
                             set(rooms))
        for name, pids in rooms.items():
            for pid in pids:
                status = dict(line.split(":", 1) for line in
                              pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
                room = name.removeprefix("kosekifs-")
                allowed = {testbed.ROOM_USERS[room]} if room in testbed.ROOM_USERS else \
                    set(testbed.ROOM_USERS.values())
                self.assertEqual(len(set(status["Uid"].split())), 1, name)
                self.assertIn(int(status["Uid"].split()[0]), allowed, name)
                self.assertEqual(int(status["CapEff"], 16), 0, name)
                self.assertEqual(status["NoNewPrivs"].strip(), "1", name)

    def test_no_room_holds_what_is_not_its_own(self):
        allowed = {"mount": ("state", "/dev/fuse"), "link": (), "verify": (), "keys": ("keys",)}
        for room, places in allowed.items():
            pid = self.site.room(f"kosekifs-{room}")
            for handle in os.listdir(f"/proc/{pid}/fd"):
                try:
                    target = os.readlink(f"/proc/{pid}/fd/{handle}")
                except FileNotFoundError:
                    continue
                inside = target.startswith(str(self.site.directory))
                if inside and not target.endswith(".log"):
                    self.assertTrue(any(f"/{p}" in target for p in places), f"{room}: {target}")

    def test_sigterm_ends_cleanly(self):
        pids = [p for group in self.site.rooms().values() for p in group]
        self.assertEqual(self.site.stop(), 0)
        self.assertFalse(self.site.mounted())
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"), pid)
        self.assertFalse((self.site.directory / "run" / "control.sock").exists())
        self.site.start()

    def test_second_daemon_on_the_same_state_is_refused(self):
        other = self.site.directory / "mnt2"
        other.mkdir(exist_ok=True)
        done = subprocess.run([build_directory() / "kosekifs", "-f", other, "-o",
                               f"config={self.site.configuration}"], capture_output=True, text=True,
                              timeout=30)
        self.assertGreater(done.returncode, 0, done.stderr)
        self.assertReads(self.reader, "K2026-000101.pdf")


class Packaging(SystemTest):
    """The shipped unit leaves the daemon what it needs."""

    def test_capabilities_of_the_unit_are_enough(self):
        unit = (TOP / "packaging" / "kosekifs.service").read_text()
        words = next(line.partition("=")[2] for line in unit.splitlines()
                     if line.startswith("CapabilityBoundingSet=")).split()
        kept = ",".join("+" + word.removeprefix("CAP_").lower() for word in words)
        self.site.stop()
        self.site.start(before=("setpriv", "--no-new-privs", "--inh-caps", "-all",
                                "--bounding-set", f"-all,{kept}"))
        self.assertReads(self.reader, "K2026-000101.pdf")
