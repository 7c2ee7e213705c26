"""What kosekictl status says of each process's sandbox, what can be demanded, and when verifying
processes are replaced."""

import json
import re
import subprocess
import unittest

import testbed
from system.scene import (GOOD, SLACK, SystemTest, build_directory, needs_root, samples, sanitized,
                          work_directory)


def landlock_abi():
    """The kernel's, through the system call that asks for it."""
    program = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))"
    return max(0, int(subprocess.run(["/usr/bin/python3", "-c", program], capture_output=True,
                                     text=True, check=True).stdout))


class Status(SystemTest):
    def test_each_process(self):
        status = json.loads(self.reader.text(".kosekifs/status.json"))
        level = ("sanitizer" if sanitized() else "full" if landlock_abi() >= 6 else "reduced")
        self.assertEqual(status["sandbox"], level)
        processes = status["processes"]
        self.assertEqual(set(processes), {"kosekifs", "kosekifs-keys", "kosekifs-link",
                                          "kosekifs-mount", "kosekifs-verify[0]",
                                          "kosekifs-verify[1]"})
        self.assertEqual(processes.pop("kosekifs")["sandbox"], "none")
        for name, process in processes.items():
            with self.subTest(name=name):
                role = re.match(r"kosekifs-(\w+)", name)[1]
                self.assertEqual(process["uid"], testbed.ROOM_USERS[role])
                self.assertEqual(process["capabilities"], "none")
                self.assertTrue(process["no_new_privs"])
                self.assertEqual(process["sandbox"], level)
                if not sanitized():
                    self.assertEqual(process["seccomp"], "filter")
                    self.assertEqual(process["landlock_abi"], landlock_abi())

    def test_in_words(self):
        shown = self.assertOk(self.site.ctl("status"))
        self.assertRegex(shown, r"(?m)^    kosekifs-keys:\n(      .*\n)*      no_new_privs: true$")


class Demanded(unittest.TestCase):
    """[sandbox] level = full."""

    def start(self, **sandbox):
        needs_root()
        site = testbed.Site(work_directory() / type(self).__name__, build_directory(), samples())
        settings = site.settings("https://127.0.0.1:1/{name}")
        settings["sandbox"] = sandbox
        site.write_configuration(settings)
        self.addCleanup(site.close)
        return site

    def test_refused(self):
        site = self.start(level="full", landlock_abi_max="2")
        with self.assertRaises(testbed.Trouble):
            site.start()
        self.assertFalse(site.mounted())
        if not sanitized():
            self.assertIn("[sandbox] level = full cannot be had: Landlock here has ABI 2, 6 is needed "
                          "to restrict truncation, TCP, device ioctl, signals", site.log())

    def test_without_landlock(self):
        site = self.start(level="best", landlock_abi_max="0")
        site.start()
        status = json.loads(site.ctl("--json", "status").stdout)["status"]
        if not sanitized():
            self.assertEqual(status["sandbox"], "reduced")
            self.assertIn("files", status["processes"]["kosekifs-keys"]["not_restricted"])

    def test_granted(self):
        if sanitized() or landlock_abi() < 6:
            self.skipTest("this kernel, or this build, has no full level")
        site = self.start(level="full")
        site.start()


class Replaced(SystemTest):
    settings = {"mount.verify_workers": "1", "mount.verify_documents": "3"}

    def pid(self):
        return testbed.wait_until(lambda: self.site.room("kosekifs-verify"), 20 * SLACK, "a worker")

    def another_than(self, pid):
        return testbed.wait_until(lambda: self.pid() != pid, 20 * SLACK, "another worker")

    def test_after_a_rejection(self):
        pid = self.pid()
        errors = self.site.log().count("error")
        self.serve_copy("bad.pdf", content=b"%PDF-1.7\nnothing\n")
        self.assertFails(self.reader, "bad.pdf", "EBADMSG")
        self.another_than(pid)
        self.serve_copy("good.pdf")
        self.assertReads(self.reader, "good.pdf")
        self.assertEqual(self.site.log().count("error"), errors)
        self.assertNotIn("process", self.site.ctl("alerts").stdout)

    def test_after_many_documents(self):
        pid = self.pid()
        for i in range(3):
            self.serve_copy(f"many-{i}.pdf", GOOD)
            self.assertReads(self.reader, f"many-{i}.pdf")
        self.another_than(pid)


class ByName(SystemTest):
    """Names are resolved in the sandbox, by files and by DNS."""

    @classmethod
    def configure(cls, **more):
        super().configure(**{"link.url": cls.link.url.replace("127.0.0.1", "localhost")}, **more)

    def test_by_files(self):
        pid = self.site.room("kosekifs-link")
        self.assertReads(self.reader, GOOD)
        self.assertEqual(self.site.room("kosekifs-link"), pid)


class ByUnknownName(SystemTest):
    settings = {"link.url": "https://no-such-host.invalid/{name}"}

    def test_by_dns(self):
        pid = self.site.room("kosekifs-link")
        row = self.reader.read(GOOD)
        self.assertIn(row["error"], ("EHOSTUNREACH", "ETIMEDOUT"))
        self.assertEqual(self.site.room("kosekifs-link"), pid)
