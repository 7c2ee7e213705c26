"""Builds with two compilers and runs all tests; tools/check calls it.

The last line is "N passed, N failed, N skipped". Build directories are build/gcc and build/san.
"""

import argparse
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import traceback
import unittest

PR_SET_PDEATHSIG = 1  # of prctl(2)
TOP = pathlib.Path(__file__).resolve().parents[1]
BUILDS = {
    "gcc": ({"CC": "gcc"}, []),
    "san": ({"CC": "clang"}, ["-Db_sanitize=address,undefined", "-Db_lundef=false"]),
}
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def say(text):
    """In one write(2): two builds are tested at the same time."""
    sys.stdout.flush()
    os.write(1, (text + "\n").encode())


class Tally:
    """Counts outcomes and prints each as it comes."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, outcome, name, detail="", seconds=None):
        spent = f" ({seconds:.1f} s)" if seconds is not None and seconds >= 0.1 else ""
        if outcome == "ok":
            self.passed += 1
        elif outcome == "skip":
            self.skipped += 1
        else:
            self.failed += 1
            self.failures.append(name)
        say(f"{outcome:<4}  {name}{spent}{': ' + detail if outcome == 'skip' else ''}")
        if outcome == "FAIL" and detail:
            say("      " + detail.rstrip().replace("\n", "\n      "))

    def take(self, other):
        self.passed += other["passed"]
        self.failed += other["failed"]
        self.skipped += other["skipped"]
        self.failures += other["failures"]


class Report(unittest.TestResult):
    """Hands the results of unittest to the tally."""

    def __init__(self, tally, label):
        super().__init__()
        self.tally, self.label, self.began = tally, label, time.monotonic()
        self.broken_subtests = set()

    def name(self, test):
        return f"{self.label} {test.id()}"

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _add(self, outcome, test, detail=""):
        self.tally.add(outcome, self.name(test), detail, time.monotonic() - self.began)
        self.began = time.monotonic()  # what is no test, like setUpClass, is not told of its start

    def addSuccess(self, test):
        if test not in self.broken_subtests:
            self._add("ok", test)

    def addFailure(self, test, error):
        self._add("FAIL", test, self._exc_info_to_string(error, test))

    addError = addFailure

    def addSkip(self, test, reason):
        self._add("skip", test, reason)

    def addSubTest(self, test, subtest, error):
        if error:
            self.broken_subtests.add(test)
            self._add("FAIL", subtest, self._exc_info_to_string(error, subtest))


def run_unittest(tally, label, folder, words, full=True):
    loader = unittest.TestLoader()
    suite = loader.discover(str(TOP / "tests" / folder), top_level_dir=str(TOP / "tests"))
    chosen = unittest.TestSuite()

    def choose(part):
        for item in part:
            if isinstance(item, unittest.TestSuite):
                choose(item)
            elif not full and getattr(item, "full_only", False):
                pass
            elif not words or any(word in item.id() for word in words):
                chosen.addTest(item)
    choose(suite)
    chosen.run(Report(tally, label))


def build(tally, name):
    """meson setup and ninja; False when it did not build."""
    environment, options = BUILDS[name]
    directory = TOP / "build" / name
    say(f"----  build {name}: {directory.relative_to(TOP)}")
    directory.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    # Configured anew each time: what the demo configured did not know the tests' packages yet.
    again = ["--reconfigure"] if (directory / "build.ninja").exists() else []
    done = subprocess.run(["meson", "setup", str(directory), *again, *options], cwd=TOP,
                          env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        tally.add("FAIL", f"{name} meson setup", done.stdout[-3000:] + done.stderr[-1000:])
        return False
    done = subprocess.run(["ninja", "-C", str(directory)], capture_output=True, text=True)
    if done.returncode:
        tally.add("FAIL", f"{name} build", done.stdout[-5000:])
        return False
    tally.add("ok", f"{name} build", seconds=time.monotonic() - began)
    return True


def run_meson_tests(tally, name, words):
    directory = TOP / "build" / name
    log = directory / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    chosen = []
    if words:
        listed = subprocess.run(["meson", "test", "-C", str(directory), "--list"],
                                capture_output=True, text=True).stdout.splitlines()
        chosen = [line.split(" / ")[-1] for line in listed if any(word in line for word in words)]
        if not chosen:
            return
    # Most of the long ones wait for something, so there may be more of them than processors; the
    # machine may be busy with other things besides.
    subprocess.run(["meson", "test", "-C", str(directory), "--no-rebuild", "--num-processes",
                    str(2 * os.cpu_count()), "--timeout-multiplier", "4", *chosen],
                   env={**os.environ, **SANITIZERS}, capture_output=True)
    rows = log.read_text().splitlines() if log.exists() else []
    for row in map(json.loads, rows):
        outcome = {"OK": "ok", "EXPECTEDFAIL": "ok", "SKIP": "skip"}.get(row["result"], "FAIL")
        detail = (row.get("stdout") or "")[-3000:] + (row.get("stderr") or "")[-3000:]
        tally.add(outcome, f"{name} unit {row['name']}", detail, row.get("duration"))
    if not rows:
        tally.add("FAIL", f"{name} unit tests", "meson test ran none")


def residue(directories, temporary):
    """Mounts, processes and temporary files that tests with the build in these places left."""
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
              if line.split()[4].startswith(tuple(f"{d}/" for d in directories))]
    found = [f"mount {path}" for path in mounts] + [f"file {path}" for path in temporary.iterdir()]
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            program = os.readlink(entry / "exe")
        except OSError:
            continue
        if any(f"{d}/" in words + program + "/" for d in directories):
            found.append(f"process {entry.name}: {words}")
    return found


def shield():
    """Signals that whoever started us ignores (nohup, a shell's background job) are ignored here
    by a handler: unlike SIG_IGN it ends with exec, so programs under test begin as usual."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def check_build(tally, name, reach, arguments):
    """All tests with one build."""
    words, everything = arguments.only, not arguments.consumers
    temporary = reach / "build" / f"tmp-{name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    temporary.chmod(0o1777)
    os.environ.update(SANITIZERS if name == "san" else {}, TMPDIR=str(temporary),
                      KOSEKIFS_BUILD=str(reach / "build" / name))
    if not build(tally, name):
        return
    if everything:
        run_meson_tests(tally, name, words)
    say(f"----  system tests with build/{name}")
    if everything:
        run_unittest(tally, name, "system", words)
    run_unittest(tally, name, "consumers", words, full=arguments.consumers)
    left = residue({TOP / "build" / name, reach / "build" / name}, temporary)
    tally.add("FAIL" if left else "ok", f"{name} nothing is left behind", "\n".join(left))


def check_apart(name, reach, arguments):
    """The same in a process of its own: (its id, a descriptor on which its tally comes). Most tests
    wait most of the time, so two builds take little longer than one."""
    theirs, ours = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ours)
        return pid, theirs
    tally = Tally()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        check_build(tally, name, reach, arguments)
    except BaseException:
        tally.add("FAIL", f"{name} could not be tested", traceback.format_exc())
    with open(ours, "w") as out:
        json.dump(vars(tally), out)
    sys.stdout.flush()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--consumers", action="store_true",
                        help="only tests/consumers, but with all programs; build gcc alone")
    parser.add_argument("--build", action="append", choices=BUILDS, metavar="gcc|san")
    arguments = parser.parse_args()
    tally, words = Tally(), arguments.only
    began = time.monotonic()
    sys.path[:0] = [str(TOP / "tests"), str(TOP / "tools")]
    sys.dont_write_bytecode = True
    import testbed
    reach = testbed.reachable_top()
    (TOP / "build").mkdir(exist_ok=True)
    alone = open(TOP / "build" / "check.lock", "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("check: another one is running in this tree")
    shield()
    if not arguments.consumers:
        run_unittest(tally, "source", "source", words)
    names = arguments.build or (BUILDS if not arguments.consumers else ["gcc"])
    for pid, pipe in [check_apart(name, reach, arguments) for name in names]:
        with open(pipe) as came:
            text = came.read()
        os.waitpid(pid, 0)
        tally.take(json.loads(text) if text else {"passed": 0, "failed": 1, "skipped": 0,
                                                  "failures": ["a build's tests ended early"]})

    print(f"----  {time.monotonic() - began:.0f} s")
    for name in tally.failures:
        print(f"failed: {name}")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    sys.exit(1 if tally.failed or not tally.passed else 0)


if __name__ == "__main__":
    main()
