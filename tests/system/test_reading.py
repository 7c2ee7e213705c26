"""Ordinary programs get the right bytes through the mount, cold and warm; listing never fetches."""

import os
import pathlib

from system.scene import (GOOD, GOOD_G4, GOOD_GRAY, GOOD_MIXED, LARGE, SystemTest, expectations,
                          sha256)


class Reading(SystemTest):
    def test_every_good_sample(self):
        good = [name for name, (outcome, _) in expectations().items() if outcome == "OK"]
        self.assertGreaterEqual(len(good), 5)
        for name in good:
            with self.subTest(name):
                self.assertReads(self.reader, name)
                self.assertReads(self.reader, name)

    def test_rsync_twice(self):
        """rsync lists the attributes before it opens, so after a cold run there are the extended
        attributes of the verification to add; then nothing is left to do."""
        self.serve_copy("rsync-1.pdf", GOOD_GRAY)
        target = self.desk()
        for state in ("cold", "attributes", "nothing to do"):
            done = self.reader.run("rsync", "-aX", "--no-owner", "--no-group", "-i", "rsync-1.pdf",
                                   f"{target}/")
            out = self.assertOk(done).decode()
            self.assertEqual(sha256(target / "rsync-1.pdf"),
                             sha256(self.site.served / "rsync-1.pdf"))
            if state == "attributes":
                self.assertIn(out, ("", ".f........x rsync-1.pdf\n"))
            if state == "nothing to do":
                self.assertEqual(out, "")
        self.assertEqual(self.gets("rsync-1.pdf"), 1)

    def test_random_offsets(self):
        path = self.serve_copy("seek-1.pdf", LARGE)
        program = ("import os,sys; f=os.open(sys.argv[1],os.O_RDONLY)\n"
                   "for o in map(int,sys.argv[2:]): sys.stdout.buffer.write(os.pread(f,5000,o))")
        size = path.stat().st_size
        offsets = [size - 10, 0, 65530, 131040, 131039, 1, size // 2, size - 5000, size + 7]
        out = self.assertOk(self.reader.run("/usr/bin/python3", "-c", program, "seek-1.pdf", *offsets))
        content = path.read_bytes()
        self.assertEqual(out, b"".join(content[o:o + 5000] for o in offsets))

    def test_calls_on_an_open_file(self):
        """What programs do to files besides reading them."""
        self.serve_copy("calls-1.pdf")
        program = r"""
import errno, fcntl, os, select, struct, sys, termios
f = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(f, fcntl.LOCK_SH); fcntl.flock(f, fcntl.LOCK_UN)
fcntl.lockf(f, fcntl.LOCK_SH); fcntl.lockf(f, fcntl.LOCK_UN)
fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
try:
    fcntl.ioctl(f, termios.TIOCGWINSZ, bytes(8)); sys.exit("ioctl worked")
except OSError as e:
    assert e.errno == errno.ENOTTY, e
p = select.poll(); p.register(f, select.POLLIN); assert p.poll(0)
os.posix_fadvise(f, 0, 0, os.POSIX_FADV_WILLNEED)
r, w = os.pipe(); assert os.sendfile(w, f, 0, 1000) == 1000
assert os.read(r, 1000) == os.pread(f, 1000, 0)
size = os.fstat(f).st_size
assert os.lseek(f, 0, os.SEEK_END) == size and os.read(f, 10) == b""
assert os.lseek(f, 0, os.SEEK_DATA) == 0 and os.lseek(f, 0, os.SEEK_HOLE) == size
os.fsync(f); os.close(f)
d = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT); assert len(os.pread(d, 4096, 0)) >= 0; os.close(d)
"""
        self.assertOk(self.reader.run("/usr/bin/python3", "-c", program, "calls-1.pdf"))

    def test_the_kernel_asks_for_large_pieces(self):
        """Not for a page each, which would be decrypted with its whole chunk."""
        self.assertReads(self.reader, LARGE)
        self.site.stop()
        self.site.start()
        pages = (self.samples / "documents" / LARGE).stat().st_size // 4096
        calls = pathlib.Path(f"/proc/{self.site.room('kosekifs-mount')}/io")
        before = int(calls.read_text().split("syscr: ")[1].split()[0])
        self.assertReads(self.reader, LARGE)
        after = int(calls.read_text().split("syscr: ")[1].split()[0])
        self.assertLess(after - before, pages // 4)

    def test_many_at_once(self):
        """40 cold certificates, each opened by four programs at the same time."""
        names = [f"many-{i}.pdf" for i in range(40)]
        for i, name in enumerate(names):
            self.serve_copy(name, (GOOD, GOOD_G4, GOOD_GRAY, GOOD_MIXED)[i % 4])
        crowd = [self.reader.start("sha256sum", *names[i * 10:] + names[:i * 10]) for i in range(4)]
        expected = {name: sha256(self.site.served / name) for name in names}
        for process in crowd:
            rows = self.assertOk(self.reader.finish(process, 60)).decode().splitlines()
            self.assertEqual({n: s for s, n in (row.split() for row in rows)}, expected)
        self.assertEqual({self.gets(name) for name in names}, {1})


class Attributes(SystemTest):
    def test_stat_before_open_is_true_and_stays(self):
        source = self.serve_copy("stat-1.pdf", GOOD_GRAY)
        os.utime(source, (1_700_000_000, 1_700_000_000))
        show = ("stat", "-c", "%s %Y %y %i %z %a %U %G %F %h", "stat-1.pdf")
        before = self.assertOk(self.reader.run(*show))
        size, modified = before.split()[:2]
        self.assertEqual(int(size), source.stat().st_size)
        self.assertEqual(int(modified), 1_700_000_000)
        self.assertEqual(self.gets("stat-1.pdf"), 0, "stat fetched")
        self.assertReads(self.reader, "stat-1.pdf")
        self.assertEqual(self.assertOk(self.reader.run(*show)), before)

    def test_inode_fits_in_32_bits(self):
        self.serve_copy("inode-1.pdf")
        out = self.assertOk(self.reader.run("stat", "-c", "%i", "inode-1.pdf"))
        self.assertLess(int(out), 2 ** 32)

    def test_mode_lets_nobody_write(self):
        self.serve_copy("mode-1.pdf")
        mode = int(self.assertOk(self.reader.run("stat", "-c", "%a", "mode-1.pdf")), 8)
        self.assertEqual(mode & 0o333, 0, oct(mode))

    def test_xattrs(self):
        self.serve_copy("xattr-1.pdf")
        self.assertReads(self.reader, "xattr-1.pdf")
        out = self.assertOk(self.reader.run("getfattr", "-d", "-m", "^user", "xattr-1.pdf")).decode()
        values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        self.assertEqual(values["user.koseki.sha256"],
                         f'"{sha256(self.site.served / "xattr-1.pdf")}"')
        self.assertIn("CN=Minister of Justice", values["user.koseki.signer"])
        self.assertEqual(values["user.koseki.indication"], '"TOTAL-PASSED"')
        for name in ("signing_time", "verified_at"):
            self.assertRegex(values[f"user.koseki.{name}"], r'^"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"$')

    def test_acl_shows_the_policy(self):
        self.serve_copy("acl-1.pdf")
        self.assertReads(self.reader, "acl-1.pdf")
        shown = self.assertOk(self.reader.run("stat", "-c", "%g", "acl-1.pdf")).decode().split()
        acl = self.assertOk(self.reader.run("getfacl", "-nc", "acl-1.pdf")).decode()
        self.assertTrue(shown == ["61100"] or "group:61100:r--" in acl, acl)

    def test_unknown_xattr_is_enodata(self):
        self.serve_copy("xattr-2.pdf")
        self.assertReads(self.reader, "xattr-2.pdf")
        done = self.reader.run("getfattr", "-n", "user.no.such", "xattr-2.pdf")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"No such attribute", done.stderr)

    def test_statfs_is_the_store(self):
        out = self.assertOk(self.reader.run("stat", "-f", "-c", "%b %S", ".")).split()
        self.assertGreater(int(out[0]), 0)

    def test_mount_is_read_only_and_named(self):
        with open("/proc/self/mountinfo") as file:
            line = next(x for x in file if f" {self.site.mount_point} " in x)
        for word in ("ro", "nosuid", "nodev", "noexec"):
            self.assertIn(word, line.split()[5].split(","), line)
        self.assertIn(" fuse.kosekifs ", line)
        self.assertNotIn("default_permissions", line)


class Listing(SystemTest):
    def test_listing_never_fetches(self):
        self.assertReads(self.reader, GOOD)
        before = len(self.link.requests())
        self.assertIn(GOOD, self.reader.list())
        for argv in (("ls", "-la"), ("find", ".", "-type", "f"), ("du", "-a"),
                     ("bash", "-c", "echo *")):
            self.assertIn(GOOD.encode(), self.assertOk(self.reader.run(*argv)))
        self.assertEqual(len(self.link.requests()), before)

    def test_listed_means_openable(self):
        self.serve_copy("list-1.pdf")
        self.assertNotIn("list-1.pdf", self.reader.list())
        self.reader.run("stat", "list-1.pdf")
        self.assertNotIn("list-1.pdf", self.reader.list(), "known, but not stored")
        self.assertReads(self.reader, "list-1.pdf")
        self.assertIn("list-1.pdf", self.reader.list())
        for row in self.reader.read_all(self.reader.list()):
            self.assertEqual(row["error"], "OK", row)

    def test_directory_time_moves(self):
        self.serve_copy("list-2.pdf")
        show = ("stat", "-c", "%y", ".")
        before = self.assertOk(self.reader.run(*show))
        self.assertReads(self.reader, "list-2.pdf")
        self.assertNotEqual(self.assertOk(self.reader.run(*show)), before)

    def test_rejected_is_never_listed(self):
        name = "K2026-000201.pdf"
        self.site.serve(self.samples / "documents" / name)
        self.assertFails(self.reader, name, "EBADMSG")
        self.assertNotIn(name, self.reader.list())


class Writing(SystemTest):
    """Every way to change something is EROFS."""

    def test_writes(self):
        self.assertReads(self.reader, GOOD)
        program = r"""
import errno, os, sys
name = sys.argv[1]
ways = {
    "open for writing": lambda: os.open(name, os.O_WRONLY),
    "open for both": lambda: os.open(name, os.O_RDWR),
    "open and cut": lambda: os.open(name, os.O_RDONLY | os.O_TRUNC),
    "create": lambda: os.open("new-1.pdf", os.O_WRONLY | os.O_CREAT),
    "create odd name": lambda: os.open("x", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "truncate": lambda: os.truncate(name, 0),
    "unlink": lambda: os.unlink(name),
    "rename": lambda: os.rename(name, "new-2.pdf"),
    "link": lambda: os.link(name, "new-3.pdf"),
    "symlink": lambda: os.symlink("x", "new-4.pdf"),
    "mkdir": lambda: os.mkdir("new"),
    "rmdir": lambda: os.rmdir(".kosekifs"),
    "mknod": lambda: os.mknod("new-5.pdf"),
    "chmod": lambda: os.chmod(name, 0o600),
    "chown": lambda: os.chown(name, os.getuid(), os.getgid()),
    "utime": lambda: os.utime(name),
    "setxattr": lambda: os.setxattr(name, "user.x", b"1"),
    "removexattr": lambda: os.removexattr(name, "user.koseki.sha256"),
}
for what, act in ways.items():
    try:
        act()
        print(what, "worked")
    except OSError as failure:
        if failure.errno != errno.EROFS:
            print(what, errno.errorcode[failure.errno])
"""
        done = self.reader.run("/usr/bin/python3", "-c", program, GOOD)
        self.assertOk(done)
        self.assertEqual(done.stdout.decode(), "")
        self.assertReads(self.reader, GOOD)
