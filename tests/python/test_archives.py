"""What archives and tables that lie become: rows with a reason, or a sentence; never a crash, nor another file."""

import json
import resource
import subprocess
import tarfile

import archives
import coulis
import pytest
from test_choosing import read

MADE = {"tar": archives.tars, "zip": archives.zips, "csv": archives.csvs, "jsonl": archives.json_lines}


def cases(kind, wanted):
    """name -> (bytes, what happens) of those of which rows (list) or a sentence (str) come, or anything (NoneType)."""
    made = {name: entry if isinstance(entry, tuple) else (entry, None) for name, entry in MADE[kind]().items()}
    return {name: entry for name, entry in made.items() if isinstance(entry[1], wanted)}


def run(command, folder, *arguments):
    limit = 3 << 30  # bytes of memory: what a header claims is not asked for
    return subprocess.run(
        [str(command), "featurize", *arguments, "-o", "out", "--threads", "1"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )


@pytest.mark.parametrize("kind", MADE)
def test_what_lies_becomes_rows(command, tmp_path, kind):
    chosen = cases(kind, list)
    for name, (data, _) in chosen.items():
        (tmp_path / f"{name}.{kind}").write_bytes(data)
    done = run(command, tmp_path, *(f"{name}.{kind}" for name in chosen))
    assert done.returncode == 3, done.stderr
    rows = read(tmp_path / "out").to_pylist()
    for name, (_, wanted) in chosen.items():
        mine, rows = rows[: len(wanted)], rows[len(wanted) :]
        assert [row["status"] for row in mine] == wanted, name
        if kind in ("tar", "zip"):
            assert all(row["path"].startswith(f"{name}.{kind}") for row in mine), name
            assert all(row["error"] is None or f"{name}.{kind}" in row["error"] for row in mine), name
    assert not rows and len(chosen) >= 2


def everything(path):
    """The statuses of the items of a source; ends with a sentence where the source does."""
    found = []
    with coulis.open_source(path) as source:
        for item in source:
            try:
                item.data()
                found.append("ok")
            except coulis.Error as error:
                assert error.code < 10
                found.append(error.status)
    return found


@pytest.mark.parametrize("kind", MADE)
def test_what_cannot_be_opened_is_a_sentence(tmp_path, kind):
    chosen = cases(kind, str)
    for name, (data, words) in chosen.items():
        path = tmp_path / f"{name}.{kind}"
        path.write_bytes(data)
        if words.startswith("no images"):
            assert everything(path) == []
            continue
        with pytest.raises(coulis.Error) as caught:
            everything(path)
        assert words in str(caught.value) and str(path) in str(caught.value), name
    assert len(chosen) >= 2


def test_what_makes_little_sense_does_no_harm(tmp_path):
    chosen = {kind: cases(kind, type(None)) for kind in MADE}
    assert any(chosen.values())
    for kind, made in chosen.items():
        for name, (data, _) in made.items():
            path = tmp_path / f"{name}.{kind}"
            path.write_bytes(data)
            try:
                assert set(everything(path)) <= {"ok", "unreadable", "missing", "unsupported"}
            except coulis.Error as error:
                assert str(path) in str(error)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_climb_are_names(command, tmp_path, kind):
    """They are paths of rows within the archive; no folder of this machine lends its name."""
    made = {"tar": archives.tars, "zip": archives.zips}[kind]()["climbing_names"][0]
    (tmp_path / f"x.{kind}").write_bytes(made)
    assert run(command, tmp_path, f"x.{kind}").returncode == 0
    table = read(tmp_path / "out").to_pylist()
    assert all(row["path"].startswith(f"x.{kind}/") for row in table)
    assert [row["label"] for row in table] == (["etc", "etc", ""] if kind == "tar" else ["etc", ""])


def test_a_tar_of_the_folder_itself(command, tmp_path):
    """tar -C images . writes ./red/1.png: labels, patterns and paths are those of the folder."""
    for name in ("red/1.png", "2.png", "blue/deep/3.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(archives.png(len(name)))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "images", ".")
    assert run(command, tmp_path, "x.tar").returncode == 0
    table = {row["path"]: row["label"] for row in read(tmp_path / "out").to_pylist()}
    assert table == {"x.tar/red/1.png": "red", "x.tar/2.png": "", "x.tar/blue/deep/3.png": "deep"}
    done = subprocess.run(
        [str(command), "run", "x.tar", "-o", "y", "--dry-run", "--json", "--label", "first", "--exclude", "red/*"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["labels"] == {"": 1, "blue": 1}


def test_the_files_under_the_sanitizers_are_these(repository):
    """tests/data has what the program writes (Parquet but for what versions of pyarrow write otherwise)."""
    for kind, make in MADE.items():
        made = make()
        assert made, kind
        for name, entry in made.items():
            data = entry[0] if isinstance(entry, tuple) else entry
            there = (repository / "tests/data/hostile" / kind / name).read_bytes()
            assert there == data or name.startswith("gzip"), (kind, name)  # zlib's versions pack differently
