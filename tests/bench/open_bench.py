"""What an open of a stored certificate costs, access decision and audit record included.

The reference is minimal_fs, a FUSE file system that does nothing but answer, mounted at the same
time; rounds alternate between the two, so that both meet the same machine. Prints the median ratio
and the CPU time that each takes for an open and close. Needs root.

usage: open_bench.py BUILD_DIRECTORY
"""

import pathlib
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
sys.dont_write_bytecode = True
import testbed  # noqa: E402

NAME, OPENS, ROUNDS = "K2026-000101.pdf", 6000, 15


def cpu_us(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 10_000


def measure(site, build, reference, reference_pid, readers):
    mount_pid = site.room("kosekifs-mount")
    before = cpu_us(mount_pid), cpu_us(reference_pid)
    out = site.reader().run(build / "tests" / "bench" / "open-close", reference / "file", NAME, readers,
                            OPENS // readers, ROUNDS, timeout=300)
    if out.returncode:
        raise testbed.Trouble(out.stderr.decode())
    rounds = [tuple(map(int, line.split())) for line in out.stdout.decode().splitlines()]
    after = cpu_us(mount_pid), cpu_us(reference_pid)
    count = OPENS * ROUNDS
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    print(f"{readers} readers: open+close {ratio:.2f} x minimal FUSE file system "
          f"(median {statistics.median(o for _, o in rounds) / 1000:.1f} us against "
          f"{statistics.median(t for t, _ in rounds) / 1000:.1f} us); CPU of the daemon "
          f"{(after[0] - before[0]) / count:.1f} us against {(after[1] - before[1]) / count:.1f} us")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    home = build / "bench-open"
    samples = home / "samples"
    home.mkdir(exist_ok=True)
    if not samples.exists():
        subprocess.run([TOP / "tools" / "make-samples", samples], check=True, capture_output=True)
    site = testbed.Site(home / "site", build, samples)
    site.serve(samples / "documents" / NAME)
    link = testbed.LinkSim(site.directory / "link", site.served, samples / "link")
    reference = site.directory / "reference"
    reference.mkdir()
    minimal = subprocess.Popen([build / "tests" / "bench" / "minimal-fs", reference])
    try:
        settings = site.settings(link.url)
        settings["alerts"] = {"opens": 1_000_000_000}
        site.write_configuration(settings)
        site.start()
        row = site.reader().read(NAME)
        if row["error"] != "OK":
            raise testbed.Trouble(str(row))
        for readers in (1, 4):
            measure(site, build, reference, minimal.pid, readers)
    finally:
        site.stop()
        link.stop()
        subprocess.run(["umount", reference], check=False)
        minimal.wait(10)


if __name__ == "__main__":
    main()
