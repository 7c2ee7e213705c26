"""Windows programs, as far as smbclient is one: through smbd with the shipped smb.conf."""

import signal
import time

import testbed
from consumers import servers
from consumers.table import Program, ProgramTest, one_test_each
from system.scene import GOOD

SAYS = {"EACCES": "NT_STATUS_ACCESS_DENIED", "EBADMSG": "NT_STATUS_ACCESS_DENIED",
        "ENOENT": "NT_STATUS_OBJECT_NAME_NOT_FOUND"}
CLIENT = ("smbclient", "//127.0.0.1/koseki", "-p", "{port}", "-U", "{user}%" + servers.PASSWORD,
          "-t", "60", "-c")

PROGRAMS = [
    Program("smbclient get", (*CLIENT, "get {name} {desk}/copy"), "copy", says=SAYS),
]


@one_test_each(PROGRAMS)
class Samba(ProgramTest):
    full_only = True
    settings = {**ProgramTest.settings, "mount.open_timeout": "6s", "link.connect_timeout": "2s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.smbd = servers.start_samba(cls.site)
        cls.addClassCleanup(cls.smbd.stop)

    def places(self, name, denied):
        return {"port": self.smbd.port, "user": "stranger" if denied else "clerk"}

    def client(self, command, user="clerk"):
        """smbclient at work in the directory of the installation."""
        argv = [word.replace("{port}", str(self.smbd.port)).replace("{user}", user)
                for word in CLIENT]
        return self.reader.start(*argv, command, env={"HOME": "/nonexistent", "PATH": "/usr/bin"})

    def ask(self, command, **options):
        done = self.reader.finish(self.client(command, **options), 60)
        return done.stdout.decode() + done.stderr.decode()

    def test_listing_asks_nothing(self):
        self.serve_copy("listed-1.pdf")
        self.assertReads(self.reader, "listed-1.pdf")
        before = len(self.link.requests())
        self.assertIn("listed-1.pdf", self.ask("ls"))
        self.assertNotIn("listed-1.pdf", self.ask("ls", user="stranger"))
        self.assertEqual(len(self.link.requests()), before)

    def test_junk_names_do_not_reach_the_link_system(self):
        before = len(self.link.requests())
        for name in ("desktop.ini", "Thumbs.db", "autorun.inf", "AutoRun.inf", ".DS_Store",
                     "._x.pdf", "folder.jpg", "x.pdf:Zone.Identifier", "~$x.pdf", "x.PDF.lnk"):
            self.assertIn("NT_STATUS_OBJECT_NAME", self.ask(f"get {name} /dev/null"), name)
        self.assertEqual(len(self.link.requests()), before)

    def test_writing_is_refused(self):
        self.serve_copy("write-1.pdf")
        self.assertReads(self.reader, "write-1.pdf")
        for command in ("put /etc/hostname new-1.pdf", "del write-1.pdf", "mkdir new",
                        "rename write-1.pdf new-2.pdf"):
            self.assertIn("NT_STATUS_", self.ask(command), command)
        self.assertReads(self.reader, "write-1.pdf")

    def test_what_windows_is_told(self):
        """The status of each errno, as docs/samba.md lists them."""
        self.serve_copy("slow-1.pdf")
        self.link.fault("slow-1.pdf", method="GET", stall_after=100)
        self.assertIn("NT_STATUS_IO_TIMEOUT", self.ask("get slow-1.pdf /dev/null"))
        self.serve_copy("refused-1.pdf")
        self.link.fault("refused-1.pdf", method="any", status=403)
        self.assertIn("NT_STATUS_CONNECTION_REFUSED", self.ask("get refused-1.pdf /dev/null"))
        self.link.stop()
        try:
            self.assertIn("NT_STATUS_HOST_UNREACHABLE", self.ask("get away-1.pdf /dev/null"))
        finally:
            self.link.start()

    def test_one_that_waits_stops_no_other(self):
        """A client that dies while smbd waits leaves that smbd waiting, until the daemon's
        deadline."""
        self.serve_copy("wait-1.pdf")
        self.serve_copy("wait-2.pdf", GOOD)
        self.assertReads(self.reader, "wait-2.pdf")
        self.link.fault("wait-1.pdf", method="GET", stall_after=100)
        waiting = self.client("get wait-1.pdf /dev/null")
        testbed.wait_until(lambda: self.gets("wait-1.pdf"), 20, "the GET")
        began = time.monotonic()
        self.assertIn("getting file", self.ask("get wait-2.pdf /dev/null"))
        self.assertSoon(began, 0.5)
        waiting.send_signal(signal.SIGKILL)
        self.reader.finish(waiting)
        self.link.control("POST", "/release")
