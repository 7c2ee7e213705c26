"""What one run of the verify command takes: time and peak memory of the whole process."""

import os
import subprocess
import sys
import time

COMMAND = os.environ["VERIFY_COMMAND"]
SANITIZED = "ASAN_OPTIONS" in os.environ
FIXED_MAX = 16  # MiB besides the file and what is inflated: docs/validation-policy.md, limits
INFLATE_MAX = 64  # MiB


# A child's peak begins with that of the process it was forked from, so a bare interpreter starts it.
LAUNCH = """import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
status, usage = os.wait4(child, 0)[1:]
os.write(2, b"%d\\n" % usage.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status) & 255)"""


def measured(*arguments):
    """(exit status, output, seconds, peak MiB) of one run."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-S", "-E", "-c", LAUNCH, COMMAND, *arguments],
                          capture_output=True, text=True)
    return (done.returncode, done.stdout, time.monotonic() - began,
            int(done.stderr.split()[-1]) / 1024)
