"""Sources of a program's own in Python, and the library's own to iterate over."""

import csv
import datetime
import json
import tarfile
import threading
import zipfile

import coulis
import numpy as np
import pytest
from conftest import draw_image
from results import assert_same_parts

pytest.importorskip("pyarrow")
COUNT = 12
LABELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "images"
    for number in range(COUNT):
        path = folder / LABELS[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_image(number, (40, 30)).save(path)
    return folder


@pytest.fixture(scope="module")
def paths(folder):
    return sorted(path for path in folder.rglob("*.png"))


@pytest.fixture(scope="module")
def expected(folder, tmp_path_factory, lite0_path):
    out = tmp_path_factory.mktemp("expected")
    coulis.featurize(folder, out, model=lite0_path)
    return coulis.read_table(out)


def as_pairs(paths):
    return ((path.name, path.read_bytes()) for path in paths)


def as_items(paths):
    return [coulis.Item(path.name, path.read_bytes, path.parent.name) for path in paths]


def as_dicts(paths):
    for number, path in enumerate(paths):
        with open(path, "rb") as file:
            yield {"name": path.name, "label": path.parent.name, "data": file, "n": number, "none": None}


class AsObject:
    """The functions of a source, as a C program would fill them in."""

    columns, identity = ("n",), "an object"

    def __init__(self, paths):
        self.paths, self.at, self.count, self.threads = paths, 0, len(paths), set()

    def next(self):
        if self.at == len(self.paths):
            return None
        self.at += 1
        return {"name": self.paths[self.at - 1].name, "n": self.at - 1}

    def read(self, item, max_bytes):
        assert max_bytes == 1 << 30
        self.threads.add(threading.get_ident())
        return memoryview(bytearray(self.paths[item["n"]].read_bytes()))


@pytest.mark.quick(2)
@pytest.mark.parametrize("form", [as_pairs, as_items, as_dicts, AsObject])
def test_every_form_gives_the_folders_vectors(paths, expected, tmp_path, lite0_path, form):
    summary = coulis.run(form(paths), tmp_path / "out", components=3, model=lite0_path, rows_per_file=5)
    assert summary["counts"]["ok"] == COUNT and summary["pca"]["components"] == 3
    table = coulis.read_table(tmp_path / "out", "features")
    for name in ("features", "sha256", "width", "height"):
        assert table[name].to_pylist() == expected[name].to_pylist()
    assert table["path"].to_pylist() == [path.name for path in paths]
    wanted = [path.parent.name if form in (as_items, as_dicts) else "" for path in paths]
    assert table["label"].to_pylist() == wanted
    if form in (as_dicts, AsObject):
        assert table["n"].to_pylist() == [str(number) for number in range(COUNT)]
    if form is as_dicts:
        assert table["none"].to_pylist() == [None] * COUNT


def test_faults_of_items_are_rows(paths, tmp_path, lite0_path):
    def refuse():
        raise coulis.Error("torn in two", "unreadable", 1)

    data = paths[0].read_bytes()
    items = [
        ("good", data),
        ("empty", b""),
        ("none", None),
        ("text", b"words"),
        ("torn", refuse),
        ("gone", (tmp_path / "gone").read_bytes),
        ("same", data),
    ]
    coulis.featurize(items, tmp_path / "out", model=lite0_path)
    table = coulis.read_table(tmp_path / "out")
    assert table["status"].to_pylist() == ["ok", "empty", "missing", "unsupported", "unreadable", "missing", "ok"]
    assert table["error"].to_pylist()[4] == "torn in two" and "gone" in table["error"].to_pylist()[5]
    assert table["features"].to_pylist()[0] == table["features"].to_pylist()[6]
    with pytest.raises(coulis.Error, match="5 of 7 images") as caught:
        coulis.featurize(iter(items), tmp_path / "strict", model=lite0_path, strict=True)
    assert caught.value.status == "bad_data" and (tmp_path / "strict" / "run.json").exists()


def raising(kind):
    def fail():
        raise kind("from the source")

    return fail


@pytest.mark.parametrize("where", ["next", "read"])
@pytest.mark.parametrize("kind", [RuntimeError, OSError, KeyError, coulis.Error])
def test_what_a_source_raises_comes_out(paths, tmp_path, lite0_path, where, kind):
    def items():
        for path in paths[:5]:
            yield path.name, path.read_bytes()
        if where == "next":
            raising(kind)()
        yield "bad", raising(kind)

    with pytest.raises(kind, match="from the source"):
        coulis.run(items(), tmp_path / "out", model=lite0_path, components=2)
    assert not (tmp_path / "out" / "pca.safetensors").exists()


@pytest.mark.parametrize(
    "items, kind, words",
    [
        ([("a", 7)], TypeError, "data must be bytes"),
        ([7], TypeError, "an item of a source is"),
        ([{"data": b""}], ValueError, "no 'name'"),
        ([{"name": "a", "data": b"", "n": 1}, {"name": "b", "data": b"", "m": 1}], ValueError, "a column 'm'"),
        ([{"name": "a", "data": b"", "status": 1}], coulis.Error, "called as one of the result"),
        ([("a\0b", b"")], ValueError, "null character"),
        (coulis.Source([("a", b"x")], count=2), coulis.Error, "gave 1 items instead of the 2"),
    ],
)
def test_items_that_make_no_sense(tmp_path, lite0_path, items, kind, words):
    with pytest.raises(kind, match=words):
        coulis.featurize(items, tmp_path / "out", model=lite0_path)


def test_only_a_source_with_an_identity_is_resumed(paths, tmp_path, lite0_path):
    made = []

    def items(count=COUNT):
        for path in paths[:count]:

            def read(path=path):
                made.append(path)
                return path.read_bytes()

            yield path.name, read

    def source(count=COUNT):
        return coulis.Source(items(count), identity="these twelve")

    options = dict(model=lite0_path, rows_per_file=4)
    summary = coulis.featurize(source(), tmp_path / "out", **options)
    made.clear()
    (tmp_path / "out/features/part-00001.parquet").unlink()
    (tmp_path / "out/run.json").write_text(json.dumps({**summary, "complete": False}))
    coulis.featurize(source(), tmp_path / "out", **options)
    assert sorted(made) == paths[4:8]
    coulis.featurize(source(), tmp_path / "out", **options)  # it is done
    assert sorted(made) == paths[4:8]
    coulis.featurize(source(), tmp_path / "whole", **options)
    assert_same_parts(tmp_path / "whole", tmp_path / "out")
    made.clear()
    coulis.featurize(items(), tmp_path / "whole", **options)
    assert sorted(made) == paths  # what is there may be of other images
    for option in (dict(label="none"), dict(include="*"), dict(dry_run=True)):
        with pytest.raises(ValueError, match="go(es)? with paths"):
            coulis.featurize(source(), tmp_path / "x", **options, **option)


def test_times_and_a_vector_to_be_found(paths, tmp_path, lite0_path):
    when = datetime.datetime(2020, 2, 29, 12, 0, 0, 5, datetime.timezone.utc)
    data = paths[0].read_bytes()
    items = [coulis.Item("a", data, modified=when), {"name": "b", "data": data, "modified": 1.5}, ("K\udcfcrbis", data)]
    coulis.featurize(items, tmp_path / "out", model=lite0_path)
    table = coulis.read_table(tmp_path / "out")
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    modified = [time and time.replace(tzinfo=datetime.timezone.utc) for time in table["modified"].to_pylist()]
    assert modified == [when, epoch + datetime.timedelta(seconds=1.5), None]
    assert table["bytes"].to_pylist() == [len(data)] * 3
    assert table["path"].to_pylist()[2] == "file:K%FCrbis"


# ---- the library's own sources ----


def test_what_paths_stand_for_can_be_iterated(folder, paths, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, "images")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.relative_to(folder.parent))
    for given in (folder, tmp_path / "a.tar", tmp_path / "a.zip", paths):
        with coulis.open_source(given) as source:
            items = [(item.label, item.data(), item.bytes) for item in source]
        assert sorted(items) == sorted((p.parent.name, p.read_bytes(), p.stat().st_size) for p in paths)
    with coulis.open_source(folder, include="*1.png", exclude=["blue"], label="none") as source:
        found = list(source)
        assert [item.name for item in found] == [str(p) for p in paths if p.name in ("01.png",)]
        assert found[0].label == "" and source.left_out()["excluded"] > 0 and source.count == 1
    with pytest.raises(coulis.Error, match="gone"):
        with coulis.open_source([tmp_path / "gone.png"]):
            pass
    (tmp_path / "list.txt").write_text(f"{paths[0]}\0{tmp_path / 'gone.png'}\0")
    with coulis.open_source(f"@{tmp_path / 'list.txt'}", null=True) as source:
        first, second = source
        assert first.data() == paths[0].read_bytes()
        with pytest.raises(coulis.Error) as caught:
            second.data()
        assert caught.value.status == "missing"
        with coulis.open_source(tmp_path / "a.tar") as archived:
            early, _ = next(archived), next(archived)
            with pytest.raises(ValueError, match="before the next item"):
                early.data()
        with pytest.raises(coulis.Error) as caught:
            first.data(10)
        assert caught.value.status == "too_large"


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_source_of_the_library_goes_into_a_job(folder, paths, expected, tmp_path, lite0_path, kind):
    """What is filtered or renamed on the way is a source again; what must be read in turn is."""
    if kind == "tar":
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for path in paths:
                archive.add(path, path.relative_to(folder))
    with coulis.open_source(folder if kind == "folder" else tmp_path / "a.tar") as source:
        coulis.featurize((item for item in source if item.label != "red"), tmp_path / "out", model=lite0_path)
    wanted = expected.filter(np.array(expected["label"].to_pylist()) != "red")
    assert coulis.read_table(tmp_path / "out")["features"].to_pylist() == wanted["features"].to_pylist()


