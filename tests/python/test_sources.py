"""Every kind of source gives the vectors of the folder: lists, standard input, archives, tables."""

import csv
import io
import json
import os
import subprocess
import tarfile
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as parquet
import pytest
from conftest import save_image
from results import assert_same_parts, read

MANY = 2000 if os.environ.get("COULIS_TEST_LONG") else 60
COLUMNS = ["path", "label", "status", "error", "width", "height", "features", "sha256", "bytes", "modified"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images in three folders, of fruits-360 where that is here; its paths in order."""
    folder = tmp_path_factory.mktemp("sources") / "images"
    for number in range(MANY):
        label = ("red", "green", "blue")[number % 3]
        (folder / label).mkdir(parents=True, exist_ok=True)
        target = folder / label / f"{number:04}.jpg"
        save_image(target, number, MANY)
    return folder


def check(out, expected, **changed):
    """The same vectors, digests, labels in the same order; gives the table."""
    table = read(out)
    assert set(table["status"].to_pylist()) == {"ok"}
    for name in ("features", "sha256", "label", "width", "height"):
        assert table[name].to_pylist() == changed.get(name, expected[name].to_pylist()), name
    return table


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1.5e9
    archive.addfile(info, io.BytesIO(data))


def test_list_and_standard_input(coulis, images, paths, expected, tmp_path):
    lines = "".join(f"{path}\n" for path in paths)
    (tmp_path / "list.txt").write_text(lines)
    coulis("featurize", "@list.txt", "-o", "list")
    coulis("featurize", "@-", "-o", "stdin", input=lines)
    coulis("featurize", "@-", "-0", "-o", "nul", input="\0".join(map(str, paths)))
    for out in ("list", "stdin", "nul"):
        assert check(tmp_path / out, expected)["path"].to_pylist() == [str(path) for path in paths]


def test_lines_longer_than_any_path_are_rows(coulis, paths, tmp_path):
    """Over the limits of a name (255 bytes), a path (4,096) and a buffer: a row each, in a part that can be read."""
    lines = [str(paths[0]), "a/" * 3000 + "b.jpg", "c" * 300, "d" * 3_000_000, "e/" * 100_000 + "f.jpg", str(paths[1])]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    coulis("run", "@list.txt", "-o", "out", "--quiet", "-k", "1", code=3)
    table = read(tmp_path / "out")
    assert table["path"].to_pylist() == lines
    assert table["status"].to_pylist() == ["ok", "unreadable", "unreadable", "unreadable", "unreadable", "ok"]
    assert all("File name too long" in error for error in table["error"].to_pylist()[1:5])
    coulis("verify", "out")
    coulis("export", "out", "-o", "vectors.npy")
    assert np.load(tmp_path / "vectors.npy").shape[0] == 2
    # What is written beside a part while it is made can be read, too: the same command finds all done.
    coulis("run", "@list.txt", "-o", "out", "--quiet", "-k", "1", code=3)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar(coulis, images, paths, expected, tmp_path, kind, form):
    name = tmp_path / f"images.{kind}"
    with tarfile.open(name, "w:" if kind == "tar" else "w:gz", format=form) as archive:
        for path in paths:
            archive.add(path, path.relative_to(images))
    coulis("featurize", f"images.{kind}", "-o", "out", "--threads", 2)
    table = check(tmp_path / "out", expected)
    assert table["path"].to_pylist() == [f"images.{kind}/{path.relative_to(images)}" for path in paths]
    assert table["bytes"].to_pylist() == expected["bytes"].to_pylist()
    assert [time.timestamp() for time in table["modified"].to_pylist()] == pytest.approx(
        [path.stat().st_mtime for path in paths], abs=1
    )
    coulis("featurize", f"images.{kind}", "-o", "again", "--threads", 5)
    assert_same_parts(tmp_path / "out", tmp_path / "again")


def test_tar_with_long_names(coulis, paths, tmp_path):
    deep = "/".join("a folder of some length" for _ in range(12))
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "long.tar", "w", format=form) as archive:
            add(archive, f"{deep}/Kürbis.jpg", paths[0].read_bytes())
        coulis("featurize", "long.tar", "-o", "out", "--overwrite")
        assert read(tmp_path / "out")["path"].to_pylist() == [f"long.tar/{deep}/Kürbis.jpg"]


def test_webdataset(coulis, paths, expected, tmp_path):
    """Members of one stem are one sample, whatever their order; .cls, .json and .txt become columns."""
    half = len(paths) // 2
    for shard, some in enumerate((paths[:half], paths[half:])):
        with tarfile.open(tmp_path / f"shard-{shard}.tar", "w") as archive:
            for number, path in enumerate(some):
                image = (f"{shard}{number:05}.jpg", path.read_bytes())
                fields = [
                    (f"{shard}{number:05}.cls", f"{number % 7}\n".encode()),
                    (f"{shard}{number:05}.json", json.dumps({"n": number}).encode()),
                    (f"{shard}{number:05}.txt", f"caption {number}".encode()),
                ]
                order = [image, *fields] if number % 2 else [*fields[:2], image, fields[2]]
                for name, data in order:
                    add(archive, name, data)
    coulis("featurize", "shard-0.tar", "shard-1.tar", "-o", "out", "--rows-per-file", 7)
    numbers = [*range(half), *range(len(paths) - half)]
    table = check(tmp_path / "out", expected, label=[str(n % 7) for n in numbers])
    assert table.column_names == [*COLUMNS, "cls", "json", "txt"]
    assert table["cls"].to_pylist() == [str(n % 7) for n in numbers]
    assert [json.loads(text)["n"] for text in table["json"].to_pylist()] == numbers
    assert table["txt"].to_pylist() == [f"caption {n}" for n in numbers]
    coulis("run", "shard-0.tar", "shard-1.tar", "-o", "run", "-k", 3)
    assert read(tmp_path / "run", "reduced")["txt"].to_pylist() == table["txt"].to_pylist()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip(coulis, images, paths, expected, tmp_path, method):
    with zipfile.ZipFile(tmp_path / "images.zip", "w", method) as archive:
        for path in paths:
            archive.write(path, path.relative_to(images))
        archive.writestr("__MACOSX/red/._0000.jpg", b"of the Finder")
        archive.comment = b"PK\5\6 " * 50
    coulis("featurize", "images.zip", "-o", "out")
    assert check(tmp_path / "out", expected)["bytes"].to_pylist() == expected["bytes"].to_pylist()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["counts"]["left_out_system"] == 1


def test_damaged_archives_are_rows(coulis, paths, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good.jpg", paths[0].read_bytes())
        archive.writestr("bad.jpg", paths[1].read_bytes())
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.find(paths[1].read_bytes()[-300:-200])
    data[at] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        for number in range(3):
            add(archive, f"{number}.jpg", paths[number].read_bytes())
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "0.jpg"
        archive.addfile(link)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "b.tar").read_bytes()[: len(paths[0].read_bytes()) + 2000])
    coulis("featurize", "a.zip", "b.tar", "cut.tar", paths[0], "-o", "out", code=3)
    table = read(tmp_path / "out").to_pylist()
    assert [row["status"] for row in table] == [
        "ok",
        "unreadable",
        "ok",
        "ok",
        "ok",
        "unreadable",
        "ok",
        "unreadable",
        "ok",
    ]
    assert "check sum" in table[1]["error"] and "link" in table[5]["error"] and "cut short" in table[7]["error"]
    (tmp_path / "no.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "no.zip").write_bytes(b"no archive" * 100)
    for name in ("no.tar", "no.zip", "no.parquet"):
        (tmp_path / name).write_bytes(b"no archive" * 100)
        assert name in coulis("featurize", name, "-o", "no", code=1).stderr


def test_manifest(coulis, paths, expected, tmp_path):
    with open(tmp_path / "list.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "path", "label", "status", "price"])
        for number, path in enumerate(paths):
            writer.writerow([f'the "{number}"th,\nof many', path, f"l{number % 5}", "new", number])
    labels = [f"l{n % 5}" for n in range(len(paths))]
    coulis("run", "list.csv", "-o", "out", "-k", 2)
    table = check(tmp_path / "out", expected, label=labels)
    assert table.column_names == [*COLUMNS, "name", "input_status", "price"]
    assert table["name"].to_pylist() == [f'the "{n}"th,\nof many' for n in range(len(paths))]
    assert table["price"].to_pylist() == [str(n) for n in range(len(paths))]
    assert read(tmp_path / "out", "reduced")["price"].to_pylist() == table["price"].to_pylist()
    rows = [f"{path}\tl{n % 5}" for n, path in enumerate(paths)]
    (tmp_path / "list.tsv").write_text("\r\n".join(["path\tlabel", *rows]) + "\r\n")
    coulis("featurize", "list.tsv", "-o", "tsv")
    check(tmp_path / "tsv", expected, label=labels)
    coulis("featurize", "@list.tsv", "-o", "tsv2")
    (tmp_path / "bad.csv").write_text("file,label\nx,y\n")
    assert "no column 'path'" in coulis("featurize", "bad.csv", "-o", "x", code=1).stderr


def test_json_lines(coulis, paths, expected, tmp_path):
    """Rows are those that Python's own reader of JSON finds."""
    fifths = [
        {"label": 'ä "quoted"\n\U0001f34e', "size": 0.1},
        {"label": 7, "size": 3},
        {"label": True, "ok": False},
        {"label": "x", "nested": {"size": 9}, "list": [1]},
        {"status": "", "size": None, "label": "nine"},
    ]
    rows = [{"path": str(path), **fifths[number % 5]} for number, path in enumerate(paths)]
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    (tmp_path / "list.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n \n".join(lines).encode())
    coulis("featurize", "list.jsonl", "-o", "out")

    def texts(key):
        values = [json.loads(line).get(key) for line in lines]
        return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]

    table = check(tmp_path / "out", expected, label=texts("label"))
    assert table.column_names == [*COLUMNS, "size", "ok", "input_status"]
    assert table["size"].to_pylist() == texts("size") and table["ok"].to_pylist() == texts("ok")
    assert table["input_status"].to_pylist() == texts("status")
    (tmp_path / "some.NDJSON").write_text("\n".join(lines[:7] + [lines[0]]))
    coulis("featurize", "@some.NDJSON", "-o", "some", "--label", "none", "--exclude", paths[1].name)
    some = read(tmp_path / "some")
    assert some["sha256"].to_pylist() == [expected["sha256"][n].as_py() for n in (0, 2, 3, 4, 5, 6, 0)]
    assert set(some["label"].to_pylist()) == {""}


