#!/usr/bin/python3
"""Validates XML documents by XSD 1.1 for kosekifs: one request a packet on descriptor 3.

Requests and replies are those of verify/schema_worker.h. Schema documents come from the bundle of the
request and from nowhere else; the process that starts this one takes away files and network
besides. A compiled schema is kept until another one is asked for.
"""

import fcntl
import hashlib
import io
import mimetypes
import os
import resource
import socket
import struct
import sys
import urllib.error
import urllib.parse
import urllib.request
import urllib.response
import warnings

HEADER = struct.Struct("=IIQII")  # base/ipc.c: magic, type, id, size, count of descriptors
MAGIC = 0x6B736B31
REQUEST, REPLY = 0x200, 0x201
VALID, INVALID, REFUSED = 1, 2, 3
TEXT_MAX = 240
DOCUMENT_MAX = 16 * 1024 * 1024
BUNDLE_MAX = 64 * 1024 * 1024
SCHEMA_DOCUMENT_MAX = 64
MEMORY_MAX = 1024 * 1024 * 1024
CPU_SECONDS = 30  # for one question; whoever asks gives up earlier
PLACE = "bundle://schemas/all/"  # the directory all schema documents seem to be in
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Refused(Exception):
    """The schema cannot be honoured."""


class BundleHandler(urllib.request.BaseHandler):
    """Answers bundle: addresses from memory; there is no handler for any other."""

    def __init__(self):
        self.documents = {}

    def bundle_open(self, request):
        name = urllib.parse.unquote(request.full_url.rsplit("/", 1)[-1])
        if name not in self.documents:
            raise urllib.error.URLError(f"{name} is not among the schema documents")
        content = io.BytesIO(self.documents[name])
        return urllib.response.addinfourl(content, {}, request.full_url, 200)


def limit(kind, most):
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def limit_cpu():
    """The kernel ends a process that computes for longer than one question may take."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def read_sealed(descriptor, size_max):
    if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS != SEALS:
        raise ValueError("a file that is not sealed")
    size = os.fstat(descriptor).st_size
    if size > size_max:
        raise ValueError("a file over its limit")
    return os.pread(descriptor, size, 0)


def split_bundle(bundle):
    """The schema documents by name, the first one first."""
    documents, offset = {}, 0

    def take():
        nonlocal offset
        (size,) = struct.unpack_from(">I", bundle, offset)
        part = bundle[offset + 4:offset + 4 + size]
        if len(part) != size:
            raise ValueError("a bundle that is cut off")
        offset += 4 + size
        return part

    while offset < len(bundle) and len(documents) < SCHEMA_DOCUMENT_MAX:
        name = take().decode().rsplit("/", 1)[-1]
        if name in documents:
            raise Refused(f"two schema documents are named {name}")
        documents[name] = take()
    if not documents or offset != len(bundle):
        raise ValueError("a bundle without schema documents, or with too many")
    return documents


class Processor:
    """Compiles and validates; knows one schema at a time."""

    def __init__(self):
        import xmlschema  # takes half a second: after the limits are set
        self.xmlschema = xmlschema
        self.handler = BundleHandler()
        opener = urllib.request.OpenerDirector()
        opener.add_handler(self.handler)
        opener.add_handler(urllib.request.UnknownHandler())
        urllib.request.install_opener(opener)
        self.digest, self.schema, self.refusal = None, None, None

    def compile(self, bundle):
        documents = split_bundle(bundle)
        self.handler.documents = documents
        main = PLACE + urllib.parse.quote(next(iter(documents)))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                # "remote" is every address but a file's, so bundle: alone is left.
                schema = self.xmlschema.XMLSchema11(main, allow="remote", defuse="always",
                                                    use_fallback=False)
            except self.xmlschema.XMLSchemaException:
                self.refuse_missing(caught)
                raise
        self.refuse_missing(caught)
        return schema

    def refuse_missing(self, caught):
        """An include or import that was not found is a warning to xmlschema."""
        missing = (self.xmlschema.XMLSchemaIncludeWarning, self.xmlschema.XMLSchemaImportWarning)
        for warning in caught:
            if issubclass(warning.category, missing):
                raise Refused(str(warning.message))

    def select(self, digest, bundle):
        if digest == self.digest:
            return
        self.digest, self.schema, self.refusal = None, None, None
        try:
            self.schema = self.compile(bundle)
        except Refused as reason:
            self.refusal = str(reason)
        except (self.xmlschema.XMLSchemaException, SyntaxError, ValueError, OSError, KeyError,
                TypeError, AttributeError, RecursionError) as error:
            self.refusal = f"the schema does not compile: {reason_of(error)}"
        self.digest = digest

    def validate(self, document):
        if self.refusal is not None:
            return REFUSED, self.refusal
        resource_ = self.xmlschema.XMLResource(io.BytesIO(document), allow="none",
                                               defuse="always")
        error = next(self.schema.iter_errors(resource_), None)
        if error is None:
            return VALID, ""
        return INVALID, f"{error.path or '/'}: {reason_of(error)}"


def reason_of(error):
    rule = getattr(getattr(error, "validator", None), "elem", None)
    if rule is not None and rule.tag.endswith("}assert"):
        return f"the assertion {rule.get('test')} does not hold"
    text = getattr(error, "reason", None) or getattr(error, "message", None) or str(error)
    line = getattr(error, "sourceline", None)
    text = " ".join(str(text).split())
    return f"line {line}: {text}" if line else text


def answer(processor, payload, descriptors):
    if len(payload) != 32 or len(descriptors) != 2:
        raise ValueError("a request of the wrong form")
    document = read_sealed(descriptors[0], DOCUMENT_MAX)
    bundle = read_sealed(descriptors[1], BUNDLE_MAX)
    if hashlib.sha256(bundle).digest() != payload:
        raise ValueError("a bundle with another digest")
    processor.select(payload, bundle)
    try:
        return processor.validate(document)
    except (processor.xmlschema.XMLSchemaException, SyntaxError, ValueError, TypeError, KeyError,
            AttributeError, ArithmeticError, RecursionError) as error:
        # Not a finding about the document: validation did not come to its end.
        return REFUSED, f"the document cannot be validated: {reason_of(error)}"


def reply_packet(identifier, outcome, text):
    cut = text.encode("utf-8", "replace")[:TEXT_MAX - 1].decode("utf-8", "ignore").encode()
    payload = struct.pack("=I", outcome) + cut.ljust(TEXT_MAX, b"\0")
    return HEADER.pack(MAGIC, REPLY, identifier, len(payload), 0) + payload


def serve(channel, processor):
    while True:
        packet, descriptors, _, _ = socket.recv_fds(channel, 4096, 8)
        if not packet:
            return
        try:
            magic, kind, identifier, size, count = HEADER.unpack_from(packet)
            payload = packet[HEADER.size:]
            if (magic, kind) != (MAGIC, REQUEST) or size != len(payload) or \
                    count != len(descriptors):
                raise ValueError("a packet that is no request")
            limit_cpu()
            outcome, text = answer(processor, payload, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        channel.send(reply_packet(identifier, outcome, text))


def main():
    limit(resource.RLIMIT_AS, MEMORY_MAX)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, 32)
    sys.setrecursionlimit(4000)
    mimetypes.knownfiles.clear()  # urllib would look into /etc
    try:
        processor = Processor()
    except ImportError as error:
        sys.exit("schemas in XSD 1.1 need the Debian package python3-xmlschema, which cannot be "
                 f"loaded: {error}")
    serve(socket.socket(fileno=3), processor)


if __name__ == "__main__":
    main()
