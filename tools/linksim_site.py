"""What linksim answers: the directory served, the faults in force, the record of requests."""

import gzip
import hashlib
import json
import os
import re
import threading
import time
from email.utils import formatdate

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(pdf|xml)")
PHRASES = {200: "OK", 202: "Accepted", 206: "Partial Content", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 410: "Gone", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 503: "Service Unavailable"}


class Fault:
    """One scripted misbehaviour and how often it has met its requests."""

    KEYS = set("""name method from times status retry_after delay cut_after how stall_after
        stall_seconds rate flip truncate extra length chunked gzip etag weak etag_changes etag_lies
        wrong_range total_lies ignore_range headers remove raw hang_up
        clock""".split())

    def __init__(self, rule):
        unknown = set(rule) - self.KEYS
        if unknown:
            raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
        self.rule = rule
        self.name = rule.get("name", "*")
        self.method = rule.get("method", "GET")
        self.met = 0

    def meets(self, method, name):
        return self.name in ("*", name) and self.method in ("any", method)

    def act(self):
        """The members that act on this request."""
        self.met += 1
        first = self.rule.get("from", 1)
        times = self.rule.get("times")
        acting = self.met >= first and (times is None or self.met < first + times)
        rule = dict(self.rule) if acting else {}
        for lasting in ("wrong_range", "etag_changes"):
            rule.pop(lasting, None)
            if self.met > 1 and lasting in self.rule:
                rule[lasting] = self.rule[lasting]
        return rule


class Site:
    """What is served, the faults in force, and the record of requests."""

    def __init__(self, root, prefix, log):
        self.root, self.prefix, self.log = root, prefix, log
        self.lock = threading.Lock()
        self.faults, self.requests, self.tags = [], [], {}
        self.released = 0          # generation: stalls begun before it go on
        self.stopping = threading.Event()

    def add_fault(self, rule):
        fault = Fault(rule)
        with self.lock:
            self.faults = [f for f in self.faults
                           if (f.name, f.method) != (fault.name, fault.method)] + [fault]

    def remove_faults(self, name=None):
        with self.lock:
            self.faults = [f for f in self.faults if name and f.name != name]

    def fault_of(self, method, name):
        with self.lock:
            rule = {}
            for fault in self.faults:
                if fault.meets(method, name):
                    rule.update(fault.act())
            return rule

    def find(self, method, name):
        with self.lock:
            return [dict(r) for r in self.requests
                    if (not name or r["name"] == name) and (not method or r["method"] == method)]

    def record(self, request):
        with self.lock:
            self.requests.append(request)

    def write_log(self, request):
        if self.log:
            with self.lock:
                self.log.write(json.dumps(request) + "\n")

    def read(self, name):
        """(content, entity tag, time) or None."""
        if not NAME.fullmatch(name):
            return None
        path = self.root / name
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
        except OSError:
            return None
        key = (name, status.st_ino, status.st_size, status.st_mtime_ns)
        tag = self.tags.get(key)
        if not tag:
            tag = self.tags[key] = '"' + hashlib.sha256(content).hexdigest()[:32] + '"'
        return content, tag, int(status.st_mtime)


def parse_range(text, size):
    """bytes=N- and bytes=N-M; None if it is to be ignored; False if it cannot be satisfied."""
    match = re.fullmatch(r"bytes=(\d{1,19})-(\d{0,19})", text or "")
    if not match:
        return None
    first = int(match[1])
    last = min(int(match[2]) if match[2] else size - 1, size - 1)
    if first >= size:
        return False
    return (first, last) if first <= last else None


class Answer:
    """The answer to one request, with its faults."""

    def __init__(self, site, method, name, headers, rule):
        self.site, self.method, self.name, self.headers = site, method, name, headers
        self.rule = rule
        self.status, self.lines, self.body = 404, [], b""
        self.build()

    def add(self, name, value):
        self.lines.append((name, str(value)))

    def build(self):
        found = self.site.read(self.name)
        if self.method not in ("GET", "HEAD"):
            self.refuse(405)
        elif "status" in self.rule:
            self.refuse(self.rule["status"])
        elif not found:
            self.refuse(404)
        else:
            self.serve(*found)
        for name, value in self.rule.get("headers", []):
            self.add(name, value)

    def refuse(self, status):
        self.status = status
        if status not in (204, 304):   # these never have a body
            self.body = f"{status}\n".encode()
            self.add("Content-Type", "text/plain")
            self.add("Content-Length", len(self.body))
        if "retry_after" in self.rule:
            self.add("Retry-After", self.rule["retry_after"])

    def tag(self, tag):
        if "etag" in self.rule:
            tag = self.rule["etag"]
        if self.rule.get("etag_changes") and tag:
            tag = '"changed-' + tag.strip('"')[:16] + '"'
        if self.rule.get("weak") and tag:
            tag = "W/" + tag
        return tag

    def serve(self, content, tag, modified):
        rule = self.rule
        if "flip" in rule and rule["flip"] < len(content):
            content = bytearray(content)
            content[rule["flip"]] ^= 1
            content = bytes(content)
        content = content[:rule.get("truncate", len(content))]
        tag, size = self.tag(tag), len(content)
        wanted = self.headers.get("range")
        if self.method != "GET" or rule.get("ignore_range"):
            wanted = None
        unchanged = self.headers.get("if-range") in (None, tag) and not (tag or "").startswith("W/")
        span = parse_range(wanted, size) if wanted and unchanged else None

        if span is False:
            self.refuse(416)
            self.add("Content-Range", f"bytes */{size}")
            return
        self.status = 200
        if span:
            self.status = 206
            shift = 1 if rule.get("wrong_range") and span[0] > 0 else 0
            total = size + (7 if rule.get("total_lies") else 0)
            self.add("Content-Range", f"bytes {span[0] - shift}-{span[1] - shift}/{total}")
            content = content[span[0]:span[1] + 1]
            if rule.get("etag_lies"):
                tag = '"lie"'
        self.add("Content-Type", "application/xml" if self.name.endswith("xml")
                 else "application/pdf")
        self.add("Accept-Ranges", "bytes")
        self.add("Last-Modified", formatdate(modified, usegmt=True))
        if tag is not None:
            self.add("ETag", tag)
        self.encode(content)

    def encode(self, content):
        if self.rule.get("gzip"):
            content = gzip.compress(content)
            self.add("Content-Encoding", "gzip")
        if self.rule.get("chunked"):
            self.add("Transfer-Encoding", "chunked")
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        else:
            self.add("Content-Length", self.rule.get("length", len(content)))
        self.body = content + b"+" * self.rule.get("extra", 0)

    def header(self, keep):
        if "raw" in self.rule:
            return self.rule["raw"].encode("latin-1")
        removed = {name.lower() for name in self.rule.get("remove", [])}
        lines = [f"HTTP/1.1 {self.status} {PHRASES.get(self.status, 'Status')}",
                 f"Date: {formatdate(time.time() + self.rule.get('clock', 0), usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in self.lines if name.lower() not in removed]
        if not keep:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