@pytest.mark.parametrize("line, sentence", [
    ("path,label", "line 2 is not a JSON object"), ('["a.jpg"]', "line 2 is not a JSON object"),
    ('{"path": "a.jpg"} {"path": "b.jpg"}', "line 2 is not a JSON object"),
    ('{"path": "a.jpg", "label": "a', "line 2 is not a JSON object"),
    ('{"file": "a.jpg"}', "line 2 has no path"), ('{"path": ""}', "line 2 has no path"),
    ('{"path": 3}', "line 2 has no path"), ('{"path": "a.jpg", "id": 9007199254740993}', "the number of 'id'"),
    ('{"path": "a.jpg", "id": -1e999}', "the number of 'id'"), (r'{"path": "a\u0000b"}', "line 2 has a zero byte"),
    ('{"path": "a\0b"}', "line 2 has a zero byte"), ('{"path": "' + "a" * (17 << 20) + '"}', "longer than 16 MiB"),
    ("{" + ", ".join(f'"k{n}": 1' for n in range(5000)) + ', "path": "a"}', "more than"),
], ids=range(13))  # fmt: skip
def test_json_lines_refused(coulis, tmp_path, line, sentence):
    (tmp_path / "bad.jsonl").write_text('{"path": "a.jpg"}\n' + line + "\n")
    assert sentence in coulis("featurize", "bad.jsonl", "-o", "x", code=1).stderr


