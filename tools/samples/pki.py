"""The certificate authorities of the samples, made with the openssl command line.

`signing` is shaped like the GPKI: a bridge authority that certifies the issuing authority of
official certificates, which certifies the Minister's signer. `link` is the TLS side: one authority
for the link system's server and for the link server's client certificate.
"""

import concurrent.futures
import datetime
import pathlib
import subprocess

MINISTER = "/C=JP/O=Japanese Government/OU=Ministry of Justice/CN=Minister of Justice"
MINISTER_DN = "CN=Minister of Justice,OU=Ministry of Justice,O=Japanese Government,C=JP"

AUTHORITY_CONFIG = """
[ca]
default_ca = authority
[authority]
database = {home}/index.txt
serial = {home}/serial
crlnumber = {home}/crlnumber
new_certs_dir = {home}
default_md = sha256
default_crl_days = 30
policy = as_requested
unique_subject = no
crl_extensions = crl
[as_requested]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
[crl]
authorityKeyIdentifier = keyid
[authority_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[signer_extensions]
keyUsage = critical,digitalSignature,nonRepudiation
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://crl.koseki.invalid/official.crl
[server_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
authorityKeyIdentifier = keyid
[client_extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
"""


def openssl(*arguments, stdin=None):
    """Runs openssl; its own words make the error message."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}:\n{done.stderr.decode()}")
    return done.stdout


def moment(days):
    """The time so many days from now, as openssl writes it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Authority:
    """One certificate authority with its own openssl database."""

    def __init__(self, directory, keys, name, subject, issuer=None, years=20):
        self.directory, self.keys, self.name = directory, keys, name
        self.home = directory / f".{name}"
        self.home.mkdir(parents=True)
        (self.home / "index.txt").touch()
        (self.home / "serial").write_text("1001\n")
        (self.home / "crlnumber").write_text("01\n")
        self.config = self.home / "openssl.cnf"
        self.config.write_text(AUTHORITY_CONFIG.format(home=self.home))
        self.certificate, self.key = directory / f"{name}.pem", directory / f"{name}.key"
        (issuer or self).issue(name, subject, "authority", days=(-365, 365 * years),
                               self_signed=issuer is None)

    def issue(self, name, subject, extensions, days=(-30, 3650), self_signed=False):
        """Writes <name>.key (PKCS#8) and <name>.pem; `days` is (from, until) relative to now."""
        key, request = self.directory / f"{name}.key", self.home / f"{name}.csr"
        certificate = self.directory / f"{name}.pem"
        key.write_bytes(self.keys.take())
        key.chmod(0o600)
        openssl("req", "-new", "-utf8", "-key", key, "-subj", subject, "-out", request)
        openssl("ca", "-config", self.config, "-batch", "-notext", "-utf8", "-preserveDN",
                "-extensions", f"{extensions}_extensions", "-keyfile", self.key,
                *(["-selfsign"] if self_signed else ["-cert", self.certificate]),
                "-startdate", moment(days[0]), "-enddate", moment(days[1]),
                "-in", request, "-out", certificate)
        return certificate

    def revoke(self, name):
        openssl("ca", "-config", self.config, "-keyfile", self.key, "-cert", self.certificate,
                "-revoke", self.directory / f"{name}.pem", "-crl_reason", "keyCompromise")

    def write_crl(self, path, last=None, following=None):
        """Writes a DER CRL, valid from now for 30 days unless said otherwise."""
        path.parent.mkdir(exist_ok=True)
        span = ["-crl_lastupdate", last, "-crl_nextupdate", following] if last else []
        pem = openssl("ca", "-config", self.config, "-gencrl", "-keyfile", self.key,
                      "-cert", self.certificate, *span)
        openssl("crl", "-outform", "DER", "-out", path, stdin=pem)


class Keys:
    """RSA keys, generated ahead on all processors: they are what takes the time."""

    def __init__(self, count, bits=2048):
        self.pool = concurrent.futures.ThreadPoolExecutor()
        self.waiting = [self.pool.submit(openssl, "genpkey", "-quiet", "-algorithm", "RSA",
                                         "-pkeyopt", f"rsa_keygen_bits:{bits}")
                        for _ in range(count)]

    def take(self):
        return self.waiting.pop(0).result()


def make_signing(directory: pathlib.Path, keys: Keys):
    """The signers: the Minister, and those who must not pass for the Minister."""
    bridge = Authority(directory, keys, "bridge", "/C=JP/O=Japanese Government/OU=BridgeCA")
    official = Authority(directory, keys, "official",
                         "/C=JP/O=Japanese Government/OU=OfficialStatusCA", bridge, years=10)
    other = Authority(directory, keys, "other", "/C=JP/O=Unrelated/OU=OtherCA")
    official.issue("minister", MINISTER, "signer")
    official.issue("minister-revoked", MINISTER, "signer")
    official.issue("minister-expired", MINISTER, "signer", days=(-2000, -200))
    official.issue("colleague", "/C=JP/O=Japanese Government/OU=Ministry of Health"
                   "/CN=Minister of Health", "signer")
    other.issue("impostor", MINISTER, "signer")
    official.revoke("minister-revoked")
    bridge.write_crl(directory / "crls" / "bridge.crl")
    official.write_crl(directory / "crls" / "official.crl")
    official.write_crl(directory / "stale" / "official.crl", moment(-60), moment(-30))


def make_link(directory: pathlib.Path, keys: Keys):
    """Server and clients of the link."""
    link = Authority(directory, keys, "ca", "/C=JP/O=Koseki Link/CN=Link CA")
    link.issue("server", "/C=JP/O=Koseki Link/CN=localhost", "server")
    link.issue("client", "/C=JP/O=Inquiring Agency/CN=link server", "client")
    link.issue("client-expired", "/C=JP/O=Inquiring Agency/CN=link server", "client",
               days=(-400, -1))
    stranger = Authority(directory, keys, "stranger", "/C=JP/O=Unrelated/CN=Other CA")
    stranger.issue("client-stranger", "/C=JP/O=Inquiring Agency/CN=link server", "client")
    pin = openssl("dgst", "-sha256", "-binary",
                  stdin=openssl("pkey", "-in", directory / "server.key", "-pubout",
                                "-outform", "DER"))
    (directory / "server.pin").write_bytes(
        b"sha256//" + openssl("base64", "-A", stdin=pin) + b"\n")
