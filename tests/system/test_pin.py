"""What is wrong with a token, its PIN or its keys is said at the start, and no PIN is tried twice.

pkcs11-spy of OpenSC stands between kosekifs-keys and the token and counts the logins."""

import os
import pathlib
import signal
import unittest

import testbed
from system.scene import GOOD, build_directory, needs_root, samples, work_directory
from system.softhsm import LABEL, MODULE, PIN, Token

SPY = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"
PIN_EXIT = 79


class SpiedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        needs_root()
        cls.site = testbed.Site(work_directory() / cls.__name__, build_directory(), samples())
        cls.addClassCleanup(cls.site.close)
        cls.token = Token(cls.site.directory / "token")
        cls.token.make_master_key("master")
        cls.certificate = cls.token.make_tls_key("tls", "EC:prime256v1", samples() / "link")

    def setUp(self):
        self.spy = self.token.home / "spy"
        self.spy.mkdir(exist_ok=True)
        self.spy.chmod(0o777)
        for old in self.spy.iterdir():
            old.unlink()
        self.token.write_pin(PIN)
        self.token.tool("--list-objects")   # forgets wrong PINs
        self.keys = {
            "master_key": self.token.uri("master", "secret-key"),
            "tls_key": self.token.uri("tls", "private"), "pkcs11_module": SPY,
            "pin": self.token.pin,
            "pkcs11_environment": f"SOFTHSM2_CONF={self.token.configuration} PKCS11SPY={MODULE}"
                                  f" PKCS11SPY_OUTPUT={self.spy}/log",
            "pkcs11_paths": f"{self.token.home}/tokens {self.token.configuration} {self.spy}"}

    def configure(self, **more):
        settings = self.site.settings("https://127.0.0.1:9/{name}")
        settings["link"]["certificate_file"] = self.certificate
        settings["keys"] = {key: value for key, value in {**self.keys, **more}.items()
                            if value is not None}
        self.site.write_configuration(settings)

    def logins(self):
        """How often the token was given a PIN."""
        log = self.spy / "log"
        return log.read_text(errors="replace").count(": C_Login\n") if log.exists() else 0

    def refused(self, *words, code=None, **more):
        """The daemon does not start and says why."""
        self.configure(**more)
        before = len(self.site.log())
        with self.assertRaises(testbed.Trouble):
            self.site.start()
        text = self.site.log()[before:]
        self.assertFalse(self.site.mounted())
        self.assertEqual(self.site.exit_code, code or self.site.exit_code)
        for word in words:
            self.assertIn(word, text)
        self.assertNotIn(PIN, text)
        return text

    def starts(self, **more):
        self.configure(**more)
        self.site.start()
        self.addCleanup(self.site.stop)


class Pins(SpiedTest):
    def assertUntouched(self):
        self.assertEqual(self.logins(), 0)
        self.assertNotIn("count low", self.token.flags())

    def test_the_right_one(self):
        self.starts()
        self.assertEqual(self.logins(), 1)

    def test_line_feed(self):
        for end in ("\n", "\r\n"):
            self.token.write_pin(PIN + end)
            self.refused("[keys] pin", "ends with a line feed", "no login was tried")
            self.assertUntouched()

    def test_no_pin(self):
        for text, words in (("", "empty"), ("\0" + PIN, "control character"),
                            ("12\t34", "control character"), ("7" * 256, "longer than 255"),
                            ("123", "PINs have 4 to 255 bytes"), ("7" * 100000, "larger than")):
            self.token.write_pin(text)
            self.refused(words)
            self.assertUntouched()

    def test_file_of_others(self):
        self.token.pin.chmod(0o440)
        self.refused("has mode 0440")
        self.token.pin.chmod(0o400)
        os.chown(self.token.pin, 61999, 0)
        self.refused("belongs to uid 61999")
        self.assertUntouched()

    def test_no_file(self):
        self.refused("the token wants a PIN", pin=None)
        self.refused("cannot be opened", pin=self.token.home / "absent")
        self.refused("there are no credentials", pin="credential:pin")
        self.refused("cannot be on a token", pin="pkcs11:token=x")
        self.assertUntouched()

    def test_a_wrong_one_is_tried_once_for_ever(self):
        self.token.write_pin("wrong-" + PIN)
        self.refused("refuses the PIN (PIN incorrect)", code=PIN_EXIT)
        self.assertEqual(self.logins(), 1)
        self.assertIn("count low", self.token.flags())
        for _ in range(5):
            self.refused("a wrong PIN was entered since the last login")
        # Nor the right one: whether it is right is not known before it is tried.
        self.token.write_pin(PIN)
        self.refused("a wrong PIN was entered since the last login")
        self.assertEqual(self.logins(), 1)
        self.token.tool("--list-objects")   # somebody logs in by hand
        self.starts()
        self.assertEqual(self.logins(), 2)

    def test_a_crash_does_not_try_it_again(self):
        self.starts()
        other = "another-" + PIN
        self.token.tool("--change-pin", "--new-pin", other)
        self.addCleanup(lambda: self.token.tool("--change-pin", "--new-pin", PIN, pin=other))
        os.kill(self.site.room("kosekifs-keys"), signal.SIGKILL)
        testbed.wait_until(lambda: "is not started again" in self.site.log(), 30, "the last word")
        self.assertEqual(self.logins(), 2)
        self.assertIsNone(self.site.room("kosekifs-keys"))
        self.assertIsNone(self.site.daemon.poll(), "what needs no key goes on")
        self.site.stop()
        self.refused("a wrong PIN was entered since the last login")
        self.assertEqual(self.logins(), 2)

    def test_crashes_log_in_once_each(self):
        self.starts()
        for count in range(2, 5):
            before = self.site.room("kosekifs-keys")
            os.kill(before, signal.SIGKILL)
            testbed.wait_until(lambda: self.logins() == count, 30, "the next login")
        self.assertUntouchedFlags()

    def assertUntouchedFlags(self):
        self.assertNotIn("count low", self.token.flags())


