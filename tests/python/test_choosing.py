"""Which files are taken, what their labels are, and what happens to the rest."""

import json
import os
import tarfile
import zipfile

import pytest
from conftest import draw_image
from PIL import Image
from results import read


@pytest.fixture
def make(tmp_path):
    def image(*names):
        for number, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draw_image(number).save(path, format="JPEG")

    return image


def listed(coulis, tmp_path, *arguments, code=0, **more):
    """The paths, and the labels, of the rows that these arguments give."""
    coulis("featurize", *arguments, "-o", "out", "--overwrite", code=code, **more)
    table = read(tmp_path / more.get("cwd", ".") / "out")
    return table["path"].to_pylist(), table["label"].to_pylist()


SYSTEM = [
    "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
    "#recycle/deleted.jpg",
    "$RECYCLE.BIN/S-1/x.jpg",
    "__MACOSX/._a.jpg",
    "lost+found/y.jpg",
    ".git/z.jpg",
    "holiday/@eaDir/0.jpg/SYNOPHOTO_THUMB_S.jpg",
    "holiday/._0.jpg",
]


def test_what_systems_leave_is_left_out_and_counted(coulis, make, tmp_path):
    make("nas/holiday/0.jpg", *(f"nas/{name}" for name in SYSTEM))
    (tmp_path / "nas/Thumbs.db").write_bytes(b"x")
    (tmp_path / "nas/desktop.ini").write_bytes(b"x")
    (tmp_path / "nas/.hidden.jpg").write_bytes(b"x")
    assert listed(coulis, tmp_path, "nas") == (["nas/holiday/0.jpg"], ["holiday"])
    counts = json.loads((tmp_path / "out/run.json").read_text())["counts"]
    assert counts["left_out_system"] == len(SYSTEM) + 2 and counts["left_out_hidden"] == 1
    assert "10 of the system, 1 hidden" in coulis("featurize", "nas", "-o", "out2").stderr
    paths, _ = listed(coulis, tmp_path, "nas", "--all-files", code=3)
    assert len(paths) == 1 + len(SYSTEM) + 3


@pytest.mark.quick(4)
@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--include", "*.jpg"], ["a/1.jpg", "a/b/2.jpg"]),
        (["--include", "*.jpg", "--include", "*.JPG"], ["3.JPG", "a/1.jpg", "a/b/2.jpg"]),
        (["--exclude", "b"], ["3.JPG", "a/1.jpg", "a/x.jpeg"]),
        (["--exclude", "a/b"], ["3.JPG", "a/1.jpg", "a/x.jpeg"]),
        (["--exclude", "b/*"], ["3.JPG", "a/1.jpg", "a/b/2.jpg", "a/x.jpeg"]),
        (["--exclude", "**/2.jpg"], ["3.JPG", "a/1.jpg", "a/x.jpeg"]),
        (["--include", "a/*"], ["a/1.jpg", "a/x.jpeg"]),
        (["--include", "a/**"], ["a/1.jpg", "a/b/2.jpg", "a/x.jpeg"]),
        (["--include", "[!0-2]*"], ["3.JPG", "a/x.jpeg"]),
        (["--include", "?.jpg", "--exclude=2*"], ["a/1.jpg"]),
    ],
)
def test_patterns(coulis, make, tmp_path, arguments, expected):
    make("p/a/1.jpg", "p/a/b/2.jpg", "p/3.JPG", "p/a/x.jpeg")
    assert listed(coulis, tmp_path, "p", *arguments)[0] == [f"p/{name}" for name in expected]
    counts = json.loads((tmp_path / "out/run.json").read_text())["counts"]
    assert (counts["left_out_excluded"] > 0) == (len(expected) < 4)


