"""A large revocation list, taken by the running daemon while programs read. LARGE_LIST_ENTRIES=200000 is
as large as they come."""

import json
import os
import pathlib
import time

import testbed
from system import scene
from system.test_revocation import RevocationTest

ENTRIES = int(os.environ.get("LARGE_LIST_ENTRIES", 20000))
READ_MS_MAX = 10000              # on a machine that is busy with others
MEMORY_MAX = 512 * 1024 * 1024   # of any of our processes, with that list

READERS = """
import json, os, select, sys, time
names, worst, count = sys.argv[1:], 0, 0
print("ready", flush=True)
while not select.select([0], [], [], 0.002)[0]:
    for name in names:
        began = time.monotonic()
        file = os.open(name, os.O_RDONLY)
        if not os.pread(file, 4096, 0):
            sys.exit("nothing read")
        os.close(file)
        worst, count = max(worst, time.monotonic() - began), count + 1
print(json.dumps({"count": count, "worst_ms": worst * 1000}))
"""


class LargeList(RevocationTest):
    def memory(self):
        """The most that each of our processes has used, in bytes."""
        peaks = {}
        for name, pids in self.site.rooms().items():
            for pid in pids:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
                peaks[name] = max(peaks.get(name, 0), int(peak.split()[1]) * 1024)
        return peaks

    def test_readers_go_on(self):
        authority = self.minister.officials
        names = [f"large-{i}.pdf" for i in range(4)]
        self.minister.signer("large-revoked")
        for name in names:
            self.serve_signed(name)
        self.serve_signed("large-revoked.pdf", signer="large-revoked")
        for name in [*names, "large-revoked.pdf"]:
            self.assertReads(self.reader, name)
        self.minister.set_revoked(authority, [("large-revoked", "keyCompromise", -1)])
        with open(authority.home / "index.txt", "a") as index:
            for serial in range(0x10000000, 0x10000000 + ENTRIES):
                index.write(f"R\t360101000000Z\t260101000000Z,superseded\t{serial:X}\tunknown\t/CN=x\n")
        made = self.minister.write_list(authority, "large.hidden", number=0x9000)
        (authority.home / "index.txt").write_text("")
        process = self.reader.start("/usr/bin/python3", "-S", "-c", READERS, *names, stdin=-1)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        time.sleep(0.5)
        began = time.monotonic()
        made.rename(self.minister.lists / "large.crl")
        self.await_list("Officials", "9000")
        testbed.wait_until(lambda: "large-revoked.pdf" not in self.reader.list(), 60,
                           "everybody to be judged by it")
        elapsed = time.monotonic() - began
        done = self.reader.finish(process)   # closes its input
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        peaks = self.memory()
        size = (self.minister.lists / "large.crl").stat().st_size
        print(f"      {ENTRIES} entries, {size} bytes: in force after {elapsed:.1f} s, meanwhile "
              f"{found['count']} reads, the slowest {found['worst_ms']:.0f} ms; peaks in MiB: "
              + ", ".join(f"{name} {peak >> 20}" for name, peak in sorted(peaks.items())))
        self.assertEqual(self.list_in_force("Officials")["entries"], ENTRIES + 1)
        self.assertFails(self.reader, "large-revoked.pdf", "EKEYREVOKED")
        self.assertLess(found["worst_ms"], READ_MS_MAX)
        if not scene.sanitized():   # a sanitizer's own memory is not ours
            self.assertLess(max(peaks.values()), MEMORY_MAX)