def test_a_backslash_before_u0000_is_no_zero(coulis, tmp_path):
    (tmp_path / "list.jsonl").write_text(r'{"path": "a\\u0000.jpg"}')
    coulis("list", "list.jsonl", "-o", "list.csv")
    assert r"a\u0000.jpg" in (tmp_path / "list.csv").read_text()


def test_a_stopped_manifest_keeps_its_columns(coulis, command, paths, tmp_path):
    """Rows that an interrupted run kept have their columns, too."""
    some = paths * 10
    (tmp_path / "list.csv").write_text("path,n\n" + "".join(f"{path},{n}\n" for n, path in enumerate(some)))
    process = subprocess.Popen([str(command), "featurize", "list.csv", "-o", "out", "--quiet"], cwd=tmp_path)
    for _ in range(20):
        try:
            process.wait(timeout=1)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(2)
    coulis("featurize", "list.csv", "-o", "out")
    coulis("featurize", "list.csv", "-o", "whole")
    assert read(tmp_path / "out")["n"].to_pylist() == [str(n) for n in range(len(some))]
    assert (tmp_path / "out/features/part-00000.parquet").read_bytes() == (
        tmp_path / "whole/features/part-00000.parquet"
    ).read_bytes()


def parquet_tables(paths):
    files = [path.read_bytes() for path in paths]
    names, labels = [str(path) for path in paths], [path.parent.name for path in paths]
    image = pa.StructArray.from_arrays([pa.array(files), pa.array(names)], ["bytes", "path"])
    return {
        "huggingface": pa.table({"image": image, "label": labels, "split": ["train"] * len(files)}),
        "binaryFile": pa.table(
            {
                "path": names,
                "modificationTime": pa.array([0] * len(files), pa.timestamp("us")),
                "length": [len(f) for f in files],
                "content": pa.array(files, pa.binary()),
            }
        ),
        "img2dataset": pa.table(
            {
                "key": [f"{n:05}" for n in range(len(files))],
                "url": names,
                "label": labels,
                "jpg": pa.array(files, pa.binary()),
                "width": [100] * len(files),
            }
        ),
        "paths": pa.table({"path": names, "label": labels}),
    }