@pytest.mark.quick(4)
@pytest.mark.parametrize(
    "label, expected",
    [
        (None, "images"),
        ("parent", "images"),
        ("first", "train"),
        ("none", ""),
        ("0", "tiny"),
        ("1", "train"),
        ("2", "n0144"),
        ("3", "images"),
        ("4", ""),
        ("-1", "images"),
        ("-2", "n0144"),
        ("-3", "train"),
        ("-4", "tiny"),
    ],
)
def test_labels(coulis, make, tmp_path, label, expected):
    make("tiny/train/n0144/images/x.JPEG")
    options = ["--label", label] if label else []
    assert listed(coulis, tmp_path, "tiny", *options)[1] == [expected]
    assert listed(coulis, tmp_path, "tiny/", *options)[1] == [expected]
    coulis("featurize", "tiny", "-o", "x", "--label", "second", code=1)


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--all-files"],
        ["--label", "first"],
        ["--label", "-2"],
        ["--label", "2"],
        ["--label", "none"],
        ["--include", "*.jpg", "--exclude", "b"],
        ["--exclude", "holiday/**"],
    ],
)
def test_archives_are_chosen_from_as_folders_are(coulis, make, tmp_path, options):
    """The same tree in a folder, a tar and a zip: the same rows, labels, and counts of what is left out."""
    make("p/a/b/1.jpg", "p/a/c/2.jpg", *(f"p/{name}" for name in SYSTEM))
    (tmp_path / "p/holiday/Thumbs.db").write_bytes(b"x")
    (tmp_path / "p/a/.hidden.jpg").write_bytes(b"x")
    files = sorted(path for path in (tmp_path / "p").rglob("*") if path.is_file())
    with tarfile.open(tmp_path / "p.tar", "w") as tar, zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in files:
            tar.add(path, path.relative_to(tmp_path / "p"))
            archive.write(path, path.relative_to(tmp_path / "p"))
    found = {}
    for name in ("p", "p.tar", "p.zip"):
        code = 3 if "--all-files" in options else 0  # .hidden.jpg is not an image
        coulis("featurize", name, "-o", "out", "--overwrite", *options, code=code)
        counts = json.loads((tmp_path / "out/run.json").read_text())["counts"]
        rows = read(tmp_path / "out").select(["path", "label", "status"]).to_pylist()
        found[name] = (
            [(row["path"].removeprefix(name), row["label"], row["status"]) for row in rows],
            counts["left_out_hidden"],
        )
    assert found["p"] == found["p.tar"] == found["p.zip"] and found["p"][0]


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "tiff", "webp", "tar"])
def test_the_limit_of_pixels_is_an_option(coulis, tmp_path, kind):
    """Whatever the format, and in archives, too: as many pixels as the limit says are read, one more is too large."""
    image = "png" if kind == "tar" else kind
    draw_image(1, (30, 20)).save(tmp_path / f"x.{image}")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / f"x.{image}", "x.png")
    for limit, code, status in ((600, 0, "ok"), (599, 3, "too_large")):
        coulis("featurize", f"x.{kind}", "-o", "out", "--overwrite", "--max-pixels", limit, code=code)
        row = read(tmp_path / "out").to_pylist()[0]
        assert row["status"] == status and (row["width"], row["height"]) == (30, 20)
    assert "more than the limit of 599 pixels" in row["error"]


@pytest.mark.quick(0)
def test_a_scan_of_200_megapixels(coulis, tmp_path):
    Image.new("1", (20000, 10000)).save(tmp_path / "scan.png")
    coulis("featurize", "scan.png", "-o", "out", code=3)
    assert "more than the limit of 178956970 pixels" in read(tmp_path / "out")["error"][0].as_py()
    coulis("run", "scan.png", "-o", "larger", "--max-pixels", 200_000_000)
    assert read(tmp_path / "larger")["status"].to_pylist() == ["ok"]


def test_dots_have_the_folders_name(coulis, make, tmp_path):
    make("photos/a.jpg", "photos/b/c.jpg")
    assert listed(coulis, tmp_path, ".", cwd="photos") == (["./a.jpg", "./b/c.jpg"], ["photos", "b"])
    assert listed(coulis, tmp_path, "..", cwd="photos/b")[1][0] == "photos"
    assert listed(coulis, tmp_path, "./a.jpg", cwd="photos")[1] == ["photos"]
    (tmp_path / "photos/list.txt").write_text("./a.jpg\n../photos/a.jpg\nb/../a.jpg\n")
    assert listed(coulis, tmp_path, "@list.txt", cwd="photos")[1] == ["photos", "photos", "photos"]


def test_text_beside_the_images_is_no_failure(coulis, make, tmp_path):
    make("p/a.jpg")
    (tmp_path / "p/README.md").write_text("About these images")
    (tmp_path / "p/LICENSE").write_text("Free")
    assert listed(coulis, tmp_path, "p")[0] == ["p/LICENSE", "p/README.md", "p/a.jpg"]
    assert json.loads((tmp_path / "out/run.json").read_text())["counts"]["not_images"] == 2
    coulis("featurize", "p", "-o", "out")  # the finished result says the same
    coulis("featurize", "p", "-o", "out", "--strict", code=1)
    (tmp_path / "p/b.jpg").write_text("words")
    coulis("featurize", "p", "-o", "other", code=3)


def test_links_in_a_circle_are_visited_once(coulis, make, tmp_path):
    make("p/a/1.jpg", "p/b/2.jpg", "elsewhere/3.jpg")
    (tmp_path / "p/a/to-b").symlink_to("../b")
    (tmp_path / "p/b/to-a").symlink_to("../a")
    (tmp_path / "p/b/up").symlink_to("..")
    (tmp_path / "p/out").symlink_to("../elsewhere")
    assert listed(coulis, tmp_path, "p")[0] == ["p/a/1.jpg", "p/b/2.jpg", "p/out/3.jpg"]


