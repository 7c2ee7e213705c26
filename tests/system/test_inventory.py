"""The inventory: recorded by an approver, checked at start and on schedule; a replaced library shows."""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

import testbed
from system.scene import GOOD, SystemTest

OPERATOR, APPROVER = 61401, 61402
PROGRAMS = ("kosekifs", "kosekictl", "kosekifs-mount", "kosekifs-link", "kosekifs-verify",
            "kosekifs-keys")
LIBRARY = "liblmdb.so.0"


class Inventory(SystemTest):
    """The programs run from a directory of their own, with a library in it that can be replaced."""

    on_difference = "alert"

    @classmethod
    def configure(cls):
        site = cls.site
        programs = site.directory / "programs"
        (programs / "verify").mkdir(parents=True)
        for name in PROGRAMS:
            shutil.copy2(site.build / name, programs / name)
        for path in (site.build / "verify").glob("*.py"):
            shutil.copy2(path, programs / "verify")
        listed = subprocess.run(["ldd", programs / "kosekifs-mount"], capture_output=True,
                                text=True, check=True).stdout
        cls.library = programs / LIBRARY
        source = next(line.split()[2] for line in listed.splitlines() if LIBRARY in line)
        shutil.copy2(source, cls.library)
        # The loader's own way to a library beside the program, recorded in the program.
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN", programs / "kosekifs-mount"],
                       check=True)
        site.build = programs
        cls.file = site.directory / "inventory" / "inventory.json"
        cls.file.parent.mkdir()
        cls.settings = {"inventory.file": cls.file, "inventory.every": "1s",
                        "inventory.on_difference": cls.on_difference}
        site.policy["roles"].update(operator=OPERATOR, approver=APPROVER)
        super().configure()

    @classmethod
    def setUpClass(cls):
        if not shutil.which("patchelf"):
            raise unittest.SkipTest("patchelf is not installed: no library can be replaced")
        super().setUpClass()

    def run_inventory(self, *words):
        return self.site.ctl("inventory", "--config", self.site.configuration, *words)

    def confirm(self):
        request = json.loads(self.site.ctl("--json", "pending").stdout)["pending"][-1]
        person = self.site.reader(APPROVER, groups=(testbed.CONTROL_GROUP,))
        done = person.run(self.site.build / "kosekictl", "--socket",
                          self.site.directory / "run" / "control.sock", "confirm", request["id"])
        self.assertEqual(done.returncode, 0, done.stderr)

    def record(self):
        """root asks, an approver confirms, root gives the command again."""
        done = self.run_inventory("record", "--reason", "installed")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("second person", done.stdout)
        self.confirm()
        done = self.run_inventory("record", "--reason", "installed")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def alerts(self):
        rows = json.loads(self.site.ctl("--json", "alerts").stdout)["alerts"]
        return [row for row in rows if row["kind"] == "inventory"]

    def replace(self, path):
        """Another file of the same meaning: one byte more at its end."""
        content = path.read_bytes()
        beside = path.with_suffix(".new")
        beside.write_bytes(content + b"\n")
        os.chmod(beside, 0o755)
        os.replace(beside, path)
        self.addCleanup(path.write_bytes, content)

    def check(self, code, *words):
        done = self.run_inventory("check")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for text in words:
            self.assertIn(str(text), done.stdout)


class InventoryAlerts(Inventory):
    def test_as_recorded_and_replaced(self):
        self.record()
        self.check(0, "as recorded")
        shown = self.run_inventory("show").stdout
        for path in (self.library, self.site.configuration, self.site.directory / "access.conf",
                     self.site.build / "kosekifs", self.site.build / "kosekifs-keys",
                     self.site.build / "verify" / "schema_worker.py",
                     self.samples / "signing" / "official.pem"):
            if path.name != "schema_worker.py":  # runs only with a schema
                self.assertIn(str(path), shown)
        for secret in ("master.key", "client.key"):
            self.assertNotIn(secret, shown)
        digest = testbed.sha256(self.library)
        self.assertIn(digest, shown)

        self.replace(self.library)
        self.check(1, f"changed: {self.library}", "runs in another version")
        testbed.wait_until(self.alerts, 20, "the alert")
        self.assertIn("differences", self.alerts()[0]["text"])
        self.assertReads(self.reader, GOOD)
        done = self.run_inventory("record", "--reason", "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("upgrade first", done.stderr)

    def test_each_kind(self):
        self.site.stop()
        self.site.start()
        self.record()
        for path in (self.site.configuration, self.site.directory / "access.conf",
                     self.site.build / "kosekifs-verify",
                     self.samples / "signing" / "official.pem"):
            with self.subTest(path.name):
                content = path.read_bytes()
                path.write_bytes(content + b"\n") if path.suffix else self.replace(path)
                try:
                    self.check(1, f"changed: {path}")
                finally:
                    if path.suffix:
                        path.write_bytes(content)
        policy = self.site.directory / "access.conf"
        content = policy.read_bytes()
        policy.unlink()
        try:
            self.check(1, f"missing: {policy}")
        finally:
            policy.write_bytes(content)

    def test_not_recorded_without_an_approver(self):
        self.file.unlink(missing_ok=True)
        self.run_inventory("record", "--reason", "alone")
        again = self.run_inventory("record", "--reason", "alone")
        self.assertEqual(again.returncode, 1)
        self.assertFalse(self.file.exists())

    def test_damaged(self):
        good = {"inventory": 1, "items": [{"kind": "program", "path": "/bin/true", "size": 1,
                                           "sha256": "0" * 64}]}
        row = good["items"][0]
        for content in (b"", b"{", b"[]", b"{}", json.dumps({**good, "inventory": 2}).encode(),
                        json.dumps({**good, "items": []}).encode(),
                        json.dumps({**good, "items": [{**row, "path": "x"}]}).encode(),
                        json.dumps({**good, "items": [{**row, "sha256": "0"}]}).encode(),
                        json.dumps({**good, "items": [{**row, "size": -1}]}).encode(),
                        b"x" * 20_000_000):
            with self.subTest(content[:40]):
                self.file.write_bytes(content)
                self.assertEqual(self.run_inventory("check").returncode, 66)
        for words in (["record"], ["check", "more"], [], ["forget"], ["check", "--all"]):
            self.assertEqual(self.run_inventory(*words).returncode, 64, words)


class InventoryRefuses(Inventory):
    on_difference = "refuse"

    @classmethod
    def configure(cls):
        super().configure()
        settings = cls.site.settings(cls.link.url)  # the first start has nothing to compare with
        settings["inventory"] = {"file": cls.file, "every": "1s"}
        cls.site.write_configuration(settings)

    def test_no_start(self):
        settings = self.site.settings(self.link.url)
        settings["inventory"] = {"file": self.file, "every": "1s", "on_difference": "refuse"}
        self.site.write_configuration(settings)
        self.record()
        self.site.stop()
        self.site.start()
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        self.replace(self.library)
        with self.assertRaises(testbed.Trouble):
            self.site.start()
        self.assertEqual(self.site.exit_code, 78)
        self.assertIn("changed: " + str(self.library), self.site.log())
        self.doCleanups()
        self.site.start()
        self.assertReads(self.reader, GOOD)


if __name__ == "__main__":
    unittest.main()
