"""kill -9 at random moments of every verb that writes: the same command, given again, ends with the same bytes.

COULIS_TEST_LONG=1 kills 1,000 times; without it, 60.
"""

import json
import os
import random
import shutil
import subprocess
import time

import coulis
import pytest
from conftest import draw_image, draw_images
from results import all_bytes
from net_helpers import write_tiny

KILLS = 250 if os.environ.get("COULIS_TEST_LONG") else 15  # of each of the four verbs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of 40 images, and a small network."""
    folder = tmp_path_factory.mktemp("kill")
    draw_images(folder / "images", 40)
    write_tiny(folder / "tiny.safetensors")
    return folder


def begin(job, before, out):
    """Makes `out` what it is before the job."""
    if out.is_dir():
        shutil.rmtree(out)
    elif out.exists():
        out.unlink()
    if before:
        shutil.copytree(before, out)


def kill_often(job, out, expected, before=None, kept=None):
    """Begins the job again and again, kills it at random moments, and compares each time it comes to its end. `kept`:
    what is complete has these bytes or those expected."""
    began = time.monotonic()
    begin(job, before, out)
    assert subprocess.run(job, capture_output=True).returncode == 0 and all_bytes(out) == expected
    seconds = time.monotonic() - began
    rng, killed, ended = random.Random(1), 0, 0
    while killed < KILLS:
        begin(job, before, out)
        while True:
            process = subprocess.Popen(job, stderr=subprocess.PIPE, text=True)
            try:
                process.wait(timeout=rng.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
                run = out / "run.json"
                if run.exists() and json.loads(run.read_text())["complete"]:
                    coulis.verify(out)  # no false success
                    now = all_bytes(out)
                    if kept and now != expected:  # what was there, and beside it what is on its way
                        seen = {name: content for name, content in now.items() if name[0] != "." and "/." not in name}
                        assert seen in (kept, expected)
                continue
            said = process.stderr.read()
            assert process.returncode == 0 or (out.is_file() and "already exists" in said), said
            assert all_bytes(out) == expected
            ended += 1
            break
    assert ended


@pytest.fixture
def run(command, place):
    def arguments(out, rows, *more):
        return [
            str(command),
            "run",
            str(place / "images"),
            "--model",
            str(place / "tiny.safetensors"),
            "-o",
            str(out),
            "-k",
            "3",
            "--threads",
            "2",
            "--rows-per-file",
            str(rows),
            *more,
        ]

    return arguments


def test_run(run, tmp_path):
    subprocess.run(run(tmp_path / "whole", 5), check=True, capture_output=True)
    kill_often(run(tmp_path / "out", 5), tmp_path / "out", all_bytes(tmp_path / "whole"))


def test_overwrite(run, tmp_path):
    subprocess.run(run(tmp_path / "before", 4), check=True, capture_output=True)
    subprocess.run(run(tmp_path / "whole", 5), check=True, capture_output=True)
    kill_often(
        run(tmp_path / "out", 5, "--overwrite"), tmp_path / "out", all_bytes(tmp_path / "whole"), tmp_path / "before"
    )


def test_grow(command, run, place, tmp_path):
    """A result of other images: it stays whole, or is visibly unfinished, until the new one is in its place."""
    images, after = place / "images", place / "after"
    shutil.copytree(images, after)
    subprocess.run(run(tmp_path / "before", 5), check=True, capture_output=True)
    draw_image(100).save(images / "05b.png")
    draw_image(101).save(images / "07.png")
    (images / "20.png").unlink()
    (images / "30.png").rename(images / "zz.png")
    try:
        subprocess.run(run(tmp_path / "whole", 5), check=True, capture_output=True)
        kill_often(
            run(tmp_path / "out", 5),
            tmp_path / "out",
            all_bytes(tmp_path / "whole"),
            tmp_path / "before",
            all_bytes(tmp_path / "before"),
        )
    finally:
        shutil.rmtree(images)
        after.rename(images)


def test_transform(command, run, tmp_path):
    subprocess.run(run(tmp_path / "in", 5), check=True, capture_output=True)
    job = [str(command), "transform", str(tmp_path / "in"), "--pca", str(tmp_path / "in" / "pca.safetensors"), "-o"]
    subprocess.run([*job, str(tmp_path / "whole")], check=True, capture_output=True)
    kill_often([*job, str(tmp_path / "out")], tmp_path / "out", all_bytes(tmp_path / "whole"))


def test_fit(command, run, tmp_path):
    subprocess.run(run(tmp_path / "in", 5), check=True, capture_output=True)
    job = [str(command), "fit", str(tmp_path / "in"), "-k", "3", "-o"]
    subprocess.run([*job, str(tmp_path / "whole")], check=True, capture_output=True)
    kill_often([*job, str(tmp_path / "out")], tmp_path / "out", all_bytes(tmp_path / "whole"))
