"""A server of S3's protocol over a folder: folders are buckets, files are objects."""

import os
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "build" / "spark" / "bin" / "versitygw"
KEYS = {
    "AWS_ACCESS_KEY_ID": "coulis-test",
    "AWS_SECRET_ACCESS_KEY": "coulis-test-secret",
    "AWS_REGION": "eu-west-9",
    "AWS_EC2_METADATA_DISABLED": "true",
}
NEEDED = [
    pytest.mark.skipif(not SERVER.exists(), reason="no S3 server: ./run test s3 builds it"),
    pytest.mark.skipif(not (ROOT / "build" / "libcoulis_s3.so").exists(), reason="built without s3://"),
]


@contextmanager
def serve(root, log):
    """The address of a server over `root`, which writes to the file `log`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with open(log, "wb") as out:
        options = ["--port", f"127.0.0.1:{port}", "--region", KEYS["AWS_REGION"]]
        process = subprocess.Popen(
            [SERVER, *options, "posix", root],
            env={
                "PATH": os.defpath,
                "ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"],
                "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"],
            },
            stdout=out,
            stderr=out,
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def environment(server, **more):
    """What a program that uses it has in its environment; None takes a variable away."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS")}
    given = {**plain, "HOME": "/nonexistent", **KEYS, "AWS_ENDPOINT_URL": server, **more}
    return {name: value for name, value in given.items() if value is not None}


def caller(command, server, folder):
    """A function that runs the command in `folder` with that server, and holds its exit code against `code`."""

    def call(*arguments, code=0, **more):
        done = subprocess.run(
            [str(command), *map(str, arguments)],
            cwd=folder,
            capture_output=True,
            text=True,
            env=environment(server, **more),
        )
        assert done.returncode == code, done.stderr
        return done

    return call


# ---- fixtures, of the test files that import them ----


@pytest.fixture(scope="module")
def server(root, tmp_path_factory):
    """The address of a server over the buckets in `root`."""
    with serve(root, tmp_path_factory.mktemp("log") / "s3.log") as url:
        yield url


@pytest.fixture
def coulis(command, server, tmp_path):
    """Runs the command in an empty folder, with a cache there."""
    call = caller(command, server, tmp_path)
    return lambda *arguments, **more: call(*arguments, **{"XDG_CACHE_HOME": str(tmp_path / "cache"), **more})
