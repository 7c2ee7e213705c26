#!/usr/bin/python3
"""Cold sequential reading of one large certificate through the mount, by what the kernel reads ahead,
against a plain file in its page cache being copied out. Run by hand as root on a quiet machine:

    tests/bench/read_bench.py [MIB]
"""

import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]

import testbed  # noqa: E402
from system.scene import GOOD, build_directory, fill_store, samples  # noqa: E402

AHEAD_KIB = (128, 256, 512, 1024, 2048)
ROUNDS = 3   # of all values in turn
READ = """
import os, statistics, sys, time
name, piece = sys.argv[1], bytearray(128 * 1024)
spent = []
for _ in range(11):
    file = os.open(name, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.perf_counter()
    while os.readv(file, [piece]):
        pass
    spent.append(time.perf_counter() - began)
    os.close(file)
print(statistics.median(spent))
"""


def seconds(reader, name="filled-0000000.pdf"):
    done = reader("/usr/bin/python3", "-S", "-c", READ, name)
    if done.returncode:
        raise testbed.Trouble(done.stderr.decode())
    return float(done.stdout)


def main():
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 5) << 20
    directory = build_directory() / "bench" / "read"
    site = testbed.Site(directory, build_directory(), samples())
    link = testbed.LinkSim(directory / "link", site.served, site.samples / "link")
    plain = directory / "plain"
    try:
        site.write_configuration(site.settings(link.url))
        site.serve(site.samples / "documents" / GOOD)
        site.start()
        site.reader().read(GOOD)
        site.stop()
        fill_store(site, 1, size)
        site.start()
        plain.write_bytes(bytes(size))
        os.sync()
        device = os.stat(site.mount_point).st_dev
        ahead = pathlib.Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
        print(f"{size >> 20} MiB; as mounted {ahead.read_text().strip()} KiB are read ahead")
        best = dict.fromkeys(AHEAD_KIB, float("inf"))
        for _ in range(ROUNDS):
            for kib in AHEAD_KIB:
                ahead.write_text(str(kib))
                best[kib] = min(best[kib], seconds(site.reader().run))
        floor = seconds(lambda *argv: subprocess.run(argv, capture_output=True), plain)
        for kib, spent in best.items():
            print(f"{kib:5} KiB: {spent * 1000:7.2f} ms, {size / 2**20 / spent:5.0f} MiB/s")
        print(f"plain file: {floor * 1000:7.2f} ms")
    finally:
        site.close()
        link.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
