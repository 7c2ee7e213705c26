"""The unit for systemd leaves /koseki where everybody sees it."""

import pathlib
import re
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


if __name__ == "__main__":
    unittest.main()
