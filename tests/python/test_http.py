"""Images of http(s):// addresses: the rows of the folder, through faults, within bounds."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.parse
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from conftest import save_image
from results import assert_same_parts, read
from remote_servers import Faults, Server, folder_of, reset, send

MANY = 2000 if os.environ.get("COULIS_TEST_LONG") else 100


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images whose names need care, of fruits-360 where that is here."""
    folder = tmp_path_factory.mktemp("http") / "images"
    for number in range(MANY):
        label = ("red", "dark green", "K\u00fcrbis", "a+b%41")[number % 4]
        (folder / label).mkdir(parents=True, exist_ok=True)
        target = folder / label / f"{number:04} {'%' if number % 2 else '+'}\u00e9.jpg"
        save_image(target, number, MANY)
    return folder


@pytest.fixture(scope="module")
def server(images):
    with Server(folder_of(images)) as server:
        yield server


def address(server, images, path):
    return f"{server.url}/{urllib.parse.quote(str(path.relative_to(images)))}"


def test_searching_for_what_an_address_has(coulis, server, images, paths, tmp_path):
    coulis("featurize", images, "-o", "out", "--quiet")
    shutil.copy(paths[5], tmp_path / "asked.jpg")
    found = json.loads(coulis("search", "out", address(server, images, paths[5]), "-k", 4, "--json").stdout)
    assert found == json.loads(coulis("search", "out", "asked.jpg", "-k", 4, "--json").stdout)
    assert found[0]["path"] == str(paths[5]) and found[0]["similarity"] == 1
    said = coulis("search", "out", f"{server.url}/nowhere.jpg", code=1).stderr
    assert "cannot be searched for" in said and "404" in said


def check(out, expected):
    table = read(out)
    assert table["error"].to_pylist() == [None] * len(expected)
    for name in ("features", "sha256", "label", "width", "height", "bytes"):
        assert table[name].to_pylist() == expected[name].to_pylist(), name
    return table


def test_a_list_gives_the_rows_of_the_folder(coulis, server, images, paths, expected, tmp_path):
    addresses = [address(server, images, path) for path in paths]
    (tmp_path / "list.txt").write_text("\n".join(addresses))
    for threads in (1, 2):
        coulis("featurize", "@list.txt", "-o", f"out{threads}", "--threads", threads, "--rows-per-file", 30)
    table = check(tmp_path / "out2", expected)
    assert table["path"].to_pylist() == addresses
    seconds = [int(path.stat().st_mtime) for path in paths]
    assert [moment.timestamp() for moment in table["modified"].to_pylist()] == seconds
    assert 2 < server.most_open <= 32
    assert_same_parts(tmp_path / "out1", tmp_path / "out2")


def test_faults_in_a_tenth_of_all_requests_change_nothing(coulis, server, images, paths, expected, tmp_path):
    with Faults(server.url) as faults:
        (tmp_path / "list.txt").write_text("\n".join(address(faults, images, path) for path in paths))
        coulis("featurize", "@list.txt", "-o", "out")
        assert min(faults.made.values()) > 0, faults.made
    check(tmp_path / "out", expected)


