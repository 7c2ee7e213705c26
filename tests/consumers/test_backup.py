"""Backup programs: the second run transfers nothing, also after a remount and after the daemon was
killed; none ever meets an error or makes anything be fetched."""

import json
import os
import shutil
import signal
import subprocess

import testbed
from consumers.accounts import environment, write_accounts
from consumers.servers import EXAMPLES
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, SystemTest

COUNT = 12


class Backup(SystemTest):
    """Each program as docs/backup.md says, by somebody of the backup group."""

    serve_all = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = [f"kept-{i:02}.pdf" for i in range(COUNT)]
        for i, name in enumerate(cls.names):
            shutil.copy(cls.samples / "documents" / (GOOD, GOOD_G4, GOOD_GRAY)[i % 3],
                        cls.site.served / name)
        rows = cls.reader.read_all(cls.names)
        assert all(row["error"] == "OK" for row in rows), rows
        write_accounts(cls.site.directory)
        cls.keeper = cls.site.reader(61201, groups=(testbed.BACKUP_GROUP,))

    def setUp(self):
        self.place = self.desk(self.keeper.uid)
        self.asked = len(self.link.requests())
        self.audited = len(self.opens())

    def opens(self):
        """The opens on record of the backup user."""
        rows = []
        for path in sorted((self.site.directory / "state" / "audit").glob("trail-*")):
            rows += [json.loads(line)["event"] for line in path.read_text().splitlines()]
        return [row for row in rows if row["kind"] == "open" and row.get("uid") == self.keeper.uid]

    def keep(self, *words, **places):
        """A command line of the backup user, in the mount; its words."""
        env = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(self.place), "TOP": str(self.place),
               "MOUNT": str(self.site.mount_point), **places}
        done = self.keeper.run(*words, env=env, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr.decode() + done.stdout.decode()[-2000:])
        return done.stdout.decode()

    def script(self, *words, **places):
        """One of the shipped scripts."""
        return self.keep("sh", EXAMPLES / words[0], *words[1:], **places)

    def remount(self):
        self.site.stop()
        self.site.start()

    def crash(self):
        """The process that answers the kernel is killed; what is mounted afterwards is the same."""
        killed = self.site.room("kosekifs-mount")
        os.kill(killed, signal.SIGKILL)
        testbed.wait_until(lambda: self.site.room("kosekifs-mount") not in (None, killed), 20,
                           "a new process")

    def then(self, transferred):
        """`transferred()` runs the program again and yields what it found to do."""
        self.assertEqual(transferred(), 0, "second run")
        self.remount()
        self.assertEqual(transferred(), 0, "after a remount")
        self.crash()
        self.assertEqual(transferred(), 0, "after a crash")
        self.assertEqual(len(self.link.requests()), self.asked, "a backup asked the link system")

    def opened_since(self):
        """Opens since the last call."""
        now = len(self.opens())
        count, self.audited = now - self.audited, now
        return count

    def assertSame(self, copy):
        for name in self.names:
            path = self.site.mount_point / name
            self.assertEqual((copy / name).read_bytes(), (self.site.served / name).read_bytes())
            here, there = self.stat(path), os.stat(copy / name)
            self.assertEqual(there.st_mtime_ns, here, name)

    def stat(self, path):
        out = self.assertOk(self.reader.run("stat", "-c", "%.9Y", path)).decode().strip()
        return int(out.replace(".", ""))

    def test_tar(self):
        """Incremental, by mtime and ctime."""
        first = int(self.keep("sh", "-c", self.tar() + " | tar -t | grep -c pdf"))
        self.assertEqual(first, COUNT)
        self.then(lambda: int(self.keep(
            "sh", "-c", self.tar() + " | tar -t | grep -c pdf || true")))

    def tar(self):
        return f'sh {EXAMPLES}/backup-tar "$MOUNT" "$TOP/list"'

    def test_tar_restores_everything(self):
        """By root, as restores are."""
        self.keep("sh", "-c", self.tar() + ' >"$TOP/archive"')
        subprocess.run(["tar", "-xf", self.place / "archive", "--xattrs", "--xattrs-include=user.*",
                        "--acls", "-C", self.place], check=True, capture_output=True)
        self.assertSame(self.place)
        name = self.names[0]
        kept = os.getxattr(self.place / name, "user.koseki.sha256")
        out = self.assertOk(self.reader.run("getfattr", "--only-values", "-n", "user.koseki.sha256",
                                            name))
        self.assertEqual(kept, out)
        shown = self.assertOk(self.reader.run("getfacl", "-n", name))
        self.assertEqual(subprocess.run(["getfacl", "-n", name], cwd=self.place, check=True,
                                        capture_output=True).stdout, shown)

    def test_rsync(self):
        def transferred():
            out = self.script("backup-rsync", self.site.mount_point, self.place / "copy")
            return int(next(line for line in out.splitlines()
                            if "regular files transferred" in line).split(": ")[1])
        self.assertEqual(transferred(), COUNT)
        self.assertSame(self.place / "copy")
        self.assertEqual(self.opened_since(), COUNT)
        self.then(transferred)
        self.assertEqual(self.opened_since(), 0)

    def test_cp_update(self):
        self.keep("cp", "-a", "--no-preserve=ownership", ".", self.place / "copy")
        self.assertSame(self.place / "copy")
        self.assertEqual(self.opened_since(), COUNT)

        def transferred():
            out = self.keep("cp", "-auv", "--no-preserve=ownership", ".", self.place / "copy")
            return out.count(".pdf'")
        self.then(transferred)
        self.assertEqual(self.opened_since(), 0)

    def test_find_du_and_sums(self):
        """What is listed can be read, by whoever lists it."""
        found = self.keep("find", ".", "-type", "f", "-printf", "%f %s\n").split("\n")[:-1]
        self.assertEqual(sorted(found), [f"{name} {(self.site.served / name).stat().st_size}"
                                         for name in self.names])
        self.assertEqual(self.keep("sh", "-c", "sha256sum *.pdf").count("\n"), COUNT)
        total = sum((self.site.served / name).stat().st_size for name in self.names)
        self.assertEqual(int(self.keep("du", "-bs", ".").split()[0]) - 4096, total)
        self.assertEqual(len(self.link.requests()), self.asked)


