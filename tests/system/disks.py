"""Small disks of our own: ext4 in an image, on a loop device. What is written to them can be
recorded, so that a power cut at any moment can be played afterwards."""

import contextlib
import json
import mmap
import os
import pathlib
import struct
import subprocess
import unittest

import testbed

SECTOR = 512
ROW = struct.Struct("<IIQQ")  # tests/system/logged_disk.c
WRITE, FLUSH, MARK = 1, 2, 3


class Disk:
    """An ext4 in `image`, to be mounted at `place`."""

    def __init__(self, directory, name, megabytes):
        self.image = pathlib.Path(directory) / f"{name}.img"
        self.place = pathlib.Path(directory) / name
        self.place.mkdir()
        self.mounted = False
        with open(self.image, "wb") as file:
            file.truncate(megabytes << 20)
        # Nothing is left to be initialised while the disk is in use.
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", "-E",
                        "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.image], check=True)

    def mount(self, image=None):
        done = subprocess.run(["mount", "-o", "loop", image or self.image, self.place],
                              capture_output=True, text=True)
        if done.returncode:
            raise unittest.SkipTest(f"no loop device: {done.stderr.strip()}")
        self.mounted = True

    def unmount(self):
        """The loop device goes with it."""
        if self.mounted:
            subprocess.run(["umount", self.place], check=True)
            self.mounted = False

    def give(self, name):
        """A directory on it that kosekifs-mount owns."""
        path = self.place / name
        path.mkdir(mode=0o700)
        os.chown(path, testbed.ROOM_USERS["mount"], testbed.ROOM_USERS["mount"])
        return path


class Recorder:
    """Mounts the disks so that all writes and flushes, of all of them in one order, are kept."""

    def __init__(self, directory, build, disks):
        self.disks, self.log = disks, pathlib.Path(directory) / "writes"
        self.place = pathlib.Path(directory) / "recorded"
        self.place.mkdir()
        self.before = [disk.image.read_bytes() for disk in disks]
        self.process = testbed.start_servant(
            [build / "tests" / "system" / "logged-disk", self.place, self.log,
             *(disk.image for disk in disks)])
        testbed.wait_until((self.place / "0").exists, testbed.START_SECONDS, "logged-disk")
        self.marks = os.open(self.place / "mark", os.O_WRONLY)
        for number, disk in enumerate(disks):
            disk.mount(self.place / str(number))

    def mark(self, **what):
        """Before what is done next to the disks, after what was done."""
        os.pwrite(self.marks, json.dumps(what).encode(), 0)

    def stop(self):
        if not self.process:
            return
        for disk in self.disks:
            disk.unmount()
        os.close(self.marks)
        subprocess.run(["umount", self.place], check=True)
        self.process.wait(testbed.START_SECONDS)
        self.process = None

    def rows(self):
        """(kind, disk, offset, bytes) in order; after stop()."""
        rows, at = [], 0
        with open(self.log, "rb") as file:
            log = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        while at < len(log):
            kind, disk, offset, size = ROW.unpack_from(log, at)
            at += ROW.size
            rows.append((kind, disk, offset, log[at:at + size]))
            at += size
        return rows


class PowerCut:
    """What the disks hold when the power fails after so many rows of a recording.

    What was written before a disk's last flush is there. Of what was written since, a disk may have
    taken anything: nothing, all, all before a write of which some sectors are missing, or any
    choice of sectors."""

    KINDS = ("none", "all", "torn", "reordered")

    def __init__(self, recorder):
        self.rows = recorder.rows()
        self.durable = [bytearray(content) for content in recorder.before]
        self.since = [[] for _ in self.durable]
        self.position, self.marks = 0, []

    def advance(self, position):
        for kind, disk, offset, data in self.rows[self.position:position]:
            if kind == MARK:
                self.marks.append(json.loads(bytes(data)))
            elif kind == WRITE:
                self.since[disk].append((offset, data))
            else:
                for at, written in self.since[disk]:
                    self.durable[disk][at:at + len(written)] = written
                self.since[disk].clear()
        self.position = max(position, self.position)

    def content(self, disk, kind, random):
        content = bytearray(self.durable[disk])
        since = self.since[disk]
        torn_at = random.randrange(len(since)) if since and kind == "torn" else len(since)
        for number, (offset, data) in enumerate(since if kind != "none" else ()):
            if number > torn_at:
                break
            if kind == "all" or kind == "torn" and number < torn_at:
                content[offset:offset + len(data)] = data
            elif kind == "torn" or random.random() < 0.7:
                some = kind == "torn" or random.random() < 0.3
                for at in range(0, len(data), SECTOR):
                    if not some or random.random() < 0.5:
                        content[offset + at:offset + at + SECTOR] = data[at:at + SECTOR]
        return content


def write_image(path, content):
    """Without the zeros, most of a small disk."""
    block, empty = 1 << 16, bytes(1 << 16)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with open(path, "wb") as file:
        file.truncate(len(content))
        for at in range(0, len(content), block):
            if content[at:at + block] != empty:
                file.seek(at)
                file.write(content[at:at + block])
