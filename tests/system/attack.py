"""A site whose processes have been taken over: build/*/tests/attack/attack.so is loaded into the real
programs, and does what it is ordered in the course of their work."""

import json
import mmap
import re
import shutil
import struct
import unittest

import testbed
from system.scene import SLACK, SystemTest, build_directory, sanitized

ROLES = ("keys", "link", "mount", "verify")
WRAPPER = """#!/bin/sh
LD_PRELOAD={library} ATTACK_ORDERS={orders} {more} exec {program}
"""


class Orders:
    """The page through which one role's attacker is told what to try; see tests/attack/attack.c."""

    FORM = struct.Struct("i60s192s64s")
    GIVEN, DONE = 1, 3

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(self.FORM.size))
        path.chmod(0o666)
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), self.FORM.size)

    def give(self, name, argument=""):
        self.page[4:self.FORM.size] = self.FORM.pack(
            0, name.encode(), str(argument).encode(), b"")[4:]
        self.page[0:4] = struct.pack("i", self.GIVEN)

    def result(self):
        """None while it is not over, or if there was nobody left to tell."""
        state, _, _, result = self.FORM.unpack(self.page[:])
        return result.rstrip(b"\0").decode() if state == self.DONE else None

    def close(self):
        self.page.close()


class AttackTest(SystemTest):
    """settings as in SystemTest; `documents`: the verifying processes obey documents too."""

    documents = False

    @classmethod
    def setUpClass(cls):
        if sanitized():
            raise unittest.SkipTest("builds with sanitizers are not locked in")
        super().setUpClass()

    @classmethod
    def configure(cls, **more):
        super().configure(**more)
        programs = cls.site.directory / "programs"
        programs.mkdir()
        shutil.copy(build_directory() / "kosekifs", programs)
        (programs / "kosekictl").symlink_to(build_directory() / "kosekictl")
        (programs / "verify").symlink_to(build_directory() / "verify")
        cls.orders = {}
        for role in ROLES:
            cls.orders[role] = Orders(programs / f"orders-{role}")
            cls.addClassCleanup(cls.orders[role].close)
            wrapper = programs / f"kosekifs-{role}"
            wrapper.write_text(WRAPPER.format(
                library=build_directory() / "tests" / "attack" / "attack.so",
                orders=cls.orders[role].path, program=build_directory() / f"kosekifs-{role}",
                more="ATTACK_DOCUMENTS=1" if cls.documents and role == "verify" else ""))
            wrapper.chmod(0o755)
        cls.site.build = programs

    def deaths(self, role, signal=31):
        """How many processes of this role ended by this signal, 31 being SIGSYS."""
        return len(re.findall(rf"kosekifs-{role}(\[\d+\])? ended by signal {signal} ",
                              self.site.log()))

    def attack(self, role, name, argument=""):
        """What came of it: "killed", the name of an errno, or "done" if it succeeded."""
        before = self.deaths(role)
        self.orders[role].give(name, argument)
        testbed.wait_until(lambda: self.orders[role].result() or self.deaths(role) > before,
                           20 * SLACK, f"{role} to try {name}")
        return self.orders[role].result() or "killed"

    def whole(self):
        """Waits until every process is there and ready again."""
        def all_there():
            try:
                status = self.status()
            except (ValueError, KeyError):
                return False
            return status["link"]["up"] and status["verify"]["workers"] == self.workers()
        testbed.wait_until(all_there, 20 * SLACK, "all processes to be back")

    def workers(self):
        return int(self.settings.get("mount.verify_workers", 2))

    def status(self):
        return json.loads(self.site.ctl("--json", "status").stdout)["status"]
