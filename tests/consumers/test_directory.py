"""The mount as a directory: listings of any length while certificates come and go, numbers and
handles that stay, figures that are true, nothing that can be written."""

import json
import os
import subprocess
import threading

import testbed
from system.scene import GOOD, SystemTest, fill_store

# Lists by small pieces, coming back to offsets seen before, as telldir and seekdir do. One JSON
# object: names in order, and whether each offset led to the same name again.
SLOW_LIST = r"""
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def entries(handle):
    buffer = ctypes.create_string_buffer(4096)
    size = libc.getdents64(handle, buffer, len(buffer))
    assert size >= 0, ctypes.get_errno()
    at, found = 0, []
    while at < size:
        inode, offset, length = struct.unpack_from("=QqH", buffer.raw, at)
        name = buffer.raw[at + 19:at + length].split(b"\0")[0].decode()
        found.append((name, inode, offset))
        at += length
    return found
handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
print("begun", flush=True)
sys.stdin.readline()
every, last = [], None
while True:
    found = entries(handle)
    if not found:
        break
    every += found
offsets = [offset for _, _, offset in every]
again = []
for index in range(0, len(every) - 1, max(1, len(every) // 20)):
    os.lseek(handle, every[index][2], os.SEEK_SET)
    again.append(entries(handle)[0][0])
expected = [every[index + 1][0] for index in range(0, len(every) - 1, max(1, len(every) // 20))]
print(json.dumps({"names": [name for name, _, _ in every], "ascending": offsets == sorted(set(offsets)),
                  "inodes": [inode for _, inode, _ in every], "again": again, "expected": expected}))
"""

READ_BY_HANDLE = r"""
import ctypes, errno, hashlib, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def give(name):
    handle, mount = ctypes.create_string_buffer(136), ctypes.c_int()
    handle[0:4] = (128).to_bytes(4, "little")
    assert libc.name_to_handle_at(-100, name.encode(), handle, ctypes.byref(mount), 0) == 0, \
        os.strerror(ctypes.get_errno())
    size = int.from_bytes(handle.raw[0:4], "little")
    return handle.raw[:8 + size].hex()
def take(text):
    handle = ctypes.create_string_buffer(bytes.fromhex(text))
    mount = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    file = libc.open_by_handle_at(mount, handle, os.O_RDONLY)
    if file < 0:
        return errno.errorcode[ctypes.get_errno()]
    return hashlib.sha256(open(file, "rb").read()).hexdigest()
print({"give": give, "take": take}[sys.argv[1]](sys.argv[2]))
"""

WAYS_TO_WRITE = r"""
import errno, os, sys
name = sys.argv[1]
ways = {
    "open": lambda: os.open(name, os.O_WRONLY), "open both": lambda: os.open(name, os.O_RDWR),
    "cut": lambda: os.open(name, os.O_RDONLY | os.O_TRUNC),
    "create": lambda: os.open("new-1.pdf", os.O_WRONLY | os.O_CREAT),
    "create odd": lambda: os.open("x", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "tmpfile": lambda: os.open(".", os.O_RDWR | os.O_TMPFILE),
    "truncate": lambda: os.truncate(name, 0), "unlink": lambda: os.unlink(name),
    "rename": lambda: os.rename(name, "new-2.pdf"), "link": lambda: os.link(name, "new-3.pdf"),
    "symlink": lambda: os.symlink("x", "new-4.pdf"), "mkdir": lambda: os.mkdir("new"),
    "rmdir": lambda: os.rmdir(".kosekifs"), "mknod": lambda: os.mknod("new-5.pdf"),
    "fifo": lambda: os.mkfifo("new-6"), "chmod": lambda: os.chmod(name, 0o600),
    "chown": lambda: os.chown(name, os.getuid(), os.getgid()), "utime": lambda: os.utime(name),
    "setxattr": lambda: os.setxattr(name, "user.x", b"1"),
    "removexattr": lambda: os.removexattr(name, "user.koseki.sha256"),
    "access": lambda: os.access(name, os.W_OK) or (_ for _ in ()).throw(OSError(errno.EROFS, "")),
    "acl": lambda: os.setxattr(name, "system.posix_acl_access", os.getxattr(name,
                               "system.posix_acl_access")),
}
for what, act in ways.items():
    try:
        act()
        print(what, "worked")
    except OSError as failure:
        print(what, errno.errorcode[failure.errno])
"""

