"""nginx, with a client certificate required, does as link system."""

from system.nginx import Nginx
from system.scene import SystemTest, expectations
from system.test_link_test import link_test


class NginxAsLinkSystem(SystemTest):
    @classmethod
    def make_link(cls):
        return Nginx(cls.site.directory / "nginx", cls.site.served, cls.samples / "link")

    def test_every_good_sample(self):
        for name, (outcome, _) in expectations().items():
            if outcome == "OK":
                self.assertReads(self.reader, name)
                self.assertReads(self.reader, name)
        log = self.link.log()
        status, steps = link_test(self.site)
        self.assertEqual((status, {row["verdict"] for row in steps.values()}), (0, {"ok"}), steps)
        self.assertTrue(log)
        self.assertEqual({verified for verified, *_ in log}, {"SUCCESS"})
        for name in {name for _, _, name, _ in log}:
            self.assertEqual([m for _, m, n, _ in log if n == name].count("GET"), 1, name)

    def test_unknown_and_tampered(self):
        self.serve_copy("bad-1.pdf", "K2026-000201.pdf")
        self.assertFails(self.reader, "bad-1.pdf", "EBADMSG")
        self.assertFails(self.reader, "nginx-unknown.pdf", "ENOENT")
