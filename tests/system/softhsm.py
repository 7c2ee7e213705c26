"""Tokens of SoftHSM, made with its own tools and OpenSC's, and keys on them."""

import contextlib
import os
import pathlib
import shutil
import subprocess

import testbed

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, OFFICER_PIN, LABEL = "4321-kosekifs", "87654321", "kosekifs"
CONFIGURATION = "directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"


class Token:
    """A token in a directory that belongs to the user of kosekifs-keys."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.home)
        (self.home / "tokens").mkdir(parents=True)
        self.configuration = self.home / "softhsm2.conf"
        self.configuration.write_text(CONFIGURATION.format(home=self.home))
        self.configuration.chmod(0o644)
        self.pin = self.home / "pin"
        self.write_pin(PIN)
        self.run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--so-pin",
                 OFFICER_PIN, "--pin", PIN)
        self.release()

    def write_pin(self, text):
        with contextlib.suppress(FileNotFoundError):
            self.pin.unlink()
        self.pin.write_text(text)
        self.pin.chmod(0o400)

    def release(self):
        """What the tools made becomes the daemon's."""
        for path in (self.home / "tokens", *(self.home / "tokens").rglob("*")):
            os.chown(path, testbed.ROOM_USERS["keys"], testbed.ROOM_USERS["keys"])

    def run(self, *argv, check=True):
        return subprocess.run(list(map(str, argv)), check=check, capture_output=True, text=True,
                              env={**os.environ, "SOFTHSM2_CONF": str(self.configuration)})

    def tool(self, *arguments, pin=PIN, check=True):
        login = ["--login", "--pin", pin] if pin else []
        done = self.run("pkcs11-tool", "--module", MODULE, "--token-label", LABEL, *login,
                        *arguments, check=check)
        self.release()
        return done

    def flags(self):
        """What the token says of its PIN, "user PIN count low" for one."""
        text = self.run("pkcs11-tool", "--module", MODULE, "-T").stdout
        return next(line for line in text.splitlines() if "flags" in line and "login" in line)

    def make_master_key(self, name, kind="AES:32", *more):
        self.tool("--keygen", "--key-type", kind, "--label", name, "--sensitive", *more)

    def make_tls_key(self, name, kind, link):
        """A key pair made on the token, and its certificate by the link's authority."""
        self.tool("--keypairgen", "--key-type", kind, "--label", name, "--usage-sign")
        public = self.home / f"{name}.pub"
        self.tool("--read-object", "--type", "pubkey", "--label", name, "--output-file", public)
        return self.certify(name, public, link)

    def import_tls_key(self, name, link, *kind):
        """The same with a key that openssl made."""
        key, public = self.home / "imported.key", self.home / f"{name}.pub"
        self.run("openssl", "genpkey", "-algorithm", *kind, "-out", key)
        self.run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
        self.run("softhsm2-util", "--import", key, "--token", LABEL, "--label", name, "--id",
                 f"{len(name):02x}", "--pin", PIN)
        self.release()
        return self.certify(name, public, link)

    def certify(self, name, public, link):
        extensions, certificate = self.home / "extensions", self.home / f"{name}.pem"
        extensions.write_text("basicConstraints=CA:false\nkeyUsage=critical,digitalSignature\n"
                              "extendedKeyUsage=clientAuth\n")
        request = self.home / "request"
        self.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-keyout", self.home / "request.key", "-subj", f"/C=JP/O=Agency/CN={name}",
                 "-out", request)
        self.run("openssl", "x509", "-req", "-in", request, "-force_pubkey", public, "-CA",
                 link / "ca.pem", "-CAkey", link / "ca.key", "-set_serial", 4711, "-days", 30,
                 "-extfile", extensions, "-out", certificate)
        return certificate

    def settings(self, **more):
        """Section [keys]; values that are None are left out."""
        values = {"pkcs11_module": MODULE, "pin": self.pin,
                  "pkcs11_environment": f"SOFTHSM2_CONF={self.configuration}",
                  "pkcs11_paths": f"{self.home / 'tokens'} {self.configuration}", **more}
        return {f"keys.{key}": value for key, value in values.items() if value is not None}

    def uri(self, name, kind):
        return f"pkcs11:token={LABEL};object={name};type={kind}"
