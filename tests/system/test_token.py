"""The keys are on a PKCS#11 token, which signs and wraps; nginx wants the client certificate."""

import pathlib
import subprocess

import testbed
from system.nginx import Nginx
from system.scene import GOOD, GOOD_G4, SystemTest
from system.softhsm import LABEL, Token


class OnToken(SystemTest):
    """RSA, and the master key beside it."""

    kind = "rsa:2048"
    protocol = "TLSv1.3"
    serve_all = False

    @classmethod
    def make_link(cls):
        return Nginx(cls.site.directory / "nginx", cls.site.served, cls.samples / "link",
                     protocols=cls.protocol)

    @classmethod
    def configure(cls, **more):
        cls.token = Token(cls.site.directory / "token")
        cls.token.make_master_key("master")
        certificate = cls.token.make_tls_key("tls", cls.kind, cls.samples / "link")
        settings = cls.token.settings(master_key=cls.token.uri("master", "secret-key"),
                                      tls_key=cls.token.uri("tls", "private"))
        (cls.site.directory / "keys" / "master.key").unlink()
        (cls.site.directory / "keys" / "client.key").unlink()
        super().configure(**{"link.certificate_file": certificate, **settings, **more})

    def test_certificates_come_and_stay(self):
        for number in range(4):
            self.serve_copy(f"token-{number}.pdf", GOOD if number % 2 else GOOD_G4)
            self.assertReads(self.reader, f"token-{number}.pdf")
        self.assertEqual({verified for verified, *_ in self.link.log()}, {"SUCCESS"})
        self.site.stop()
        self.site.start()
        for number in range(4):
            self.assertReads(self.reader, f"token-{number}.pdf")
        gets = [name for _, method, name, _ in self.link.log() if method == "GET"]
        self.assertEqual(len(gets), len(set(gets)), "what is stored is not fetched again")


class OnTokenEc(OnToken):
    kind = "EC:prime256v1"
