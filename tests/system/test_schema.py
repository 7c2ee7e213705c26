"""The Minister's schemas: how they are managed, and what they do to documents."""

import json
import os
import signal
import subprocess
import sys
import time

from system.scene import GOOD, TOP, SystemTest
import testbed

sys.path.insert(0, str(TOP / "tools"))
from samples import xml_register, xml_signature  # noqa: E402

SCHEMAS = TOP / "tests" / "vectors" / "xml" / "schema"
FILES = (SCHEMAS / "koseki.xsd", SCHEMAS / "koseki-types.xsd")
APPROVER_UID, APPROVER_GROUP = 61401, 61400
WORKERS = 2


class SchemaTest(SystemTest):
    def schema(self, *arguments, code=0, reason="as the Ministry sent it"):
        more = ("--config", self.site.configuration)
        if arguments[0] != "list":
            more += ("--reason", reason)
        done = self.site.ctl("schema", *arguments, *more)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def in_use(self, words):
        """Waits until the daemon works with it: a certificate's report names it."""
        self.reads = getattr(type(self), "reads", 0) + 1
        type(self).reads = self.reads
        name = f"use-{self.reads}.xml"

        def shown():
            self.serve_register(name)
            self.reader.read(name)
            return words in self.why(name)
        testbed.wait_until(shown, 20, f"{words} in a report")

    def use(self, *what):
        self.schema("use", *what)
        self.in_use(" ".join(what) if what[0] != "none" else "no schema is configured")

    def serve_register(self, name, register=None, signer="minister"):
        parts = (register or xml_register.Register()).content()
        content = xml_signature.sign(parts, self.samples / "signing" / f"{signer}.pem")
        (self.site.served / name).write_bytes(content)

    def why(self, name):
        done = self.site.ctl("why", name)
        return done.stdout + done.stderr

    def processes(self):
        """The XSD 1.1 processes."""
        return self.site.rooms().get("python3", [])

    def records(self):
        done = self.site.ctl("audit", "show", "--json", self.site.directory / "state" / "audit")
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line)["event"] for line in done.stdout.splitlines()]


