#!/usr/bin/python3
"""How long many stored certificates of one signer take to change state on a new revocation list, with
reads of others going on: trust_bench.py [COUNT]. As root; KOSEKIFS_BUILD names the build directory."""

import os
import pathlib
import sys
import threading
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]

import testbed  # noqa: E402
from system.test_revocation import RevocationTest  # noqa: E402

COUNT = int(os.environ.get("TRUST_BENCH_COUNT", "100000"))


class Bench(RevocationTest):
    settings = {"mount.map_size": "32G", "audit.sync_within": "1s"}

    def test_change(self):
        self.minister.signer("other")
        self.serve_signed("other.pdf", signer="other")
        self.assertReads(self.reader, "other.pdf")
        self.serve_signed("model.pdf")
        names = [f"many-{i}.pdf" for i in range(COUNT)]
        for name in names:
            os.link(self.site.served / "model.pdf", self.site.served / name)
        began = time.monotonic()
        for at in range(0, COUNT, 500):
            rows = self.reader.read_all(names[at:at + 500], timeout=600)
            self.assertEqual({row["error"] for row in rows}, {"OK"})
        print(f"{COUNT} certificates fetched in {time.monotonic() - began:.0f} s", flush=True)
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
        self.minister.write_list(self.minister.officials, "officials.crl",
                                 entries=[("signer", "keyCompromise", 0)])
        began = time.monotonic()
        testbed.wait_until(lambda: self.reader.read(names[0])["error"] == "EKEYREVOKED", 60,
                           "the change")
        changed = time.monotonic() - began
        testbed.wait_until(lambda: "a signer changed" in self.site.log(), 120, "all to be told of")
        stop.set()
        readers.join()
        during = sorted(times)
        print(f"refused {changed:.1f} s after the file was there (looked at every 2 s)")
        print([line for line in self.site.log().splitlines() if "a signer changed" in line][-1])
        for words, values in (("before", before), ("during", during)):
            print(f"reads {words}: {len(values)}, median {values[len(values) // 2]:.2f} ms, "
                  f"worst {values[-1]:.2f} ms")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        COUNT = int(sys.argv.pop(1))
    unittest.main()
