"""--shard and merge: N processes give the files of one, with the same bytes; and what cannot be merged is refused."""

import json
import os
import subprocess
from pathlib import Path

import numpy
import pytest
from PIL import Image

import coulis

COMMAND = os.environ.get("COULIS_COMMAND", str(Path(__file__).resolve().parents[2] / "build" / "coulis"))
OPTIONS = ["--rows-per-file", "3", "-k", "2", "--quiet"]


def command(*arguments, code=0):
    """What it says; 0 and 3, done with unreadable images, are both done."""
    done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code or (code == 0 and done.returncode == 3), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirteen images, of which one is cut short, and a text."""
    folder = tmp_path_factory.mktemp("shards") / "photos"
    for number in range(12):
        target = folder / ("red", "green")[number % 2] / f"{number:02}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = numpy.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=numpy.uint8)
        Image.fromarray(pixels).resize((90, 70 + number), Image.BICUBIC).save(target)
    (folder / "red" / "short.jpg").write_bytes((folder / "red" / "00.jpg").read_bytes()[:300])
    (folder / "red" / "notes.txt").write_text("These are words.")
    return folder


@pytest.fixture(scope="module")
def whole(photos):
    out = photos.parent / "whole"
    command("run", photos, "-o", out, *OPTIONS, code=3)
    return out


@pytest.fixture(scope="module")
def shards(photos):
    """Five files in three shards: two, two and one."""
    made = [photos.parent / f"shard{number}" for number in (1, 2, 3)]
    for number, out in enumerate(made, 1):
        command("run", photos, "-o", out, *OPTIONS, "--shard", f"{number}/3")
    return made


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def summary(folder):
    return json.loads((folder / "run.json").read_text())


def test_the_files_of_one_machine(photos, whole, shards, tmp_path):
    assert [len(files(shard)) for shard in shards] == [2, 2, 1]
    command("merge", *reversed(shards), "-o", tmp_path / "out", code=3)
    assert files(tmp_path / "out") == files(whole)
    mine, theirs = summary(tmp_path / "out"), summary(whole)
    for name in ("recipe", "counts", "pca", "parts", "model", "complete", "root"):
        assert mine.get(name) == theirs.get(name), name
    command("verify", tmp_path / "out")
    # Done already: the same command, and the one of a single machine, find it so.
    before = (tmp_path / "out" / "run.json").read_bytes()
    command("merge", *shards, "-o", tmp_path / "out", code=3)
    command("run", photos, "-o", tmp_path / "out", *OPTIONS, code=3)
    assert (tmp_path / "out" / "run.json").read_bytes() == before


def test_vectors_alone_and_in_python(photos, whole, tmp_path):
    made = [tmp_path / "a", tmp_path / "b"]
    for number, out in enumerate(made, 1):
        coulis.featurize(photos, out, rows_per_file=3, shard=(number, 2))
    result = coulis.merge(made, tmp_path / "out")
    assert result["counts"] == summary(whole)["counts"]
    vectors = {name: data for name, data in files(whole).items() if name.startswith("features/")}
    assert files(tmp_path / "out") == vectors


def test_a_shard_is_resumed_and_counts_its_own_rows(photos, shards, tmp_path):
    counts = [summary(shard)["counts"]["pictures"] for shard in shards]
    assert sum(counts) == 14 and summary(shards[1])["recipe"]["shard"] == "2/3"
    part = tmp_path / "again" / "features" / "part-00000.parquet"
    command("featurize", photos, "-o", tmp_path / "again", "--rows-per-file", "3", "--quiet", "--shard", "1/3")
    kept = part.read_bytes()
    part.unlink()
    command("featurize", photos, "-o", tmp_path / "again", "--rows-per-file", "3", "--quiet", "--shard", "1/3")
    assert part.read_bytes() == kept
    again = summary(tmp_path / "again")["counts"]
    assert (again["pictures"], again["resumed"]) == (6, 3)
    command("verify", tmp_path / "again")


def test_what_cannot_be_merged_is_a_sentence(photos, whole, shards, tmp_path):
    out = tmp_path / "out"
    assert "shard 2/3 is missing" in command("merge", shards[0], shards[2], "-o", out, code=1)
    assert "the same shard, 1/3" in command("merge", shards[0], shards[0], shards[1], "-o", out, code=1)
    assert "is not a shard" in command("merge", whole, "-o", out, code=1)
    assert "is one of the shards" in command("merge", *shards, "-o", shards[0], "--overwrite", code=1)
    assert files(shards[0])
    other = tmp_path / "other"
    command("run", photos / "green", "-o", other, *OPTIONS, "--shard", "2/3")
    assert "another job" in command("merge", shards[0], other, shards[2], "-o", out, code=1)
    assert not out.exists()
    assert "other shard" in command("run", photos, "-o", shards[0], *OPTIONS, code=1)
    assert "other shard" in command("run", photos, "-o", shards[0], *OPTIONS, "--shard", "2/3", code=1)
    assert "fewer files" in command("run", photos, "-o", out, *OPTIONS, "--shard", "7/7", code=1)
    for wrong in ("0/3", "4/3", "1", "1/0", "a/b", "1/2x", ""):
        assert "--shard" in command("run", photos, "-o", tmp_path / "never", "--shard", wrong, code=2)


def test_a_changed_shard_is_noticed(shards, tmp_path):
    copies = []
    for shard in shards:
        copies.append(tmp_path / shard.name)
        subprocess.run(["cp", "-r", shard, copies[-1]], check=True)
    part = copies[1] / "features" / "part-00001.parquet"
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    part.write_bytes(data)
    assert "is not what was written" in command("merge", *copies, "-o", tmp_path / "out", code=1)
    # Mended, the same command goes on.
    data[100] ^= 1
    part.write_bytes(data)
    command("merge", *copies, "-o", tmp_path / "out", code=3)
    run_json = copies[0] / "run.json"
    run_json.write_text(run_json.read_text().replace('"1/3"', '"2/3"'))
    assert "was changed after it was written" in command("merge", *copies, "-o", tmp_path / "out2", code=1)


def test_merging_again_after_an_image_has_changed(photos, tmp_path):
    folder, made = tmp_path / "photos", [tmp_path / "a", tmp_path / "b"]
    subprocess.run(["cp", "-r", photos, folder], check=True)

    def merge_all():
        for number, out in enumerate(made, 1):
            command("run", folder, "-o", out, *OPTIONS, "--shard", f"{number}/2")
        command("merge", *made, "-o", tmp_path / "out")

    merge_all()
    before = files(tmp_path / "out")
    Image.new("RGB", (50, 60), (200, 10, 10)).save(folder / "red" / "00.jpg")
    merge_all()
    command("run", folder, "-o", tmp_path / "whole", *OPTIONS)
    assert files(tmp_path / "out") == files(tmp_path / "whole") != before
