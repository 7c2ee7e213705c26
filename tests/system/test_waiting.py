"""Programs that wait do not wait for one another, however many they are. Signals:
consumers/test_signals.py."""

import json
import time

import testbed
from system.scene import GOOD, SLACK, SystemTest, sanitized


class Waiting(SystemTest):
    settings = {"mount.open_timeout": "20s"}

    def stalled(self, name, **fault):
        self.serve_copy(name)
        self.link.fault(name, method="GET", **(fault or {"stall_after": 100}))

    def waiting(self):
        status = json.loads(self.site.ctl("--json", "status").stdout)["status"]
        return status["requests"]["waiting"]

    def wait_for_get(self, name):
        testbed.wait_until(lambda: self.gets(name), 5, f"the GET of {name}")

    def test_nonblocking_open_waits_like_any_other(self):
        self.stalled("nonblock-1.pdf", delay=0.5)
        program = "import os,sys; f=os.open(sys.argv[1],os.O_RDONLY|os.O_NONBLOCK); " \
                  "sys.exit(len(os.read(f,9))!=9)"
        self.assertOk(self.reader.run("/usr/bin/python3", "-c", program, "nonblock-1.pdf"))

    def test_one_of_two_is_killed(self):
        self.stalled("pair-1.pdf", delay=3.0)
        first, second = (self.reader.start("sha256sum", "pair-1.pdf") for _ in range(2))
        testbed.wait_until(lambda: self.waiting() == 2 and self.gets("pair-1.pdf"), 5, "both")
        first.kill()
        self.reader.finish(first, 5)
        self.assertOk(self.reader.finish(second))
        self.assertEqual(self.gets("pair-1.pdf"), 1)

    def test_readers_of_others_and_lists_go_on(self):
        self.assertReads(self.reader, GOOD)
        self.stalled("others-1.pdf")
        process = self.reader.start("cat", "others-1.pdf")
        self.wait_for_get("others-1.pdf")
        began = time.monotonic()
        self.assertReads(self.reader, GOOD)
        self.reader.list()
        self.assertFails(self.reader, "others-unknown.pdf", "ENOENT")
        self.assertSoon(began, 0.5)
        self.assertIsNone(process.poll())
        process.kill()
        self.reader.finish(process, 5)


class Abandoned(SystemTest):
    """Whoever waited was killed: what is of no more use leaves the link at once, and a wait of
    nobody's is not the address's fault."""

    settings = {"mount.open_timeout": "60s", "mount.lookup_timeout": "60s",
                "link.low_speed_time": "60s", "link.breaker_failures": "1"}

    def ended(self, name):
        """Answers to requests for it that are over: sent, or the peer had gone."""
        log = self.link.home / "requests.jsonl"
        rows = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
        return [row for row in rows if row["name"] == name]

    def kill_when_asked(self, name, method, program):
        process = self.reader.start(program, name)
        testbed.wait_until(lambda: self.link.requests(name, method), 20, f"the {method} of {name}")
        process.kill()
        self.reader.finish(process, 20)

    def assertAddressWell(self):
        address, = json.loads(self.reader.text(".kosekifs/status.json"))["link"]["addresses"]
        failures = {key: value for key, value in address.items() if key.startswith("failures_")}
        self.assertEqual((set(failures.values()), address["circuit"]), ({0}, "closed"), address)

    def test_leaves_at_once(self):
        for kind, method, program, fault in (
                ("look-up", "HEAD", "stat", {"stall_after": 0}),
                ("body", "GET", "cat", {"stall_after": 0}),
                ("part", "GET", "cat", {"stall_after": 30_000}),
                ("whole", "GET", "cat", {"stall_after": 0, "weak": True})):
            with self.subTest(kind):
                name = f"left-{kind}.pdf"
                self.serve_copy(name)
                self.link.fault(name, method=method, **fault)
                if "weak" in fault:
                    self.link.fault(name, method="HEAD", weak=True)
                before = len(self.ended(name))
                self.kill_when_asked(name, method, program)
                testbed.wait_until(
                    lambda: any(r["method"] == method for r in self.ended(name)[before:]), 20,
                    f"the {method} to be over")
                self.assertAddressWell()
        self.assertReads(self.reader, GOOD)

    def test_another_comes_for_it_at_that_moment(self):
        self.serve_copy("again-1.pdf")
        self.link.fault("again-1.pdf", method="HEAD", stall_after=0, times=1)
        self.kill_when_asked("again-1.pdf", "HEAD", "stat")
        self.assertReads(self.reader, "again-1.pdf")

    def test_goes_on_what_could_not_be_resumed(self):
        self.serve_copy("weak-1.pdf")
        self.link.fault("weak-1.pdf", method="any", weak=True)
        self.link.fault("weak-1.pdf", method="GET", weak=True, rate=60_000)
        process = self.reader.start("cat", "weak-1.pdf")
        testbed.wait_until(lambda: any(g["sent"] for g in self.link.requests("weak-1.pdf", "GET")),
                           20, "its first bytes")
        process.kill()
        self.reader.finish(process, 20)
        testbed.wait_until(lambda: "weak-1.pdf" in self.reader.list(), 30, "it to be stored")
        self.assertEqual(self.gets("weak-1.pdf"), 1)


