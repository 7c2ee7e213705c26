"""What an open of a stored certificate costs, access decision and audit record included.

The reference is minimal_fs, a FUSE file system that does nothing but answer, mounted at the same
time with the same options and as many threads; rounds alternate between the two, so that both meet
the same machine. Twice: for a reader whose uid gives the right, and for one who has it by a
supplementary group, which the kernel does not tell and which is read from /proc at each open.
Prints the ratio of each run (the median of its rounds) and the CPU time of both daemons for an open
and close. Needs root, and a machine with nothing else to do.

usage: open_bench.py BUILD_DIRECTORY [RUNS [THREADS]]
"""

import pathlib
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
sys.dont_write_bytecode = True
import testbed  # noqa: E402

NAME, OPENS, ROUNDS, UID = "K2026-000101.pdf", 6000, 15, 61102


def favour(pid):
    """With autogroups the scheduler weighs sessions, not processes: nice(1) then says nothing
    against other work on the machine, and the daemon is in a session of its own."""
    group = pathlib.Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text("-20")


def cpu_us(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 10_000


def run(site, build, reference, minimal, reader, readers):
    """Ratio, our and their microseconds, our and their CPU microseconds."""
    pids = site.room("kosekifs-mount"), minimal.pid
    before = [cpu_us(pid) for pid in pids]
    out = reader.run(build / "tests" / "bench" / "open-close", reference / "file", NAME, readers,
                     OPENS // readers, ROUNDS, timeout=300)
    if out.returncode:
        raise testbed.Trouble(out.stderr.decode())
    cpu = [(cpu_us(pid) - was) / (OPENS * ROUNDS) for pid, was in zip(pids, before)]
    rounds = [tuple(map(int, line.split())) for line in out.stdout.decode().splitlines()]
    return (statistics.median(ours / theirs for theirs, ours in rounds),
            statistics.median(ours for _, ours in rounds) / 1000,
            statistics.median(theirs for theirs, _ in rounds) / 1000, *cpu)


def report(right, readers, runs):
    ratios = sorted(row[0] for row in runs)
    ours, theirs, our_cpu, their_cpu = (statistics.median(column) for column in list(zip(*runs))[1:])
    print(f"{readers} readers, right by {right}: open+close "
          f"{statistics.median(ratios):.2f} x minimal FUSE file system "
          f"(runs {' '.join(f'{ratio:.2f}' for ratio in ratios)}; {ours:.1f} us against "
          f"{theirs:.1f} us); CPU of the daemon {our_cpu:.1f} us against {their_cpu:.1f} us",
          flush=True)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    home = build / "bench-open"
    samples = home / "samples"
    home.mkdir(exist_ok=True)
    if not samples.exists():
        subprocess.run([TOP / "tools" / "make-samples", samples], check=True, capture_output=True)
    site = testbed.Site(home / "site", build, samples)
    site.serve(samples / "documents" / NAME)
    site.policy["affair pension"]["readers"] += f", {UID}"
    link = testbed.LinkSim(site.directory / "link", site.served, samples / "link")
    reference = site.directory / "reference"
    reference.mkdir()
    minimal = subprocess.Popen([build / "tests" / "bench" / "minimal-fs", reference, str(threads)])
    rights = {"uid": site.reader(uid=UID, groups=()), "supplementary group": site.reader()}
    rows = {(right, readers): [] for right in rights for readers in (1, 4)}
    try:
        settings = site.settings(link.url)
        settings["alerts"] = {"opens": 1_000_000_000}
        settings["mount"]["fuse_threads"] = threads
        site.write_configuration(settings)
        site.start()
        row = site.reader().read(NAME)
        if row["error"] != "OK":
            raise testbed.Trouble(str(row))
        for pid in ("self", minimal.pid, site.room("kosekifs-mount")):
            favour(pid)
        for _ in range(runs):
            for (right, readers), into in rows.items():
                into.append(run(site, build, reference, minimal, rights[right], readers))
        for (right, readers), into in rows.items():
            report(right, readers, into)
    finally:
        site.stop()
        link.stop()
        subprocess.run(["umount", reference], check=False)
        minimal.wait(10)


if __name__ == "__main__":
    main()
