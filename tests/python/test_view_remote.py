"""Thumbnails of images on other machines and in archives, in reports and contact sheets: those of the same images in a
folder."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import urllib.parse
import zipfile

import coulis
import pytest
from conftest import draw_image, draw_images
from remote_servers import Server, folder_of, send
from s3_server import NEEDED, caller, serve

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COUNT = 70


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images of several formats, one larger than is read beside others, in a folder `all`."""
    root = tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        label = ("red", "dark green", "K\u00fcrbis & Co")[number % 3]
        (root / "all" / label).mkdir(parents=True, exist_ok=True)
        draw_image(number, (40 + number, 50)).save(root / "all" / label / f"{number:03}.{('png', 'jpg')[number % 2]}")
    draw_image(200, (2600, 2500)).resize((2600, 2500)).save(root / "all" / "red" / "large.bmp")
    assert (root / "all" / "red" / "large.bmp").stat().st_size > 16 << 20
    return root


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory, lite0_path):
    """Report and contact sheet of the folder."""
    output = tmp_path_factory.mktemp("folder")
    coulis.run(images / "all", output / "out", components=4)
    coulis.view(output / "out", output / "report.html")
    coulis.search(output / "out", 0, k=40, output=output / "sheet.html")
    return output


def sheets(path):
    """The thumbnails alone."""
    text = path.read_text()
    found = re.findall(r'type="text/plain">([^<]+)<|base64,([^)"]+)\)', text)
    assert found
    return found


def data(path):
    text = path.read_text().split('<script id="data" type="application/json">')[1]
    return json.loads(text[: text.index("</script>")])


@pytest.fixture
def served(images):
    """The folder behind http://, as a function of what happens before an answer, and what the server has seen."""
    servers = []

    def serve_by(before=lambda handler: False):
        plain = folder_of(images)
        servers.append(Server(lambda handler: before(handler) or plain(handler)))
        return servers[-1]

    yield serve_by
    for server in servers:
        server.close()


def run_over(server, images, folder):
    """A result of the addresses of all images, in the folder's order."""
    files = sorted((path for path in (images / "all").rglob("*") if path.is_file()), key=lambda path: os.fsencode(path))
    folder.mkdir(exist_ok=True)
    (folder / "list.txt").write_text("".join(f"{server.url}/{path.relative_to(images)}\n" for path in files))
    coulis.run(f"@{folder / 'list.txt'}", folder / "out", components=4)
    return folder / "out"