PYTHON = "/usr/bin/python3"


class Directory(SystemTest):
    settings = {"mount.entry_timeout": "200ms"}
    # What the kernel or libfuse answers before we hear of it, once the mount is not ro any more.
    OTHERWISE = {"tmpfile": ["ENOTSUP"], "acl": ["EPERM"]}

    def serve_many(self, prefix, count):
        names = [f"{prefix}-{i:03}.pdf" for i in range(count)]
        for name in names:
            self.serve_copy(name)
        return names

    def read_all(self, names):
        for row in self.reader.read_all(names, timeout=120):
            self.assertEqual(row["error"], "OK", row)

    def purge(self, name):
        done = self.site.ctl("purge", name, "--reason", "test", "--approver", "tester")
        self.assertEqual(done.returncode, 0, done.stderr)

    def listing(self, while_it_lists=None):
        lister = self.reader.start(PYTHON, "-c", SLOW_LIST, stdin=subprocess.PIPE)
        self.assertEqual(lister.stdout.readline(), b"begun\n")
        busy = threading.Thread(target=while_it_lists) if while_it_lists else None
        if busy:
            busy.start()
        lister.stdin.write(b"\n")
        lister.stdin.flush()
        done = self.reader.finish(lister)
        if busy:
            busy.join()
        return json.loads(self.assertOk(done))

    def test_listing_while_certificates_come_and_go(self):
        stay, come, leave = (self.serve_many(what, 40) for what in ("stay", "come", "leave"))
        mixed = [name for pair in zip(stay, leave) for name in pair]
        self.read_all(mixed)

        def change():
            self.read_all(come)
            for name in leave:
                self.purge(name)
        for act in (change, None):
            found = self.listing(act)
            names = found["names"]
            self.assertTrue(found["ascending"], "an offset came twice or went back")
            self.assertEqual(len(names), len(set(names)), "a name came twice")
            self.assertLessEqual(set(stay), set(names), "one that stayed was skipped")
            if act is None:
                self.assertEqual(found["again"], found["expected"])
                self.assertEqual(len(found["inodes"]), len(set(found["inodes"])) + 1)  # "." and ".."
                self.assertLess(max(found["inodes"]), 2 ** 32)
                self.assertFalse(set(leave) & set(names))
                self.assertLessEqual(set(come), set(names))

    def test_directory_time_moves_with_what_is_listed(self):
        """And with nothing else: the time of change and of modification are one."""
        self.serve_copy("moves-1.pdf")
        times = [self.directory_time()]
        self.reader.run("stat", "moves-1.pdf")
        self.assertEqual(self.directory_time(), times[0], "a look-up listed nothing")
        self.read_all(["moves-1.pdf"])
        times.append(self.directory_time())
        self.read_all(["moves-1.pdf"])
        self.assertEqual(self.directory_time(), times[1], "a second open listed nothing")
        self.purge("moves-1.pdf")
        times.append(self.directory_time())
        self.assertEqual(times, sorted(set(times)), "the time did not move on")
        self.site.stop()
        self.site.start()
        self.assertEqual(self.directory_time(), times[-1], "a remount is no change")

    def directory_time(self):
        modified, changed = self.assertOk(self.reader.run("stat", "-c", "%.9Y %.9Z", ".")).split()
        self.assertEqual(modified, changed)
        return modified

    def test_numbers_stay(self):
        """Before and after the fetch and over a remount; after a purge never given again."""
        self.serve_copy("number-1.pdf")
        self.serve_copy("number-2.pdf")
        first = self.number("number-1.pdf")
        self.read_all(["number-1.pdf"])
        self.assertEqual(self.number("number-1.pdf"), first)
        self.site.stop()
        self.site.start()
        self.assertEqual(self.number("number-1.pdf"), first)
        self.purge("number-1.pdf")
        self.assertGreater(self.number("number-2.pdf"), first)
        self.assertNotIn(first, [self.number(name) for name in self.serve_many("later", 5)])

    def number(self, name):
        return int(self.assertOk(self.reader.run("stat", "-c", "%i", name)))

    def by_handle(self, what, argument):
        """As an NFS server does: root by capability, and a reader for kosekifs."""
        program = ["setpriv", "--reuid=61101", f"--regid={testbed.AFFAIR_GROUP}", "--clear-groups",
                   "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
                   PYTHON, "-c", READ_BY_HANDLE, what, argument]
        done = subprocess.run(program, cwd=self.site.mount_point, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_file_handles_outlive_mount_and_memory(self):
        self.serve_copy("handle-1.pdf")
        self.read_all(["handle-1.pdf"])
        expected = testbed.sha256(self.site.served / "handle-1.pdf")
        handle = self.by_handle("give", "handle-1.pdf")
        self.assertEqual(self.by_handle("take", handle), expected)
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
        self.assertEqual(self.by_handle("take", handle), expected)
        self.site.stop()
        self.site.start()
        self.assertEqual(self.by_handle("take", handle), expected)
        self.assertEqual(self.gets("handle-1.pdf"), 1)

    def test_handle_of_another_store_finds_nothing(self):
        """Where the state directory was made anew, old numbers lead to no other certificate."""
        self.serve_copy("other-1.pdf")
        self.read_all(["other-1.pdf"])
        handle = self.by_handle("give", "other-1.pdf")
        number = self.number("other-1.pdf")
        self.site.stop()
        state, aside = self.site.directory / "state", self.site.directory / "state-aside"
        state.rename(aside)
        try:
            state.mkdir(mode=0o700)
            os.chown(state, testbed.ROOM_USERS["mount"], testbed.ROOM_USERS["mount"])
            self.site.start()
            names = self.serve_many("fresh", number - 15)
            self.reader.run("stat", *names, timeout=120)
            self.assertEqual(self.number(names[-1]), number, "the number is in use again")
            self.assertEqual(self.by_handle("take", handle), "ESTALE")
        finally:
            self.site.stop()
            subprocess.run(["rm", "-rf", state], check=True)
            aside.rename(state)
            self.site.start()

    def test_hidden_files_by_handle(self):
        handle = self.by_handle("give", ".kosekifs/status.json")
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
        self.assertRegex(self.by_handle("take", handle), "^[0-9a-f]{64}$")

    def test_figures_of_the_store(self):
        """df shows the disk of the store, df -i numbers that are left; neither looks full."""
        self.read_all([GOOD])
        store = os.statvfs(self.site.directory / "state")
        out = self.assertOk(self.reader.run("stat", "-f", "-c", "%b %S %c %d %l", ".")).split()
        blocks, size, files, free, longest = map(int, out)
        self.assertEqual(blocks * size, store.f_blocks * store.f_frsize)
        self.assertGreater(files, free)
        self.assertGreater(free, 1_000_000_000)
        self.assertGreaterEqual(longest, 68)

    def test_probing_attributes(self):
        """Sizes asked first, buffers too small, names that are not there: as on any file system."""
        self.read_all([GOOD])
        program = r"""
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
def ask(call, *rest):
    result = call(path, *rest)
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
value = ctypes.create_string_buffer(65536)
names = os.listxattr(path)
assert "system.posix_acl_access" in names and "user.koseki.sha256" in names, names
size = ask(libc.listxattr, None, 0)
assert size == sum(len(name) + 1 for name in names), (size, names)
assert ask(libc.listxattr, value, size) == size
assert ask(libc.listxattr, value, size - 1) == "ERANGE"
for name in names:
    size = ask(libc.getxattr, name.encode(), None, 0)
    assert size == len(os.getxattr(path, name)) > 0, (name, size)
    assert ask(libc.getxattr, name.encode(), value, size) == size
    assert ask(libc.getxattr, name.encode(), value, size - 1) == "ERANGE", name
for name in ("user.none", "security.capability", "security.selinux", "system.posix_acl_default",
             "trusted.x", "user.koseki.none", "user." + "x" * 200):
    assert ask(libc.getxattr, name.encode(), None, 0) in ("ENODATA", "EOPNOTSUPP"), name
    assert ask(libc.getxattr, name.encode(), value, 65536) in ("ENODATA", "EOPNOTSUPP"), name
assert os.listxattr(".") == []
"""
        self.assertOk(self.reader.run(PYTHON, "-c", program, GOOD))

    def test_access(self):
        program = r"""
import errno, os, sys
for name, modes in ((".", {os.R_OK: True, os.X_OK: True, os.W_OK: False, os.F_OK: True}),
                    (sys.argv[1], {os.R_OK: True, os.X_OK: False, os.W_OK: False, os.F_OK: True})):
    for mode, expected in modes.items():
        assert os.access(name, mode) == expected, (name, mode)
"""
        self.read_all([GOOD])
        self.assertOk(self.reader.run(PYTHON, "-c", program, GOOD))
        self.assertEqual(self.stranger.run("test", "-r", GOOD).returncode, 1)
        # That it exists he may learn for entry_timeout, while the kernel has the name.
        testbed.wait_until(lambda: self.stranger.run("test", "-e", GOOD).returncode == 1, 5,
                           "the kernel to ask again")

    def test_nothing_can_be_written_even_when_mounted_for_it(self):
        """Root may take the ro off the mount; then it is the daemon that answers."""
        self.read_all([GOOD])
        subprocess.run(["mount", "-i", "-o", "remount,rw", self.site.mount_point], check=True,
                       capture_output=True)
        try:
            for reader in (self.reader, self.site.reader(0, groups=(testbed.AFFAIR_GROUP,))):
                out = self.assertOk(reader.run(PYTHON, "-c", WAYS_TO_WRITE, GOOD)).decode()
                self.assertEqual(len(out.splitlines()), WAYS_TO_WRITE.count("lambda:"))
                for line in out.splitlines():
                    what, error = line.rsplit(" ", 1)
                    expected = {"EROFS", *self.OTHERWISE.get(what, ())}
                    if reader.uid == 0:
                        expected.add("EACCES")  # no reader: he does not get as far
                    self.assertIn(error, expected, out)
        finally:
            subprocess.run(["mount", "-i", "-o", "remount,ro", self.site.mount_point], check=True)
        self.read_all([GOOD])


class LargeDirectory(SystemTest):
    """KOSEKIFS_ENTRIES certificates, 1,000,000 unless said otherwise."""

    full_only = True
    COUNT = int(os.environ.get("KOSEKIFS_ENTRIES", 1_000_000))
    settings = {"mount.map_size": str(32 << 30)}

    def test_listing_is_streamed(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        fill_store(self.site, self.COUNT)
        self.site.start()
        before = self.memory()
        listed = self.reader.run("ls", "-U", timeout=600).stdout
        self.assertEqual(listed.count(b"\n"), self.COUNT + 1)
        names = listed.split()
        self.assertEqual(len(names), len(set(names)))
        self.assertLess(self.memory() - before, 8 * 1024, "KiB more for a listing")
        self.assertOk(self.reader.run("sh", "-c", "find . -name 'filled-*7.pdf' | head -n 100 | "
                                      "xargs cat | grep -c PDF", timeout=600))
        self.assertEqual(len(self.link.requests()), 2, "a listing asked the link system")

    def memory(self):
        """KiB of its own, without the pages of the store's file."""
        with open(f"/proc/{self.site.room('kosekifs-mount')}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