class MoreBackup(Backup):
    """restic and borg."""

    full_only = True
    test_tar = test_rsync = test_cp_update = test_find_du_and_sums = None
    test_tar_restores_everything = None

    def test_restic(self):
        places = {"RESTIC_PASSWORD": "x", "RESTIC_CACHE_DIR": str(self.place / "cache"),
                  "RESTIC_REPOSITORY": str(self.place / "repository")}
        self.keep("restic", "init", "-q", **places)

        def summary():
            out = self.script("backup-restic", self.site.mount_point, "--json", **places)
            return json.loads(out.splitlines()[-1])
        self.assertEqual(summary()["files_new"], COUNT)
        self.assertEqual(self.opened_since(), COUNT)

        def transferred():
            found = summary()
            self.assertEqual(found["files_unmodified"], COUNT)
            return found["files_new"] + found["files_changed"]
        self.then(transferred)
        self.assertEqual(self.opened_since(), 0, "opened again")
        self.keep("restic", "-q", "restore", "latest", "--target", self.place / "back", **places)
        self.assertSame(self.place / "back" / str(self.site.mount_point)[1:])

    def test_borg(self):
        places = {"BORG_REPO": str(self.place / "repository"), "BORG_BASE_DIR": str(self.place),
                  "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
                  **environment(self.site.directory)}
        self.keep("borg", "init", "-e", "none", **places)
        runs = iter(range(9))

        def read_in():
            out = self.keep("sh", "-c", f'sh {EXAMPLES}/backup-borg "$MOUNT" "$0" --list --filter AMC '
                            "2>&1", f"::{next(runs)}", **places)
            return out.count(".pdf\n")

        def transferred():
            """One file is read each time: as new as the newest that borg had seen, it could have
            changed within the same tick of a clock. That is borg's rule for any file system."""
            count = read_in()
            self.assertLessEqual(count, 1)
            return 0
        self.assertEqual(read_in(), COUNT)
        self.then(transferred)