class Managing(SchemaTest):
    def test_life_of_a_schema(self):
        self.serve_register("life-1.xml")
        self.assertReads(self.reader, "life-1.xml")
        wrong = next(r for n, r, _ in xml_register.invalid_registers() if n == "issued-early")
        self.serve_register("life-2.xml", wrong)
        self.assertReads(self.reader, "life-2.xml")
        self.assertIn("no schema is configured", self.why("life-1.xml"))
        self.assertEqual(self.processes(), [])
        self.assertIn("koseki 2.0: XSD 1.1, 2 files", self.schema("add", "koseki", "2.0", *FILES))
        self.assertEqual(self.schema("list").split("\t")[:3], ["-", "koseki 2.0", "XSD 1.1"])
        self.use("koseki", "2.0")
        self.assertIn("in use\tkoseki 2.0", self.schema("list"))
        self.assertReads(self.reader, "life-1.xml")
        self.assertFails(self.reader, "life-2.xml", "EBADMSG")  # stored, and judged anew
        self.assertIn("the assertion", self.why("life-2.xml"))
        self.assertEqual(len(self.processes()), WORKERS)
        self.assertIn("is in use", self.schema("destroy", "koseki", "2.0", code=1))
        self.use("none")
        testbed.wait_until(lambda: not self.processes(), 10, "the processes to end")
        self.schema("destroy", "koseki", "2.0", reason="replaced by 3.0")
        self.assertEqual(self.schema("list"), "")
        done = [r["detail"] for r in self.records() if r["kind"] == "configuration"
                and r.get("reason") == "schema"]
        done = [r["action"] for r in done if r["schema"] in ("koseki", "none")]
        self.assertEqual(done[-4:], ["add", "use", "use", "destroy"])
        history = (self.site.directory / "schema" / "history").read_text()
        self.assertEqual([json.loads(line)["action"] for line in history.splitlines()][-4:],
                         ["add", "use", "use", "destroy"])
        self.assertIn("replaced by 3.0", history)

    def test_what_no_processor_can_honour(self):
        wrong = self.site.directory / "wrong.xsd"
        head = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">\n'
        for content, words in (
                (head + '<xs:element name="a" type="no-such"/>\n</xs:schema>', "no-such"),
                (head + '<xs:include schemaLocation="missing.xsd"/>\n</xs:schema>', "missing.xsd"),
                (head + '<xs:element name="a"><xs:complexType><xs:assert test="1 +"/>'
                 "</xs:complexType></xs:element></xs:schema>", "assert"),
                ('<!DOCTYPE x [<!ENTITY e "e">]>' + head + "</xs:schema>", "wrong.xsd"),
                (head, "wrong.xsd"), ("<a/>", "not a schema")):
            with self.subTest(content):
                wrong.write_text(content)
                self.assertIn(words, self.schema("add", "wrong", "1", wrong, code=1))
        self.assertEqual(self.schema("list"), "")

    def test_names_and_files_that_are_refused(self):
        link = self.site.directory / "link.xsd"
        link.unlink(missing_ok=True)
        large = self.site.directory / "large.xsd"
        large.write_bytes(b" " * (16 * 1024 * 1024 + 1))
        for arguments in (("../x", "1", FILES[0]), ("a", "../1", FILES[0]), ("a", ".", FILES[0]),
                          ("A", "1", FILES[0]), ("none", "1", FILES[0]), ("a", "", FILES[0]),
                          ("a" * 20, "1", FILES[0]), ("a", "1" * 20, FILES[0]),
                          ("a", "1", FILES[0], FILES[0]), ("a", "1", "/etc/passwd"),
                          ("a", "1", "/dev/zero"), ("a", "1", large), ("a", "1", "no-such.xsd"),
                          ("a", "1", FILES[0])):  # its include is missing
            with self.subTest(arguments):
                self.schema("add", *arguments, code=1)
        self.schema("use", "koseki", "9", code=1)
        self.schema("destroy", "koseki", "9", code=1)
        self.schema("add", "a", "1", *FILES, code=1, reason="two\nlines")
        self.schema("add", "a", "1", code=64)
        self.assertEqual(self.schema("list"), "")

    def test_a_version_never_changes(self):
        self.schema("add", "fixed", "1", SCHEMAS / "koseki10.xsd", FILES[1])
        self.assertIn("is there already", self.schema("add", "fixed", "1", *FILES, code=1))
        version = self.site.directory / "schema" / "fixed" / "1"
        (version / "koseki10.xsd").chmod(0o644)
        with open(version / "koseki10.xsd", "a") as file:
            file.write("<!-- -->")
        self.assertIn("is not the file that was added",
                      self.schema("use", "fixed", "1", code=1))
        self.assertReads(self.reader, GOOD)
        self.use("none")
        self.schema("destroy", "fixed", "1")

    def test_others_may_not_write_there(self):
        self.schema("add", "open", "1", *FILES)
        directory = self.site.directory / "schema"
        directory.chmod(0o777)
        self.addCleanup(directory.chmod, 0o755)
        self.assertIn("must not be able to write", self.schema("list", code=1))
        self.assertIn("must not be able to write", self.schema("use", "open", "1", code=1))
        directory.chmod(0o755)
        self.schema("destroy", "open", "1")

    def test_offline_only_without_a_daemon(self):
        self.assertIn("a daemon is running", self.schema("add", "off", "1", *FILES, "--offline",
                                                         code=1))
        self.site.stop()
        try:
            self.schema("add", "off", "1", *FILES, code=69)
            self.schema("add", "off", "1", *FILES, "--offline")
            self.assertIn("offline", self.schema("list"))
            self.schema("destroy", "off", "1", "--offline")
        finally:
            self.site.start()

    def test_who_has_no_role_changes_nothing(self):
        done = self.stranger.run(self.site.build / "kosekictl", "--socket",
                                 self.site.directory / "run" / "control.sock", "reload")
        self.assertNotEqual(done.returncode, 0)