def test_manifests_lists_and_archives_elsewhere(coulis, images, paths, expected, tmp_path):
    paths, expected = paths[:40], expected.slice(0, 40)
    names = [str(path.relative_to(images)) for path in paths]
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "all.zip", "w") as archive, tarfile.open(served / "all.tar", "w") as tar:
        for path, name in zip(paths, names):
            archive.write(path, name)
            tar.add(path, name)
    table = {"image": [path.read_bytes() for path in paths], "path": names, "label": expected["label"].to_pylist()}
    parquet.write_table(pa.table(table), served / "all.parquet")
    with Server(folder_of(images)) as server, Server(folder_of(served)) as other:
        addresses = [address(server, images, path) for path in paths]
        with open(served / "all.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerows([["path", "label"], *zip(addresses, expected["label"].to_pylist())])
        (served / "all.txt").write_text("\n".join(addresses))
        for place in (
            f"{other.url}/all.csv",
            f"@{other.url}/all.txt",
            f"{other.url}/all.zip",
            f"{other.url}/all.tar",
            f"{other.url}/all.parquet",
        ):
            coulis("featurize", place, "-o", "out", "--overwrite")
            check(tmp_path / "out", expected)
        coulis("list", f"{other.url}/all.csv", "-o", "list.csv")
        coulis("featurize", "list.csv", "-o", "out", "--overwrite")
        check(tmp_path / "out", expected)
        parquet.write_table(pa.table({"url": addresses}), tmp_path / "urls.parquet")
        coulis("featurize", "urls.parquet", "-o", "out", "--overwrite")
        check(tmp_path / "out", expected)
    (served / "large.tar").write_bytes((served / "all.tar").read_bytes() + bytes(5 << 20))
    with Server(folder_of(served, ranges=False)) as server:
        coulis("featurize", f"{server.url}/all.csv", "-o", "none", "--dry-run")  # small enough to come whole
        said = coulis("featurize", f"{server.url}/large.tar", "-o", "none", code=1).stderr
        assert "does not support byte ranges" in said
    assert not (tmp_path / "none").exists()


def test_what_a_server_says_of_an_image_is_its_row(coulis, paths, tmp_path):
    good, asked = paths[0].read_bytes(), {}

    def handle(handler):
        path = handler.path.partition("?")[0]
        asked[path] = asked.get(path, 0) + 1
        if path == "/cut":
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(good)))
            handler.end_headers()
            handler.wfile.write(good[:1000])
            return reset(handler)
        if path == "/endless":
            handler.send_response(200)
            handler.end_headers()
            while True:
                handler.wfile.write(good)
        if path == "/huge":
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 62))
            return handler.end_headers()
        if path == "/busy" and asked[path] == 1:
            return send(handler, b"", 429, Retry_After="1")
        if path in ("/good", "/busy", "/away"):
            return send(handler, good)
        if path == "/empty":
            return send(handler)
        if path == "/moved":
            return send(handler, b"", 302, Location="good")
        if path == "/circle":
            return send(handler, b"", 301, Location="circle")
        if path == "/file":
            return send(handler, b"", 301, Location="file:///etc/passwd")
        return send(handler, b"<html>", int(path[1:]))

    with Server(handle) as server:
        wanted = {
            "good": ("ok", None),
            "good?a=b/c&d": ("ok", None),
            "moved": ("ok", None),
            "busy": ("ok", None),
            "404": ("missing", "404 (Not Found)"),
            "410": ("missing", "410 (Gone)"),
            "403": ("unreadable", "403 (Forbidden)"),
            "401": ("unreadable", "401 (Unauthorized)"),
            "500": ("unreadable", "500 (Internal Server Error), in 6 tries"),
            "empty": ("empty", "is empty"),
            "cut": ("unreadable", "its bytes do not arrive, in 6 tries"),
            "418": ("unreadable", "418"),
            "circle": ("unreadable", "more than 10 times"),
            "file": ("unreadable", "file:///etc/passwd"),
            "endless": ("too_large", "more bytes than the limit of 100000"),
            "huge": ("too_large", f"has {1 << 62} bytes"),
        }
        (tmp_path / "list.txt").write_text("".join(f"{server.url}/{name}\n" for name in wanted))
        coulis("featurize", "@list.txt", "-o", "out", "--max-bytes", 100000, code=3)
        rows = read(tmp_path / "out")
        for name, status, error in zip(wanted, rows["status"].to_pylist(), rows["error"].to_pylist()):
            assert status == wanted[name][0], (name, error)
            assert (wanted[name][1] or "") in (error or "") and (error or server.url).startswith(server.url), error
        assert asked["/404"] == asked["/403"] == 1 and asked["/500"] == asked["/cut"] == 6


# Each waits some ten seconds for the server; COULIS_TEST_LONG=1 takes all.
WAYS = [(500, True), (None, False)] + ([(503, False), (500, False)] if os.environ.get("COULIS_TEST_LONG") else [])


@pytest.mark.parametrize("code, from_the_start", WAYS)
def test_a_server_that_goes_away_ends_the_job_which_is_resumed(
    code, from_the_start, coulis, images, paths, expected, tmp_path
):
    """What belongs to the network is not a row: neither an answer nor bytes that are cut (None)."""
    gone, back = [True] if from_the_start else [], []

    def handle(handler):
        if urllib.parse.unquote(handler.path).endswith(paths[60].name) and not back:
            gone.append(True)
        if back or not gone:
            return folder_of(images)(handler)
        if code:
            return send(handler, b"", code)
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(bytes(10))
        return reset(handler)

    with Server(handle) as away:
        (tmp_path / "list.txt").write_text("\n".join(address(away, images, path) for path in paths))
        said = coulis("featurize", "@list.txt", "-o", "out", "--rows-per-file", 10, code=1).stderr
        assert (f"the server answers {code}" if code else "its bytes do not arrive") in said and "in 6 tries" in said
        assert len(list((tmp_path / "out/features").glob("part-*.parquet"))) < len(paths) / 10
        back.append(True)
        coulis("featurize", "@list.txt", "-o", "out", "--rows-per-file", 10)
    check(tmp_path / "out", expected)