def test_an_unreadable_folder_is_a_row(coulis, make, tmp_path):
    """One whose path is too long for the system, which stops root, too."""
    make("p/b/2.jpg")
    here, steps = os.getcwd(), ["n" * 250] * 17
    os.chdir(tmp_path / "p")
    try:
        for step in steps:
            os.mkdir(step)
            os.chdir(step)
    finally:
        os.chdir(here)
    paths, _ = listed(coulis, tmp_path, "p", code=3)
    rows = read(tmp_path / "out").to_pylist()
    assert paths[0] == "p/b/2.jpg" and rows[0]["status"] == "ok" and len(rows) == 2
    assert rows[1]["status"] == "unreadable" and rows[1]["error"].startswith("p/nnn")
    assert "1 folder could not be read" in coulis("featurize", "p", "-o", "other", code=3).stderr


def test_a_mark_is_no_part_of_a_path(coulis, make, tmp_path):
    make("lst/0.jpg", "lst/1.jpg")
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbflst/0.jpg\r\nlst/1.jpg\r\n")
    assert listed(coulis, tmp_path, "@bom.txt") == (["lst/0.jpg", "lst/1.jpg"], ["lst", "lst"])
    (tmp_path / "utf16.txt").write_text("lst/0.jpg\n", encoding="utf-16")
    assert "UTF-16" in coulis("featurize", "@utf16.txt", "-o", "x", code=1).stderr


@pytest.mark.quick(1)
@pytest.mark.parametrize("separator", [" ", "\t", ",", ";"])
def test_a_label_behind_the_path_gets_a_hint(coulis, make, tmp_path, separator):
    make("lst/0.jpg", "lst/with blanks.jpg")
    (tmp_path / "labelled.txt").write_text(f"lst/0.jpg{separator}0\n")
    said = coulis("featurize", "@labelled.txt", "-o", "x", code=1).stderr
    assert "path and a label" in said and "path,label" in said and not (tmp_path / "x").exists()
    (tmp_path / "list.txt").write_text("lst/with blanks.jpg\nlst/gone.jpg\n")
    listed(coulis, tmp_path, "@list.txt", code=3)


@pytest.mark.parametrize(
    "line, label",
    [
        ("https://127.0.0.1:1/a.jpg\tred", True),
        ("https://127.0.0.1:1/b/a.PNG red apple", True),
        ("s3://fruits/a.jpg\tred", True),
        ("s3://fruits/a.jpg of red.jpg", False),
        ("s3://fruits/a.jpg old", False),
        ("https://127.0.0.1:1/a.jpg,w_200", False),
        ("https://127.0.0.1:1/a b/show", False),
    ],
)
def test_a_label_behind_an_address_gets_a_hint(coulis, tmp_path, line, label):
    (tmp_path / "list.txt").write_text(f"{line}\n")
    # --dry-run asks no server.
    said = coulis("featurize", "@list.txt", "-o", "x", "--dry-run", code=1 if label else 0).stderr
    assert ("path and a label" in said) == label


def test_names_that_are_no_utf8_open_their_files_again(coulis, make, tmp_path):
    make("p/a.jpg")
    os.rename(tmp_path / "p/a.jpg", os.fsencode(tmp_path) + b"/p/100% K\xfcrbis.jpg")
    paths, labels = listed(coulis, tmp_path, "p")
    assert paths == ["file:p/100%25%20K%FCrbis.jpg"] and labels == ["p"]
    vectors = read(tmp_path / "out")["features"].to_pylist()
    (tmp_path / "list.txt").write_text(paths[0] + "\n")
    listed(coulis, tmp_path, "@list.txt")
    assert read(tmp_path / "out")["features"].to_pylist() == vectors


def test_dry_run_reads_nothing(coulis, make, tmp_path):
    make("p/red/1.jpg", "p/red/2.jpg", "p/blue/3.JPG", "p/@eaDir/4.jpg")
    (tmp_path / "p/blue/README").write_text("x")
    said = coulis("run", "p", "-o", "out", "--dry-run").stdout
    assert "4 images" in said and "3  jpg" in said and "1  no ending" in said and "2  red" in said
    plan = json.loads(coulis("run", "p", "-o", "out", "--dry-run", "--json").stdout)
    assert plan["kinds"] == {"jpg": 3, "no ending": 1} and plan["labels"] == {"red": 2, "blue": 2}
    assert plan["left_out"] == {"system": 1, "hidden": 0, "excluded": 0} and not (tmp_path / "out").exists()
