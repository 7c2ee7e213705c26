"""Certificates a second that 16 programs get which nobody has opened before: fetched, verified,
stored durably, recorded. The reference is libcurl's own multi loop (curl --parallel) against the
same nginx with as many transfers, which verifies and stores nothing; rounds alternate, so that both
meet the same machine. Prints the ratio of each round and their median. Needs root and nginx.

usage: link_bench.py BUILD_DIRECTORY [FILES [ROUNDS]]
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]
sys.dont_write_bytecode = True
import testbed  # noqa: E402
from system.nginx import Nginx  # noqa: E402

SOURCE, READERS = "K2026-000103.pdf", 16   # 514 KB, with an image

READ_ALL = """
import os, queue, sys, threading, time
names = queue.SimpleQueue()
for name in sys.stdin.read().split(): names.put(name)
failed = []
def read():
    while True:
        try: name = names.get_nowait()
        except queue.Empty: return
        try:
            handle = os.open(name, os.O_RDONLY)
            while os.read(handle, 1 << 20): pass
            os.close(handle)
        except OSError as failure: failed.append((name, str(failure)))
began = time.monotonic()
threads = [threading.Thread(target=read) for _ in range(int(sys.argv[1]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(time.monotonic() - began)
sys.exit(str(failed[:3]) if failed else 0)
"""


def serve(site, names):
    for name in names:
        site.serve(site.samples / "documents" / SOURCE, name)


def read_through_mount(site, names):
    done = subprocess.run(["/usr/bin/python3", "-c", READ_ALL, str(READERS)], text=True,
                          input="\n".join(names), capture_output=True, cwd=site.mount_point,
                          user=61101, group=61101, extra_groups=[testbed.AFFAIR_GROUP])
    if done.returncode:
        raise testbed.Trouble(done.stderr)
    return float(done.stdout)


def read_by_curl(site, link, names):
    pki, key = site.samples / "link", site.directory / "keys" / "client.key"
    lines = [line for name in names for line in
             (f'url = "{link.url.replace("{name}", name)}"', 'output = "/dev/null"')]
    began = time.monotonic()
    subprocess.run(["curl", "-sS", "--http1.1", "--parallel", "--parallel-max", str(READERS),
                    "--cacert", pki / "ca.pem", "--cert", pki / "client.pem", "--key", key,
                    "--config", "-"], input="\n".join(lines), text=True, check=True)
    return time.monotonic() - began


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    home = build / "bench-link"
    home.mkdir(exist_ok=True)
    samples = home / "samples"
    if not samples.exists():
        subprocess.run([TOP / "tools" / "make-samples", samples], check=True, capture_output=True)
    site = testbed.Site(home / "site", build, samples)
    link = Nginx(site.directory / "nginx", site.served, samples / "link")
    settings = site.settings(link.url)
    settings["alerts"] = {"opens": 1_000_000_000}
    settings["mount"].update({"fetches_max": READERS, "map_size": "8G"})
    settings["link"]["connections_max"] = READERS
    site.write_configuration(settings)
    ratios = []
    try:
        site.start()
        for number in range(rounds):
            names = [f"bench-{number}-{i}.pdf" for i in range(files)]
            serve(site, names)
            theirs = read_by_curl(site, link, names)
            ours = read_through_mount(site, names)
            ratios.append(theirs / ours)
            print(f"{files / ours:.0f} files/s through the mount, {files / theirs:.0f} by libcurl "
                  f"alone: {ratios[-1]:.2f}", flush=True)
        status = json.loads(site.ctl("--json", "status").stdout)["status"]["link"]
        print(f"median {statistics.median(ratios):.2f}; resumed {status['resumed']}, "
              f"queued {status['line']['queued_ms_mean']} ms on average")
    finally:
        site.close()
        link.stop()
        shutil.rmtree(site.directory)


if __name__ == "__main__":
    main()
