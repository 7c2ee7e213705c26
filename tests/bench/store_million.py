#!/usr/bin/python3
"""A store of a million small certificates behind the mount: how long until it is mounted, look-ups
against those among a thousand, memory, and listing against ext4 in the same run. Run by hand as root
on a quiet machine:

    tests/bench/store_million.py [COUNT]
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]

import testbed  # noqa: E402
from system.scene import GOOD, build_directory, fill_store, samples  # noqa: E402

SIZE = 1000
FEW = 1000
LOOKUPS = 20_000
# Both mounts in turn, so that what disturbs one disturbs the other. The first round is for pages
# that were never looked at before.
LOOK = """
import gc, os, random, sys, time
looks, *pairs = map(int, sys.argv[1:])
random.seed(1)
mounts = []
for directory, count in zip(pairs[::2], pairs[1::2]):
    names = [f"filled-{random.randrange(count):07}.pdf" for _ in range(looks)]
    mounts.append((directory, names))
gc.disable()
for _ in range(4):
    spent = [[], []]
    for i in range(looks):
        for (directory, names), times in zip(mounts, spent):
            began = time.perf_counter_ns()
            os.stat(names[i], dir_fd=directory)
            times.append(time.perf_counter_ns() - began)
    print(*(sorted(times)[looks * share // 100] / 1000 for times in spent for share in (50, 99)))
"""


class Bench:
    """A site whose store holds `count` certificates that differ in the name only."""

    def __init__(self, count):
        self.count = count
        directory = build_directory() / "bench" / f"store-{count}"
        self.site = testbed.Site(directory, build_directory(), samples())
        self.link = testbed.LinkSim(directory / "link", self.site.served, self.site.samples / "link")
        self.site.policy["affair none"] = {"purpose": "nothing that is there", "readers": "61152",
                                           "ids": "Z*"}
        settings = self.site.settings(self.link.url)
        settings["mount"].update(map_size="64G", entry_timeout="0", quota="0")
        self.site.write_configuration(settings)
        self.site.serve(self.site.samples / "documents" / GOOD)
        self.site.start()
        row = self.site.reader().read(GOOD)
        if row["error"] != "OK":
            raise testbed.Trouble(str(row))
        self.site.stop()
        began = time.monotonic()
        fill_store(self.site, count, SIZE)
        os.sync()
        print(f"{count} certificates stored in {time.monotonic() - began:.0f} s", flush=True)

    def mount(self):
        began = time.monotonic()
        self.site.start()
        print(f"{self.count}: mounted after {time.monotonic() - began:.2f} s", flush=True)

    def names(self):
        return self.site.reader().run("ls", "-U", timeout=600).stdout.count(b"\n")

    def anonymous_mib(self):
        rollup = pathlib.Path(f"/proc/{self.site.room('kosekifs-mount')}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous:\s+(\d+)", rollup, re.M).group(1)) / 1024

    def close(self):
        self.site.close()
        self.link.stop()
        shutil.rmtree(self.site.directory, ignore_errors=True)


def compare_lookups(few, many):
    directories = [os.open(bench.site.mount_point, os.O_PATH) for bench in (few, many)]
    reader = few.site.reader()
    done = reader.run("/usr/bin/python3", "-S", "-c", LOOK, LOOKUPS, directories[0], few.count,
                      directories[1], many.count, timeout=600, pass_fds=directories)
    for directory in directories:
        os.close(directory)
    if done.returncode:
        raise testbed.Trouble(done.stderr.decode())
    for line in done.stdout.splitlines():
        a50, a99, b50, b99 = map(float, line.split())
        print(f"look-up p50/p99: {a50:.1f}/{a99:.1f} us among {few.count}, {b50:.1f}/{b99:.1f} us "
              f"among {many.count}; p99 ratio {b99 / a99:.2f}", flush=True)


def seconds_of(run):
    began = time.monotonic()
    run()
    return time.monotonic() - began


def plain_directory(count):
    directory = build_directory() / "bench" / "plain"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for i in range(count):
        os.close(os.open(directory / f"filled-{i:07}.pdf", os.O_CREAT | os.O_WRONLY))
    return directory


def compare_listings(bench):
    reader, nobody = bench.site.reader(), bench.site.reader(61152, groups=())
    plain = plain_directory(bench.count)

    def ours(who=reader):
        who.run("ls", "-U", stdout=subprocess.DEVNULL, timeout=600)

    def ext4():
        subprocess.run(["ls", "-U", plain], check=True, stdout=subprocess.DEVNULL)

    print(f"ls -U of {bench.count}, the first: {seconds_of(ours):.2f} s", flush=True)
    found = bench.names()
    if found != bench.count + 1:
        raise testbed.Trouble(f"{found} names are listed")
    ext4()
    rounds = [(seconds_of(ours), seconds_of(ext4)) for _ in range(7)]
    a, b = (sorted(times)[len(times) // 2] for times in zip(*rounds))
    print(f"ls -U of {bench.count}, median of {len(rounds)}: {a:.3f} s, ext4 {b:.3f} s; "
          f"ratio {a / b:.2f}")
    print(f"ls -U of who may list nothing that is there: {seconds_of(lambda: ours(nobody)):.3f} s")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    benches = []
    try:
        for number in (FEW, count):
            benches.append(Bench(number))
        few, many = benches
        few.mount()
        many.mount()
        compare_lookups(few, many)
        compare_listings(many)
        print(f"anonymous memory of kosekifs-mount: {many.anonymous_mib():.1f} MiB")
    finally:
        for bench in benches:
            bench.close()
        shutil.rmtree(build_directory() / "bench" / "plain", ignore_errors=True)


if __name__ == "__main__":
    main()