def test_a_list_is_written_and_read(folder, paths, tmp_path, lite0_path, expected):
    assert coulis.list_images(folder, tmp_path / "list.csv", label="first") == COUNT
    with open(tmp_path / "list.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    coulis.featurize(tmp_path / "list.csv", tmp_path / "out", model=lite0_path)
    assert coulis.read_table(tmp_path / "out")["features"].to_pylist() == expected["features"].to_pylist()


def test_options_of_paths_reach_the_library(folder, tmp_path, lite0_path, command):
    import subprocess

    (folder.parent / "more" / "@eaDir").mkdir(parents=True)
    (folder.parent / "more" / "@eaDir" / "x.png").write_bytes(b"x")
    (folder.parent / "more" / "README").write_text("x")
    given = [folder, folder.parent / "more"]
    plan = coulis.run(given, tmp_path / "out", dry_run=True, label="0", exclude="red")
    said = subprocess.run(
        [command, "run", *given, "-o", tmp_path / "out", "--dry-run", "--json", "--label", "0", "--exclude", "red"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert plan == json.loads(said) and plan["images"] == 9 and not (tmp_path / "out").exists()
    summary = coulis.featurize(given, tmp_path / "out", model=lite0_path, all_files=True, include=["*.png"])
    assert summary["counts"]["pictures"] == COUNT + 1 and summary["counts"]["left_out_excluded"] == 1
    coulis.run(folder, tmp_path / "base", model=lite0_path, components=2)
    coulis.apply([folder], tmp_path / "base", tmp_path / "applied", label="none", exclude=["blue"])
    assert set(coulis.read_table(tmp_path / "applied")["label"].to_pylist()) == {""}
    with pytest.raises(coulis.Error):
        coulis.apply(folder.parent / "more", tmp_path / "base", tmp_path / "strict", strict=True)
