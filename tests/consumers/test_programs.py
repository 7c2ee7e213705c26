"""Every program of the table against a certificate in every state."""

import subprocess

from consumers.programs import MCS, MONO, PROGRAMS
from consumers.table import ProgramTest, one_test_each
from system.scene import GOOD


@one_test_each([program for program in PROGRAMS if program.quick])
class Programs(ProgramTest):
    """Those whose packages all tests need."""


@one_test_each([program for program in PROGRAMS if not program.quick])
class MorePrograms(ProgramTest):
    full_only = True

    def test_mono_that_would_also_write(self):
        """new FileStream(name, FileMode.Open) is refused, and docs/applications.md says what to write
        instead."""
        self.serve_copy(GOOD)
        self.assertReads(self.reader, GOOD)
        subprocess.run(self.words(MCS), check=True, capture_output=True)
        done = self.reader.run(*self.words(MONO), "both", GOOD, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), "UnauthorizedAccessException|IOException")
