"""How long one program waits for one certificate that nobody has opened before: open, read to the end,
close; fetched, verified, stored durably and recorded meanwhile. The reference is `rclone mount` of the
same nginx over the same mutual TLS, which verifies and stores nothing and has read the directory before,
so that it asks for the content alone. The two take turns, each file once; prints both medians and the
ratio of each round. Needs root, nginx and rclone.

usage: cold_bench.py BUILD_DIRECTORY [FILES [ROUNDS [SOURCE]]]
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]
sys.dont_write_bytecode = True
import testbed  # noqa: E402
from system.nginx import Nginx  # noqa: E402

SOURCE = "K2026-000103.pdf"   # 514 KB, with an image

READ_EACH = """
import json, os, sys, time
rows = []
for name in sys.stdin.read().split():
    began = time.perf_counter()
    handle = os.open(name, os.O_RDONLY)
    while os.read(handle, 1 << 20): pass
    os.close(handle)
    rows.append((time.perf_counter() - began) * 1000)
print(json.dumps(rows))
"""


class Rclone:
    """The mount of a user who has no kosekifs."""

    def __init__(self, home, link, pki, key):
        self.mount_point = home / "rclone"
        self.mount_point.mkdir()
        url = link.url.replace("{name}", "")
        self.process = testbed.start_servant(
            ["rclone", "mount", ":http:", self.mount_point, "--config", "/dev/null", "--http-url", url,
             "--ca-cert", pki / "ca.pem", "--client-cert", pki / "client.pem", "--client-key", key,
             "--read-only", "--allow-other", "--dir-cache-time", "1h"], stderr=subprocess.PIPE)
        testbed.wait_until(lambda: self.mount_point.is_mount(), 20, "rclone")

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=20)


def read_each(directory, names):
    done = subprocess.run(["/usr/bin/python3", "-c", READ_EACH], text=True, input="\n".join(names),
                          capture_output=True, cwd=directory, user=61101, group=61101,
                          extra_groups=[testbed.AFFAIR_GROUP])
    if done.returncode:
        raise testbed.Trouble(done.stderr)
    return json.loads(done.stdout)


def make_site(build, home):
    samples = home / "samples"
    if not samples.exists():
        subprocess.run([TOP / "tools" / "make-samples", samples], check=True, capture_output=True)
    site = testbed.Site(home / "site", build, samples)
    link = Nginx(site.directory / "nginx", site.served, samples / "link", more="autoindex on;")
    settings = site.settings(link.url)
    settings["alerts"] = {"opens": 1_000_000_000}
    site.write_configuration(settings)
    return site, link


def compare(site, rclone, names, first):
    """Medians of both; a few files at a time, by turns."""
    times = {site: [], rclone: []}
    for begin in range(0, len(names), 10):
        for mount in ((site, rclone) if first else (rclone, site)):
            times[mount] += read_each(mount.mount_point, names[begin:begin + 10])
    return statistics.median(times[site]), statistics.median(times[rclone])


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    source = sys.argv[4] if len(sys.argv) > 4 else SOURCE
    home = build / "bench-cold"
    home.mkdir(exist_ok=True)
    site, link = make_site(build, home)
    ratios, rclone = [], None
    try:
        names = [[f"cold-{number}-{i}.pdf" for i in range(files)] for number in range(rounds + 1)]
        for name in sum(names, []):
            site.serve(site.samples / "documents" / source, name)
        rclone = Rclone(site.directory, link, site.samples / "link",
                        site.directory / "keys" / "client.key")
        list(rclone.mount_point.iterdir())
        site.start()
        compare(site, rclone, names[-1], True)   # connections, keys and worker are there after it
        for number in range(rounds):
            ours, theirs = compare(site, rclone, names[number], number % 2)
            ratios.append(ours / theirs)
            print(f"kosekifs {ours:.2f} ms, rclone {theirs:.2f} ms: {ratios[-1]:.2f}", flush=True)
        print(f"median {statistics.median(ratios):.2f}")
    finally:
        site.close()
        if rclone:
            rclone.stop()
        link.stop()
        shutil.rmtree(site.directory)


if __name__ == "__main__":
    main()
