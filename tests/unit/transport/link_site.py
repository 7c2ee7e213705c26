"""What the link tests stand on: a test PKI, link systems, and kosekifs-link under a probe."""

import ctypes
import hashlib
import json
import os
import pathlib
import queue
import random
import resource
import signal
import socket
import subprocess
import threading
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[3]
LINKSIM = TOP / "tools" / "linksim"
PATIENCE = 30


def environment(name, fallback):
    return pathlib.Path(os.environ.get(name, fallback))


BUILD = environment("LINK_BUILD", TOP / "build")
PROBE = environment("LINK_PROBE", BUILD / "tests/unit/transport/link_probe")
LINK = environment("KOSEKIFS_LINK", BUILD / "kosekifs-link")
KEYS = environment("KOSEKIFS_KEYS", BUILD / "kosekifs-keys")
DIRECTORY = environment("LINK_TEST_DIRECTORY", BUILD / "tests/unit/transport/link")


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                          **more).stdout


def allow_many_files():
    """For a thousand connections and as many bodies."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def start(arguments, **more):
    """A child that does not outlive this process, however that ends."""
    library = ctypes.CDLL(None)
    pr_set_pdeathsig = 1
    return subprocess.Popen([*map(str, arguments)], **more, preexec_fn=lambda: library.prctl(
        pr_set_pdeathsig, signal.SIGKILL))


class Pki:
    """Certificates below one directory: NAME.pem and NAME.key."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True)
        for authority in ("ca", "stranger-ca"):
            self.authority(authority)
        self.issue("server", "serverAuth")
        self.issue("server-expired", "serverAuth", days=(-20, -10))
        self.issue("server-elsewhere", "serverAuth", names="DNS:elsewhere.example")
        self.issue("client", "clientAuth")
        self.issue("client-ec", "clientAuth", kind="ec")
        self.issue("client-stranger", "clientAuth", authority="stranger-ca")
        self.issue("client-expired", "clientAuth", days=(-20, -10))
        self.issue("client-future", "clientAuth", days=(10, 20))
        self.issue("client-p384", "clientAuth", kind="p384")
        self.issue("client-ed25519", "clientAuth", kind="ed25519")
        self.issue("client-short", "clientAuth", kind="rsa1024")
        self.issue("client-server", "serverAuth")
        (directory / "empty.pem").write_text("nothing here\n")
        text = (directory / "client.pem").read_text()
        (directory / "broken.pem").write_text(text[:200] + "!!!!" + text[204:])
        (directory / "cut.pem").write_text(text[:len(text) // 2])
        (directory / "with-key.pem").write_text(text + (directory / "client.key").read_text())
        master = directory / "master.key"
        master.write_bytes(os.urandom(32))
        master.chmod(0o600)

    def path(self, name):
        return self.directory / name

    def make_key(self, name, kind):
        options = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                   "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
                   "ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                   "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
                   "ed25519": ["ED25519"]}[kind]
        openssl("genpkey", "-algorithm", *options, "-out", self.path(name + ".key"))
        self.path(name + ".key").chmod(0o600)

    def authority(self, name):
        self.make_key(name, "ec")
        openssl("req", "-x509", "-new", "-key", self.path(name + ".key"), "-subj", f"/CN={name}",
                "-days", 30, "-out", self.path(name + ".pem"), "-addext",
                "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name, usage, authority="ca", kind="rsa", days=(-1, 30),
              names="DNS:localhost,IP:127.0.0.1"):
        """`days`: beginning and end of validity, from now; openssl ca can date back."""
        self.make_key(name, kind)
        work = self.path(name + ".ca")
        work.mkdir()
        (work / "index.txt").touch()
        (work / "serial").write_text(f"{random.getrandbits(63):016X}\n")
        (work / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase={work}/index.txt\nserial={work}/serial\n"
            f"new_certs_dir={work}\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n"
            f"[p]\ncommonName=supplied\n[e]\nbasicConstraints=CA:false\n"
            f"subjectAltName={names}\nextendedKeyUsage={usage}\n[req]\ndistinguished_name=d\n[d]\n")
        openssl("req", "-new", "-config", work / "ca.cnf", "-key", self.path(name + ".key"),
                "-subj", f"/CN={name}", "-out", work / "csr")
        begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + d * 86400))
                      for d in days)
        openssl("ca", "-batch", "-config", work / "ca.cnf", "-cert", self.path(authority + ".pem"),
                "-keyfile", self.path(authority + ".key"), "-startdate", begin, "-enddate", end,
                "-in", work / "csr", "-out", self.path(name + ".pem"), "-notext")

    def pin(self, name):
        public = openssl("x509", "-in", self.path(name + ".pem"), "-pubkey", "-noout")
        der = openssl("pkey", "-pubin", "-outform", "DER", input=public)
        digest = openssl("dgst", "-sha256", "-binary", input=der)
        return "sha256//" + openssl("base64", "-A", input=digest).decode()


