"""Attack code inside each process reaches nothing, and the service goes on."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import unittest

import testbed
from samples import document, signature
from samples.truetype import Font, Subset
from system.attack import AttackTest
from system.scene import GOOD, SLACK, TOP, build_directory, work_directory

# System calls by their numbers on x86_64, with arguments: what a table must not forget.
CALLS = {
    "setuid(0)": "105 0", "unshare(CLONE_NEWUSER)": "272 0x10000000", "mount": "165 0 0",
    "bpf": "321 0 0", "keyctl": "250 0 0", "io_uring_setup": "425 1 0", "userfaultfd": "323 0",
    "perf_event_open": "298 0 0", "personality": "135 0x0040000", "pidfd_open": "434 1 0",
    "prctl(PR_SET_DUMPABLE)": "157 4 1", "memfd_secret": "447 0", "init_module": "175 0 0",
    "clone3": "435 0 88", "landlock_create_ruleset": "444 0 0",
}

FONT = "/usr/share/fonts/opentype/ipaexfont-mincho/ipaexm.ttf"


class Rooms(AttackTest):
    settings = {"mount.verify_workers": "16"}

    def setUp(self):
        self.count = getattr(type(self), "count", 0)
        self.whole()
        self.keys_pid = testbed.wait_until(lambda: self.site.room("kosekifs-keys"), 20 * SLACK,
                                           "kosekifs-keys")

    def still_served(self):
        """A certificate that nobody has read yet, and one that was."""
        type(self).count = self.count = self.count + 1
        name = f"after-{self.count}.pdf"
        self.serve_copy(name)
        self.assertReads(self.reader, name, timeout=60)
        self.assertReads(self.reader, GOOD, timeout=60)

    def expect(self, role, outcomes, *order):
        outcome = self.attack(role, *order)
        self.assertIn(outcome, outcomes, f"{role}: {order}")
        if outcome == "killed":
            self.still_served()

    def places(self):
        site = self.site.directory
        return {"/etc/shadow", site / "keys" / "master.key", site / "keys" / "client.key",
                site / "state" / "cache", site / "kosekifs.conf"}

    def test_verify(self):
        """Whatever it tries is its end."""
        orders = [("open", place) for place in self.places()]
        orders += [("create", "/tmp/kosekifs-attack"), ("socket", socket.AF_INET),
                   ("socket", socket.AF_UNIX), ("connect", self.link.port), ("fork",),
                   ("execute", "/bin/true"), ("trace", self.keys_pid), ("signal", self.keys_pid),
                   ("read-memory", self.keys_pid), ("open", f"/proc/{self.keys_pid}/mem"),
                   ("executable-memory",)]
        if os.uname().machine == "x86_64":
            orders += [("call", call) for call in CALLS.values()]
        for order in orders:
            with self.subTest(order=order):
                self.assertEqual(self.attack("verify", *order), "killed")
        self.still_served()
        self.assertEqual(self.site.room("kosekifs-keys"), self.keys_pid)
        self.assertIn("tried what its sandbox forbids", self.site.ctl("alerts").stdout)

    def test_keys(self):
        for order in (("open", self.site.directory / "keys" / "master.key"),
                      ("socket", socket.AF_INET), ("fork",),
                      ("read-memory", self.site.room("kosekifs-mount"))):
            self.expect("keys", ["killed"], *order)
            self.whole()

    def test_link(self):
        """It has a network, and can open files that everybody may."""
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            self.expect("link", ["EACCES"], "connect", elsewhere.getsockname()[1])
        for place in self.places():
            self.expect("link", ["EACCES"], "open", place)
        self.expect("link", ["EACCES"], "open", f"/proc/{self.keys_pid}/mem")
        self.expect("link", ["EAFNOSUPPORT"], "socket", socket.AF_UNIX)
        self.expect("link", ["EACCES", "EPERM"], "executable-memory")
        for order in (("create", "/tmp/kosekifs-attack"), ("execute", "/bin/true"),
                      ("signal", self.keys_pid), ("socket", socket.AF_PACKET)):
            self.expect("link", ["killed"], *order)
            self.whole()

    def test_link_keeps_a_mapping(self):
        """What could still be changed while it is verified is not taken; the process is replaced."""
        pid = self.site.room("kosekifs-link")
        self.assertEqual(self.attack("link", "keep-mapping"), "done")
        self.serve_copy("mapped.pdf")
        row = self.reader.read("mapped.pdf", timeout=60)
        if row["error"] == "OK":
            self.assertEqual(row["sha256"], testbed.sha256(self.site.served / "mapped.pdf"))
        testbed.wait_until(lambda: self.site.room("kosekifs-link") not in (None, pid), 20 * SLACK,
                           "another kosekifs-link")
        self.whole()
        self.still_served()
        self.assertReads(self.reader, "mapped.pdf", timeout=60)

    def test_link_overfills_a_body(self):
        """Memory files count for nobody when memory runs short: more than was asked for is its end."""
        self.serve_copy("fuller.pdf")
        self.link.fault("fuller.pdf", method="GET", stall_after=1000)
        pid = self.site.room("kosekifs-link")
        waiting = self.reader.start("sha256sum", "fuller.pdf")
        body, = testbed.wait_until(
            lambda: [fd.name for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()
                     if os.readlink(fd).startswith("/memfd:certificate")], 20 * SLACK, "the body")
        self.link.fault("fuller.pdf", method="GET")
        self.assertEqual(self.attack("link", "call", f"77 {body} {1 << 40}"), "done")  # ftruncate
        out = self.assertOk(self.reader.finish(waiting, 60))
        self.assertEqual(out.split()[0].decode(), testbed.sha256(self.site.served / "fuller.pdf"))
        self.assertIn("wrote more than the certificate has", self.site.log())

    def test_mount(self):
        for place in (*self.places(), f"/proc/{self.keys_pid}/mem", f"/proc/{self.keys_pid}/maps"):
            if place != self.site.directory / "state" / "cache":  # its own
                self.expect("mount", ["EACCES", "EPERM"], "open", place)
        self.expect("mount", ["EACCES"], "create", "/tmp/kosekifs-attack")
        self.expect("mount", ["EACCES", "EPERM"], "executable-memory")
        for order in (("connect", self.link.port), ("execute", "/bin/true"),
                      ("read-memory", self.keys_pid)):
            self.expect("mount", ["killed"], *order)


class MoreRooms(Rooms):
    """Each death makes the next replacement slower, so the others are tried on another site."""

    test_verify = test_link_keeps_a_mapping = test_link_overfills_a_body = None

    def test_keys(self):
        for order in (("execute", "/bin/true"), ("trace", self.site.room("kosekifs-mount")),
                      ("signal", self.site.room("kosekifs-link")), ("executable-memory",)):
            self.expect("keys", ["killed"], *order)
            self.whole()

    def test_link(self):
        for order in (("fork",), ("trace", self.keys_pid), ("read-memory", self.keys_pid)):
            self.expect("link", ["killed"], *order)
            self.whole()

    def test_mount(self):
        for order in (("fork",), ("trace", self.keys_pid), ("signal", self.keys_pid)):
            self.expect("mount", ["killed"], *order)


class Documents(AttackTest):
    """A parser that crashes, allocates without end, or lies."""

    documents = True
    settings = {"mount.verify_timeout": "20s", "sandbox.verify_memory": "256M"}

    def serve_attack(self, word):
        self.serve_copy(f"{word}.pdf", content=b"%PDF-1.7\nATTACK:" + word.encode().ljust(4096))
        return f"{word}.pdf"

    def records(self, name):
        self.site.ctl("status")
        done = self.site.ctl("audit", "show", "--json", self.site.directory / "state" / "audit")
        events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        return [event for event in events if name in json.dumps(event)]

    def contained(self, word, why, name=None):
        name = name or self.serve_attack(word)
        others = [f"beside-{word}-{i}.pdf" for i in range(8)]
        for other in others:
            self.serve_copy(other)
        outcome = []
        reading = threading.Thread(target=lambda: outcome.append(self.reader.read(name, 60)))
        reading.start()
        for other in others:
            self.assertReads(self.reader, other, timeout=60)
        reading.join()
        self.assertEqual(outcome[0]["error"], "EIO")
        self.assertIn(why, self.site.ctl("why", name).stdout)
        verdicts = [e for e in self.records(name) if e.get("kind", e.get("event")) == "verdict"
                    or "INDETERMINATE" in json.dumps(e)]
        self.assertTrue(verdicts, f"no record of the verdict on {name}")
        self.assertIn("in two processes", self.site.ctl("alerts").stdout)
        self.remembered(name)

    def remembered(self, name):
        """Opening it again costs no process; asking for another attempt does."""
        log = self.site.log()
        for _ in range(3):
            self.assertFails(self.reader, name, "EIO")
        self.assertEqual(self.site.log().count("is replaced"), log.count("is replaced"))
        began = time.monotonic()
        done = self.site.ctl("fetch", "--again", name, timeout=120)
        self.assertEqual(done.returncode, 1)
        self.assertGreater(self.site.log().count("is replaced"), log.count("is replaced"))
        self.assertSoon(began, 15)
        self.serve_copy(name)
        testbed.wait_until(lambda: self.site.ctl("fetch", "--again", name).returncode == 0, 60,
                           "the certificate as it should be")
        self.assertReads(self.reader, name)

    def test_crash(self):
        self.contained("crash", "ended by signal 11")

    def test_allocates(self):
        self.contained("allocate", "ended by signal 6")

    def test_lies(self):
        self.contained("lie", "the verifying process")

    def test_accepts_another_document(self):
        """One that the Minister signed, of which the verdict says that it is another one."""
        page, font = document.Page(), Font(FONT)
        page.text(100, 100, "戸籍")
        unsigned = document.build([page], font, Subset(font, page.characters()), "戸籍電子証明書",
                                  signature.pdf_date(signature.now()), "0" * 32,
                                  signature.dictionary())
        marked = unsigned.replace(b"(koseki sample)", b"(ATTACK:swap  )")
        self.assertNotEqual(marked, unsigned)
        signing = self.samples / "signing"
        self.serve_copy("swap.pdf", content=signature.sign(marked, signing / "minister.pem",
                                                           signing / "official.pem"))
        self.contained("swap", "the verifying process", "swap.pdf")

    def test_writes_to_what_is_sealed(self):
        name = self.serve_attack("write")
        self.assertFails(self.reader, name, "EBADMSG")
        self.assertEqual(self.orders["verify"].result(), "EPERM")


class EndlessDocument(Documents):
    """A parser that does not come to an end. Only here is the time short: on a busy machine a good
    document may take longer."""

    settings = {"mount.verify_timeout": "2s", "sandbox.verify_memory": "256M"}
    test_crash = test_allocates = test_lies = test_accepts_another_document = None
    test_writes_to_what_is_sealed = None

    def test_loop(self):
        self.contained("loop", "did not answer in time")


class OlderKernel(AttackTest):
    """Landlock without its rules for TCP: works, is weaker in what it says it is, and no more."""

    settings = {"sandbox.landlock_abi_max": "3"}

    def test_works_and_says_so(self):
        self.assertReads(self.reader, GOOD)
        status = self.status()
        self.assertEqual(status["sandbox"], "reduced")
        self.assertEqual(status["processes"]["kosekifs-link"]["landlock_abi"], 3)
        self.assertEqual(status["processes"]["kosekifs-link"]["not_restricted"],
                         "TCP, device ioctl, signals")
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            self.assertEqual(self.attack("link", "connect", elsewhere.getsockname()[1]), "done")
        self.assertEqual(self.attack("link", "open", self.site.directory / "kosekifs.conf"),
                         "EACCES")
        self.assertEqual(self.attack("link", "fork"), "killed")
        self.whole()
        self.serve_copy("after.pdf")
        self.assertReads(self.reader, "after.pdf", timeout=60)


class Schema(unittest.TestCase):
    """The XSD 1.1 process, as kosekictl and the supervisor start it: its program is another."""

    VECTORS = TOP / "tests" / "vectors" / "xml" / "schema"
    # In the place of validation; what is returned is shown as the reason.
    ATTACKER = """
