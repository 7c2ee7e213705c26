"""How a row of the table of programs is run against the mount, and what each state of a certificate
must bring.

  cold      the link system has it, kosekifs does not: it is fetched
  warm      it is stored here: nothing is asked of the link system
  blocked   the link system stops in the middle: the program waits, and has it when it goes on
  ended     while it waits so, SIGTERM ends the program at once
  denied    the user has no right: refused, nothing asked
  rejected  the bytes are not what the Minister signed: fetched once, refused
  unlisted  the link system does not know the id
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import testbed
from consumers.accounts import write_accounts
from system.scene import GOOD, TOP, SystemTest, sanitized

STATES = ("cold", "warm", "blocked", "ended", "denied", "rejected", "unlisted")
FORGED = "K2026-000201.pdf"
SOURCES = TOP / "tests" / "consumers"
SECONDS = 120 if sanitized() else 60
SAYS = {"EACCES": "Permission denied", "EBADMSG": "Bad message", "ENOENT": "No such file"}


@dataclasses.dataclass
class Program:
    """One way of one program to read a certificate.

    run      its command line, in the mount; {name} is the certificate, {path} the same from the
             root, {desk} an empty directory to write to, {tools} where `build` put something,
             {site} the directory of the installation
    shows    what it makes of the content: "content" on standard output, "copy" in {desk}/copy,
             "sha256" or "size" on standard output; or another function of (test, done, desk,
             expected bytes) that asserts; "attributes" when it looks without opening
    says     how it words an errno, where that is not the C library's text
    fails    its exit code says when it failed
    tries    how often it tries to open what it cannot
    build    a command line that is run once before
    env      more environment
    quick    part of the plain check: only packages of tools/packages/test
    """

    name: str
    run: tuple
    shows: object = "content"
    says: dict = dataclasses.field(default_factory=dict)
    fails: bool = True
    build: tuple = ()
    env: dict = dataclasses.field(default_factory=dict)
    quick: bool = False
    tries: int = 1

    @property
    def opens(self):
        return self.shows != "attributes"

    @property
    def slug(self):
        return "".join(c if c.isalnum() else "-" for c in self.name)


def shows_content(test, done, desk, expected):
    test.assertEqual(len(done.stdout), len(expected))
    test.assertEqual(done.stdout, expected)


def shows_copy(test, done, desk, expected):
    test.assertEqual((desk / "copy").read_bytes(), expected)


def shows_sha256(test, done, desk, expected):
    test.assertIn(hashlib.sha256(expected).hexdigest(), done.stdout.decode())


def shows_size(test, done, desk, expected):
    test.assertIn(str(len(expected)), done.stdout.decode().split())


def shows_attributes(test, done, desk, expected):
    pass


SHOWS = {"content": shows_content, "copy": shows_copy, "sha256": shows_sha256, "size": shows_size,
         "attributes": shows_attributes}


class ProgramTest(SystemTest):
    """Runs rows; each test method is one program, each state a subtest."""

    serve_all = False
    # What a HEAD said counts so long: a busy machine may take seconds from a program's look to its
    # open.
    settings = {"mount.entry_timeout": "20s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tools = cls.site.directory / "tools"
        cls.tools.mkdir()
        write_accounts(cls.site.directory)
        # Programs that are ended leave their temporary files. Short: there are sockets among them.
        cls.temporary = pathlib.Path(tempfile.gettempdir()) / f"p{os.getpid()}"
        cls.temporary.mkdir()
        cls.temporary.chmod(0o1777)
        cls.addClassCleanup(shutil.rmtree, cls.temporary)

    def words(self, words, **places):
        places.update(tools=self.tools, source=SOURCES, site=self.site.directory)
        filled = []
        for word in words:
            for place, value in places.items():
                word = word.replace("{" + place + "}", str(value))
            filled.append(word)
        return filled

    def places(self, name, denied):
        """More that a class may fill in."""
        return {}

    def start(self, program, name, desk, denied):
        """The program at work, as somebody with a right or as a stranger."""
        reader = self.stranger if denied else self.reader
        argv = self.words(program.run, name=name, path=self.site.mount_point / name, desk=desk,
                          **self.places(name, denied))
        more = dict(zip(program.env, self.words(program.env.values(), desk=desk)))
        environment = {**os.environ, "HOME": str(desk), "LC_ALL": "C.UTF-8",
                       "TMPDIR": str(self.temporary), **more}
        return reader.start(*argv, start_new_session=True, env=environment)

    def finish(self, process):
        return self.reader.finish(process, SECONDS)

    def check(self, program):
        if program.build:
            subprocess.run(self.words(program.build), check=True, capture_output=True)
        for state in STATES:
            if state == "ended" and not program.opens:
                continue  # it does not wait
            with self.subTest(program.name, state=state):
                self.check_state(program, state)

    def new_desk(self, program, state, denied):
        desk = self.site.directory / "desk" / f"{program.slug}-{state}"
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(desk)
        desk.mkdir(parents=True)
        uid = self.stranger.uid if denied else self.reader.uid
        os.chown(desk, uid, uid)
        return desk

    def check_state(self, program, state):
        """A program that looks without opening does the same with a cold one, a stalled one and one
        that will be rejected: nothing is known of the content yet."""
        denied = state == "denied"
        name = f"{program.slug}-{'cold' if state == 'warm' else state}.pdf"[-60:].lstrip("-")
        desk = self.new_desk(program, state, denied)
        if state == "warm":
            self.assertReads(self.reader, name)
        elif state != "unlisted":
            self.serve_copy(name, FORGED if state == "rejected" else GOOD)
        if state in ("blocked", "ended"):
            self.link.fault(name, method="GET", stall_after=1000)
        heads, gets = self.heads(name), self.gets(name)
        process = self.start(program, name, desk, denied)
        if state == "ended":
            self.end_it(program, process, name)
            return
        if state == "blocked" and program.opens:
            self.let_it_wait(process, name)
        done = self.finish(process)
        asked = self.heads(name) - heads, self.gets(name) - gets
        self.assertEqual(asked, self.expected_requests(program, state), self.told(done))
        self.check_outcome(program, state, done, desk)

    def end_it(self, program, process, name):
        """With whatever it started, as a terminal or a service manager would."""
        self.let_it_wait(process, name, release=False)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGTERM)
        done = self.finish(process)
        self.assertSoon(began, 0.5)
        if program.fails:
            self.assertNotEqual(done.returncode, 0, self.told(done))
        self.link.control("POST", "/release")

    def let_it_wait(self, process, name, release=True):
        testbed.wait_until(lambda: self.gets(name) or process.poll() is not None, SECONDS,
                           f"the GET of {name}")
        time.sleep(0.1)
        self.assertIsNone(process.poll(), "it did not wait")
        if release:
            self.link.control("POST", "/release")

    @staticmethod
    def expected_requests(program, state):
        """HEADs and GETs. A program may look a cold one up as often as it likes: one HEAD; but a
        failed fetch ends what the HEAD said."""
        if state in ("warm", "denied"):
            return 0, 0
        if state == "unlisted":
            return 1, 0
        if state == "rejected" and program.opens:
            return program.tries, 1
        return 1, 1 if program.opens else 0

    @staticmethod
    def told(done):
        return (done.stdout[-1500:] + b"\n" + done.stderr[-1500:]).decode(errors="replace")

    def check_outcome(self, program, state, done, desk):
        error = {"denied": "EACCES", "unlisted": "ENOENT"}.get(state)
        if state == "rejected" and program.opens:
            error = "EBADMSG"
        if not error:
            self.assertEqual(done.returncode, 0, self.told(done))
            expected = (self.samples / "documents" / GOOD).read_bytes()
            show = SHOWS.get(program.shows, program.shows)
            show(self, done, desk, expected)
            return
        if program.fails:
            self.assertNotEqual(done.returncode, 0, self.told(done))
        said = (done.stdout + done.stderr).decode(errors="replace").lower()
        self.assertTrue(program.says.get(error, SAYS[error]).lower() in said, self.told(done))
        self.assertNotIn(b"%PDF-", done.stdout)


def one_test_each(programs):
    """A decorator that gives a class a test method for each row."""
    def add(cls):
        for program in programs:
            def test(self, program=program):
                self.check(program)
            test.__doc__ = None
            setattr(cls, "test_" + program.slug.replace("-", "_"), test)
        return cls
    return add
