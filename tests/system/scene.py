"""What the system tests share: samples made once per run, and a site per class."""

import contextlib
import csv
import os
import pathlib
import shutil
import subprocess
import time
import unittest

import testbed
from testbed import sha256

TOP = pathlib.Path(__file__).resolve().parents[2]
GOOD = "K2026-000101.pdf"    # text
GOOD_G4 = "K2026-000102.pdf"
GOOD_GRAY = "K2026-000103.pdf"
GOOD_MIXED = "K2026-000104.pdf"
LARGE = "K2026-000105.pdf"
STRANGER_UID = 61199         # in no group that the policy names
# How many times longer than meant a thing may take: machines that run tests are busy with others.
SLACK = 10


def build_directory():
    return pathlib.Path(os.environ.get("KOSEKIFS_BUILD", TOP / "build" / "gcc"))


def sanitized():
    return build_directory().name == "san"


def work_directory():
    return build_directory() / "system"


def samples():
    """The directory of make-samples, made on first use in this run."""
    directory = work_directory() / f"samples-{os.getpid()}"
    if not directory.exists():
        for old in work_directory().glob("samples-*"):
            shutil.rmtree(old)
        directory.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([TOP / "tools" / "make-samples", directory], check=True,
                       stdout=subprocess.DEVNULL)
    return directory


def expectations():
    """{name: (outcome, why)} of the samples."""
    with open(samples() / "EXPECT.tsv", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["name"]: (row["outcome"], row["why"]) for row in rows}


def needs_root():
    reason = testbed.why_no_mount()
    if reason:
        raise unittest.SkipTest(reason)


def fill_store(site, count, size=20, files=()):
    """Many small certificates beside those that the site, which does not run, has stored. They are
    called filled-0000000.pdf and so on. And files as they are, under their names."""
    owner = testbed.ROOM_USERS["mount"]
    with open(site.directory / "keys" / "master.key", "rb") as key:
        subprocess.run(["eatmydata", build_directory() / "tests" / "consumers" / "fill-store",
                        site.directory / "state", str(64 << 30), str(count), str(size),
                        *files],
                       user=owner, group=owner, extra_groups=[], stdin=key, check=True)


class SystemTest(unittest.TestCase):
    """A mounted site with linksim behind it, for all tests of a class."""

    settings = {}      # {"section.key": value}: what differs from the testbed's settings
    serve_all = True   # the good samples are in the link system from the beginning

    @classmethod
    def setUpClass(cls):
        needs_root()
        cls.samples = samples()
        directory = work_directory() / cls.__name__
        cls.site = testbed.Site(directory, build_directory(), cls.samples)
        cls.addClassCleanup(cls.site.close)
        if cls.serve_all:
            for name, (outcome, _) in expectations().items():
                if outcome == "OK":
                    cls.site.serve(cls.samples / "documents" / name)
        cls.link = cls.make_link()
        cls.addClassCleanup(cls.link.stop)
        cls.configure()
        cls.site.start()
        cls.reader = cls.site.reader()
        cls.stranger = cls.site.reader(STRANGER_UID, groups=())

    @classmethod
    def make_link(cls):
        return testbed.LinkSim(cls.site.directory / "link", cls.site.served, cls.samples / "link")

    @classmethod
    def configure(cls, **more):
        settings = cls.site.settings(cls.link.url)
        for key, value in {**cls.settings, **more}.items():
            section, key = key.split(".")
            settings.setdefault(section, {})[key] = value
        cls.site.write_configuration(settings)

    @classmethod
    def tearDownClass(cls):
        if cls.site.daemon and cls.site.daemon.poll() is not None:
            raise testbed.Trouble(f"kosekifs ended by itself:\n{cls.site.log()[-3000:]}")

    def run(self, result=None):
        """Shows the daemon's last words with a failure."""
        before = len(self.site.log()) if hasattr(self, "site") else 0
        failed = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > failed:
            print("      daemon: " + self.site.log()[before:][-2000:].replace("\n", "\n      "))

    def serve_copy(self, name, source=GOOD, content=None):
        """A document under a new name, so that each test begins with a cold one."""
        path = self.site.served / name
        source = self.samples / "documents" / source
        path.write_bytes(source.read_bytes() if content is None else content)
        return path

    def desk(self, uid=61101):
        """An empty directory where a reader may write."""
        directory = self.site.directory / "desk" / self.id().rsplit(".", 1)[1]
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        os.chown(directory, uid, uid)
        return directory

    def ask(self, uid, *words):
        """kosekictl as this user: (exit status, what it said)."""
        person = self.site.reader(uid, groups=(testbed.CONTROL_GROUP,))
        path = self.site.directory / "run" / "control.sock"
        done = person.run(self.site.build / "kosekictl", "--socket", path, *words)
        return done.returncode, (done.stdout + done.stderr).decode()

    def assertReads(self, reader, name, source=None, timeout=30):
        row = reader.read(name, timeout=timeout)
        self.assertEqual(row["error"], "OK", f"{name}: {row}")
        self.assertEqual(row["sha256"], sha256(source or self.site.served / name), name)
        return row

    def assertFails(self, reader, name, error, timeout=30):
        row = reader.read(name, timeout=timeout)
        self.assertEqual(row["error"], error, f"{name}: {row}")
        return row

    def assertOk(self, done):
        self.assertEqual(done.returncode, 0, f"{done.args}: {done.stderr}")
        return done.stdout

    def assertSoon(self, began, seconds):
        """What began then is over by now, in these seconds on an idle machine."""
        self.assertLess(time.monotonic() - began, SLACK * seconds)

    def heads(self, name):
        return len(self.link.requests(name, "HEAD"))

    def gets(self, name):
        return len(self.link.requests(name, "GET"))
