"""Mounted by mount(8), fstab and systemd; unmounted while somebody reads or waits."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import testbed
from consumers.servers import EXAMPLES, example
from system.scene import GOOD, TOP, SystemTest, build_directory

OPTIONS = "ro,nosuid,nodev,noexec,noatime,allow_other,_netdev,nofail,x-systemd.requires=a.target"
GENERATOR = pathlib.Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")


class Mounting(SystemTest):
    """The daemon that setUpClass started is ended; each test mounts in its own way."""

    settings = {"mount.open_timeout": "30s"}

    def setUp(self):
        self.site.stop()
        # mount.fuse3 starts the program that is named behind "fuse."; once installed, kosekifs.
        self.kind = f"fuse.{build_directory()}/kosekifs"

    def tearDown(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            while self.site.mounted():
                subprocess.run(["umount", "-l", self.site.mount_point], check=True)
        testbed.wait_until(lambda: not self.daemons(), 20, "the daemon to end")

    @classmethod
    def tearDownClass(cls):
        pass  # what ends here was meant to end

    def daemons(self):
        """Processes of the daemon that mount started."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                if words and pathlib.Path(os.fsdecode(words[0])).name == "kosekifs" and \
                        os.fsencode(self.site.mount_point) in words:
                    found.append(int(entry.name))
        return found

    def mount(self, *words):
        return subprocess.run(["mount", *map(str, words)], capture_output=True,
                              text=True, timeout=60)

    def mounted_by(self, *words):
        done = self.mount(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.site.mounted())

    def mount_as_usual(self):
        self.mounted_by("-t", self.kind, self.site.configuration, self.site.mount_point, "-o",
                        OPTIONS)

    def umount(self, *words):
        return subprocess.run(["umount", *words, self.site.mount_point], capture_output=True,
                              text=True, timeout=60)

    def gone(self):
        testbed.wait_until(lambda: not self.site.mounted() and not self.daemons(), 20,
                           "mount and daemon to be gone")

    def waiting(self, name):
        """A program that waits for a certificate, which the link system holds back."""
        self.serve_copy(name)
        self.link.fault(name, method="GET", stall_after=1000)
        process = self.reader.start("sha256sum", name)
        testbed.wait_until(lambda: self.gets(name), 10, f"the GET of {name}")
        return process

    def test_mount_and_umount(self):
        self.mount_as_usual()
        out = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE,OPTIONS", self.site.mount_point],
                             check=True, capture_output=True, text=True).stdout.split()
        self.assertEqual(out[:2], ["fuse.kosekifs", str(self.site.configuration)])
        for option in ("ro", "nosuid", "nodev", "noexec", "noatime", "allow_other"):
            self.assertIn(option, out[2].split(","))
        found = subprocess.run(["findmnt", "-n", "-t", "fuse.kosekifs", "-o", "TARGET"], check=True,
                               capture_output=True, text=True).stdout.split()
        self.assertIn(str(self.site.mount_point), found)
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.umount().returncode, 0)
        self.gone()

    def test_fstab(self):
        """The line that is shipped."""
        table = self.site.directory / "fstab"
        table.write_text(example("fstab", {"/etc/kosekifs/kosekifs.conf ": f"{self.site.configuration} ",
                                           "fuse.kosekifs": self.kind,
                                           "/koseki ": f"{self.site.mount_point} "}))
        self.mounted_by("-T", table, self.site.mount_point)
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.umount().returncode, 0)
        self.gone()

    def test_fstab_for_systemd(self):
        """What systemd makes of the line."""
        if not GENERATOR.exists():
            self.skipTest(f"{GENERATOR} is not installed")
        units = self.site.directory / "units"
        units.mkdir()
        subprocess.run([GENERATOR, units, units, units], check=True, env={
            **os.environ, "SYSTEMD_FSTAB": EXAMPLES / "fstab", "SYSTEMD_IN_INITRD": "0"})
        unit = (units / "koseki.mount").read_text()
        for line in ("Type=fuse.kosekifs", "What=/etc/kosekifs/kosekifs.conf",
                     "Requires=network-online.target", "After=network-online.target"):
            self.assertIn(line, unit)

    def test_units(self):
        """systemd understands every line of the units."""
        for path in (TOP / "packaging" / "kosekifs.service", EXAMPLES / "kosekifs-nfs.service"):
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", path],
                                  capture_output=True, text=True)
            for line in done.stderr.splitlines():
                if path.name in line:
                    self.assertRegex(line, "is not executable|not found|Unit .* not found")

    def test_old_style_source(self):
        """fstab as it was written for FUSE 2."""
        self.mounted_by("-t", "fuse", f"{build_directory()}/kosekifs#{self.site.configuration}", self.site.mount_point)
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.umount().returncode, 0)
        self.gone()

    def test_refused_options(self):
        for option in ("default_permissions", "auto_unmount", "drop_privileges", "allow_root",
                       "nonempty", "bogus=1"):
            with self.subTest(option):
                done = self.mount("-t", self.kind, self.site.configuration,
                                  self.site.mount_point, "-o", f"ro,{option}")
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, "refused|unknown mount option|leave drop_privileges")
                self.assertFalse(self.site.mounted())
                if option == "drop_privileges":
                    self.umount()  # mount.fuse3 mounted before it asked us, and leaves that

    def test_remount(self):
        """Nothing that a remount could change is for mount(8) to change; the mount stays as it is."""
        self.mount_as_usual()
        for option in ("remount,rw", "remount"):
            done = self.mount("-t", self.kind, "-o", option, self.site.configuration,
                              self.site.mount_point)
            self.assertNotEqual(done.returncode, 0, option)
            self.assertIn("remount is refused", done.stderr)
        self.assertTrue(self.site.mounted())
        self.assertReads(self.reader, GOOD)

    def test_busy(self):
        self.mount_as_usual()
        holder = self.reader.start("sh", "-c", f"exec 3<{GOOD}; echo open; read line",
                                   stdin=subprocess.PIPE)
        self.assertEqual(holder.stdout.readline(), b"open\n")
        done = self.umount()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("busy", done.stderr)
        self.assertReads(self.reader, GOOD)
        self.reader.finish(holder)
        self.assertEqual(self.umount().returncode, 0)
        self.gone()

    def test_busy_with_one_that_waits(self):
        self.mount_as_usual()
        process = self.waiting("busy-1.pdf")
        self.assertIn("busy", self.umount().stderr)
        self.link.control("POST", "/release")
        self.assertOk(self.reader.finish(process))
        self.assertEqual(self.umount().returncode, 0)
        self.gone()

    def test_lazily_with_one_that_waits(self):
        """Whoever is in there is served to the end; nobody else gets in."""
        self.mount_as_usual()
        process = self.waiting("lazy-1.pdf")
        self.assertEqual(self.umount("-l").returncode, 0)
        self.assertEqual(os.listdir(self.site.mount_point), [])
        self.assertIsNone(process.poll())
        self.link.control("POST", "/release")
        expected = testbed.sha256(self.site.served / "lazy-1.pdf")
        self.assertIn(expected.encode(), self.assertOk(self.reader.finish(process)))
        self.gone()

    def test_by_force_with_one_that_waits(self):
        self.mount_as_usual()
        process = self.waiting("force-1.pdf")
        began = time.monotonic()
        subprocess.run(["umount", "--force", "--lazy", self.site.mount_point], check=True,
                       capture_output=True, timeout=60)
        self.assertNotEqual(self.reader.finish(process, 20).returncode, 0)
        self.assertSoon(began, 1)
        self.gone()

    def test_stopped_with_one_that_waits(self):
        """As by systemctl stop: nobody is left hanging."""
        self.mount_as_usual()
        process = self.waiting("stop-1.pdf")
        began = time.monotonic()
        for pid in self.daemons():
            os.kill(pid, signal.SIGTERM)
        self.assertNotEqual(self.reader.finish(process, 25).returncode, 0)
        self.assertSoon(began, 2)
        self.gone()

    def test_again_and_again(self):
        for _ in range(3):
            self.mount_as_usual()
            self.assertReads(self.reader, GOOD)
            self.assertEqual(self.umount().returncode, 0)
            self.gone()
        self.assertLessEqual(self.gets(GOOD), 1)
