"""A clamd of our own: signatures that we wrote, no download, a socket in the test's directory."""

import pathlib
import shutil
import socket

import testbed


def installed():
    return shutil.which("clamd") is not None


class Clamd:
    def __init__(self, directory, marks):
        """`marks` is {name: bytes}: what counts as malware."""
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "clamd.sock"
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "db").mkdir(parents=True)
        (self.directory / "db" / "own.ndb").write_text(
            "".join(f"{name}:0:*:{mark.hex()}\n" for name, mark in marks.items()))
        (self.directory / "clamd.conf").write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {self.directory / 'db'}\n"
            "Foreground yes\nFixStaleSocket yes\nMaxThreads 2\nStreamMaxLength 2M\n"
            "ConcurrentDatabaseReload no\n")
        self.process = None

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = testbed.start_servant(
                [shutil.which("clamd"), "-c", self.directory / "clamd.conf"], stdout=log, stderr=log)
        testbed.wait_until(self.answers, 60, "clamd")

    def answers(self):
        if self.process.poll() is not None:
            raise testbed.Trouble("clamd ended: " + (self.directory / "log").read_text())
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(5)
                peer.connect(str(self.socket))
                peer.sendall(b"zPING\0")
                return peer.recv(100) == b"PONG\0"
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)
