"""Programs that read certificates, a row each; see table.py for what the fields mean.

To add one, write a row. `python3 -m unittest consumers.test_programs -k NAME` runs it.
"""

from consumers.table import Program

PYTHON = "/usr/bin/python3"

PERL_BY_SIZE = 'my $s = -s $ARGV[0] or die "$!\n"; open F, "<", $ARGV[0] or die "$!\n"; binmode F; ' \
               'binmode STDOUT; sysread(F, my $x, $s) == $s or die "short"; print $x'
PYTHON_MMAP = "import mmap,sys; f=open(sys.argv[1],'rb'); " \
              "sys.stdout.buffer.write(mmap.mmap(f.fileno(),0,access=mmap.ACCESS_READ))"
JAVA = ("java", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", "{tools}",
        "Read")
JAVAC = ("javac", "-J-XX:-UsePerfData", "-d", "{tools}", "{source}/Read.java")


def text(test, done, desk, expected):
    test.assertIn("戸籍に記録されている者", done.stdout.decode())


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
]