@pytest.mark.parametrize("kind", ["huggingface", "binaryFile", "img2dataset", "paths"])
@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_parquet(coulis, paths, expected, tmp_path, kind, compression):
    parquet.write_table(parquet_tables(paths)[kind], tmp_path / "t.parquet", row_group_size=23, compression=compression)
    coulis("featurize", "t.parquet", "-o", "out")
    table = check(tmp_path / "out", expected)
    if kind == "huggingface":
        assert table["split"].to_pylist() == ["train"] * len(paths)
    if kind == "img2dataset":
        assert table["key"].to_pylist()[1] == "00001" and table["input_width"].to_pylist()[0] == "100"


def test_nulls_in_parquet_are_rows(coulis, paths, tmp_path):
    data = [paths[0].read_bytes(), None, b"", b"no image", paths[1].read_bytes()]
    parquet.write_table(pa.table({"content": pa.array(data, pa.binary())}), tmp_path / "t.parquet")
    coulis("featurize", "t.parquet", "-o", "out", code=3)
    table = read(tmp_path / "out")
    assert table["status"].to_pylist() == ["ok", "missing", "empty", "unsupported", "ok"]
    assert table["path"].to_pylist() == [f"t.parquet/{n}" for n in range(5)]


def test_sparks_image_struct(coulis, paths, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(5)
    pixels = [rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), rng.integers(0, 256, (20, 20), dtype=np.uint8)]
    rows = [
        {
            "origin": f"file:/x/{n}.png",
            "height": p.shape[0],
            "width": p.shape[1],
            "nChannels": 3 if p.ndim == 3 else 1,
            "mode": 16,
            "data": (p[..., ::-1] if p.ndim == 3 else p).tobytes(),
        }
        for n, p in enumerate(pixels)
    ]
    (tmp_path / "png").mkdir()
    for number, p in enumerate(pixels):
        Image.fromarray(p).save(tmp_path / "png" / f"{number}.png")
    kind = pa.struct(
        [
            ("origin", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("nChannels", pa.int32()),
            ("mode", pa.int32()),
            ("data", pa.binary()),
        ]
    )
    parquet.write_table(pa.table({"image": pa.array(rows, kind)}), tmp_path / "t.parquet")
    coulis("featurize", "t.parquet", "-o", "out")
    coulis("featurize", "png", "-o", "png-out")
    assert read(tmp_path / "out")["features"].to_pylist() == read(tmp_path / "png-out")["features"].to_pylist()


def test_archives_are_resumed(coulis, command, images, paths, tmp_path):
    """Parts that are there are not made again, and the rest is that of an undisturbed run."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for path in paths:
            archive.add(path, path.relative_to(images))
    arguments = ["featurize", "a.tar.gz", paths[0], "--rows-per-file", 7]
    coulis(*arguments, "-o", "whole")
    coulis(*arguments, "-o", "out")
    parts = sorted((tmp_path / "out/features").iterdir())
    for part in (parts[1], parts[-1]):
        part.unlink()
    kept = {part: part.stat().st_mtime_ns for part in parts if part.exists()}
    coulis(*arguments, "-o", "out")
    assert kept == {part: part.stat().st_mtime_ns for part in kept}
    for part in parts:
        assert part.read_bytes() == (tmp_path / "whole/features" / part.name).read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(paths[0], "other.jpg")
    assert "1 touched" in coulis(*arguments, "-o", "out").stderr  # the file in it is known by its bytes
    assert read(tmp_path / "out")["path"].to_pylist() == ["a.tar.gz/other.jpg", str(paths[0])]


@pytest.mark.parametrize("how", ["other images", "another time"])
def test_an_archive_that_changes_under_way_ends_the_job(command, images, paths, tmp_path, how):
    """Its rows would be of another state than the recipe names. It changes after it was listed, as standard input,
    which is listed behind it, is waited for."""

    def write(chosen):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for path in chosen:
                archive.add(path, path.relative_to(images))

    write(paths[:9])
    before = (tmp_path / "a.tar").stat()
    running = subprocess.Popen(
        [command, "featurize", "a.tar", "@-", "-o", "out", "--quiet"],
        cwd=tmp_path,
        text=True,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(2)
    if how == "other images":
        write(paths[9:20])
    else:
        os.utime(tmp_path / "a.tar", ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    said = running.communicate(f"{paths[0]}\n", timeout=120)[1]
    assert running.returncode == 1 and "a.tar: changed after the job had begun" in said, said
    assert json.loads((tmp_path / "out" / "run.json").read_text())["complete"] is False


def test_schemes_that_are_not_served_are_refused(coulis, paths, tmp_path):
    for address in ("gs://bucket/x", "hdfs://host/x", "ftp://host/images"):
        assert "is not served" in coulis("featurize", address, "-o", "out", code=1).stderr
        assert "not served as output" in coulis("featurize", paths[0], "-o", address, code=1).stderr
        (tmp_path / "list.txt").write_text(f"{address}\n{paths[0]}\n")
        coulis("featurize", "@list.txt", "-o", "list", "--overwrite", code=3)
        assert read(tmp_path / "list")["status"].to_pylist() == ["unreadable", "ok"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["list", "list.txt"]


def test_list_is_a_manifest(coulis, images, paths, expected, tmp_path):
    for name in ("all.parquet", "all.csv"):
        coulis("list", images, "-o", name)
        table = parquet.read_table(tmp_path / name) if name.endswith("parquet") else pa.csv.read_csv(tmp_path / name)
        assert table.column_names == ["path", "label", "bytes", "modified"]
        assert table["path"].to_pylist() == [str(path) for path in paths]
        assert table["bytes"].to_pylist() == [path.stat().st_size for path in paths]
        assert table["modified"].to_pylist() == [
            t.as_py().replace(tzinfo=table["modified"].to_pylist()[0].tzinfo) for t in expected["modified"]
        ]
        coulis("featurize", name, "-o", f"{name}-out")
        check(tmp_path / f"{name}-out", expected)
    assert "is not served" in coulis("list", images, "-o", "gs://bucket/x.csv", code=1).stderr
    assert ".parquet or a .csv" in coulis("list", images, "-o", "x.txt", code=1).stderr