class SecondOpinion(SchemaTest):
    """Where xmlsec1 says no and kosekifs would say yes, the document is refused and somebody looks."""

    def serve_in_namespace(self, name, namespace):
        parts = (f'<k:r xmlns:k="{namespace}">', "<k:a>x</k:a>", "</k:r>")
        (self.site.served / name).write_bytes(
            xml_signature.sign_exclusive(parts, self.samples / "signing" / "minister.pem"))

    def test_refused_with_an_alert(self):
        self.serve_in_namespace("agree.xml", "urn:test:a")
        self.assertReads(self.reader, "agree.xml")
        self.assertNotIn("second opinion", self.site.ctl("alerts").stdout)
        self.serve_in_namespace("differ.xml", "urn:test:a&amp;b")
        self.assertFails(self.reader, "differ.xml", "EBADMSG")
        self.assertIn("xml-second-opinion", self.why("differ.xml"))
        alerts = self.site.ctl("alerts").stdout
        self.assertIn("second opinion", alerts)
        self.assertIn("critical", alerts)


class SecondPerson(SchemaTest):
    @classmethod
    def configure(cls, **more):
        cls.site.policy["roles"]["approver"] = f"@{APPROVER_GROUP}"
        cls.site.policy["roles"]["second_person"] = "schema"
        super().configure(**more)

    def test_nothing_before_somebody_confirms(self):
        words = self.schema("add", "koseki", "2.0", *FILES, code=75)
        self.assertEqual(self.schema("list"), "")
        number = words.split("kosekictl confirm ")[1].split('"')[0]
        self.assertNotEqual(self.site.ctl("confirm", number).returncode, 0)
        approver = self.site.reader(APPROVER_UID, (APPROVER_GROUP, testbed.CONTROL_GROUP))
        done = approver.run(self.site.build / "kosekictl", "--socket",
                            self.site.directory / "run" / "control.sock", "confirm", number)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.schema("add", "koseki", "2.1", *FILES, code=75)  # is not what was confirmed
        self.schema("add", "koseki", "2.0", *FILES)
        self.assertIn("koseki 2.0", self.schema("list"))
        self.schema("add", "koseki", "2.2", *FILES, code=75)


