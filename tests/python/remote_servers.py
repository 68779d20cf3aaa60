"""An HTTP server over a folder, and a proxy that makes faults, as threads of the test."""

import hashlib
import http.client
import http.server
import random
import re
import socket
import ssl
import threading
import time
import urllib.parse
from email.utils import formatdate
from pathlib import Path


class Server:
    """A server of this process; `handle` gets each request's handler."""

    protocol = "HTTP/1.1"

    def __init__(self, handle, tls=None):
        server = self
        self.seen, self.lock, self.open, self.most_open = [], threading.Lock(), 0, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = server.protocol
            timeout = 60

            def answer(self):
                with server.lock:
                    server.seen.append((self.command, self.path))
                    server.open += 1
                    server.most_open = max(server.most_open, server.open)
                try:
                    handle(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with server.lock:
                        server.open -= 1

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *arguments):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, address):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def send(handler, body=b"", status=200, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def folder_of(root, ranges=True):
    """A handler that gives the files of a folder, and parts of them."""

    def handle(handler):
        path = Path(root, urllib.parse.unquote(handler.path.partition("?")[0]).lstrip("/"))
        if not path.is_file():
            return send(handler, b"nothing here", 404)
        body, modified = path.read_bytes(), formatdate(path.stat().st_mtime, usegmt=True)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        wanted = handler.headers.get("Range")
        if not (wanted and ranges):
            return send(handler, body, Last_Modified=modified, ETag=tag)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(first) >= len(body):
            return send(handler, b"", 416, Content_Range=f"bytes */{len(body)}")
        part = body[int(first) : int(last) + 1]
        return send(
            handler,
            part,
            206,
            Last_Modified=modified,
            ETag=tag,
            Content_Range=f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}",
        )

    return handle


def reset(handler):
    """Ends the connection as a cable does."""
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


class Faults(Server):
    """A proxy before `upstream` that answers 500 or 503, cuts the body, or stalls, in turn, in a share of all requests.
    Which ones is drawn from what is asked and how often it was asked before, and so depends neither on the order nor on
    what a server names by chance: a run of the same requests has the same faults. With `once`, each request has one
    when it comes first and none later: for those who make too few requests for a share of them to mean anything."""

    kinds = ("500", "503", "cut", "stall")

    def __init__(self, upstream, share=0.1, stall=1.5, seed=0, once=False):
        self.upstream = urllib.parse.urlsplit(upstream)
        self.share, self.stall, self.seed, self.once = share, stall, seed, once
        self.asked, self.made = {}, dict.fromkeys(self.kinds, 0)
        super().__init__(self.forward)

    def count(self, handler):
        """What is asked, and how often it was with this time."""
        path = re.sub(r"uploadId=[^&]*", "uploadId=", handler.path)  # which S3 draws anew for each upload
        asked = (handler.command, path, handler.headers.get("Range", ""))
        with self.lock:
            count = self.asked[asked] = self.asked.get(asked, 0) + 1
        return asked, count

    def fault(self, handler):
        asked, count = self.count(handler)
        drawn = random.Random(hashlib.sha256(repr((self.seed, asked, count)).encode()).digest())
        if count > 1 if self.once else drawn.random() >= self.share:
            return None
        with self.lock:
            kind = self.kinds[sum(self.made.values()) % len(self.kinds)]
            self.made[kind] += 1
        return kind

    def forward(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        kind = self.fault(handler)
        if kind in ("500", "503"):
            return send(handler, b"", int(kind))
        if kind == "stall":
            time.sleep(self.stall)
        upstream = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
        upstream.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():  # as they came: they are signed
            upstream.putheader(name, value)
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        data = answer.read()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else len(data)
        if answer.status != 204:
            handler.send_header("Content-Length", str(length or 0))
        handler.end_headers()
        upstream.close()
        if handler.command != "HEAD":
            handler.wfile.write(data[: len(data) // 2] if kind == "cut" else data)
        if kind == "cut":
            reset(handler)
        return None