def test_addresses_have_the_thumbnails_of_files(images, expected, served, tmp_path, command):
    server = served(lambda handler: time.sleep(0.05))
    out = run_over(server, images, tmp_path)
    server.most_open = 0
    assert coulis.view(out, tmp_path / "report.html")["thumbnails_missing"] == 0
    assert 8 < server.most_open <= 32  # many at a time, whatever the number of threads
    assert sheets(tmp_path / "report.html") == sheets(expected / "report.html")
    ours, theirs = data(tmp_path / "report.html"), data(expected / "report.html")
    assert [path.partition("/all/")[2] for path in ours["paths"]] == [
        path.partition("/all/")[2] for path in theirs["paths"]
    ]
    for threads in 1, 3:
        coulis.view(out, tmp_path / "again.html", threads=threads)
        assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()
    done = subprocess.run(
        [command, "search", out, "0", "-k", "40", "-o", tmp_path / "sheet.html"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and sheets(tmp_path / "sheet.html") == sheets(expected / "sheet.html")


def test_what_is_gone_or_refused_is_told(images, served, tmp_path, command):
    """Of a server that answers, an image without a thumbnail is told of and counted; the report is the same for any
    number of threads."""
    gone = {}
    server = served(lambda handler: bool(gone.get(handler.path)) and (send(handler, b"", gone[handler.path]) or True))
    out = run_over(server, images, tmp_path)
    paths = coulis.read_table(out / "features")["path"].to_pylist()
    for row, status in ((3, 404), (5, 403), (60, 404)):
        gone[asked_for(server, paths[row])] = status
    pages = []
    for threads in 1, 4:
        done = subprocess.run(
            [command, "view", out, "-o", tmp_path / "r.html", "--quiet", "--threads", str(threads)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == (
            f"coulis: 3 of {COUNT + 1} images could not be read again and have no thumbnail; the "
            f"first: {paths[3]}: the server answers 404 (Not Found)\n"
        )
        pages.append((tmp_path / "r.html").read_bytes())
    assert pages[0] == pages[1]
    done = subprocess.run(
        [command, "search", out, "0", "-k", str(COUNT), "-o", tmp_path / "s.html", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(done.stdout)) == COUNT and f"coulis: 3 of {COUNT} images could not be read" in done.stderr
    with pytest.warns(UserWarning, match="3 of 71 images"):
        assert coulis.view(out, tmp_path / "r.html")["thumbnails_missing"] == 3


def asked_for(server, address):
    """The path that the server is asked for."""
    return urllib.parse.quote(address[len(server.url) :], safe="/&")


def test_a_server_that_is_down_ends_it(images, served, tmp_path, command):
    server = served()
    out = run_over(server, images, tmp_path)
    server.close()
    for verb in (["view", out], ["search", out, "0"]):
        done = subprocess.run([command, *verb, "-o", tmp_path / "r.html"], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "the server cannot be reached" in done.stderr, done.stderr
        assert ("--no-thumbnails" in done.stderr) == (verb[0] == "view") and not (tmp_path / "r.html").exists()
    with pytest.raises(coulis.Error, match="cannot be reached"):
        coulis.view(out, tmp_path / "r.html")
    done = subprocess.run(
        [command, "view", out, "-o", tmp_path / "r.html", "--no-thumbnails"], capture_output=True, text=True, check=True
    )
    assert data(tmp_path / "r.html")["paths"][0].startswith(server.url) and "do not fit" not in done.stderr


# ---- archives and tables ----


def pack(images, folder, kind):
    """All images in their order in one file; what is wanted of it lies between members that are not images."""
    folder.mkdir(exist_ok=True)
    files = sorted((path for path in (images / "all").rglob("*") if path.is_file()), key=lambda path: os.fsencode(path))
    target = folder / f"all.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.table({"image": [path.read_bytes() for path in files]}), target, row_group_size=16)
    elif kind == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(images / "all"))
    else:
        with tarfile.open(target, "w:gz" if kind == "tar.gz" else "w") as archive:
            for path in files:
                archive.add(path, path.relative_to(images / "all"))
    return target


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "parquet"])
def test_archives_have_the_thumbnails_of_files(images, expected, tmp_path, command, kind):
    target = pack(images, tmp_path / "data", kind)
    coulis.run(target, tmp_path / "out", components=4)
    for threads in 1, 3:
        assert coulis.view(tmp_path / "out", tmp_path / f"{threads}.html", threads=threads)["thumbnails_missing"] == 0
    assert sheets(tmp_path / "1.html") == sheets(expected / "report.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "3.html").read_bytes()
    # In the order of their similarity, which is not the archive's.
    found = coulis.search(tmp_path / "out", 0, k=40, output=tmp_path / "sheet.html")
    assert sheets(tmp_path / "sheet.html") == sheets(expected / "sheet.html")
    assert sorted(found, key=lambda match: match["row"]) != found


def test_an_archive_behind_an_address_is_read_once(images, expected, served, tmp_path):
    target = pack(images, tmp_path / "data", "tar")
    size = target.stat().st_size
    sent = []
    plain = folder_of(tmp_path / "data")

    def count(handler):
        first, _, last = handler.headers.get("Range", "bytes=0-0").removeprefix("bytes=").partition("-")
        sent.append(min(int(last), size - 1) - int(first) + 1)
        plain(handler)

    with Server(count) as server:
        coulis.run(f"{server.url}/all.tar", tmp_path / "out", components=4)
        sent.clear()
        assert coulis.view(tmp_path / "out", tmp_path / "report.html")["thumbnails_missing"] == 0
        # Its beginning is looked at for columns; but each of 71 images is not asked for by itself.
        assert sum(sent) < 2.5 * size and len(sent) < COUNT
        # A sheet of 32 goes on where the one before it ended, when they are asked for in the archive's order.
        found = sorted(coulis.search(tmp_path / "out", 0, k=COUNT), key=lambda match: match["row"])
        asked = []
        for part in found[:5], found[:64]:
            sent.clear()
            coulis.collection._with_sheet(part, "", tmp_path / "sheet.html", None, False, False)
            asked.append(len(sent))
        assert asked[0] == asked[1] > 0
    assert sheets(tmp_path / "report.html") == sheets(expected / "report.html")


def test_what_is_no_longer_in_an_archive(images, tmp_path):
    files = sorted((images / "all" / "dark green").iterdir())

    def write(names, doubled=()):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for path in [*names, *doubled]:
                archive.add(path, path.name)

    write(files, files[2:3])  # one name twice is two rows
    coulis.run(tmp_path / "a.tar", tmp_path / "out", components=4)
    assert coulis.view(tmp_path / "out", tmp_path / "r.html")["thumbnails_missing"] == 0
    write(files[:5] + files[6:])
    with pytest.warns(UserWarning, match=rf"2 of {len(files) + 1} images .*a\.tar/{files[5].name} is no longer in"):
        summary = coulis.view(tmp_path / "out", tmp_path / "r.html")
    assert summary["thumbnails_missing"] == 2
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="is cut short"):
        assert 2 < coulis.view(tmp_path / "out", tmp_path / "r.html")["thumbnails_missing"] <= len(files)
    (tmp_path / "a.tar").write_bytes(b"no archive")
    with pytest.warns(UserWarning, match=rf"{len(files) + 1} of {len(files) + 1} images"):
        coulis.view(tmp_path / "out", tmp_path / "r.html")


def test_a_folder_may_be_called_as_an_archive_is(images, tmp_path):
    draw_images(tmp_path / "photos.tar", 3)
    coulis.run(tmp_path / "photos.tar", tmp_path / "out", components=2)
    assert coulis.view(tmp_path / "out", tmp_path / "r.html")["thumbnails_missing"] == 0


# ---- S3 ----


@pytest.fixture(scope="module")
def s3(images, tmp_path_factory):
    root = tmp_path_factory.mktemp("s3")
    shutil.copytree(images / "all", root / "pictures" / "all")
    with serve(root, tmp_path_factory.mktemp("log") / "s3.log") as url:
        yield root, url


@pytest.fixture
def call(command, s3, tmp_path):
    call = caller(command, s3[1], tmp_path)
    call("run", "s3://pictures/all", "-o", "out", "-k", "4")
    return call


class TestS3:
    pytestmark = NEEDED

    def test_objects_have_the_thumbnails_of_files(self, expected, call, tmp_path):
        call("view", "out", "-o", "report.html")
        assert sheets(tmp_path / "report.html") == sheets(expected / "report.html")
        call("view", "out", "-o", "again.html", "--threads", "1")
        assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()
        call("search", "out", "0", "-k", "40", "-o", "sheet.html")
        assert sheets(tmp_path / "sheet.html") == sheets(expected / "sheet.html")

    def test_what_is_not_there(self, s3, call, tmp_path):
        (tmp_path / "kept").mkdir()
        victim = s3[0] / "pictures" / "all" / "red" / "000.png"
        shutil.move(victim, tmp_path / "kept" / "000.png")
        try:
            done = call("view", "out", "-o", "r.html")
        finally:
            shutil.move(tmp_path / "kept" / "000.png", victim)
        assert f"1 of {COUNT + 1} images could not be read again" in done.stderr
        assert "s3://pictures/all/red/000.png: S3 has no such object" in done.stderr

    def test_keys(self, call, tmp_path):
        none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        done = call("view", "out", "-o", "r.html", code=1, **none)
        assert "no credentials" in done.stderr and not (tmp_path / "r.html").exists()
        done = call("search", "out", "0", "-o", "r.html", code=1, **none)
        assert "no credentials" in done.stderr and not (tmp_path / "r.html").exists()
        # Without them, by request: every image is refused, and said to be.
        done = call("view", "out", "-o", "r.html", "--no-sign-request", **none)
        assert f"{COUNT + 1} of {COUNT + 1} images could not be read again" in done.stderr and "403" in done.stderr
        done = call("search", "out", "s3://pictures/other.jpg", "--no-sign-request", code=1, **none)
        assert "403" in done.stderr
