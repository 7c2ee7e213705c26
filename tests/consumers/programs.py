"""Programs that read certificates, a row each; see table.py for what the fields mean.

To add one, write a row. `python3 -m unittest consumers.test_programs -k NAME` runs it.
"""

from consumers.accounts import ACCOUNTS
from consumers.table import Program

PYTHON = "/usr/bin/python3"

PERL_BY_SIZE = 'my $s = -s $ARGV[0] or die "$!\n"; open F, "<", $ARGV[0] or die "$!\n"; binmode F; ' \
               'binmode STDOUT; sysread(F, my $x, $s) == $s or die "short"; print $x'
PYTHON_MMAP = "import mmap,sys; f=open(sys.argv[1],'rb'); " \
              "sys.stdout.buffer.write(mmap.mmap(f.fileno(),0,access=mmap.ACCESS_READ))"
PHP_BY_SIZE = '$s = @filesize($argv[1]); $f = fopen($argv[1], "r") or exit(1); ' \
              'if (strlen($x = fread($f, $s)) != $s) exit(2); echo $x;'
NODE_BY_SIZE = 'const fs = require("fs"), n = fs.statSync(process.argv[1]).size, b = Buffer.alloc(n); ' \
               'if (fs.readSync(fs.openSync(process.argv[1]), b, 0, n, 0) != n) process.exit(2); ' \
               'process.stdout.write(b)'
JAVA = ("java", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", "{tools}",
        "Read")
JAVAC = ("javac", "-J-XX:-UsePerfData", "-d", "{tools}", "{source}/Read.java")
COBC = ("cobc", "-x", "-o", "{tools}/read-cobol", "{source}/read.cob")
MONO = ("mono", "{tools}/Read.exe")
MCS = ("mcs", "-out:{tools}/Read.exe", "{source}/Read.cs")
JAVA_SAYS = {"EACCES": "AccessDeniedException", "ENOENT": "NoSuchFileException"}
NODE_SAYS = {"EACCES": "EACCES", "ENOENT": "ENOENT", "EBADMSG": "Unknown system error -74"}
MONO_SAYS = {"EACCES": "UnauthorizedAccessException", "ENOENT": "FileNotFoundException",
             "EBADMSG": "IOException"}
CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--user-data-dir={desk}/profile")
RESTIC = "restic -q init -r \"$2\" && restic -q -r \"$2\" backup \"$1\" && " \
         "restic -q -r \"$2\" dump latest \"$1\""
BORG = "borg init -e none \"$2\" && borg create \"$2::a\" \"$1\" && " \
       "borg extract --stdout \"$2::a\" \"${1#/}\""


def text(test, done, desk, expected):
    test.assertIn("戸籍に記録されている者", done.stdout.decode())


