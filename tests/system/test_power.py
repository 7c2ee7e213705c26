"""Power fails while certificates come, are destroyed, put under a new master key, backed up and
replicated. All that went to the disks is recorded once; then the power is cut at many moments of
it, with what the disks had not yet promised to keep missing, torn or out of order, and kosekifs is
started on what is left. KOSEKIFS_TEST_REPLAYS sets how many moments."""

import concurrent.futures
import json
import os
import random
import shutil
import time

import testbed
from system.disks import Disk, PowerCut, Recorder, write_image
from system.scene import GOOD, GOOD_G4, GOOD_GRAY, LARGE, SystemTest

APPROVED = ("--reason", "drill", "--approver", "head of section")
REPLAYS_DEFAULT = 4


class Power(SystemTest):
    serve_all = False

    @classmethod
    def configure(cls):
        """Before the first start: two disks, one for the store and one for all copies of it."""
        cls.disks = [Disk(cls.site.directory, name, 48) for name in ("first", "second")]
        cls.addClassCleanup(cls.leave)
        for disk, names in zip(cls.disks, (["state"], ["ledger", "replica"])):
            disk.mount()
            for name in names:
                disk.give(name)
        cls.state, cls.backups = cls.disks[0].place / "state", cls.disks[1].place / "backups"
        cls.backups.mkdir()
        for disk in cls.disks:
            disk.unmount()
        keys = cls.site.directory / "keys"
        (keys / "next.key").write_bytes(os.urandom(32))
        (keys / "next.key").chmod(0o600)
        cls.write_configuration()
        cls.recorder = Recorder(cls.site.directory, cls.site.build, cls.disks)

    @classmethod
    def write_configuration(cls, **keys):
        super().configure(**{
            "mount.state_directory": cls.state, "mount.map_size": "256M", "retention.headroom": "4M",
            "backup.ledger": cls.disks[1].place / "ledger",
            "replica.path": cls.disks[1].place / "replica",
            "audit.checkpoint_records": "5", "audit.checkpoint_time": "1s",
            **{f"keys.{key}": value for key, value in keys.items()}})

    @classmethod
    def leave(cls):
        cls.site.stop()
        if hasattr(cls, "recorder"):
            cls.recorder.stop()
        for disk in cls.disks:
            disk.unmount()

    # What is done while it is recorded.

    def step(self, operation, name, action):
        self.recorder.mark(operation=operation, name=name, done=False)
        action()
        self.recorder.mark(operation=operation, name=name, done=True)

    def admit(self, *names):
        for name in names:
            self.step("admit", name, lambda name=name: self.assertReads(self.reader, name))

    def command(self, operation, name, *words):
        def act():
            done = self.site.ctl(*words)
            self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        self.step(operation, name, act)

    def purge(self, *names):
        for name in names:
            self.command("purge", name, "purge", name, *APPROVED)

    def work(self):
        """Some hundred flushes."""
        sources = (GOOD, GOOD_G4, GOOD_GRAY)
        names = [f"power-{i}.pdf" for i in range(16)]
        for i, name in enumerate(names):
            self.serve_copy(name, sources[i % 3])
        self.serve_copy("part.pdf", LARGE)
        self.admit(*names[:5])
        self.command("backup", "first", "backup", self.backups)
        self.site.stop()
        keys = self.site.directory / "keys"
        self.write_configuration(master_key=keys / "next.key",
                                 previous_master_keys=keys / "master.key")
        self.site.start()
        self.link.fault("part.pdf", method="GET", stall_after=700_000)
        waiting = self.reader.start("cat", "part.pdf")

        def copies():
            self.command("backup", "second", "backup", self.backups)
            self.command("rotate", "key", "rotate-key", *APPROVED)
            self.command("backup", "third", "backup", self.backups, "--full")

        def replaced():
            self.purge(*names[:4])
            self.admit(names[0])
            self.purge(names[0])
        with concurrent.futures.ThreadPoolExecutor() as several:
            for done in [several.submit(self.admit, *names[5:]), several.submit(replaced),
                         several.submit(copies)]:
                done.result()
        self.step("follow", "replica", lambda: testbed.wait_until(
            lambda: json.loads(self.reader.text(".kosekifs/status.json"))["replica"]["state"] ==
            "ok", 20, "the replica"))
        self.purge(names[5])
        waiting.kill()
        self.reader.finish(waiting)
        self.link.fault("part.pdf", method="GET")
        self.site.stop()

    # What must be so after a power cut.

    def expectations(self, marks):
        """Names that must be there, and names that must not, by what was acknowledged."""
        last = {}
        for mark in marks:
            if mark["operation"] in ("admit", "purge"):
                last[mark["name"]] = (mark["operation"], mark["done"])
        return ({name for name, what in last.items() if what == ("admit", True)},
                {name for name, what in last.items() if what == ("purge", True)})

    def assertHolds(self, there, gone):
        """Also that nothing is fetched again."""
        asked = len(self.link.requests())
        listed = self.reader.list()
        for name in gone:
            self.assertNotIn(name, listed, "erased, and back")
        for name in there:
            self.assertIn(name, listed, "acknowledged, and lost")
            self.assertReads(self.reader, name)
        self.assertEqual(len(self.link.requests()), asked, "fetched again")
        done = self.site.ctl("fsck")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def assertOnRecord(self, marks):
        """What was read and what was erased."""
        done = self.site.ctl("audit", "verify", self.state / "audit")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        opened, erased = {}, {}
        for path in (self.state / "audit").glob("trail-*.jsonl"):
            for line in path.read_text().splitlines():
                event = json.loads(line)["event"]
                if event["kind"] == "open" and event["result"] == "ok":
                    opened[event["name"]] = opened.get(event["name"], 0) + 1
        record = self.disks[1].place / "ledger" / "erasures.jsonl"
        if record.exists():
            done = self.site.ctl("erasures", record)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for line in record.read_text().splitlines():
                name = json.loads(line)["record"]["name"]
                erased[name] = erased.get(name, 0) + 1
        for operation, found in (("admit", opened), ("purge", erased)):
            names = [m["name"] for m in marks if m["operation"] == operation and m["done"]]
            for name in names:
                self.assertGreaterEqual(found.get(name, 0), names.count(name),
                                        f"{operation} {name} is not on record")

    def lose_the_store(self):
        self.site.stop()
        shutil.rmtree(self.state)
        self.disks[0].give("state")

    def check_backup(self, marks, gone):
        backups = [i for i, m in enumerate(marks) if m["operation"] == "backup" and m["done"]]
        if not backups:
            return
        begun = max(i for i, m in enumerate(marks[:backups[-1]])
                    if m["operation"] == "backup" and not m["done"])
        there, _ = self.expectations(marks[:begun])
        touched = {m["name"] for m in marks[begun:]}
        self.lose_the_store()
        done = self.site.ctl("restore", "--from", self.backups, "--to", self.state, "--ledger",
                             self.disks[1].place / "ledger")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.site.start()
        self.assertHolds(there - touched, gone)

    def check_replica(self, marks, gone):
        follows = [i for i, m in enumerate(marks) if m["operation"] == "follow"]
        there, _ = self.expectations(marks[:follows[0]] if len(follows) == 2 else [])
        self.lose_the_store()
        shutil.rmtree(self.state)
        done = self.site.ctl("switch", "--config", self.site.configuration)
        if done.returncode and len(follows) < 2:
            return  # it was not complete yet
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.site.start()
        self.assertHolds(there - {m["name"] for m in marks[follows[0]:]} if follows else (), gone)

    def check(self, cut, kind, chance, which):
        for number, disk in enumerate(self.disks):
            image = self.site.directory / f"cut-{number}.img"
            write_image(image, cut.content(number, kind, chance))
            disk.mount(image)
        there, gone = self.expectations(cut.marks)
        configuration = self.site.configuration.read_text()
        try:
            self.site.start()
            self.assertHolds(there, gone)
            self.assertOnRecord(cut.marks)
            if which % 3 == 0:
                self.check_backup(cut.marks, gone)
            elif which % 3 == 1:
                self.check_replica(cut.marks, gone)
        finally:
            self.site.stop()
            self.site.configuration.write_text(configuration)
            for disk in self.disks:
                disk.unmount()
        return len(there), len(gone)

    def test_at_any_moment(self):
        self.work()
        self.recorder.stop()
        cut = PowerCut(self.recorder)
        first = next(i for i, row in enumerate(cut.rows) if row[0] == 3)  # of the first admission
        count = int(os.environ.get("KOSEKIFS_TEST_REPLAYS", REPLAYS_DEFAULT))
        seed = int(os.environ.get("KOSEKIFS_TEST_SEED", time.time_ns() % 1_000_000))
        chance = random.Random(seed)
        moments = sorted(chance.randrange(first, len(cut.rows)) for _ in range(count))
        kept = erased = 0
        for which, moment in enumerate(moments):
            cut.advance(moment)
            kind = cut.KINDS[chance.randrange(4)]
            with self.subTest(seed=seed, moment=moment, kind=kind):
                there, gone = self.check(cut, kind, chance, which)
                kept, erased = kept + there, erased + gone
        print(f"      seed {seed}: {count} moments of {len(cut.rows)} writes and flushes: "
              f"{kept} kept, {erased} gone, as acknowledged")
