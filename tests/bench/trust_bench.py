#!/usr/bin/python3
"""How long many stored certificates of one signer take to change state on a new revocation list, with
reads of another signer's going on: trust_bench.py [COUNT]. As root; KOSEKIFS_BUILD names the build
directory. The kernel knows every one of them when the list comes, and has pages of some."""

import datetime
import os
import pathlib
import subprocess
import sys
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]

import testbed  # noqa: E402
from system.scene import fill_store  # noqa: E402
from system.test_revocation import Holder, RevocationTest  # noqa: E402

COUNT = int(os.environ.get("TRUST_BENCH_COUNT", "100000"))
READ = 1000    # whose pages the kernel has
WATCH = """
import errno, os, sys, time
name = sys.argv[1]
while True:
    try:
        os.close(os.open(name, os.O_RDONLY))
    except OSError as failure:
        print(time.monotonic(), errno.errorcode[failure.errno], flush=True)
        break
    time.sleep(0.005)
while any(entry.startswith("filled-") for entry in os.listdir(".")):
    pass
print(time.monotonic(), flush=True)
"""
READS = """
import os, select, sys, time
for _ in range(2):
    spent = []
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        began = time.monotonic()
        file = os.open(sys.argv[1], os.O_RDONLY)
        assert os.pread(file, 4096, 0)
        os.close(file)
        spent.append((time.monotonic() - began) * 1000)
    sys.stdin.readline()
    spent.sort()
    print(f"{len(spent)}, median {spent[len(spent) // 2]:.2f} ms, p99 "
          f"{spent[len(spent) * 99 // 100]:.2f} ms, worst {spent[-1]:.2f} ms", flush=True)
"""
TOUCH = """
import os, sys
for entry in os.scandir("."):
    entry.stat()
for i in range(int(sys.argv[1])):
    with open(f"filled-{i:07}.pdf", "rb") as file:
        file.read()
"""


class Bench(RevocationTest):
    settings = {"mount.map_size": "32G", "mount.quota": "0", "audit.sync_within": "1s"}

    def time_of_list(self):
        """When the daemon took the newest list, on the clock of time.monotonic()."""
        row = self.site.events(kind="trust", reason="revocation_list")[-1]
        moment = datetime.datetime.fromisoformat(row["time"].replace("Z", "+00:00"))
        return moment.timestamp() - time.time() + time.monotonic()

    def test_change(self):
        self.serve_signed("model.pdf")   # the first: the others are stored with its verdict
        self.assertReads(self.reader, "model.pdf")
        self.minister.signer("other")
        self.serve_signed("other.pdf", signer="other")
        self.assertReads(self.reader, "other.pdf")
        self.site.stop()
        began = time.monotonic()
        fill_store(self.site, COUNT, 1000)
        print(f"{COUNT} certificates stored in {time.monotonic() - began:.0f} s", flush=True)
        self.site.start()
        touched = self.reader.run("/usr/bin/python3", "-S", "-c", TOUCH, READ, timeout=300)
        self.assertEqual(touched.returncode, 0, touched.stderr)
        holder = Holder(self, "filled-0000000.pdf")
        self.assertEqual(holder.read(), "OK")
        reads = self.reader.start("/usr/bin/python3", "-S", "-c", READS, "other.pdf",
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(3)
        reads.stdin.write("\n")
        reads.stdin.flush()
        watch = self.reader.start("/usr/bin/python3", "-S", "-c", WATCH, f"filled-{COUNT - 1:07}.pdf",
                                  stdout=subprocess.PIPE, text=True)
        self.minister.write_list(self.minister.officials, "officials.crl",
                                 entries=[("signer", "keyCompromise", 0)])
        refused, error = watch.stdout.readline().split()
        self.assertEqual(error, "EKEYREVOKED")
        testbed.wait_until(lambda: holder.read() == "EKEYREVOKED", 30, "the pages to be dropped")
        held = time.monotonic()
        vanished = float(watch.stdout.readline())
        testbed.wait_until(lambda: "a signer changed" in self.site.log(), 120, "all to be told of")
        told = time.monotonic()
        before, during, _ = reads.communicate("\n", timeout=30)[0].split("\n")
        listed = self.time_of_list()
        for words, moment in (("refused", float(refused)), ("an open file refused by", held),
                              ("gone from a whole listing", vanished), ("all told of", told)):
            print(f"{words}: {moment - listed:.2f} s after the list was taken")
        print([line for line in self.site.log().splitlines() if "a signer changed" in line][-1])
        print(f"reads before: {before}\nreads during: {during}")
        watch.communicate(timeout=30)
        self.assertEqual(len([row for row in self.site.events(kind="verdict")
                              if row.get("name", "").startswith("filled-")]), COUNT)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        COUNT = int(sys.argv.pop(1))
    unittest.main()
