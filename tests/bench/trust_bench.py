#!/usr/bin/python3
"""How long many stored certificates of one signer take to change state on a new revocation list, with
reads of another signer's going on: trust_bench.py [COUNT]. As root; KOSEKIFS_BUILD names the build
directory. The kernel knows every one of them when the list comes, and has pages of some."""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]

import testbed  # noqa: E402
from samples import pki  # noqa: E402
from system.scene import build_directory  # noqa: E402
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
while any(entry.startswith("B0") for entry in os.listdir(".")):
    pass
print(time.monotonic(), flush=True)
"""
TOUCH = """
import os, sys
for entry in os.scandir("."):
    entry.stat()
for i in range(int(sys.argv[1])):
    with open(f"B{i:07}.pdf", "rb") as file:
        file.read()
"""


class Bench(RevocationTest):
    settings = {"mount.map_size": "32G", "mount.quota": "0", "audit.sync_within": "1s"}

    def load(self):
        """Stored as if they had come one by one; the files are the daemon's before and after."""
        signer = hashlib.sha256(pki.openssl("x509", "-in", self.minister.directory / "signer.pem",
                                            "-outform", "DER")).hexdigest()
        status = json.loads(self.reader.text(".kosekifs/status.json"))
        state, owner = self.site.directory / "state", testbed.ROOM_USERS["mount"]
        self.site.stop()
        paths = [state, *(state / name for name in ("data.mdb", "lock.mdb", "slots", "lock"))]
        for path in paths:
            os.chown(path, 0, 0)
        subprocess.run([build_directory() / "tests/unit/cache/store-load", state,
                        self.site.directory / "keys" / "master.key",
                        status["verify"]["trust_generation"], str(COUNT), "1000", signer],
                       check=True)
        for path in paths:
            os.chown(path, owner, owner)
        self.site.start()

    def time_of_list(self):
        """When the daemon took the newest list, on the clock of time.monotonic()."""
        row = [row for row in self.audit("trust") if row.get("reason") == "revocation_list"][-1]
        moment = datetime.datetime.fromisoformat(row["time"].replace("Z", "+00:00"))
        return moment.timestamp() - time.time() + time.monotonic()

    def test_change(self):
        self.minister.signer("other")
        self.serve_signed("other.pdf", signer="other")
        self.assertReads(self.reader, "other.pdf")
        self.serve_signed("model.pdf")
        self.assertReads(self.reader, "model.pdf")
        began = time.monotonic()
        self.load()
        print(f"{COUNT} certificates loaded in {time.monotonic() - began:.0f} s", flush=True)
        touched = self.reader.run("/usr/bin/python3", "-S", "-c", TOUCH, READ, timeout=300)
        self.assertEqual(touched.returncode, 0, touched.stderr)
        holder = Holder(self, "B0000000.pdf")
        self.assertEqual(holder.read(), "OK")
        times, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                row = self.reader.read("other.pdf")
                self.assertEqual(row["error"], "OK")
                times.append(row["ms"])
        readers = threading.Thread(target=read)
        readers.start()
        time.sleep(3)
        before = sorted(times)
        times.clear()
        watch = self.reader.start("/usr/bin/python3", "-S", "-c", WATCH, f"B{COUNT - 1:07}.pdf",
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
        stop.set()
        readers.join()
        during = sorted(times)
        listed = self.time_of_list()
        for words, moment in (("refused", float(refused)), ("an open file refused by", held),
                              ("gone from a whole listing", vanished), ("all told of", told)):
            print(f"{words}: {moment - listed:.2f} s after the list was taken")
        print([line for line in self.site.log().splitlines() if "a signer changed" in line][-1])
        for words, values in (("before", before), ("during", during)):
            print(f"reads {words}: {len(values)}, median {values[len(values) // 2]:.2f} ms, "
                  f"worst {values[-1]:.2f} ms")
        watch.communicate(timeout=30)
        self.assertEqual(len([row for row in self.audit("verdict")
                              if row.get("name", "").startswith("B0")]), COUNT)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        COUNT = int(sys.argv.pop(1))
    unittest.main()
