"""The supervisor as a process: real kosekifs, doubles for the four rooms."""

import os
import re
import pathlib
import signal
import socket
import stat
import subprocess
import unittest

from place import ROOMS, USERS, WAIT, Place, SupervisorTest, alive, wait_until


class InOrder(SupervisorTest):
    def test_rooms_get_what_is_theirs_and_nothing_else(self):
        place = self.place
        place.start()
        self.assertEqual(os.statvfs(place.mount_point).f_namemax, 68)
        counts = {"mount": 7, "link": 2, "verify": 1, "keys": 3}
        for room in ROOMS:
            uid = USERS[room]
            lines = place.journal(room)
            starts = [line for line in lines if line.startswith("start ")]
            self.assertEqual(len(starts), 2 if room == "verify" else 1)
            for line in starts:
                self.assertTrue(line.endswith(f"uid {uid} gid {uid} groups 0 core 0"), line)
            self.assertEqual({line for line in lines if line.startswith("descriptor")},
                             {f"descriptor {n}" for n in range(4)}, room)
            self.assertEqual({line for line in lines if line.startswith("environment")},
                             {"environment PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                              "environment TZ=UTC0", "environment LANG=C.UTF-8"}, room)
            self.assertTrue(any(line.startswith(f"setup with {counts[room]} descriptors")
                                for line in lines), room)
        wait_until(lambda: place.said("mount", "peer verify 1"), "the introduction")
        self.assertEqual([line for line in place.journal("mount") if line.startswith("peer")],
                         ["peer keys 0", "peer link 0", "peer verify 0", "peer verify 1"])
        wait_until(lambda: place.said("keys", "peer mount 0") and place.said("keys", "peer link 0")
                   and place.said("link", "peer mount 0") and place.said("link", "peer keys 0")
                   and place.said("verify", "peer mount 0", 2), "the introductions")

    def test_processes_have_no_rights(self):
        self.place.start()
        for pid in self.place.pids():
            status = dict(line.split(":", 1) for line in
                          pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                self.assertEqual(int(status[kind], 16), 0, kind)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            self.assertNotEqual(os.getsid(pid), os.getsid(self.place.daemon.pid))

    def test_places(self):
        place = self.place
        place.start()
        state, control = (place.top / "state").stat(), (place.top / "run/control.sock").stat()
        self.assertEqual((state.st_uid, state.st_mode & 0o7777), (USERS["mount"], 0o700))
        self.assertEqual((control.st_uid, control.st_gid, control.st_mode & 0o7777),
                         (0, 62300, 0o660))
        line = next(line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                    if line.split()[4] == str(place.mount_point))
        fields = line.split()
        self.assertEqual(set(fields[5].split(",")), {"ro", "nosuid", "nodev", "noexec", "noatime"})
        self.assertEqual(fields[-3:-1], ["fuse.kosekifs", str(place.top / "kosekifs.conf")])
        self.assertIn("allow_other", fields[-1])

    def test_sigterm(self):
        self.place.start()
        self.place.daemon.terminate()
        self.assertEqual(self.place.end(), 0)
        self.assertNothingLeft()
        self.assertTrue(self.place.said("mount", "unmounted"))

    def test_sigterm_while_somebody_is_inside(self):
        self.place.start()
        inside = os.open(self.place.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.place.daemon.terminate()
            self.assertEqual(self.place.end(), 0)
            self.assertNothingLeft()
            self.assertTrue(self.place.said("mount", "supervisor gone"))
        finally:
            os.close(inside)

    def test_deaf_mount_is_killed(self):
        self.place.behave("mount", "deaf")
        self.place.start()
        inside = os.open(self.place.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.place.daemon.terminate()
            self.assertEqual(self.place.end(), 0)
        finally:
            os.close(inside)
        self.assertIn("kosekifs-mount did not end in time", self.place.text())
        self.assertNothingLeft()

    def test_unmounted_from_outside(self):
        self.place.start()
        subprocess.run(["umount", self.place.mount_point], check=True)
        self.assertEqual(self.place.end(), 0)
        self.assertNothingLeft()

    def test_stale_control_socket_is_replaced(self):
        (self.place.top / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(self.place.top / "run/control.sock"))
        self.place.start()

    def test_after_a_killed_supervisor(self):
        """The rooms leave by themselves; the next start takes the dead mount away."""
        self.place.start()
        self.place.daemon.kill()
        self.place.end()
        wait_until(lambda: not any(map(alive, self.place.pids())), "the rooms' end")
        with self.assertRaises(OSError):
            os.statvfs(self.place.mount_point)
        self.place.start()
        self.assertIn("unmounting what an earlier kosekifs left behind", self.place.text())
        os.statvfs(self.place.mount_point)

    def test_second_start_on_a_hanging_mount(self):
        """Whether the mount there is dead is asked, and the answer is not waited for long."""
        self.place.start()
        mount = int(self.place.journal("mount")[0].split()[2])
        os.kill(mount, signal.SIGSTOP)
        try:
            done = subprocess.run([self.place.bin / "kosekifs", "-f", self.place.mount_point, "-o",
                                   self.place.configure()], capture_output=True, text=True,
                                  timeout=WAIT, check=False)
        finally:
            os.kill(mount, signal.SIGCONT)
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn("is busy", done.stderr)
        self.assertTrue(self.place.mounted())

    def test_programs_where_rooms_may_not_walk(self):
        self.place.bin.chmod(0o700)
        self.place.start()
        self.assertEqual(self.place.pids(), [])

    def test_notify(self):
        path = self.place.top / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(WAIT)
            self.place.start(environment={**os.environ, "NOTIFY_SOCKET": str(path)})
            self.assertEqual(listener.recv(512).decode(), "FDSTOREREMOVE=1\nFDNAME=record")
            names = ("record", "fuse", "journal", "open-files", "control")
            for name in names:
                self.assertEqual(listener.recv(512).decode(), f"FDSTORE=1\nFDNAME={name}")
            self.assertEqual(listener.recv(512).decode(),
                             f"READY=1\nSTATUS=Mounted on {self.place.mount_point}")
            self.place.daemon.terminate()
            self.assertIn("STOPPING=1", listener.recv(512).decode())
            for name in names:
                self.assertEqual(listener.recv(512).decode(), f"FDSTOREREMOVE=1\nFDNAME={name}")

    def test_sinks(self):
        path = self.place.top / "syslog"
        self.place.settings["audit"] = {"syslog": path, "journald": self.place.top / "nobody"}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.settimeout(WAIT)
            self.place.start()
            self.assertEqual(listener.recv(512), b"record")
        self.assertTrue(self.place.said("mount", "sink 0"))
        self.assertIn("nobody: No such file or directory", self.place.text())


class Background(SupervisorTest):
    """Without -f: as mount(8) starts it."""

    def begin(self, *arguments):
        return subprocess.run([self.place.bin / "kosekifs", *map(str, arguments)],
                              capture_output=True, text=True, timeout=WAIT, check=False)

    def supervisor_pid(self):
        mount = self.place.journal("mount")[0].split()[2]
        return int(pathlib.Path(f"/proc/{mount}/stat").read_text().rsplit(")", 1)[1].split()[1])

    def test_returns_when_mounted(self):
        self.place.configure()
        done = self.begin(self.place.top / "kosekifs.conf", self.place.mount_point, "-o",
                          "rw,dev,suid,_netdev,x-systemd.automount")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.place.mounted())
        pid = self.supervisor_pid()
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual(os.readlink(f"/proc/{pid}/fd/0"), "/dev/null")
        subprocess.run(["umount", self.place.mount_point], check=True)
        wait_until(lambda: not alive(pid), "the supervisor's end")
        self.assertNothingLeft()

    def test_failure_is_told(self):
        self.place.behave("mount", "fail no store here")
        done = self.begin(self.place.mount_point, "-o", self.place.configure())
        self.assertEqual(done.returncode, 1)
        self.assertIn("kosekifs-mount cannot work: no store here", done.stderr)
        self.assertNothingLeft()

    def test_whoever_started_it_was_killed(self):
        self.place.behave("link", "mute")
        starter = subprocess.Popen([self.place.bin / "kosekifs", self.place.mount_point, "-o",
                                    self.place.configure()], stderr=subprocess.DEVNULL)
        wait_until(lambda: any("setup" in line for line in self.place.journal("link")), "the link")
        starter.kill()
        starter.wait()
        # The link double is released as one that died: the start fails and everything goes.
        os.kill(int(self.place.journal("link")[0].split()[2]), signal.SIGKILL)
        wait_until(lambda: not any(map(alive, self.place.pids())), "the end of all")
        wait_until(lambda: not (self.place.top / "run/control.sock").exists(), "the end")
        self.assertNothingLeft()


class FailedStart(SupervisorTest):
    def test_room_says_why(self):
        for room in ROOMS:
            with self.subTest(room=room):
                self.place = Place()
                self.place.behave(room, "fail it is Monday")
                self.assertStartFails(1, "cannot work: it is Monday", f"kosekifs-{room}")

    def test_room_ends(self):
        for room in ROOMS:
            for words, text in (("exit", "ended with status 3"), ("crash", "ended by signal 9")):
                with self.subTest(room=room, words=words):
                    self.place = Place()
                    self.place.behave(room, words)
                    self.assertStartFails(1, text, "before the mount was ready")

    def test_mount_crashes_when_ready(self):
        self.place.behave("mount", "crash-when-ready")
        self.place.start(wait=False)
        self.assertEqual(self.place.end(), 1)
        self.assertNothingLeft()

    def test_mount_answers_with_an_error(self):
        self.place.behave("mount", "broken")
        self.assertStartFails(1, "answers with an error")

    def test_mount_never_answers(self):
        self.place.behave("mount", "silent")
        self.assertStartFails(1, "does not answer")

    def test_program_missing(self):
        (self.place.bin / "kosekifs-verify").unlink()
        self.assertStartFails(1, "kosekifs-verify[0] is neither beside kosekifs nor in")

    def test_sigterm_before_ready(self):
        self.place.behave("verify", "mute")
        self.place.start(wait=False)
        wait_until(lambda: self.place.journal("verify"), "a worker")
        self.place.daemon.terminate()
        self.assertEqual(self.place.end(), 1)
        self.assertNothingLeft()

    def test_configuration(self):
        self.place.settings["mount"]["nonsense"] = 1
        self.place.settings["link"]["url"] = "ftp://x"
        self.assertStartFails(78, "kosekifs.conf:", "nonsense", "url")

    def test_files_all_at_once(self):
        place = self.place
        place.write("master.key", bytes(31), 0o600)
        place.write("client.key", b"key", 0o640)
        place.write("ca.pem", b"")
        (place.top / "client.pem").unlink()
        place.write("anchor.pem", b"x", 0o666)
        place.write("access.conf", b"nonsense\n")
        place.settings["alerts"] = {"hook": place.top / "hook"}
        place.settings["users"]["link"] = "nobody-of-this-name"
        place.settings["users"]["keys"] = USERS["mount"]
        self.assertStartFails(78, "master.key: has 31 bytes", "client.key: has mode 0640",
                              "ca.pem: is empty", "client.pem: cannot be opened",
                              "anchor.pem: has mode 0666", "access.conf:1", "hook: No such file",
                              "nobody-of-this-name", "share uid")

    def test_key_is_a_symbolic_link(self):
        (self.place.top / "client.key").rename(self.place.top / "other.key")
        (self.place.top / "client.key").symlink_to("other.key")
        self.assertStartFails(78, "client.key: is a symbolic link")

    def test_key_belongs_to_somebody_else(self):
        os.chown(self.place.top / "master.key", 62009, 0)
        self.assertStartFails(78, "master.key: belongs to uid 62009")

    def test_key_is_a_pipe(self):
        (self.place.top / "client.key").unlink()
        os.mkfifo(self.place.top / "client.key", 0o600)
        self.assertStartFails(78, "client.key: is not a regular file")

    def test_configuration_of_others(self):
        self.place.configure()
        for owner, mode, words in ((0, 0o666, "can be written by"), (62009, 0o644, "belongs")):
            os.chown(self.place.top / "kosekifs.conf", owner, 0)
            (self.place.top / "kosekifs.conf").chmod(mode)
            done = subprocess.run([self.place.bin / "kosekifs", "-f", self.place.mount_point, "-o",
                                   f"config={self.place.top / 'kosekifs.conf'}"],
                                  capture_output=True, text=True, timeout=WAIT, check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn(words, done.stderr)

    def test_mount_point_missing(self):
        self.place.mount_point.rmdir()
        self.assertStartFails(66, "mnt: No such file")

    def test_mount_point_is_a_file(self):
        self.place.mount_point.rmdir()
        self.place.mount_point.touch()
        self.assertStartFails(66, "mnt: Not a directory")

    def test_mount_point_not_empty(self):
        (self.place.mount_point / ".hidden").touch()
        self.assertStartFails(73, "mnt: is not empty")

    def test_mount_point_busy(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "x", self.place.mount_point],
                       check=True)
        self.place.start(wait=False)
        self.assertEqual(self.place.end(), 73)
        self.assertIn("is busy", self.place.text())
        subprocess.run(["umount", self.place.mount_point], check=True)

    def test_state_directory_below_the_mount_point(self):
        self.place.settings["mount"]["state_directory"] = self.place.mount_point / "state"
        self.assertStartFails(78, "at or below the mount point")

    def test_state_directory_open_to_others(self):
        state = self.place.top / "state"
        state.mkdir()
        os.chown(state, USERS["mount"], 0)
        state.chmod(0o750)
        self.assertStartFails(73, "has mode 0750")

    def test_state_directory_of_somebody_else(self):
        (self.place.top / "state").mkdir(mode=0o700)
        self.assertStartFails(73, "belongs to uid 0")

    def test_state_directory_in_a_missing_directory(self):
        self.place.settings["mount"]["state_directory"] = self.place.top / "a/b"
        self.assertStartFails(73, "cannot be made")

    def test_second_daemon(self):
        self.place.start()
        other = self.place.top / "other"
        other.mkdir()
        for change, word in (({}, "in use by another kosekifs"),
                             ({"state_directory": self.place.top / "state2"},
                              "another kosekifs answers there")):
            settings = dict(self.place.settings["mount"])
            self.place.settings["mount"].update(change)
            done = subprocess.run([self.place.bin / "kosekifs", "-f", other, "-o",
                                   self.place.configure()], capture_output=True, text=True,
                                  timeout=WAIT, check=False)
            self.place.settings["mount"] = settings
            self.assertEqual(done.returncode, 73, done.stderr)
            self.assertIn(word, done.stderr)
        self.assertTrue(stat.S_ISSOCK((self.place.top / "run/control.sock").stat().st_mode))
        self.assertTrue(self.place.mounted())

    def test_something_else_in_the_socket_s_place(self):
        (self.place.top / "run").mkdir()
        path = self.place.top / "run/control.sock"
        path.write_text("keep me")
        self.place.start(wait=False)
        self.assertEqual(self.place.end(), 73)
        self.assertEqual(path.read_text(), "keep me")


class Replacement(SupervisorTest):
    def kill(self, room, index=0):
        starts = [line for line in self.place.journal(room) if line.startswith("start ")]
        os.kill(int(starts[index].split()[2]), signal.SIGKILL)

    def test_rooms_come_back(self):
        self.place.start()
        for room in ("keys", "link", "verify"):
            before = len([l for l in self.place.journal("mount") if l.startswith(f"peer {room}")])
            self.kill(room)
            wait_until(lambda: len([l for l in self.place.journal("mount") if
                                    l.startswith(f"peer {room}")]) > before, f"a new {room}")
        wait_until(lambda: self.place.said("link", "peer keys 0", 3), "the new introductions")
        self.assertIn("kosekifs-keys ended by signal 9 (Killed); it is replaced in 10 ms",
                      self.place.text())

    def test_delay_grows(self):
        self.place.start()
        self.place.behave("link", "crash-when-ready")
        self.kill("link")
        wait_until(lambda: any(int(ms) >= 1200 for ms in
                               re.findall(r"replaced in (\d+) ms", self.place.text())),
                   "growing delays")
        self.place.behave("link", "")
        count = len(self.place.journal("mount"))
        wait_until(lambda: len(self.place.journal("mount")) > count, "its return")
        self.assertTrue(self.place.mounted())

    def test_kosekifs_mount_comes_back(self):
        self.place.start()
        self.kill("mount")
        wait_until(lambda: "kosekifs-mount goes on after" in self.place.text(), "the next one")
        self.assertTrue(self.place.mounted())
        os.statvfs(self.place.mount_point)

    def test_kosekifs_mount_ends_again_and_again(self):
        self.place.start()
        self.place.behave("mount", "crash-when-ready")
        self.kill("mount")
        self.assertEqual(self.place.end(), 70)
        self.assertIn("6 times in a row; unmounting", self.place.text())
        self.assertNothingLeft()

    def test_mount_asks_for_a_replacement(self):
        self.place.behave("mount", "kill-verify")
        self.place.start()
        self.place.daemon.send_signal(signal.SIGHUP)  # it asks when it hears of a policy
        wait_until(lambda: self.place.said("mount", "peer verify 0", 2), "the replacement")

    def test_mount_oversteps(self):
        for words, text in (("kill-itself", "a request to end what it may not"),
                            ("garbage", "a packet that is no message"),
                            ("reload-more", "a request to reload that it may not make"),
                            ("retire-keys", "a request to replace what it may not"),
                            ("ready-twice", "ready twice")):
            with self.subTest(words=words):
                self.place = Place()
                self.place.behave("mount", words)
                self.place.start(wait=False)
                self.assertEqual(self.place.end(), 1, self.place.text())
                self.assertIn(f"kosekifs-mount sent {text}; it is ended", self.place.text())
                self.assertNothingLeft()

    def test_others_overstep(self):
        for room, words in (("link", "kill-verify"), ("link", "alert"), ("link", "garbage"),
                            ("link", "reload"), ("verify", "reload"), ("keys", "kill-schema"),
                            ("verify", "kill-schema"), ("link", "retire-keys"),
                            ("verify", "odd-ready")):  # a worker may end its own, not others'
            with self.subTest(room=room, words=words):
                self.place = Place()
                self.addCleanup(self.place.clear)
                self.place.behave(room, words)
                self.place.start(wait=False)
                wait_until(lambda: "it is ended" in self.place.text(), "the judgement")
                self.place.clear()


class Reload(SupervisorTest):
    def hup(self):
        self.place.daemon.send_signal(signal.SIGHUP)

    def size(self):
        lines = [line for line in self.place.journal("mount") if line.startswith("trust ")]
        return int(lines[-1].split()[1]) if lines else None

    def test_new_trust_reaches_all(self):
        self.place.start()
        self.place.write("more.pem", b"another anchor")
        self.hup()
        wait_until(self.size, "the new trust")
        wait_until(lambda: self.place.said("verify", f"trust {self.size()}", 2), "both workers")
        self.assertTrue(self.place.said("mount", "policy"))

    def test_same_trust_is_not_sent(self):
        self.place.start()
        self.hup()
        wait_until(lambda: "trust is unchanged" in self.place.text(), "the reload")
        self.assertIsNone(self.size())

    def test_refused_trust_reaches_nobody_else(self):
        self.place.behave("verify", "refuse-trust")
        self.place.start()
        self.place.write("more.pem", b"nonsense")
        self.hup()
        wait_until(lambda: "stays as it was: these anchors are nonsense" in self.place.text(),
                   "the refusal")
        self.assertIsNone(self.size())
        self.assertEqual(sum(line.startswith("trust ") for line in self.place.journal("verify")), 1)

    def test_worker_dies_of_it(self):
        self.place.behave("verify", "crash-on-trust")
        self.place.start()
        self.place.write("more.pem", b"deadly")
        self.hup()
        wait_until(lambda: "the worker that tried the new files ended" in self.place.text(),
                   "the refusal")
        self.assertIsNone(self.size())
        wait_until(lambda: self.place.said("mount", "peer verify 0", 2), "the replacement")

    def test_unreadable_files_change_nothing(self):
        self.place.start()
        self.place.write("anchor.pem", b"x", 0o666)
        self.place.write("access.conf", b"nonsense\n")
        self.hup()
        wait_until(lambda: "nothing was changed" in self.place.text(), "the refusal")
        self.assertIn("anchor.pem", self.place.text())
        self.assertIn("access.conf", self.place.text())
        self.assertIsNone(self.size())
        self.assertFalse(self.place.said("mount", "policy"))

    def bundle_size(self):
        """Of the bundle that the files make now: kind, label, size and content of each item."""
        items = [(str(path), path.read_bytes()) for path in
                 [self.place.top / "anchor.pem", self.place.top / "more.pem"]]
        return sum(7 + len(label) + len(content)
                   for label, content in [*items, ("signer_dn", b"CN=x")])

    def test_many_reloads_end_with_the_last_files(self):
        self.place.start()
        for i in range(30):
            self.place.write("more.pem", bytes([i]) * i + b"x")
            self.hup()
        wait_until(lambda: self.size() == self.bundle_size(), "the last trust")
        wait_until(lambda: self.place.said("verify", f"trust {self.bundle_size()}", 2), "workers")

    def test_replaced_worker_works_with_the_new_trust(self):
        """A worker that starts while trust changes gets the new bundle, one way or the other."""
        self.place.start()
        starts = [line for line in self.place.journal("verify") if line.startswith("start ")]
        os.kill(int(starts[0].split()[2]), signal.SIGKILL)
        wait_until(lambda: "it is replaced" in self.place.text(), "its end to be seen")
        self.place.write("more.pem", b"another anchor")
        self.hup()
        wait_until(lambda: self.size() == self.bundle_size(), "the new trust")
        wait_until(lambda: len(self.setups()) == 3, "the new worker")
        wait_until(lambda: self.setups()[-1] == self.bundle_size() or
                   self.place.said("verify", f"trust {self.bundle_size()}", 2), "its trust")

    def test_lists_are_read_when_they_change(self):
        self.place.start()
        size = self.lists()
        self.place.write("crls/b.crl", b"another list")
        wait_until(lambda: self.lists() == size + 7 + 12 + len(str(self.place.top / "crls/b.crl")),
                   "the new list")

    def lists(self):
        def lines():
            return [line for line in self.place.journal("mount") if line.startswith("lists ")]
        return int(wait_until(lines, "lists")[-1].split()[1])

    def setups(self):
        return [int(line.split()[-1]) for line in self.place.journal("verify")
                if line.startswith("setup ")]


class Hook(SupervisorTest):
    def test_alert_runs_the_hook(self):
        out = self.place.top / "alert"
        hook = self.place.write("hook", f"#!/bin/sh\nenv > {out}.new; mv {out}.new {out}\n".encode(),
                                0o755)
        self.place.settings["alerts"] = {"hook": hook}
        self.place.behave("mount", "alert")
        self.place.start()
        wait_until(out.exists, "the hook")
        lines = out.read_text().splitlines()
        for line in ("KOSEKIFS_ALERT_ID=7", "KOSEKIFS_ALERT_SUBJECT=uid 5",
                     "KOSEKIFS_ALERT_TEXT=something", "KOSEKIFS_ALERT_SEVERITY=notice",
                     "KOSEKIFS_ALERT_KIND=denials", "KOSEKIFS_ALERT_TIME=1970-01-01T00:00:01Z"):
            self.assertIn(line, lines)

    def test_hook_of_others_is_refused(self):
        hook = self.place.write("hook", b"#!/bin/sh\n", 0o777)
        self.place.settings["alerts"] = {"hook": hook}
        self.assertStartFails(78, "hook: can be changed by others")


if __name__ == "__main__":
    unittest.main()