class KeysThatWillNotDo(SpiedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        token = cls.token
        token.make_master_key("short", "AES:16")
        token.make_master_key("twin")
        token.make_master_key("twin")
        token.import_tls_key("p384", samples() / "link", "EC", "-pkeyopt",
                             "ec_paramgen_curve:P-384")
        token.import_tls_key("small", samples() / "link", "RSA", "-pkeyopt",
                             "rsa_keygen_bits:1024")
        token.make_tls_key("other", "EC:prime256v1", samples() / "link")
        token.make_tls_key("rsa", "rsa:2048", samples() / "link")
        token.run("softhsm2-util", "--init-token", "--free", "--label", "second", "--so-pin", PIN,
                  "--pin", PIN)
        token.release()

    def test_uris(self):
        for uri, words in (
                (f"pkcs11:token={LABEL};object=none", "there is no such key"),
                (f"pkcs11:token={LABEL};object=master", "there is no such key"),
                ("pkcs11:token=none;object=tls", "the token is not there"),
                ("pkcs11:token=second;object=tls", "there is no such key"),
                (f"pkcs11:token={LABEL}", "names neither object= nor id="),
                (f"pkcs11:token={LABEL};object=tls;type=cert", "has a type= that is not private"),
                (f"pkcs11:token={LABEL};object=tls?pin-value={PIN[:4]}", "names a PIN"),
                (f"pkcs11:token={LABEL};object=tls?pin-source=/x", "names a PIN"),
                (f"pkcs11:token={LABEL};object=tls?module-path=/x", "names a module"),
                (f"pkcs11:token={LABEL};object=tls;colour=red", "not understood"),
                ("pkcs11:token=%zz;object=tls", "cannot be parsed")):
            with self.subTest(uri=uri):
                self.refused(words, tls_key=uri, master_key=self.site.directory / "keys/master.key")

    def test_two_tokens(self):
        self.refused("on another token", tls_key="pkcs11:token=second;object=tls")

    def test_modules(self):
        nothing = self.site.directory / "nothing.so"
        nothing.write_text("no library")
        for module, words in ((nothing, "nothing.so"), ("/none.so", "/none.so"),
                              ("/lib/x86_64-linux-gnu/libz.so.1", "is no PKCS#11 module"),
                              ("relative.so", "is not an absolute path"),
                              (None, "pkcs11_module is missing")):
            with self.subTest(module=module):
                self.refused(words, pkcs11_module=module)

    def test_environment(self):
        for variable in ("LD_PRELOAD=/x", "OPENSSL_CONF=/x", "novalue", "=x", "A-B=c"):
            with self.subTest(variable=variable):
                self.refused("pkcs11_environment", pkcs11_environment=variable)

    def test_master_keys(self):
        for name, words in (("short", "no AES key of 256 bits"), ("twin", "several keys fit"),
                            ("tls", "there is no such key")):
            with self.subTest(name=name):
                self.refused(words, master_key=f"pkcs11:token={LABEL};object={name}")

    def test_the_same_master_key_twice(self):
        self.refused("same master key", previous_master_keys=self.keys["master_key"])

    def test_tls_keys_that_are_not_of_the_certificate(self):
        for name, words in (("other", "is not the private key of [link] certificate_file"),
                            ("rsa", "does not sign with ECDSA")):
            with self.subTest(name=name):
                self.refused(words, tls_key=self.token.uri(name, "private"))

    def test_tls_keys_of_wrong_kinds(self):
        for name in ("p384", "small"):
            with self.subTest(name=name):
                type(self).certificate = self.token.home / f"{name}.pem"
                self.addCleanup(setattr, type(self), "certificate", self.token.home / "tls.pem")
                self.refused("is needed" if name == "small" else "supported",
                             tls_key=self.token.uri(name, "private"))

    def test_token_settings_without_a_token(self):
        files = {"master_key": self.site.directory / "keys/master.key",
                 "tls_key": self.site.directory / "keys/client.key"}
        self.refused("pkcs11_module is set and no key is on a token", "pin is set", **files)
