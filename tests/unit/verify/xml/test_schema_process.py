#!/usr/bin/python3
"""The verify command with a schema in XSD 1.1: its process gives the verdicts, reaches no file and no
network, and does not outlive the command.

usage: test_schema_process.py VERIFY-COMMAND SOURCE-ROOT
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(sys.argv[2])
VECTORS = ROOT / "tests/vectors/xml/schema"
WORKER = ROOT / "verify/schema_worker.py"
COMMAND = None  # see place()
HEAD = ('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:example:koseki-test:2" '
        'targetNamespace="urn:example:koseki-test:2">')


def place(directory):
    """The command looks for the process's program below its own directory."""
    global COMMAND
    COMMAND = shutil.copy(sys.argv[1], directory)
    pathlib.Path(directory, "verify").mkdir()
    shutil.copy(WORKER, pathlib.Path(directory, "verify"))


def judge(schemas, files):
    options = [word for schema in schemas for word in ("--schema", schema)]
    done = subprocess.run(
        [COMMAND, "--json", "--trust", VECTORS / "anchor.pem", "--crl", VECTORS / "official.crl",
         "--signer", "CN=Minister of Justice,OU=Ministry of Justice,O=Test Government,C=JP",
         *options, *files], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(report):
    against = [r for r in report["reasons"] if r["level"] in ("fail", "undecided")]
    return (report["indication"], *((against[0]["check"], against[0]["text"]) if against else ()))


def check(what, holds, report):
    if not holds:
        sys.exit(f"{what}: {said(report)}")


def documents():
    schemas = [VECTORS / "koseki.xsd", VECTORS / "koseki-types.xsd"]
    good, bad = sorted(VECTORS.glob("good-*.xml")), sorted(VECTORS.glob("bad-*.xml"))
    reports = judge(schemas, good + bad)
    for path, report in zip(good + bad, reports, strict=True):
        passed = said(report)[0] == "TOTAL-PASSED"
        rejected = said(report)[:2] == ("TOTAL-FAILED", "schema-valid")
        check(path.name, passed if path in good else rejected, report)
    print(f"{len(good)} valid, {len(bad)} invalid documents")


def refused(name, content, word):
    """A schema that cannot be honoured leaves the verdict open and says why."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "main.xsd")
        path.write_text(content)
        report = judge([path], [VECTORS / "good-current.xml"])[0]
        check(name, said(report)[:2] == ("INDETERMINATE", "schema-honoured")
              and word in said(report)[2], report)


def refusals():
    refused("missing include", (VECTORS / "koseki.xsd").read_text(), "koseki-types.xsd")
    refused("unknown type", HEAD + '<xs:element name="a" type="b"/><xs:assert/></xs:schema>', "compile")
    refused("assertion that is no XPath", HEAD + '<xs:complexType name="c"><xs:assert test="))"/>'
            '</xs:complexType></xs:schema>', "compile")
    refused("file", HEAD + '<xs:include schemaLocation="/usr/share/xml/x.xsd"/>'
            '<xs:defaultOpenContent><xs:any/></xs:defaultOpenContent></xs:schema>', "")


def network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []
        threading.Thread(target=lambda: asked.append(server.accept()), daemon=True).start()
        port = server.getsockname()[1]
        refused("network", HEAD + f'<xs:import namespace="urn:x" '
                f'schemaLocation="http://127.0.0.1:{port}/x.xsd"/>'
                '<xs:element name="a" type="xs:dateTimeStamp"/></xs:schema>', "x.xsd")
        assert not asked, "the schema process reached the network"
    print("schemas that cannot be honoured are refused; no network")


def leftovers(directory):
    done = subprocess.run(["pgrep", "-f", f"{directory}/verify"], capture_output=True, text=True)
    assert not done.stdout, f"still running: {done.stdout}"


def main():
    probe = subprocess.run(["/usr/bin/python3", "-I", "-c", "import xmlschema"], capture_output=True)
    if probe.returncode:
        print("skipped: python3-xmlschema is not installed")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        place(directory)
        documents()
        refusals()
        network()
        leftovers(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