class Crowd(SystemTest):
    """1,000 opens of 100 ids against a link system that has stopped answering."""

    # Without circuits: the first deadlines that pass would answer the others.
    settings = {"mount.open_timeout": "8s", "mount.fetches_max": "64", "link.breaker_failures": "0"}
    OPENS, IDS = 1000, 100

    PROGRAM = r"""
import collections, errno, json, os, sys, threading, time
names = sys.argv[2:]
ended = []  # append is atomic, += on a counter is not
def attempt(name):
    began = time.monotonic()
    try:
        os.close(os.open(name, os.O_RDONLY)); what = "OK"
    except OSError as failure:
        what = errno.errorcode[failure.errno]
    ended.append((what, time.monotonic() - began))
threading.stack_size(65536)
threads = [threading.Thread(target=attempt, args=(names[i % len(names)],))
           for i in range(int(sys.argv[1]))]
for thread in threads: thread.start()
print("started", flush=True)
for thread in threads: thread.join()
print(json.dumps({"outcomes": collections.Counter(what for what, _ in ended),
                  "longest": max(seconds for _, seconds in ended)}))
"""

    def status(self, pid, key):
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))

    def test_crowd(self):
        self.assertReads(self.reader, GOOD)
        names = [f"crowd-{i}.pdf" for i in range(self.IDS)]
        for name in names:
            self.serve_copy(name)
            self.link.fault(name, method="GET", stall_after=0)
            self.assertOk(self.reader.run("stat", name))
        pid = self.site.room("kosekifs-mount")
        threads, memory = self.status(pid, "Threads"), self.status(pid, "VmRSS")
        crowd = self.reader.start("/usr/bin/python3", "-c", self.PROGRAM, self.OPENS, *names)
        self.assertEqual(crowd.stdout.readline(), b"started\n")
        testbed.wait_until(lambda: self.waiting() >= self.OPENS, 7, "all opens to wait")
        self.assertEqual(self.status(pid, "Threads"), threads, "a thread for each open?")
        if not sanitized():
            self.assertLess(self.status(pid, "VmRSS") - memory, 8 * 1024)
        began = time.monotonic()
        self.assertReads(self.reader, GOOD)
        self.assertIn(GOOD, self.reader.list())
        self.assertSoon(began, 0.5)
        done = self.reader.finish(crowd, 8 * SLACK)
        result = json.loads(done.stdout)
        self.assertEqual(result["outcomes"], {"ETIMEDOUT": self.OPENS})
        self.assertLess(result["longest"], 8 * SLACK)
        asked = [self.gets(name) for name in names]
        self.assertLessEqual(max(asked), 1, "an id was fetched twice")

    def waiting(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["requests"]["waiting"]
