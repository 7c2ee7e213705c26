"""A program that waits can be ended, stopped, disturbed; and does not disturb others that list."""

import json
import os
import signal
import time

import testbed
from system.scene import GOOD, SLACK, SystemTest, build_directory

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGQUIT, signal.SIGHUP)
WAITING = 100


class Signals(SystemTest):
    """While it waits in open(2) for the content and in stat(2) for the answer to a look-up."""

    settings = {"mount.open_timeout": "30s", "mount.lookup_timeout": "30s"}
    # Where it waits: what the link system holds back, and a program that then waits.
    METHODS = {"open": ("GET", ("cat",)), "look-up": ("HEAD", ("stat",))}

    def tearDown(self):
        """What nobody waits for any more would hold the link's connections until its deadline."""
        self.link.control("DELETE", "/faults")
        self.link.control("POST", "/release")

    def waiting(self, where, name, *program, **fault):
        """The program, as soon as the link system has been asked and says nothing."""
        method, usual = self.METHODS[where]
        self.serve_copy(name)
        self.link.fault(name, method=method, **(fault or {"stall_after": 0}))
        process = self.reader.start("env", "--default-signal", *(program or (*usual, name)))
        testbed.wait_until(lambda: self.link.requests(name, method), 10, f"{method} {name}")
        return process

    def test_fatal_signals_end_the_wait(self):
        for where in self.METHODS:
            for number in ENDING:
                with self.subTest(where, signal=number.name):
                    process = self.waiting(where, f"end-{where}-{number.name}.pdf")
                    began = time.monotonic()
                    process.send_signal(number)
                    done = self.reader.finish(process, 20)
                    self.assertSoon(began, 0.5)
                    self.assertEqual(done.returncode, -number)

    def test_programs_that_catch_the_signal(self):
        """Their handlers run at once: Ctrl-C in Python, and an rsync that cleans up."""
        for number, program in ((signal.SIGINT, ("/usr/bin/python3", "-c", "import sys; "
                                                 "open(sys.argv[1])")),
                                (signal.SIGTERM, ("perl", "-e", "$SIG{TERM} = sub {exit 9}; "
                                                  "open F, '<', $ARGV[0]"))):
            for where in self.METHODS:
                with self.subTest(program[0], where=where):
                    name = f"catch-{number.name}-{where}.pdf"
                    process = self.waiting(where, name, *program, name)
                    began = time.monotonic()
                    process.send_signal(number)
                    done = self.reader.finish(process, 20)
                    self.assertSoon(began, 0.5)
                    self.assertIn(done.returncode, (9, -number))

    def test_fatal_signal_for_somebody_in_many_groups(self):
        """Whose line of groups in /proc is longer than a page."""
        groups = (testbed.AFFAIR_GROUP, *range(70000, 72000))
        usual, self.reader = self.reader, self.site.reader(groups=groups)
        try:
            process = self.waiting("open", "groups-1.pdf")
            began = time.monotonic()
            process.kill()
            self.reader.finish(process, 20)
            self.assertSoon(began, 0.5)
        finally:
            self.reader = usual

    def test_stopped_programs_go_on(self):
        """As by Ctrl-Z and fg."""
        for where in self.METHODS:
            with self.subTest(where):
                process = self.waiting(where, f"stop-{where}.pdf", delay=1.0)
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.3)
                process.send_signal(signal.SIGCONT)
                self.assertOk(self.reader.finish(process))

    def test_daemon_that_is_told_to_reload(self):
        """SIGHUP is caught for something else than ending."""
        program = 'my $n = 0; $SIG{HUP} = sub {$n++}; open F, "<", $ARGV[0] or die "$!"; exit($n ? 0 : 3)'
        process = self.waiting("open", "reload-1.pdf", "perl", "-e", program, "reload-1.pdf", delay=1.0)
        process.send_signal(signal.SIGHUP)
        self.assertOk(self.reader.finish(process))

    def test_harmless_signals_do_not_break_open(self):
        program = build_directory() / "tests" / "consumers" / "open-once"
        cases = [(what, where) for what in ("alarm", "alarm-restart", "child", "continue")
                 for where in self.METHODS]
        processes = []
        for what, where in cases:
            name = f"{what}-{where}.pdf"
            processes.append(self.waiting(where, name, program, name, what, delay=1.5))
        for case, process in zip(cases, processes):
            with self.subTest(case):
                done = self.reader.finish(process)
                self.assertOk(done)
                self.assertIn(b"opened after", done.stdout)

    def test_timeout_command(self):
        process = self.waiting("open", "timeout-1.pdf", "timeout", "1", "cat", "timeout-1.pdf")
        self.assertEqual(self.reader.finish(process).returncode, 124)

    def test_listing_is_undisturbed_by_a_hundred_look_ups(self):
        """The kernel would stop them all in the directory if look-ups were not parallel."""
        self.assertReads(self.reader, GOOD)
        quiet = self.duration()
        names = [f"crowd-{i}.pdf" for i in range(WAITING)]
        for name in names:
            self.link.fault(name, method="HEAD", stall_after=0)
        crowd = [self.reader.start("stat", name) for name in names]
        try:
            testbed.wait_until(lambda: self.waiters() >= WAITING, 20, "all look-ups to wait")
            self.assertEqual([p.poll() for p in crowd], [None] * WAITING)
            crowded = self.duration()
            self.assertReads(self.reader, GOOD)
            self.assertEqual([p.poll() for p in crowd], [None] * WAITING)
            self.assertLess(crowded, quiet * SLACK + 0.2)
        finally:
            for process in crowd:
                process.kill()
            for process in crowd:
                self.reader.finish(process)

    def waiters(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["requests"]["waiting"]

    def duration(self):
        """Of the fastest of a few listings, in seconds."""
        times = []
        for _ in range(5):
            began = time.monotonic()
            self.assertIn(GOOD.encode(), self.assertOk(self.reader.run("ls", "-la")))
            times.append(time.monotonic() - began)
        return min(times)


class ForeignPids(SystemTest):
    """The daemon in a container of its own, the programs outside: it cannot see them, so it cannot
    tell a fatal signal from another, and gives each 2 s."""

    settings = {"mount.open_timeout": "30s"}

    @classmethod
    def setUpClass(cls):
        cls.pid = None
        start = testbed.Site.start

        def start_apart(site):
            start(site, before=("unshare", "--pid", "--fork"))
        testbed.Site.start = start_apart
        try:
            super().setUpClass()
        finally:
            testbed.Site.start = start
        cls.addClassCleanup(cls.end)
        # Of a caller without pid only uid and primary group are known.
        cls.reader = testbed.Reader(cls.site, 61101, gid=testbed.AFFAIR_GROUP)

    @classmethod
    def end(cls):
        """unshare ignores SIGTERM while its child runs."""
        for pid in cls.site.rooms()["kosekifs"]:
            os.kill(pid, signal.SIGTERM)
        cls.site.daemon.wait(20)
        cls.site.daemon = None

    def blocked(self, name, *program, **fault):
        self.serve_copy(name)
        self.link.fault(name, method="GET", **fault)
        process = self.reader.start(*program)
        testbed.wait_until(lambda: self.gets(name), 10, f"the GET of {name}")
        return process

    def test_reads(self):
        self.assertReads(self.reader, GOOD)

    def test_alarms_do_not_break_open(self):
        program = build_directory() / "tests" / "consumers" / "open-once"
        process = self.blocked("apart-1.pdf", program, "apart-1.pdf", "alarm", delay=1.0)
        self.assertOk(self.reader.finish(process))

    def test_fatal_signal_ends_the_wait(self):
        process = self.blocked("apart-2.pdf", "cat", "apart-2.pdf", stall_after=0)
        began = time.monotonic()
        process.send_signal(signal.SIGKILL)
        self.reader.finish(process, 25)
        self.assertSoon(began, 2)
