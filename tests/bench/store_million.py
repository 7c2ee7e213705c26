"""A store of a million small certificates behind the mount: how long until it is mounted, look-ups
against those among a thousand, memory, and listing against ext4 in the same run. Run by hand as root:

    tests/bench/store_million.py [COUNT]
"""

import json
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
from system.scene import build_directory, samples  # noqa: E402

SIZE = 1000
LOOKUPS = 20_000
LOOK = """
import os, random, sys, time
count, looks = int(sys.argv[1]), int(sys.argv[2])
random.seed(1)
names = [f"B{random.randrange(count):07}.pdf" for _ in range(looks)]
spent = []
for name in names:
    began = time.perf_counter()
    os.stat(name)
    spent.append(time.perf_counter() - began)
spent.sort()
print(spent[looks // 2] * 1e6, spent[looks * 99 // 100] * 1e6)
"""


def site_with(count):
    directory = build_directory() / "bench" / f"store-{count}"
    site = testbed.Site(directory, build_directory(), samples())
    link = testbed.LinkSim(directory / "link", site.served, site.samples / "link")
    settings = site.settings(link.url)
    settings["mount"].update(map_size="64G", entry_timeout="0", quota="0")
    site.write_configuration(settings)
    site.start()
    status = json.loads(site.reader().text(".kosekifs/status.json"))
    site.stop()
    began = time.monotonic()
    load(site, status, count)
    print(f"{count} certificates loaded in {time.monotonic() - began:.0f} s", flush=True)
    return site, link


def load(site, status, count):
    """As root, on files that belong to kosekifs-mount before and after."""
    owner = testbed.ROOM_USERS["mount"]
    state = site.directory / "state"
    for path in (state, *(state / n for n in ("data.mdb", "lock.mdb", "slots", "lock"))):
        os.chown(path, 0, 0)
    subprocess.run([build_directory() / "tests/unit/cache/store-load", state,
                    site.directory / "keys" / "master.key", status["verify"]["trust_generation"],
                    str(count), str(SIZE)], check=True)
    os.sync()
    for path in (state, *(state / n for n in ("data.mdb", "lock.mdb", "slots", "lock"))):
        os.chown(path, owner, owner)


def look_up(site, count):
    done = site.reader().run("/usr/bin/python3", "-S", "-c", LOOK, count, LOOKUPS, timeout=600)
    if done.returncode:
        raise testbed.Trouble(done.stderr.decode())
    return map(float, done.stdout.split())


def anonymous_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+)", text, re.M).group(1))


def time_listing(run):
    spent = []
    for _ in range(3):
        began = time.monotonic()
        run()
        spent.append(time.monotonic() - began)
    return min(spent)


def plain_directory(count):
    directory = build_directory() / "bench" / "plain"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for i in range(count):
        os.close(os.open(directory / f"B{i:07}.pdf", os.O_CREAT | os.O_WRONLY))
    return directory


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    sites = [(n, *site_with(n)) for n in (1000, count)]
    try:
        for number, site, _ in sites:
            began = time.monotonic()
            site.start()
            print(f"{number}: mounted after {time.monotonic() - began:.2f} s")
        for _ in range(3):
            figures = {number: tuple(look_up(site, number)) for number, site, _ in sites}
            (a50, a99), (b50, b99) = figures[1000], figures[count]
            print(f"look-up p50/p99: {a50:.0f}/{a99:.0f} us among 1000, {b50:.0f}/{b99:.0f} us among "
                  f"{count}; p99 ratio {b99 / a99:.2f}")
        site = sites[1][1]
        reader = site.reader()
        plain = plain_directory(count)
        for _ in range(2):
            ours = time_listing(lambda: reader.run("ls", "-U", stdout=subprocess.DEVNULL,
                                                   timeout=600))
            ext4 = time_listing(lambda: subprocess.run(["ls", "-U", plain], check=True,
                                                       stdout=subprocess.DEVNULL))
            print(f"ls -U of {count}: {ours:.2f} s, ext4 {ext4:.2f} s")
        print(f"anonymous memory of kosekifs-mount: {anonymous_kib(site.room('kosekifs-mount')) / 1024:.1f}"
              " MiB")
    finally:
        for _, site, link in sites:
            site.close()
            link.stop()
            shutil.rmtree(site.directory, ignore_errors=True)
        shutil.rmtree(build_directory() / "bench" / "plain", ignore_errors=True)


if __name__ == "__main__":
    main()
