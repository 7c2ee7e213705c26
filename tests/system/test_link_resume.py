"""What came of a certificate is not fetched twice: across cuts, deadlines, killed programs, killed
processes and a restart of the daemon. What is stored of it goes when it is of no more use."""

import json
import os
import random
import signal
import subprocess
import time

import testbed
from system.scene import GOOD, LARGE, SystemTest, sha256

PIECE = 256 * 1024
RATE = 4 << 20   # slow enough for pieces to be stored, quick enough for a test


class Resume(SystemTest):
    settings = {"mount.open_timeout": "60s", "link.low_speed_time": "2s", "mount.fetches_max": "2"}

    def serve_large(self, name, **fault):
        path = self.serve_copy(name, LARGE)
        self.link.fault(name, method="GET", **fault)
        return path

    def partial_bytes(self):
        for line in self.reader.text(".kosekifs/metrics").splitlines():
            if line.startswith("kosekifs_link_partial_bytes_total "):
                return int(line.split()[1])
        return None

    def sent(self, name):
        return sum(request["sent"] for request in self.link.requests(name, "GET"))

    def begin(self, name, stored):
        """A program that reads, when at least so many bytes have been sent to it."""
        process = self.reader.start("sha256sum", name)
        testbed.wait_until(lambda: self.sent(name) >= stored, 60, f"{stored} bytes of {name}")
        return process

    def assertContinued(self, name, path, first_sent):
        """One more GET, from behind the pieces that were stored, and no more than one wasted."""
        gets = self.link.requests(name, "GET")
        self.assertIsNotNone(gets[-1]["range"], gets)
        start = int(gets[-1]["range"].split("=")[1].split("-")[0])
        self.assertGreaterEqual(start, PIECE)
        self.assertTrue(gets[-1]["if_range"])
        # What was on its way: socket buffers of both sides, and a moment of the line.
        self.assertLess(first_sent - start, PIECE + (4 << 20) // 4 + (3 << 20), (first_sent, start))
        self.assertEqual(gets[-1]["sent"], path.stat().st_size - start)

    def test_program_killed(self):
        """The fetch leaves its place at once; the next open goes on where it was."""
        path = self.serve_large("killed-1.pdf", rate=RATE, times=1)
        process = self.begin("killed-1.pdf", 3 << 20)
        process.kill()
        self.reader.finish(process, 10)
        testbed.wait_until(lambda: self.fetching() == 0, 20, "the place to be free")
        first = self.sent("killed-1.pdf")
        self.assertLess(first, path.stat().st_size)
        self.assertReads(self.reader, "killed-1.pdf")
        self.assertContinued("killed-1.pdf", path, first)

    def fetching(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["link"]["fetches_under_way"]

    def test_link_process_killed(self):
        path = self.serve_large("killed-2.pdf", rate=RATE, times=1)
        process = self.begin("killed-2.pdf", 2 << 20)
        os.kill(self.site.room("kosekifs-link"), signal.SIGKILL)
        done = self.reader.finish(process, 60)
        self.assertIn(sha256(path), self.assertOk(done).decode())
        self.assertIsNotNone(self.link.requests("killed-2.pdf", "GET")[-1]["range"])

    def test_daemon_killed(self):
        """kill -9 of all its processes at once, as in a power cut but for the disk."""
        path = self.serve_large("killed-3.pdf", rate=RATE, times=1)
        before = self.partial_bytes()
        process = self.begin("killed-3.pdf", 3 << 20)
        testbed.wait_until(lambda: self.partial_bytes() > before, 20, "a piece to be stored")
        self.crash()
        self.reader.finish(process, 20)
        first = self.sent("killed-3.pdf")
        self.site.start()
        self.assertReads(self.reader, "killed-3.pdf")
        self.assertContinued("killed-3.pdf", path, first)

    def crash(self):
        pids = [self.site.daemon.pid] + [pid for pids in self.site.rooms().values() for pid in pids]
        os.kill(self.site.daemon.pid, signal.SIGSTOP)   # or it would start them again
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        self.site.daemon.wait()
        self.site.daemon = None
        subprocess.run(["umount", "-l", self.site.mount_point], capture_output=True)

    def test_changed_meanwhile_starts_over(self):
        self.serve_large("changed-3.pdf", rate=RATE, times=1)
        process = self.begin("changed-3.pdf", 2 << 20)
        process.kill()
        self.reader.finish(process, 10)
        testbed.wait_until(lambda: self.fetching() == 0, 20, "the place to be free")
        path = self.serve_copy("changed-3.pdf", GOOD)
        self.reader.read("changed-3.pdf")
        self.assertReads(self.reader, "changed-3.pdf", path)
        self.assertIsNone(self.link.requests("changed-3.pdf", "GET")[-1]["range"])

    def test_same_tag_for_other_bytes(self):
        """A link system that lies about its versions: the mixture is refused by its signature, and
        the certificate is fetched once as a whole before that is held against it."""
        path = self.serve_copy("lie-3.pdf", LARGE)
        good = path.read_bytes()
        self.link.fault("lie-3.pdf", method="any", etag='"for-ever"')
        self.link.fault("lie-3.pdf", method="GET", rate=RATE, times=1)
        self.link.fault("lie-3.pdf", method="GET", rate=RATE, etag='"for-ever"')
        path.write_bytes(bytes(len(good) // 2) + good[len(good) // 2:])
        process = self.begin("lie-3.pdf", 2 << 20)
        process.kill()
        self.reader.finish(process, 10)
        testbed.wait_until(lambda: self.fetching() == 0, 20, "the place to be free")
        path.write_bytes(good)
        self.link.fault("lie-3.pdf", method="GET", etag='"for-ever"')
        self.assertReads(self.reader, "lie-3.pdf", path)
        self.assertIsNone(self.link.requests("lie-3.pdf", "GET")[-1]["range"])

    def test_pieces_are_not_readable(self):
        """Neither in the mount, nor in clear on the disk."""
        mark = random.Random(7).randbytes(32)
        path = self.serve_copy("clear-1.pdf", LARGE)
        path.write_bytes(mark * (2 << 16))
        before = self.partial_bytes()
        self.link.fault("clear-1.pdf", method="GET", rate=RATE, times=1)
        process = self.begin("clear-1.pdf", 2 << 20)
        testbed.wait_until(lambda: self.partial_bytes() > before, 20, "a piece to be stored")
        self.assertNotIn("clear-1.pdf", self.reader.list())
        for name in ("data.mdb", "slots"):
            self.assertNotIn(mark, (self.site.directory / "state" / name).read_bytes())
        process.kill()
        self.reader.finish(process, 10)


class Expiry(SystemTest):
    settings = {"mount.open_timeout": "60s", "mount.partial_timeout": "1s", "mount.fetches_max": "2"}

    begin, sent, fetching = Resume.begin, Resume.sent, Resume.fetching

    def test_abandoned_ones_go(self):
        """At the next start at the latest; then the fetch begins at the beginning."""
        self.serve_copy("gone-1.pdf", LARGE)
        self.link.fault("gone-1.pdf", method="GET", rate=RATE, times=1)
        process = self.begin("gone-1.pdf", 2 << 20)
        process.kill()
        self.reader.finish(process, 10)
        testbed.wait_until(lambda: self.fetching() == 0, 20, "the place to be free")
        self.site.stop()
        time.sleep(2.1)   # the age that they may have
        self.site.start()
        testbed.wait_until(lambda: "partial bodies erased" in self.site.log(), 20, "the erasure")
        self.assertReads(self.reader, "gone-1.pdf")
        self.assertIsNone(self.link.requests("gone-1.pdf", "GET")[-1]["range"])


class Prepared(SystemTest):
    """202: asked again, also when nobody waits any more."""

    settings = {"mount.open_timeout": "1500ms", "mount.lookup_timeout": "1s",
                "mount.ready_timeout": "20s", "link.connect_timeout": "1s"}

    def status(self):
        return json.loads(self.reader.text(".kosekifs/status.json"))["link"]

    def test_fetched_though_nobody_waits(self):
        self.serve_copy("prepared-1.pdf")
        self.link.fault("prepared-1.pdf", method="GET", status=202, times=3, retry_after=1)
        self.assertFails(self.reader, "prepared-1.pdf", "ETIMEDOUT")
        self.assertIn("preparing", self.reader.text(".kosekifs/why/prepared-1.pdf"))
        self.assertEqual(self.status()["preparing"], 1)
        testbed.wait_until(lambda: self.status()["preparing"] == 0, 30, "the certificate")
        testbed.wait_until(lambda: "prepared-1.pdf" in self.reader.list(), 10, "it to be stored")
        self.assertEqual(self.gets("prepared-1.pdf"), 4)
        self.assertReads(self.reader, "prepared-1.pdf")
        self.assertEqual(self.gets("prepared-1.pdf"), 4)

    def test_others_have_the_places(self):
        """Twenty certificates that are being prepared take none of the eight places."""
        for i in range(20):
            self.serve_copy(f"prepared-2-{i}.pdf")
            self.link.fault(f"prepared-2-{i}.pdf", method="GET", status=202, retry_after=1)
        waiting = [self.reader.start("cat", f"prepared-2-{i}.pdf") for i in range(20)]
        testbed.wait_until(lambda: self.status()["preparing"] >= 20, 20, "all to be prepared")
        self.assertReads(self.reader, GOOD)
        for process in waiting:
            self.reader.finish(process, 30)
