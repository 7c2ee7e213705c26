"""Makes the corpus of fuzz_handshake12: what OpenSSL's client has said and heard when it signs.

usage: make_handshake12.py DIRECTORY"""

import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

HANDSHAKE, CERTIFICATE_VERIFY = 22, 15
KINDS = {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


def context(side, work, name, key, ciphers):
    made = ssl.SSLContext(side)
    made.check_hostname, made.maximum_version = False, ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(work / f"{key}.pem", work / f"{key}.key")
    made.load_verify_locations(work / f"{name}.pem")
    made.verify_mode = ssl.CERT_REQUIRED if side == ssl.PROTOCOL_TLS_SERVER else ssl.CERT_NONE
    made.set_ciphers(ciphers)
    return made


def transcript(work, name, ciphers):
    """The handshake messages before the client's CertificateVerify."""
    seen = []
    server = context(ssl.PROTOCOL_TLS_SERVER, work, name, "rsa", ciphers)
    client = context(ssl.PROTOCOL_TLS_CLIENT, work, name, name, ciphers)
    client._msg_callback = lambda _c, _d, _v, kind, _t, data: (
        seen.append(bytes(data)) if kind.value == HANDSHAKE else None)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: server.wrap_socket(theirs, server_side=True).close())
    thread.start()
    client.wrap_socket(ours).close()
    thread.join()
    end = next(i for i, message in enumerate(seen) if message[0] == CERTIFICATE_VERIFY)
    return b"".join(seen[:end])


def main(directory):
    with tempfile.TemporaryDirectory() as place:
        work = pathlib.Path(place)
        for name, kind in KINDS.items():
            subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout",
                            work / f"{name}.key", "-out", work / f"{name}.pem", "-subj",
                            f"/CN={name}", "-days", "9"], check=True, capture_output=True)
        for name in KINDS:
            der = ssl.PEM_cert_to_DER_cert((work / f"{name}.pem").read_text())
            for exchange in ("ECDHE", "kRSA"):
                messages = transcript(work, name, f"{exchange}:@SECLEVEL=0")
                path = pathlib.Path(directory, f"{name}-{exchange.lower()}")
                path.write_bytes(struct.pack(">I", len(der)) + der + messages)


main(sys.argv[1])