def test_one_address_that_fails_for_ever_is_a_row(coulis, images, paths, tmp_path):
    """The server gives other things meanwhile, or its front page: the job comes to its end."""
    asked = []

    def handle(handler):
        asked.append(handler.path)
        if handler.path == "/":
            return send(handler, b"<html>", 403)
        return send(handler, b"", 500) if "broken" in handler.path else folder_of(images)(handler)

    with Server(handle) as server:
        for name, good in (("alone", []), ("among", paths[:3])):
            asked.clear()
            (tmp_path / "list.txt").write_text(
                "".join(
                    f"{line}\n"
                    for line in [*(address(server, images, path) for path in good), f"{server.url}/broken.jpg"]
                )
            )
            coulis("featurize", "@list.txt", "-o", name, code=3)
            rows = read(tmp_path / name)
            assert rows["status"].to_pylist() == ["ok"] * len(good) + ["unreadable"]
            assert "500 (Internal Server Error), in 6 tries" in rows["error"][len(good)].as_py()
            assert asked.count("/broken.jpg") == 6 and asked.count("/") == (not good)


def test_nobody_there_is_no_row_but_an_unknown_server_among_others_is(coulis, server, images, paths, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/x.jpg"
        (tmp_path / "list.txt").write_text(f"{nobody}\n")
        assert "cannot be reached" in coulis("featurize", "@list.txt", "-o", "none", code=1).stderr
        (tmp_path / "list.txt").write_text(f"{address(server, images, paths[0])}\n{nobody}\n")
        coulis("featurize", "@list.txt", "-o", "out", code=3)
    rows = read(tmp_path / "out")
    assert rows["status"].to_pylist() == ["ok", "unreadable"]
    assert "cannot be reached" in rows["error"][1].as_py()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "cert.pem", both


def test_https_is_checked_and_never_left(coulis, server, images, paths, certificate, tmp_path):
    plain = address(server, images, paths[0])

    def handle(handler):
        if handler.path == "/plain":
            return send(handler, b"", 302, Location=plain)
        return send(handler, paths[0].read_bytes())

    cert, both = certificate
    with Server(handle, tls=both) as safe:
        (tmp_path / "list.txt").write_text(f"{plain}\n{safe.url}/good\n{safe.url}/plain\n")
        coulis("featurize", "@list.txt", "-o", "out", code=3, env={**os.environ, "CURL_CA_BUNDLE": str(cert)})
        rows = read(tmp_path / "out")
        assert rows["status"].to_pylist() == ["ok", "ok", "unreadable"]
        assert "from https to" in rows["error"][2].as_py()
        coulis("featurize", "@list.txt", "-o", "unknown", code=3)
        rows = read(tmp_path / "unknown")
        assert rows["status"].to_pylist() == ["ok", "unreadable", "unreadable"]
        assert "certificate" in rows["error"][1].as_py()


def test_memory_is_bounded(command, tmp_path):
    """Many large files at a time: no more than the queue and what was begun."""
    large = 8 << 20

    def handle(handler):
        return send(handler, b"\xff\xd8\xff" + bytes(large))

    with Server(handle) as server:
        (tmp_path / "list.txt").write_text("".join(f"{server.url}/{n}.jpg\n" for n in range(60)))
        done = subprocess.Popen(
            [str(command), "featurize", "@list.txt", "-o", "out", "--threads", "1"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        most = 0
        while done.poll() is None:
            try:
                status = Path(f"/proc/{done.pid}/status").read_text()
                most = max(most, int(status.split("VmRSS:")[1].split()[0]) << 10)
            except (OSError, IndexError):
                pass
            time.sleep(0.02)
    assert done.returncode == 3
    # 60 files have 480 MiB. 64 MiB of them wait, 32 were begun before the first told how large they are.
    assert most < 460 << 20, most


def test_an_interrupt_does_not_wait_for_a_server(command, paths, tmp_path):
    def handle(handler):
        if handler.path == "/good":
            return send(handler, paths[0].read_bytes())
        time.sleep(40)
        return send(handler, paths[0].read_bytes())

    with Server(handle) as server:
        (tmp_path / "list.txt").write_text("".join(f"{server.url}/{name}\n" for name in ["good"] * 30 + ["slow"] * 40))
        job = subprocess.Popen(
            [str(command), "featurize", "@list.txt", "-o", "out", "--rows-per-file", "10"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not (tmp_path / "out/features/part-00001.parquet").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        job.send_signal(signal.SIGINT)
        assert job.wait(20) == 130
        assert time.monotonic() - began < 10


def test_python_reads_addresses(server, images, paths, expected):
    import coulis

    featurizer = coulis.Featurizer()
    result = featurizer.featurize([address(server, images, paths[0]), str(paths[1]), f"{server.url}/none.jpg"])
    assert list(result.status) == ["ok", "ok", "missing"]
    assert result.values[:2].tolist() == expected["features"].to_pylist()[:2]


def test_summary_of_a_run(coulis, server, images, paths, tmp_path):
    names = [address(server, images, path) for path in paths[:20]]
    done = coulis("run", *names, "-o", "out", "--json", "-k", 3)
    assert json.loads(done.stdout)["counts"]["ok"] == 20
    coulis("run", *names, "-o", "out", "-k", 3)  # done already
