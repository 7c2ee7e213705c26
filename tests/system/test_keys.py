"""Keys from files and systemd credentials, and generations of the master key."""

import json
import os
import pathlib
import shutil
import unittest

import testbed
from system.scene import GOOD, SystemTest, build_directory, needs_root, samples, work_directory
from system.softhsm import PIN, Token


class Credentials(SystemTest):
    """A directory as systemd makes it for LoadCredential=."""

    @classmethod
    def configure(cls, **more):
        directory = cls.site.directory / "credentials"
        directory.mkdir(mode=0o500)
        keys = cls.site.directory / "keys"
        for name, file in (("master", "master.key"), ("link.client_key-1", "client.key")):
            shutil.copy(keys / file, directory / name)
            (directory / name).chmod(0o400)
            (keys / file).unlink()
        os.environ["CREDENTIALS_DIRECTORY"] = str(directory)
        cls.addClassCleanup(os.environ.pop, "CREDENTIALS_DIRECTORY")
        super().configure(**{"keys.master_key": "credential:master",
                             "keys.tls_key": "credential:link.client_key-1", **more})

    def test_certificates_come(self):
        self.assertReads(self.reader, GOOD)
        self.site.stop()
        self.site.start()
        self.assertReads(self.reader, GOOD)
        heard = lambda: json.loads(self.site.ctl("--json", "status").stdout)["status"]["keys"]
        testbed.wait_until(lambda: heard()["up"], 20, "the first answer of kosekifs-keys")
        self.assertEqual((heard()["master_key"], heard()["tls_key"], heard()["token"]),
                         ("credential", "credential", "unused"))


class CredentialsThatWillNotDo(unittest.TestCase):
    def setUp(self):
        needs_root()
        self.site = testbed.Site(work_directory() / "NoCredentials", build_directory(), samples())
        self.addCleanup(self.site.close)
        self.directory = self.site.directory / "credentials"
        self.directory.mkdir()
        self.settings = self.site.settings("https://127.0.0.1:9/{name}")
        self.settings["keys"]["master_key"] = "credential:master"
        self.write("master", os.urandom(32))
        os.environ["CREDENTIALS_DIRECTORY"] = str(self.directory)
        self.addCleanup(os.environ.pop, "CREDENTIALS_DIRECTORY", None)

    def write(self, name, content, mode=0o400):
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def refused(self, *words):
        self.site.write_configuration(self.settings)
        with self.assertRaises(testbed.Trouble):
            self.site.start()
        self.assertEqual(self.site.exit_code, 78)
        for word in words:
            self.assertIn(word, self.site.log())

    def test_missing(self):
        (self.directory / "master").unlink()
        self.refused("credentials/master: cannot be opened: No such file")

    def test_no_directory(self):
        del os.environ["CREDENTIALS_DIRECTORY"]
        self.refused("credential:master: there are no credentials")

    def test_relative_directory(self):
        os.environ["CREDENTIALS_DIRECTORY"] = "credentials"
        self.refused("credential:master: there are no credentials")

    def test_mode(self):
        (self.directory / "master").chmod(0o444)
        self.refused("credentials/master: has mode 0444")

    def test_owner(self):
        os.chown(self.directory / "master", 61999, 0)
        self.refused("credentials/master: belongs to uid 61999")

    def test_size(self):
        (self.directory / "master").unlink()
        self.write("master", bytes(33))
        self.refused("credentials/master: has 33 bytes")

    def test_link_to_elsewhere(self):
        (self.directory / "other").symlink_to(self.site.directory / "keys" / "master.key")
        self.settings["keys"]["master_key"] = "credential:other"
        self.refused("credentials/other: is a symbolic link")

    def test_names(self):
        for name in ("../keys/master.key", "a/b", "", ".master", "a b"):
            self.settings["keys"]["master_key"] = f"credential:{name}"
            self.refused("[keys] master_key is not the name of a credential")

    def test_too_large(self):
        self.write("tls", bytes(65537))
        self.settings["keys"]["tls_key"] = "credential:tls"
        self.refused("credentials/tls: is larger than 65536 bytes")


class Generations(SystemTest):
    """A master key is followed by another: in a file, then on a token."""

    def begin_again(self, **keys):
        self.site.stop()
        self.configure(**{f"keys.{key}": value for key, value in keys.items()})
        self.site.start()

    def test_what_an_earlier_one_wrapped_is_read(self):
        first = self.site.directory / "keys" / "master.key"
        second = self.site.directory / "keys" / "second.key"
        second.write_bytes(os.urandom(32))
        second.chmod(0o400)
        token = Token(self.site.directory / "token")
        token.make_master_key("third")
        on_token = token.uri("third", "secret-key")
        names = [f"generation-{number}.pdf" for number in range(3)]
        for name in names:
            self.serve_copy(name)

        self.assertReads(self.reader, names[0])
        self.begin_again(master_key=second, previous_master_keys=first)
        self.assertReads(self.reader, names[0])
        self.assertReads(self.reader, names[1])
        settings = {key.split(".")[1]: value for key, value in token.settings().items()}
        self.begin_again(master_key=on_token, previous_master_keys=f"{second} {first}", **settings)
        for name in names:
            self.assertReads(self.reader, name)
        for name in names:
            self.assertEqual(self.gets(name), 1, "fetched once, by whatever key it is kept")

        # Without the one that wrapped the store's own key nothing opens.
        self.site.stop()
        self.configure(**{"keys.master_key": second})
        with self.assertRaises(testbed.Trouble):
            self.site.start()
        self.assertIn("neither [keys] master_key nor one of previous_master_keys", self.site.log())
        self.begin_again(master_key=first, previous_master_keys=f"{second} {on_token}", **settings)
        self.assertReads(self.reader, names[2])


class WithoutClientKey(SystemTest):
    """A waiver says that the link system asks for no certificate of ours."""

    settings = {"waivers.link_authentication": "one machine room, no one else on the line; approved 1 April", "keys.tls_key": "",
                "link.certificate_file": ""}

    def test_nothing_is_said_of_a_certificate_that_is_not_there(self):
        status = lambda: json.loads(self.site.ctl("--json", "status").stdout)["status"]["keys"]
        testbed.wait_until(lambda: status()["up"], 20, "the first answer of kosekifs-keys")
        self.assertEqual((status()["tls_key"], status()["certificate_subject"],
                          status()["certificate_not_after"]), ("none", "", ""))
        self.assertNotIn("TLS client certificate", self.assertOk(self.site.ctl("alerts")))
