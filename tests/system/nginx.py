"""nginx as link system: plain files, ETag, Range, a client certificate wanted."""

import pathlib
import subprocess

import testbed

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/error.log warn;
events {{ worker_connections 128; }}
http {{
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  log_format asked '$ssl_client_verify $request_method $uri $status';
  access_log {home}/access.log asked;
  server {{
    listen 127.0.0.1:{port} {listen}; root {served};
    ssl_certificate {link}/server.pem; ssl_certificate_key {link}/server.key;
    ssl_client_certificate {link}/ca.pem; ssl_verify_client on; ssl_protocols {protocols}; {more}
  }}
  {servers}
}}
"""


class Nginx:
    """Serves `served`; `more` goes into its server block, `servers` are blocks beside it. log()
    gives (verified, method, name, status) of each request."""

    def __init__(self, home, served, link, protocols="TLSv1.3", more="",
                 listen="ssl", servers=""):
        self.home, self.port = pathlib.Path(home), testbed.free_port()
        self.home.mkdir()
        scheme = "https" if "ssl" in listen else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}/{{name}}"
        configuration = self.home / "nginx.conf"
        configuration.write_text("user root;" + CONFIGURATION.format(
            home=self.home, port=self.port, served=served, link=link, protocols=protocols,
            more=more, listen=listen, servers=servers))
        self.start()

    def start(self):
        self.process = testbed.start_servant(
            ["/usr/sbin/nginx", "-e", self.home / "error.log", "-p", self.home, "-c",
             self.home / "nginx.conf"], stderr=subprocess.PIPE)
        testbed.wait_for_port(self.port, self.process)

    def log(self):
        rows = [line.split() for line in (self.home / "access.log").read_text().splitlines()]
        return [(a, b, c.lstrip("/"), int(d)) for a, b, c, d in rows]

    def restart(self):
        """No connection, and no TLS session that could be resumed, is left."""
        self.stop()
        self.start()

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=10)
