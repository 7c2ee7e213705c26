"""NFS clients, as far as libnfs is one: through nfs-ganesha with the shipped ganesha.conf."""

from consumers import servers
from consumers.table import Program, ProgramTest, one_test_each

SERVER_UID = 61250
URL = "nfs://127.0.0.1/koseki/{name}?version=4&nfsport={port}"
SAYS = {"EACCES": "NFS4ERR_ACCESS", "ENOENT": "NFS4ERR_NOENT", "EBADMSG": "NFS4ERR_"}

PROGRAMS = [Program("nfs-cat", ("nfs-cat", URL), says=SAYS)]


@one_test_each(PROGRAMS)
class Nfs(ProgramTest):
    """kosekifs decides on the user that ganesha runs as; to him -denied ids are not open."""

    full_only = True

    @classmethod
    def configure(cls, **more):
        """ganesha looks at owner, group and mode besides: its group must be the one that is shown,
        that of the first affair."""
        others = {key: value for key, value in cls.site.policy.items() if key.startswith("affair")}
        for key in others:
            del cls.site.policy[key]
        cls.site.policy["affair nfs"] = {
            "purpose": "terminals", "readers": f"@{SERVER_UID}",
            "ids": "*-cold *-blocked *-ended *-rejected *-unlisted listed-*"}
        cls.site.policy.update(others)
        super().configure(**more)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ganesha = servers.start_ganesha(cls.site, SERVER_UID, SERVER_UID)
        cls.addClassCleanup(cls.ganesha.stop)

    def places(self, name, denied):
        return {"port": self.ganesha.port}

    def client(self, program, name=""):
        url = URL.replace("{name}", name).replace("{port}", str(self.ganesha.port))
        return self.reader.run(program, url, env={"PATH": "/usr/bin"})

    def test_listing_asks_nothing(self):
        self.serve_copy("listed-1.pdf")
        self.serve_copy("secret-1.pdf")
        self.assertReads(self.reader, "listed-1.pdf")
        self.assertReads(self.reader, "secret-1.pdf")
        before = len(self.link.requests())
        listed = self.assertOk(self.client("nfs-ls"))
        self.assertIn(b"listed-1.pdf", listed)
        self.assertNotIn(b"secret-1.pdf", listed)
        self.assertEqual(len(self.link.requests()), before)
