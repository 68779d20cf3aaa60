"""A server that answers as Amazon does (moto), one that notes what it is asked, and an environment of nothing."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(sys.executable).parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def png(seed):
    """The bytes of a small image."""
    lines = [bytes((seed * x * y + x) % 256 for x in range(3 * 40)) for y in range(30)]
    rows = b"".join(b"\0" + line for line in lines)
    header = struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


@pytest.fixture(scope="session")
def amazon(tmp_path_factory):
    """Port of a moto server on this machine."""
    port = free_port()
    log = open(tmp_path_factory.mktemp("moto") / "log", "w")
    process = subprocess.Popen(
        [TOOLS / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=log,
        stderr=log,
        env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
    )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5)
            break
        except OSError:
            assert process.poll() is None, pathlib.Path(log.name).read_text()
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def recorded(amazon):
    """Stands before the server: `requests` are (operation, JSON) of all calls that went through `url`."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", f"{self.command} {self.path}").rpartition(".")[2]
            requests.append((operation, json.loads(body) if body.startswith(b"{") else body))
            connection = http.client.HTTPConnection("127.0.0.1", amazon)
            connection.request(self.command, self.path, body, dict(self.headers))
            reply = connection.getresponse()
            content = reply.read()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_PUT = answer

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.requests, server.url = requests, f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()


@pytest.fixture
def bare(amazon, tmp_path):
    """Environment variables of a node: the AWS CLI and the system's programs in PATH, an empty home, nothing else."""
    programs, home = tmp_path / "programs", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    (programs / "aws").symlink_to(TOOLS / "aws")
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{amazon}",
    }


def run(*command, **more):
    """(exit code, stdout, stderr) of a command."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    return done.returncode, done.stdout, done.stderr


def node_python():
    """A Python that the pinned packages of a node are made for: 3.9 to 3.12, the oldest that is here."""
    for version in ("3.9", "3.10", "3.11", "3.12"):
        for name in (shutil.which(f"python{version}"), f"/usr/bin/python{version}"):
            if name and os.path.exists(name) and run(name, "-c", "import ensurepip, venv")[0] == 0:
                return name, version
    return None
