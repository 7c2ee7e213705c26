"""The seams between the folders, as docs/design.md draws them, hold in the sources."""

import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("transport", "verify", "keys", "cache")
FOLDERS = ("base", *ROOMS, "fs", "tools")
MEETING_PLACE = re.compile(r"fs/provide(_\w+)?\.[ch]")
LINES_MAX = 700

# Each foreign library and the folders that may know it.
FOREIGN = {
    r"fuse|linux/fuse\.h": {"fs"},
    r"curl/": {"transport"},
    r"libxml/|xmlsec/": {"verify"},
    r"openssl/(cms|pkcs7)\.h": {"verify"},
    r"zlib\.h": {"verify"},
    r"lmdb\.h": {"cache"},
    r"p11-kit/": {"keys"},
    r"jansson\.h|ini\.h": {"base"},
    r"seccomp\.h": {"base"},
    r"openssl/": {"base", "transport", "verify", "keys"},
}
# What a header that crosses folders may bring along: C and POSIX, no foreign type.
STANDARD = re.compile(r"<(std\w+|string|errno|stdio|unistd|time|limits|inttypes|sys/\w+)\.h>")
CROSSING = ("base/*.h", "transport/*_client.h", "verify/verify.h", "verify/*_client.h",
            "keys/*_client.h", "cache/cache.h")


def sources(*suffixes):
    for folder in (*FOLDERS, "tests"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def includes(path):
    """(line number, included name, quoted?) of each #include."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match[2], match[1] == '"'


def folder_of(path):
    return path.relative_to(TOP).parts[0]


def target_folder(path, name):
    """The folder that a quoted include leads to."""
    if "/" not in name or (path.parent / name).exists():
        return folder_of(path)
    return name.split("/")[0]


class Seams(unittest.TestCase):
    def complain(self, found):
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_rooms_include_only_base_and_themselves(self):
        found = []
        for path in sources(".c", ".h"):
            folder = folder_of(path)
            if folder not in ("base", *ROOMS):
                continue
            for number, name, quoted in includes(path):
                if quoted and target_folder(path, name) not in {folder, "base"}:
                    found.append(f"{path.relative_to(TOP)}:{number}: {name}")
        self.complain(found)

    def test_rooms_meet_in_provide_only(self):
        found, met = [], set()
        for path in sources(".c", ".h"):
            if folder_of(path) not in ("fs", "tools"):
                continue
            rooms = {target_folder(path, name) for _, name, quoted in includes(path) if quoted}
            rooms &= set(ROOMS)
            if MEETING_PLACE.fullmatch(str(path.relative_to(TOP))):
                met |= rooms
            elif len(rooms) > 1:
                found.append(f"{path.relative_to(TOP)}: joins {', '.join(sorted(rooms))}")
        self.complain(found)
        self.assertEqual(met, set(ROOMS), "what fs/provide.c and its parts include")

    def test_unit_tests_see_their_room_only(self):
        found = []
        for path in sources(".c", ".h"):
            parts = path.relative_to(TOP).parts
            if parts[:2] != ("tests", "unit") or parts[2] not in ("base", *ROOMS):
                continue
            for number, name, quoted in includes(path):
                if quoted and target_folder(path, name) not in {parts[2], "base", "tests",
                                                                     "tools"}:
                    found.append(f"{path.relative_to(TOP)}:{number}: {name}")
        self.complain(found)

    def test_foreign_libraries_stay_in_their_folder(self):
        found = []
        for path in sources(".c", ".h"):
            folder = folder_of(path)
            for number, name, quoted in includes(path):
                for pattern, allowed in FOREIGN.items():
                    if folder != "tests" and not quoted and re.match(pattern, name):
                        if folder not in allowed:
                            found.append(f"{path.relative_to(TOP)}:{number}: <{name}>")
                        break
        self.complain(found)

    def test_no_foreign_type_crosses(self):
        found = []
        for pattern in CROSSING:
            for path in sorted(TOP.glob(pattern)):
                for number, name, quoted in includes(path):
                    if not quoted and not STANDARD.fullmatch(f"<{name}>"):
                        found.append(f"{path.relative_to(TOP)}:{number}: <{name}>")
        self.complain(found)

    def test_files_are_short(self):
        found = []
        for path in sources(".c", ".h", ".py"):
            lines = path.read_text().count("\n")
            if lines > LINES_MAX:
                found.append(f"{path.relative_to(TOP)}: {lines} lines")
        self.complain(found)

    def test_headers_compile_alone(self):
        libraries = ["fuse3", "libcurl", "libcrypto", "libssl", "jansson", "lmdb", "zlib",
                     "libxml-2.0", "p11-kit-1"]
        flags = subprocess.run(["pkg-config", "--cflags", *libraries], capture_output=True,
                               text=True, check=True).stdout.split()

        def compile_alone(path):
            done = subprocess.run(
                ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Wextra",
                 "-Werror", '-DKOSEKIFS_VERSION="0"', *flags, f"-I{TOP}", "-fsyntax-only",
                 "-include", str(path), "-x", "c", "/dev/null"], capture_output=True, text=True)
            return f"{path.relative_to(TOP)}:\n{done.stderr}" if done.returncode else None

        headers = [p for p in sources(".h") if folder_of(p) != "tests"]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.complain([x for x in pool.map(compile_alone, headers) if x])


class Form(unittest.TestCase):
    def test_clang_format(self):
        program = shutil.which("clang-format-14")
        if not program:
            self.skipTest("clang-format-14 is not installed; other versions format differently")
        files = [str(path) for path in sources(".c", ".h")]
        done = subprocess.run([program, "--dry-run", "-Werror", *files], capture_output=True,
                              text=True, cwd=TOP)
        bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
        self.assertFalse(bad, "not as .clang-format says: " + ", ".join(bad))


if __name__ == "__main__":
    unittest.main()
