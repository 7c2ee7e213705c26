"""The unit for systemd leaves /koseki where everybody sees it; the units are good ones."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
# Each of these gives a service a mount namespace of its own, or hides /proc (systemd.exec(5)).
FORBIDDEN = re.compile(
    r"Private(?!Users=no)\w*|Protect\w+|ReadOnlyPaths|ReadWritePaths|InaccessiblePaths|ExecPaths|"
    r"NoExecPaths|TemporaryFileSystem|BindPaths|BindReadOnlyPaths|Root\w+|MountAPIVFS|MountImages|"
    r"ExtensionImages|ExtensionDirectories|MountFlags|ProcSubset|DynamicUser|"
    r"(State|Cache|Logs|Runtime)Directory|LoadCredential\w*Sandbox|RestrictNamespaces")


class Unit(unittest.TestCase):
    def test_no_mount_namespace(self):
        unit = (TOP / "packaging" / "kosekifs.service").read_text()
        keys = [line.split("=")[0].strip() for line in unit.splitlines()
                if "=" in line and not line.startswith(("#", ";"))]
        self.assertGreater(len(keys), 10)
        self.assertEqual([key for key in keys if FORBIDDEN.fullmatch(key)], [])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_takes_them(self):
        """With programs that are there: ours are not installed."""
        with tempfile.TemporaryDirectory() as directory:
            units = []
            for source in sorted((TOP / "packaging").glob("kosekifs*.service")) + sorted(
                    (TOP / "packaging").glob("kosekifs*.timer")):
                units.append(pathlib.Path(directory, source.name))
                units[-1].write_text(re.sub(r"/usr/s?bin/koseki\w+", "/bin/true",
                                            source.read_text()))
            self.assertGreaterEqual(len(units), 3)
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                                  capture_output=True, text=True)
            ours = [line for line in done.stderr.splitlines() if "kosekifs" in line]
            self.assertEqual((done.returncode, ours), (0, []), done.stderr)


if __name__ == "__main__":
    unittest.main()
