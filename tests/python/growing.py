"""A place with images, and what the tests of growing results compare."""

import json
import os
from pathlib import Path

import coulis
import pytest
from conftest import draw_image
from results import all_bytes
from net_helpers import write_tiny

IMAGES = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    write_tiny(path)
    return path


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """Runs a job, of `images` into `out` unless told otherwise; the images are there, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(IMAGES):
        path = Path("images", "ab"[number % 2], f"{number:02}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_image(number).save(path)
    Path("images/a/bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    Path("images/notes.txt").write_text("beside the images")

    def job(paths="images", out="out", function=coulis.run, **more):
        options = dict(rows_per_file=5, threads=2, model=model, **({"components": 3} if function is coulis.run else {}))
        return function(paths, out, **{**options, **more})

    return job


def summary(folder):
    """run.json without what tells of one run rather than of its result."""
    content = json.loads(Path(folder, "run.json").read_text())
    for name in ("output", "seconds", "images_per_second", "peak_memory_bytes", "sha256"):
        content.pop(name, None)
    content["counts"].pop("resumed")
    return content


def same(one="out", other="fresh"):
    assert coulis.verify(one)
    assert all_bytes(one).keys() == all_bytes(other).keys()
    for name, content in all_bytes(one).items():
        assert content == all_bytes(other)[name], name
    assert summary(one) == summary(other)


def resumed(folder="out"):
    return json.loads(Path(folder, "run.json").read_text())["counts"]["resumed"]


def refusal(status, function, *arguments, **options):
    with pytest.raises(coulis.Error) as caught:
        function(*arguments, **options)
    assert caught.value.status == status, caught.value
    return str(caught.value)


def touch():
    os.utime("images/a/04.png")


def everything():
    draw_image(100).save("images/a/000.png")
    draw_image(101).save("images/b/zzz.png")
    draw_image(102).save("images/b/07.png")
    os.remove("images/a/00.png")
    os.rename("images/b/01.png", "images/a/moved.png")
    touch()
    draw_image(103).save("images/a/bad.jpg")
    Path("images/notes.txt").write_text("beside the images, longer")