class InUse(SchemaTest):
    """koseki 2.0 is in use: XSD 1.1 with assertions."""

    @classmethod
    def setUpClass(cls):
        cls.ready = False  # the same class runs once for each build
        super().setUpClass()

    def setUp(self):
        if not self.ready:
            self.schema("add", "koseki", "2.0", *FILES)
            self.use("koseki", "2.0")
            type(self).ready = True

    def test_good_documents(self):
        for name, register, _ in xml_register.valid_registers():
            self.serve_register(f"good-{name}.xml", register)
            self.assertReads(self.reader, f"good-{name}.xml")
            self.assertIn("koseki 2.0", self.why(f"good-{name}.xml"))

    def test_bad_documents(self):
        for name, register, _ in xml_register.invalid_registers():
            with self.subTest(name):
                self.serve_register(f"bad-{name}.xml", register)
                self.assertFails(self.reader, f"bad-{name}.xml", "EBADMSG")
                self.assertIn("schema-valid", self.why(f"bad-{name}.xml"))
        self.assertIn("the assertion", self.why("bad-issued-early.xml"))

    def test_pdf_needs_no_schema(self):
        self.assertReads(self.reader, GOOD)

    def test_processes_are_confined(self):
        testbed.wait_until(lambda: len(self.processes()) == WORKERS, 20, "the processes")
        for pid in self.processes():
            with open(f"/proc/{pid}/status") as file:
                status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
            uid = str(testbed.ROOM_USERS["schema"])
            self.assertEqual(status["Uid"].split(), [uid] * 4)
            self.assertEqual(status["Groups"].split(), [])
            self.assertEqual(int(status["CapEff"], 16) | int(status["CapPrm"], 16), 0)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            with open(f"/proc/{pid}/net/dev") as file:
                self.assertEqual(len(file.read().splitlines()), 3)  # the loopback, down
            with open(f"/proc/{pid}/environ") as file:
                self.assertEqual({pair.split("=")[0] for pair in file.read().split("\0") if pair} -
                                 {"JOURNAL_STREAM"}, {"PATH", "TZ", "LANG"})
            with open(f"/proc/{pid}/limits") as file:
                limits = {line[:26].strip(): line[26:].split()[1] for line in file}
            self.assertEqual(limits["Max address space"], str(512 * 1024 * 1024))
            self.assertEqual((limits["Max core file size"], limits["Max file size"]), ("0", "0"))
            self.assertEqual(limits["Max open files"], "32")
            self.assertEqual(os.readlink(f"/proc/{pid}/fd/0"), "/dev/null")

    def test_killed(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.serve_register("killed.xml")
        # A busy machine may need longer for new ones than an open waits: ENOKEY, try again.
        testbed.wait_until(lambda: self.reader.read("killed.xml")["error"] != "ENOKEY", 20,
                           "the processes")
        self.assertReads(self.reader, "killed.xml")
        self.assertIn("koseki 2.0", self.why("killed.xml"))

    def test_stopped(self):
        before = testbed.wait_until(
            lambda: len(self.processes()) == WORKERS and self.processes(), 20, "the processes")
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        self.serve_register("stopped.xml")
        began = time.monotonic()
        process = self.reader.start("cat", "stopped.xml")
        self.serve_copy("meanwhile.pdf")
        self.assertReads(self.reader, "meanwhile.pdf")
        self.assertLess(time.monotonic() - began, 5)
        done = self.reader.finish(process)
        self.assertIn(b"Required key not available", done.stderr)
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("schema-honoured", self.why("stopped.xml"))
        for pid in set(before) & set(self.processes()):  # who was not asked
            os.kill(pid, signal.SIGKILL)
        testbed.wait_until(lambda: len(self.processes()) == WORKERS and
                           not set(before) & set(self.processes()), 20, "new processes")
        self.assertReads(self.reader, "stopped.xml")

    def test_verify_worker_killed(self):
        before = self.processes()
        for pid in self.site.rooms()["kosekifs-verify"]:
            os.kill(pid, signal.SIGKILL)
        self.serve_register("verify-killed.xml")
        testbed.wait_until(lambda: self.reader.read("verify-killed.xml")["error"] == "OK", 20,
                           "verification")
        testbed.wait_until(lambda: len(self.processes()) == WORKERS and
                           not set(before) & set(self.processes()), 20, "new processes")


class WithoutPackage(SchemaTest):
    """python3-xmlschema is not installed: hidden by a mount in a namespace of the command's own."""

    def hidden(self, *argv, **options):
        script = 'mount -t tmpfs none /usr/lib/python3/dist-packages && exec "$@"'
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *map(str, argv)],
                              capture_output=True, text=True, timeout=30, **options)

    def test_says_what_is_missing(self):
        socket = self.site.directory / "run" / "control.sock"
        done = self.hidden(self.site.build / "kosekictl", "--socket", socket, "schema", "add",
                           "koseki", "2.0", *FILES, "--reason", "x", "--config",
                           self.site.configuration)
        self.assertEqual(done.returncode, 1)
        self.assertIn("package python3-xmlschema", done.stderr)
        self.assertEqual(self.schema("list"), "")

    def test_the_process_says_it_too(self):
        done = self.hidden("/usr/bin/python3", "-I", "-B", TOP / "verify" / "schema_worker.py")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("package python3-xmlschema", done.stderr)
