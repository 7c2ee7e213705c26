"""The part of tools/demo that comes after building."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import testbed

TOP = pathlib.Path(__file__).resolve().parents[1]
REACH = testbed.reachable_top()
HOME = REACH / "build" / "demo"
GOOD, LARGE, XML = "K2026-000101.pdf", "K2026-000105.pdf", "K2026-000301.xml"
TAMPERED = "K2026-000201.pdf"

ENDING = (signal.SIGINT, signal.SIGTERM)


def say(text=""):
    print(text, flush=True)


class Demo:
    def __init__(self):
        self.failures = 0

    def expect(self, what, right):
        """Says how a step ended."""
        say(f"  {'as it should be' if right else 'WRONG'}: {what}")
        self.failures += not right

    def prepare(self):
        if HOME.exists():
            shutil.rmtree(HOME)
        HOME.mkdir(parents=True)
        say("demo: test PKI and signed certificates (tools/make-samples)")
        subprocess.run([TOP / "tools" / "make-samples", HOME / "samples"], check=True,
                       stdout=subprocess.DEVNULL)
        self.site = testbed.Site(HOME / "site", REACH / "build" / "gcc", HOME / "samples")
        for path in sorted((HOME / "samples" / "documents").iterdir()):
            self.site.serve(path)
        self.link = testbed.LinkSim(HOME / "link", self.site.served, HOME / "samples" / "link")
        say(f"demo: a link system with mutual TLS listens on 127.0.0.1:{self.link.port}")
        self.site.write_configuration(self.site.settings(self.link.url))
        self.site.start()
        say(f"demo: mounted on {self.site.mount_point}")
        self.clerk = self.site.reader(61101)
        self.stranger = self.site.reader(61199, groups=())

    def close(self):
        if hasattr(self, "site"):
            self.site.close()
        if hasattr(self, "link"):
            self.link.stop()

    def read_good(self):
        say("\n1. A clerk of the pension affair (uid 61101) opens a certificate not seen before.")
        row = self.clerk.read(GOOD)
        served = testbed.sha256(self.site.served / GOOD)
        self.expect(f"cat {GOOD}: {row['error']}, {row.get('size', 0)} bytes in {row['ms']:.0f} ms, "
                    "the bytes that the link system has", row.get("sha256") == served)
        signer = self.clerk.run("getfattr", "--only-values", "-n", "user.koseki.signer", GOOD)
        say(f"     signed by {signer.stdout.decode() or '?'}")
        text = self.clerk.run("pdftotext", "-layout", GOOD, "-").stdout.decode()
        for line in [" ".join(x.split()) for x in text.splitlines() if x.strip()][:5]:
            say(f"     | {line}")
        row = self.clerk.read(GOOD)
        self.expect(f"once more: {row['ms']:.1f} ms, from the encrypted store; the link system was "
                    f"asked for it {len(self.link.requests(GOOD, 'GET'))} time",
                    len(self.link.requests(GOOD, "GET")) == 1)
        row = self.clerk.read(XML)
        self.expect(f"one in XML: cat {XML}: {row['error']}",
                    row.get("sha256") == testbed.sha256(self.site.served / XML))

    def read_tampered(self):
        say("\n2. A certificate in which one byte was changed after signing.")
        row = self.clerk.read(TAMPERED)
        self.expect(f"cat {TAMPERED}: {row['error']}", row["error"] == "EBADMSG")
        why = self.clerk.text(f".kosekifs/why/{TAMPERED}") or ""
        say("     cat .kosekifs/why/" + TAMPERED)
        for line in why.splitlines():
            say(f"     | {line}")

    def read_unknown(self):
        say("\n3. A request id that the link system does not know.")
        row = self.clerk.read("K2026-999999.pdf")
        self.expect(f"cat K2026-999999.pdf: {row['error']}", row["error"] == "ENOENT")

    def read_without_right(self):
        say("\n4. A user of no affair (uid 61199) tries the first certificate, and one not fetched.")
        before = len(self.link.requests())
        rows = self.stranger.read_all([GOOD, "K2026-000102.pdf"])
        asked = len(self.link.requests()) - before
        self.expect(f"both: {rows[0]['error']}, {rows[1]['error']}; the link system heard of it "
                    f"{asked} times", asked == 0 and {r["error"] for r in rows} == {"EACCES"})

    def read_interrupted(self):
        say("\n5. A large certificate, the line breaks after every megabyte.")
        self.link.fault(LARGE, cut_after=1_000_000, times=3)
        row = self.clerk.read(LARGE, timeout=60)
        self.expect(f"cat {LARGE}: {row['error']}, {row.get('size', 0)} bytes",
                    row.get("sha256") == testbed.sha256(self.site.served / LARGE))
        for request in self.link.requests(LARGE, "GET"):
            say(f"     the link system was asked for {request['range'] or 'all'} "
                f"and sent {request['sent']} bytes")

    def list_directory(self):
        say("\n6. ls shows what is stored, verified and open to the one who asks.")
        before = len(self.link.requests())
        mine, others = self.clerk.list(), self.stranger.list()
        say(f"     clerk: {' '.join(mine)}    other user: {' '.join(others) or '(nothing)'}")
        self.expect("nothing else, and nothing was fetched for it",
                    mine == [GOOD, LARGE, XML] and not others and len(self.link.requests()) == before)

    def keep(self):
        say(f"\ndemo: it stays mounted on {self.site.mount_point}; Ctrl-C ends it. Try, as root:")
        if REACH != TOP:
            say(f"  nsenter --mount -t {os.getpid()}   (others cannot walk to {TOP}, so this runs in "
                "a mount namespace)")
        user = f"cd {self.site.mount_point} && setpriv --reuid 61101 --regid 61101 --groups 61100"
        say(f"  {user} ls -l")
        say(f"  {user} cat K2026-000104.pdf >/dev/null")
        say(f"  {self.site.build}/kosekictl --socket {self.site.directory}/run/control.sock status")
        say(f"  the link system serves {self.site.served}; the daemon's log is {self.site.log_path}")
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        signal.sigwait(ENDING)

    def run(self, keep):
        self.prepare()
        for step in (self.read_good, self.read_tampered, self.read_unknown, self.read_without_right,
                     self.read_interrupted, self.list_directory):
            step()
        if keep:
            self.keep()


def main():
    keep = sys.argv[1:] == ["--keep"]
    if sys.argv[1:] and not keep:
        sys.exit("usage: tools/demo [--keep]")
    for number in ENDING:
        signal.signal(number, lambda *_: sys.exit("demo: interrupted"))
    alone = open(REACH / "build" / "demo.lock", "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("demo: another one is running here; end it first")
    demo = Demo()
    try:
        demo.run(keep)
    except (testbed.Trouble, subprocess.CalledProcessError) as trouble:
        say(f"demo: {trouble}")
        demo.failures += 1
    finally:
        demo.close()
    say(f"\ndemo: unmounted and stopped; {'all as it should be' if not demo.failures else 'FAILED'}"
        f"; what is left is in {HOME.relative_to(REACH)}")
    sys.exit(1 if demo.failures else 0)


if __name__ == "__main__":
    main()
