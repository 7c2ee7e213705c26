"""Every program of the table against a certificate in every state."""

from consumers.programs import PROGRAMS
from consumers.table import ProgramTest, one_test_each


@one_test_each([program for program in PROGRAMS if program.quick])
class Programs(ProgramTest):
    """Those whose packages all tests need."""


@one_test_each([program for program in PROGRAMS if not program.quick])
class MorePrograms(ProgramTest):
    full_only = True
