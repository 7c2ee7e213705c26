"""Certificates a second that 16 programs get which nobody has opened before: fetched, verified,
stored durably, recorded.

The reference is fetch_multi, a bare libcurl multi loop with 16 kept connections to the same nginx,
which keeps the bodies in memory and does nothing else with them; beside it the same loop when it
writes each body to a file and syncs it. Rounds alternate, so that all meet the same machine, and all
have their connections before the time begins. The certificate is a scanned page of some 300 KiB.
Prints the ratio of each round and their median, and what each process took of the processors for a
file, which is what decides when they are all busy. Needs root and nginx.

usage: link_bench.py BUILD_DIRECTORY [FILES [ROUNDS]]
"""

import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests")]
sys.dont_write_bytecode = True
import testbed  # noqa: E402
from samples import document, register, signature  # noqa: E402
from samples.truetype import Font, Subset  # noqa: E402
from system.nginx import Nginx  # noqa: E402

READERS, DPI, SEED = 16, 91, 7
FONT = "/usr/share/fonts/opentype/ipaexfont-mincho/ipaexm.ttf"


def make_certificate(signing):
    """One scanned page, as those of registers that were kept by hand."""
    font, drawing = Font(FONT), register.old_register_drawing()
    pages = [register.scanned(register.scan_flate(drawing, font, SEED, dpi=DPI))]
    unsigned = document.build(pages, font, Subset(font, "戸籍"), "戸籍電子証明書",
                              signature.pdf_date(signature.now()), "0" * 32, signature.dictionary())
    return signature.sign(unsigned, signing / "minister.pem", signing / "official.pem")


class Processes:
    """CPU seconds of named processes; with the supervisor, those of processes it replaced."""

    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, pids):
        self.pids, self.before = pids, {}

    def seconds(self, pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return sum(map(int, fields[11:15])) / self.TICKS
        return 0.0

    def read(self):
        return {name: sum(map(self.seconds, pids)) for name, pids in self.pids().items()}

    def begin(self):
        self.before = self.read()

    def taken(self):
        return {name: seconds - self.before.get(name, 0) for name, seconds in self.read().items()}


class Bench:
    def __init__(self, build, files):
        self.build, self.files, home = build, files, build / "bench-link"
        home.mkdir(exist_ok=True)
        self.samples = home / "samples"
        if not self.samples.exists():
            subprocess.run([TOP / "tools" / "make-samples", self.samples], check=True,
                           capture_output=True)
        self.site = testbed.Site(home / "site", build, self.samples)
        self.link = Nginx(self.site.directory / "nginx", self.site.served, self.samples / "link")
        self.certificate = self.site.directory / "certificate.pdf"
        self.certificate.write_bytes(make_certificate(self.samples / "signing"))
        self.kept = self.site.directory / "kept"
        self.kept.mkdir()
        settings = self.site.settings(self.link.url)
        settings["alerts"] = {"opens": 1_000_000_000}
        settings["mount"].update({"fetches_max": READERS, "map_size": "8G"})
        settings["link"]["connections_max"] = READERS
        self.site.write_configuration(settings)

    def close(self):
        self.site.close()
        self.link.stop()
        shutil.rmtree(self.site.directory)

    def pids(self):
        return {"nginx": [self.link.process.pid], "kosekifs": [self.site.daemon.pid],
                **self.site.rooms()}

    def serve(self, names):
        for name in names:
            os.link(self.certificate, self.site.served / name)

    def run(self, program, *arguments, **how):
        done = subprocess.run([self.build / "tests" / "bench" / program, *map(str, arguments)],
                              text=True, capture_output=True, **how)
        if done.returncode:
            raise testbed.Trouble(done.stderr)
        return map(float, done.stdout.split())

    def through_mount(self, names):
        return self.run("read-files", READERS, input="\n".join(names), cwd=self.site.mount_point,
                        user=61101, group=61101, extra_groups=[testbed.AFFAIR_GROUP])

    def by_libcurl(self, names, *directory):
        link, key = self.samples / "link", self.site.directory / "keys" / "client.key"
        urls = [self.link.url.replace("{name}", name) for name in names]
        return self.run("fetch-multi", link / "ca.pem", link / "client.pem", key, READERS,
                        *directory, input="\n".join(urls[:1] + urls))

    def warm_up(self):
        """All the connections, and whatever libraries make ready on first use."""
        names = [f"warm-{number}.pdf" for number in range(4 * READERS)]
        self.serve(names)
        self.through_mount(names)

    def round(self, number):
        names = [f"bench-{number}-{i}.pdf" for i in range(self.files)]
        self.serve(names)
        processes = Processes(self.pids)
        processes.begin()
        theirs, their_cpu = self.by_libcurl(names)
        their_nginx = processes.taken()["nginx"]
        kept, _ = self.by_libcurl(names, self.kept)
        processes.begin()
        ours, reader_cpu = self.through_mount(names)
        taken = {"readers": reader_cpu, **processes.taken()}
        print(f"{self.files / ours:.0f} files/s through the mount, {self.files / theirs:.0f} by "
              f"libcurl alone: {theirs / ours:.2f}; {self.files / kept:.0f} when it keeps them: "
              f"{kept / ours:.2f}", flush=True)
        return (theirs / ours, {"libcurl alone": their_cpu, "nginx for it": their_nginx}, taken,
                kept / ours)

    def report(self, rounds):
        total = len(rounds) * self.files

        def row(column):
            names = {name for entry in rounds for name in entry[column]}
            taken = {name: sum(entry[column].get(name, 0) for entry in rounds) for name in names}
            each = sorted(taken.items(), key=lambda item: -item[1])
            return (", ".join(f"{name} {1000 * seconds / total:.2f}" for name, seconds in each
                              if seconds > 0), 1000 * sum(taken.values()) / total)
        (theirs, their_sum), (ours, our_sum) = row(1), row(2)
        print(f"{self.certificate.stat().st_size} bytes a file, {total} files, {os.cpu_count()} "
              f"processors\nms of the processors a file, reference: {theirs}; together "
              f"{their_sum:.2f}\nms of the processors a file, ours: {ours}; together {our_sum:.2f}"
              f"\nmedian {statistics.median(entry[0] for entry in rounds):.2f}; of libcurl that "
              f"keeps them {statistics.median(entry[3] for entry in rounds):.2f}")


def main():
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    bench = Bench(pathlib.Path(sys.argv[1]).resolve(), files)
    try:
        bench.site.start()
        bench.warm_up()
        bench.report([bench.round(number) for number in range(rounds)])
    finally:
        bench.close()


if __name__ == "__main__":
    main()