def records(test, done, desk, expected):
    test.assertEqual(done.stdout.split(), [b"records", b"%d" % -(-len(expected) // 512)])


def page(test, done, desk, expected):
    test.assertIn("rgb(40,40,40)", done.stdout.decode())  # the viewer's page; errors have another


PROGRAMS = [
    Program("cat", ("cat", "{name}"), quick=True),
    Program("sh redirect", ("sh", "-c", 'cat <"$1"', "sh", "{name}")),
    Program("cp", ("cp", "{name}", "{desk}/copy"), "copy"),
    Program("cp -a", ("cp", "-a", "{name}", "{desk}/copy"), "copy", quick=True),
    Program("dd", ("dd", "if={name}", "bs=64k", "status=none")),
    Program("dd direct", ("dd", "if={name}", "bs=64k", "iflag=direct", "status=none")),
    Program("dd nonblock", ("dd", "if={name}", "bs=4k", "iflag=nonblock", "status=none")),
    Program("sha256sum", ("sha256sum", "{name}"), "sha256", quick=True),
    Program("openssl dgst", ("openssl", "dgst", "-sha256", "{name}"), "sha256"),
    Program("wc -c", ("wc", "-c", "{name}"), "size"),
    Program("tail", ("tail", "-c", "+1", "{name}")),
    Program("tar", ("bash", "-o", "pipefail", "-c",
                    'tar --xattrs --acls -cf - "$1" | tar -xOf -', "bash", "{name}"), quick=True),
    Program("rsync", ("rsync", "-aX", "--no-owner", "--no-group", "{name}", "{desk}/copy"), "copy",
            quick=True),
    Program("pdftotext", ("pdftotext", "{name}", "-"), text, quick=True),
    Program("perl", ("perl", "-e", PERL_BY_SIZE, "{name}"), quick=True),
    Program("python mmap", (PYTHON, "-c", PYTHON_MMAP, "{name}"), quick=True),
    Program("java", (*JAVA, "length", "{name}"), build=JAVAC, quick=True),
    Program("find", ("find", "{name}", "-size", "+1"), "attributes", quick=True),
    Program("du", ("du", "-b", "{name}"), "attributes", quick=True),
    Program("getfattr", ("getfattr", "-d", "-m", "-", "{name}"), "attributes", quick=True),
    Program("getfacl", ("getfacl", "{name}"), "attributes", quick=True),
    Program("ls -l", ("ls", "-l", "{name}"), "attributes"),
    Program("stat", ("stat", "{name}"), "attributes"),
    Program("java all bytes", (*JAVA, "bytes", "{name}"), build=JAVAC,
            says=JAVA_SAYS),
    Program("java map", (*JAVA, "map", "{name}"), build=JAVAC,
            says=JAVA_SAYS),
    Program("java transferTo", (*JAVA, "transfer", "{name}"), build=JAVAC,
            says=JAVA_SAYS),
    Program("java Files.copy", (*JAVA, "copy", "{name}", "{desk}/copy"), "copy",
            build=JAVAC, says=JAVA_SAYS),
    Program("cobol", ("{tools}/read-cobol", "{name}"), records, build=COBC,
            tries=2,
            says={"EACCES": "status 37", "ENOENT": "status 35", "EBADMSG": "status 30"}),
    Program("perl slurp", ("perl", "-e", 'open F, "<", $ARGV[0] or die "$!\n"; local $/; print <F>',
                           "{name}")),
    Program("php by size", ("php", "-r", PHP_BY_SIZE, "{name}")),
    Program("php contents", ("php", "-r", "if (($x = file_get_contents($argv[1])) === false) exit(1); "
                             "echo $x;", "{name}")),
    Program("php copy", ("php", "-r", 'copy($argv[1], $argv[2]) or exit(1);', "{name}",
                         "{desk}/copy"), "copy"),
    Program("python read", (PYTHON, "-c", "import sys; sys.stdout.buffer.write(open(sys.argv[1],'rb')"
                            ".read())", "{name}")),
    Program("python copy2", (PYTHON, "-c", "import sys,shutil; shutil.copy2(*sys.argv[1:])", "{name}",
                             "{desk}/copy"), "copy"),
    Program("node", ("node", "-e", 'process.stdout.write(require("fs").readFileSync(process.argv[1]))',
                     "{name}"), says=NODE_SAYS),
    Program("node by size", ("node", "-e", NODE_BY_SIZE, "{name}"),
            says=NODE_SAYS),
    Program("node copyFile", ("node", "-e", 'require("fs").copyFileSync(process.argv[1],'
                              'process.argv[2])', "{name}", "{desk}/copy"), "copy",
            says=NODE_SAYS),
    Program("mono all bytes", (*MONO, "all", "{name}"), build=MCS, says=MONO_SAYS),
    Program("mono by length", (*MONO, "length", "{name}"), build=MCS, says=MONO_SAYS),
    Program("restic", ("sh", "-c", RESTIC, "sh", "{path}", "{desk}/repository"),
            env={"RESTIC_PASSWORD": "x", "RESTIC_CACHE_DIR": "{desk}/cache"},
            says={"ENOENT": "does not exist"}),
    Program("borg", ("sh", "-c", BORG, "sh", "{path}", "{desk}/repository"),
            env={"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": "{desk}",
                 **ACCOUNTS}),
    Program("chromium", (*CHROMIUM, "--dump-dom", "file://{path}"), page, fails=False,
            says={"EACCES": "ERR_FILE_NOT_FOUND", "ENOENT": "ERR_FILE_NOT_FOUND",
                  "EBADMSG": "ERR_FAILED"}),
]