class LinkSim:
    """tools/linksim as a child process."""

    def __init__(self, root, pki, server="server", client_ca="ca", **options):
        arguments = [LINKSIM, "--root", root, "--cert", pki.path(server + ".pem"),
                     "--key", pki.path(server + ".key"), "--prefix", "/certificates/"]
        if client_ca:
            arguments += ["--client-ca", pki.path(client_ca + ".pem")]
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), value]
        self.process = start(arguments, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.url, self.control, self.port = ready["url"], ready["control"], ready["port"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.control + path, method=method,
            data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def fault(self, name="*", **rule):
        self.call("POST", "/faults", {"name": name, **rule})

    def clear(self):
        self.call("DELETE", "/faults")
        self.call("POST", "/release")
        self.call("DELETE", "/requests")

    def requests(self, name="", method=""):
        return self.call("GET", f"/requests?name={name}&method={method}")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


NGINX = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/error.log warn;
{user}
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  log_format asked '$ssl_client_verify $ssl_protocol $request_method $uri $status $http_range';
  access_log {home}/access.log asked;
  server {{
    listen 127.0.0.1:{port} {listen}; root {root};
    ssl_certificate {pki}/server.pem; ssl_certificate_key {pki}/server.key;
    ssl_client_certificate {pki}/ca.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
    limit_rate {limit_rate};
  }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Nginx:
    """nginx serving `root`, which wants a client certificate."""

    def __init__(self, home, root, pki, limit_rate=0, listen="ssl"):
        home.mkdir(parents=True)
        self.port, self.home = free_port(), home
        scheme = "https" if "ssl" in listen else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/{{name}}"
        (home / "nginx.conf").write_text(NGINX.format(
            home=home, port=self.port, root=root, listen=listen, pki=pki.directory, limit_rate=limit_rate,
            user="user root;" if os.geteuid() == 0 else ""))
        self.process = start(
            ["/usr/sbin/nginx", "-e", home / "error.log", "-p", home, "-c", home / "nginx.conf"])
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("nginx does not start")
            time.sleep(0.02)

    def log(self):
        return (self.home / "access.log").read_text().splitlines()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class Probe:
    """kosekifs-link, with the probe as its supervisor and kosekifs-mount."""

    def __init__(self, pki, url, client="client", keys=KEYS, ca="ca", environment=None, **settings):
        settings = {"link": LINK, "keys": keys, "url": url,
                    "ca": pki.path(ca + ".pem") if ca else "",
                    "cert": pki.path(client + ".pem"), "key": pki.path(client + ".key"),
                    "master": pki.path("master.key"), **settings}
        self.events, self.others = {}, queue.Queue()
        self.progress, self.endpoints = [], {}
        self.arrived = threading.Condition()
        self.next_id = 0
        self.process = start(
            [PROBE] + [f"{key}={value}" for key, value in settings.items()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, **(environment or {})})
        threading.Thread(target=self.read, daemon=True).start()
        self.first = self.others.get(timeout=PATIENCE)

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.arrived:
                if event["event"] == "done":
                    assert event["id"] not in self.events, f"two outcomes: {event}"
                    self.events[event["id"]] = dict(event, at=time.monotonic())
                elif event["event"] == "progress":
                    self.progress.append(event)
                elif event["event"] == "endpoint":
                    self.endpoints[event["index"]] = event
                else:
                    self.others.put(event)
                self.arrived.notify_all()
        with self.arrived:
            self.arrived.notify_all()

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def get(self, name, timeout=10, size_max=32 << 20, size="-", etag="-", modified=0):
        self.next_id += 1
        self.say("get", self.next_id, name, int(timeout * 1000), size_max, size, etag, modified)
        return self.next_id

    def head(self, name, timeout=2):
        self.next_id += 1
        self.say("head", self.next_id, name, int(timeout * 1000))
        return self.next_id

    def wait(self, number, seconds=PATIENCE):
        with self.arrived:
            if not self.arrived.wait_for(lambda: number in self.events, seconds):
                raise AssertionError(f"request {number} has no outcome after {seconds} s")
            return self.events[number]

    def close(self):
        """Ends kosekifs-link as a supervisor does; its exit status."""
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return status


def digest(content):
    return hashlib.sha256(content).hexdigest()