class Attacker(Processor):
    def validate(self, document):
        import ctypes
        try:
            {attack}
        except OSError as error:
            import errno
            return REFUSED, "attack: " + errno.errorcode[error.errno]
        return REFUSED, "attack: done"
Processor = Attacker

if __name__ =="""

    def verify(self, attack):
        directory = work_directory() / "AttackedSchema"
        shutil.rmtree(directory, ignore_errors=True)
        (directory / "verify").mkdir(parents=True)
        shutil.copy(build_directory() / "kosekictl", directory)
        program = (TOP / "verify" / "schema_worker.py").read_text()
        program = program.replace("\nif __name__ ==", self.ATTACKER.format(attack=attack))
        (directory / "verify" / "schema_worker.py").write_text(program)
        return subprocess.run(
            [directory / "kosekictl", "verify", "--trust", self.VECTORS / "anchor.pem", "--crl",
             self.VECTORS / "official.crl", "--signer",
             "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP", "--schema",
             self.VECTORS / "koseki.xsd", "--schema", self.VECTORS / "koseki-types.xsd",
             self.VECTORS / "good-current.xml"], capture_output=True, text=True).stdout

    def test_what_it_can_do(self):
        self.assertIn("attack: done", self.verify("open('/usr/bin/python3').close()"))

    def test_files(self):
        for place in ("/etc/passwd", "/proc/self/maps", str(TOP / "meson.build")):
            with self.subTest(place=place):
                self.assertIn("attack: EACCES", self.verify(f"open({place!r})"))

    def test_what_ends_it(self):
        for attack in ("socket.socket(socket.AF_INET)", "os.fork()", f"os.kill({os.getpid()}, 0)",
                       "open('/tmp/kosekifs-attack', 'w')",
                       f"ctypes.CDLL(None).ptrace(16, {os.getpid()}, 0, 0)",
                       "ctypes.CDLL(None).process_vm_readv(1, 0, 0, 0, 0, 0)",
                       "ctypes.CDLL(None).unshare(0x10000000)"):
            with self.subTest(attack=attack):
                self.assertIn("gave no answer", self.verify(attack))
