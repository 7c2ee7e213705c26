"""What looks at files without anybody's wish: indexers, cleaners, shells, editors, scanners. None of
it reaches the link system."""

import pathlib
import subprocess

import testbed
from system.scene import GOOD, TOP, SystemTest, build_directory

PACKAGING = TOP / "packaging"
JUNK = ("lost+found", ".Trash-0", "autorun.inf", "System Volume Information", ".DS_Store",
        "._K2026-000101.pdf", "~$K2026-000101.doc", "K2026-000101.pdf.tmp", "K2026-000101.PDF",
        ".nfs0001", "K2026-000101.pdf:Zone.Identifier", "K2026-000101.pdf.lck", ".git", ".hidden",
        "desktop.ini", "Thumbs.db", "CVS", "a" * 65 + ".pdf", "\u6238\u7c4d.pdf", "x" * 255,
        "-x.pdf", "K2026 000101.pdf", "K2026-000101.pdf\n", ".pdf", "K2026-000101.")


class Noise(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.assertReads(cls("setUp"), cls.reader, GOOD)
        cls.root = testbed.Reader(cls.site, 0)

    def setUp(self):
        self.asked = len(self.link.requests())

    def tearDown(self):
        self.assertEqual(len(self.link.requests()), self.asked, "the link system was asked")

    def test_junk_names(self):
        for name in JUNK:
            self.assertFails(self.reader, name, "ENOENT")

    def test_junk_is_answered_once(self):
        """Then the kernel knows."""
        program = "import os,sys\nfor _ in range(200): assert not os.path.exists(sys.argv[1])"
        pid = self.site.room("kosekifs-mount")
        before = self.switches(pid)
        self.assertOk(self.reader.run("/usr/bin/python3", "-S", "-c", program, "desktop.ini"))
        self.assertLess(self.switches(pid) - before, 100)

    def switches(self, pid):
        """How often the threads of a process went to sleep, at least once a request."""
        total = 0
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            total += sum(int(line.split()[1]) for line in path.read_text().splitlines()
                         if line.startswith("voluntary_ctxt"))
        return total

    def test_programs_that_walk(self):
        for argv in (("find", ".", "-xdev", "-newer", "/etc/passwd"), ("grep", "-rl", "NOSUCH", "."),
                     ("du", "-a"), ("ls", "-laR"), ("bash", "-c", "compgen -f K; echo K*; echo *"),
                     ("file", "-b", GOOD), ("sh", "-c", "git status; true")):
            with self.subTest(argv[0]):
                done = self.reader.run("env", *argv)
                self.assertIn(done.returncode, (0, 1, 127), done.stderr)

    def test_shells_and_interpreters_started_in_it(self):
        for argv in (("/usr/bin/python3", "-c", "import json"), ("perl", "-e1"), ("bash", "-lc", "true"),
                     ("sh", "-c", "test -e .profile; ls .git .hg Makefile; true")):
            self.assertOk(self.reader.run(*argv, env={"HOME": ".", "PATH": "/usr/bin:/bin"}))

    def test_cleaners_leave_it_alone(self):
        """systemd-tmpfiles with the shipped file, and another one that would clean everything old."""
        top = self.site.directory
        own = top / "kosekifs.conf.tmpfiles"
        text = (PACKAGING / "kosekifs.tmpfiles.conf").read_text()
        own.write_text("".join(line for line in text.replace("/koseki\n", "/mnt\n").splitlines(True)
                               if line.startswith("x")))
        other = top / "other.conf.tmpfiles"
        other.write_text("e /mnt - - - 0\n")
        clean = ["systemd-tmpfiles", f"--root={top}", "--clean"]
        before = self.listings()
        subprocess.run([*clean, own, other], check=True, capture_output=True)
        self.assertEqual(self.listings(), before, "it looked into the mount")
        subprocess.run([*clean, other], capture_output=True)
        self.assertGreater(self.listings(), before, "it would have without our line")
        self.assertIn(GOOD, self.reader.list())

    def listings(self):
        """On record so far."""
        text = "".join(path.read_text() for path in
                       sorted((self.site.directory / "state" / "audit").glob("trail-*")))
        return text.count('"kind":"list"')

    def test_nothing_tells_of_arrivals(self):
        """As docs/applications.md says: inotify is silent, a look at the directory is not."""
        program = r"""
import ctypes, os, select, sys
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_NONBLOCK)
assert libc.inotify_add_watch(watch, b".", 0x100 | 0x200 | 0x40 | 0x80 | 0x2) >= 0
print("watching", flush=True)
sys.stdin.readline()
sys.exit(1 if select.select([watch], [], [], 0.2)[0] else 0)
"""
        self.serve_copy("arrives-1.pdf")
        watcher = self.reader.start("/usr/bin/python3", "-c", program, stdin=subprocess.PIPE)
        self.assertEqual(watcher.stdout.readline(), b"watching\n")
        self.assertReads(self.reader, "arrives-1.pdf")
        self.asked = len(self.link.requests())
        watcher.stdin.write(b"\n")
        watcher.stdin.flush()
        self.assertOk(self.reader.finish(watcher))
        self.assertIn("arrives-1.pdf", self.reader.list())


class Scanner(SystemTest):
    """A virus scanner that is asked before every open, as on-access scanners do by fanotify."""

    def scanned(self, name):
        """Reads `name` as a reader while the scanner is at work; its row, and the scanner's pid."""
        scanner = testbed.start_servant([build_directory() / "tests" / "consumers" / "scan-opens",
                                         self.site.mount_point], stdout=subprocess.PIPE)
        try:
            self.assertEqual(scanner.stdout.readline(), b"scanning\n")
            return self.reader.read(name), scanner.pid
        finally:
            scanner.kill()
            scanner.communicate()

    def opens(self, name, pid):
        text = "".join(path.read_text() for path in
                       sorted((self.site.directory / "state" / "audit").glob("trail-*")))
        return [line for line in text.splitlines() if f'"{name}"' in line and f'"pid":{pid},' in line]

    def test_scanner_without_right_stops_the_reader(self):
        """It opens first, as root, is refused and on record as itself; then the kernel refuses the
        reader. Nothing was fetched for it."""
        self.serve_copy("scan-1.pdf")
        row, pid = self.scanned("scan-1.pdf")
        self.assertIn(row["error"], ("EPERM", "EACCES"), row)
        self.assertEqual(self.gets("scan-1.pdf"), 0)
        self.assertTrue(any('"denied"' in line for line in self.opens("scan-1.pdf", pid)))
        self.assertReads(self.reader, "scan-1.pdf")


class ScannerOfWhatIsStored(Scanner):
    """The same with a right to what is stored."""

    test_scanner_without_right_stops_the_reader = None

    @classmethod
    def configure(cls, **more):
        cls.site.policy["roles"].update(scanner="0", scanner_access="backup")
        super().configure(**more)

    def test_what_is_stored_is_scanned_and_read(self):
        self.serve_copy("scan-2.pdf")
        self.assertReads(self.reader, "scan-2.pdf")
        row, pid = self.scanned("scan-2.pdf")
        self.assertEqual(row["error"], "OK", row)
        self.assertTrue(any('"scanner"' in line for line in self.opens("scan-2.pdf", pid)))

    def test_what_is_not_cannot_be_opened(self):
        """The scanner comes first and causes no fetch, so nobody does."""
        self.serve_copy("scan-3.pdf")
        row, _ = self.scanned("scan-3.pdf")
        self.assertNotEqual(row["error"], "OK")
        self.assertEqual(self.gets("scan-3.pdf"), 0)


class Indexer(SystemTest):
    """plocate, whose index everybody may search."""

    full_only = True

    @classmethod
    def configure(cls, **more):
        cls.site.policy["roles"]["root"] = "backup"  # or updatedb would see nothing anyway
        super().configure(**more)

    def indexed(self, *options):
        """Whether the index of the installation's directory would have the certificate."""
        self.assertReads(self.reader, GOOD)
        before = len(self.link.requests())
        base = self.site.directory / "index.db"
        subprocess.run(["/usr/sbin/updatedb.plocate", "-l", "no", "-U", self.site.directory, "-o", base,
                        "--prunepaths", str(self.site.served), *options], check=True,
                       capture_output=True)
        self.assertEqual(len(self.link.requests()), before)
        return subprocess.run(["plocate", "-d", base, f"mnt/{GOOD}"], capture_output=True).returncode == 0

    def test_updatedb_passes_it_over(self):
        text = (PACKAGING / "plocate-updatedb.conf").read_text()
        command = [line for line in text.splitlines() if line.startswith("ExecStart=/")][0].split()
        self.assertEqual(command[0], "ExecStart=/usr/sbin/updatedb.plocate")
        self.assertTrue(self.indexed())
        self.assertFalse(self.indexed(*command[1:]))
