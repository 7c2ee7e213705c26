"""Whatever of kosekifs is killed or replaced, at any moment: programs that read notice nothing.

KOSEKIFS_KILLS=full runs the full counts; the check runs a tenth of them.
"""

import contextlib
import os
import random
import re
import signal
import time

import testbed
from system.scene import GOOD, GOOD_G4, LARGE, SLACK, SystemTest, sanitized

FULL = os.environ.get("KOSEKIFS_KILLS") == "full"

# Compares certificates with their originals, one that was never read and one that was, whose pages
# are dropped; until told to stop. Each line it prints is a failure, the last is its count.
COMPARE = r"""
served=$1 stop=$2; shift 2
count=0 old=
for name; do
    [ -e "$stop" ] && break
    cmp "$name" "$served/$name" || echo "cold $name: $?"
    count=$((count + 1))
    if [ -n "$old" ]; then
        dd if="$old" iflag=nocache count=0 status=none || echo "drop $old: $?"
        cmp "$old" "$served/$old" || echo "again $old: $?"
        sha256sum "$old" >"$stop.$$" || echo "sum $old: $?"
        count=$((count + 1))
    fi
    [ $((count % 5)) = 1 ] && old=$name
done
echo "$count read"
"""


class Comparing:
    """Four readers that compare while something happens."""

    READERS = 4

    def __init__(self, test, label, each):
        self.test, self.site = test, test.site
        self.stop = test.desk() / "stop"
        self.processes = []
        self.originals = [test.samples / "documents" / name for name in (GOOD, GOOD_G4)]
        for number in range(self.READERS):
            names = [f"{label}-{number}-{i:05d}.pdf" for i in range(each)]
            for i, name in enumerate(names):
                os.link(self.original(i), self.site.served / name)
            self.processes.append(test.reader.start(
                "bash", "-c", COMPARE, "bash", self.site.served, self.stop, *names))

    def original(self, i):
        copy = self.site.served / f"original-{i % len(self.originals)}.pdf"
        if not copy.exists():
            copy.write_bytes(self.originals[i % len(self.originals)].read_bytes())
        return copy

    def running(self):
        return all(process.poll() is None for process in self.processes)

    def finish(self):
        """The number of files compared; fails with what did not compare."""
        self.stop.touch()
        read, wrong = 0, []
        for process in self.processes:
            done = self.test.reader.finish(process, 120)
            *failures, last = done.stdout.decode().splitlines()
            wrong += failures + done.stderr.decode().splitlines()
            read += int(last.split()[0])
        self.test.assertEqual(wrong, [])
        return read


class Killed(SystemTest):
    """kill -9 under readers that compare."""

    settings = {"mount.verify_workers": "2"}

    def kill_under_load(self, room, full, pause):
        kills = full if FULL else max(full // 10, 5)
        comparing = Comparing(self, room, kills * 12)
        before = len(self.site.log())
        for _ in range(kills):
            time.sleep(random.uniform(0.2, 1.0) * pause)
            self.assertTrue(comparing.running(), "too few certificates for so many kills")
            pid = testbed.wait_until(lambda: self.site.room(f"kosekifs-{room}"), 30 * SLACK, room)
            os.kill(pid, signal.SIGKILL)
        testbed.wait_until(lambda: self.site.room(f"kosekifs-{room}"), 30 * SLACK, room)
        read = comparing.finish()
        log = self.site.log()[before:]
        gaps = sorted(map(int, re.findall(r"goes on after (\d+) ms", log)))
        owed = sum(map(int, re.findall(r"(\d+) requests are owed", log)))
        print(f"      {room}: {kills} kills, {read} files compared, 0 errors"
              + (f"; {owed} requests replayed; gap median {gaps[len(gaps) // 2]} ms, "
                 f"longest {gaps[-1]} ms" if gaps else ""))
        self.assertGreater(read, kills)

    def test_mount(self):
        self.kill_under_load("mount", 200, 1)

    def test_link(self):
        self.kill_under_load("link", 50, 1)

    def test_verify(self):
        self.kill_under_load("verify", 50, 1)

    def test_keys(self):
        self.kill_under_load("keys", 50, 1)
