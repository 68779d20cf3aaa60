"""A job loses power after any of its steps: run again, it ends with the bytes of an undisturbed one.

COULIS_TEST_LONG=1 tries the state after every step; without it, a sample.
"""

import json
import os
import shutil
import subprocess

import coulis
import pytest
from conftest import REPOSITORY, draw_image, draw_images
from results import all_bytes
from net_helpers import write_tiny
from power_loss import Recording, build_recorder
from test_models import own, server, weights  # noqa: F401

LONG = bool(os.environ.get("COULIS_TEST_LONG"))
STEP = 1 if LONG else 5


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    library = build_recorder(tmp_path_factory.mktemp("recorder"), REPOSITORY / "tests" / "c" / "flush_recorder.c")
    return library or pytest.skip("no C compiler")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder of images and a small network."""
    folder = tmp_path_factory.mktemp("inputs")
    draw_images(folder / "images", 12)
    write_tiny(folder / "tiny.safetensors")
    return folder


def kinds(recording):
    """Every state: (state, kind, seed)."""
    for number, state in enumerate(recording.states()):
        for kind in ("flushed", "names", "drawn"):
            yield number, state, kind


def check(recording, again, expected, root, claims=None):
    """Loses power after each step, runs `again`, and compares; `claims` checks what the bare state says of itself."""
    assert recording.done.returncode == 0, recording.done.stderr
    tried = 0
    for number, state, kind in kinds(recording):
        tried += 1
        if tried % STEP:
            continue
        recording.restore(state, kind, seed=number)
        if claims:
            claims()
        done = subprocess.run(again, capture_output=True, text=True)
        assert done.returncode == 0, f"step {number}, {kind}: {done.stderr}"
        assert all_bytes(root) == expected, f"step {number}, {kind}"
    assert tried > 15
    print(f"{tried // STEP} of {tried} states")


def arguments(command, inputs, out, *more):
    return [
        str(command),
        "run",
        str(inputs / "images"),
        "--model",
        str(inputs / "tiny.safetensors"),
        "-o",
        str(out),
        "--threads",
        "1",
        "-k",
        "2",
        *more,
    ]


def sound(out):
    """No false success: what says that it is complete, is."""

    def claims():
        if (out / "run.json").exists() and json.loads((out / "run.json").read_text())["complete"]:
            coulis.verify(out)

    return claims


def test_run(command, recorder, inputs, tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    whole = arguments(command, inputs, tmp_path / "whole", "--rows-per-file", "4")
    subprocess.run(whole, check=True, capture_output=True)
    job = arguments(command, inputs, root / "new" / "out", "--rows-per-file", "4")
    recording = Recording(recorder, job, root, tmp_path / "log")
    expected = {f"new/out/{name}": content for name, content in all_bytes(tmp_path / "whole").items()}
    check(recording, job, expected, root, sound(root / "new" / "out"))


def test_run_without_features(command, recorder, inputs, tmp_path):
    out, more = tmp_path / "out", ("--rows-per-file", "4", "--drop-features")
    out.mkdir()
    subprocess.run(arguments(command, inputs, tmp_path / "whole", *more), check=True, capture_output=True)
    job = arguments(command, inputs, out, *more)
    recording = Recording(recorder, job, out, tmp_path / "log")
    check(recording, job, all_bytes(tmp_path / "whole"), out)


def test_overwrite(command, recorder, inputs, tmp_path):
    out = tmp_path / "out"
    subprocess.run(arguments(command, inputs, out, "--rows-per-file", "3"), check=True, capture_output=True)
    subprocess.run(
        arguments(command, inputs, tmp_path / "whole", "--rows-per-file", "4"), check=True, capture_output=True
    )
    job = arguments(command, inputs, out, "--rows-per-file", "4", "--overwrite")
    recording = Recording(recorder, job, out, tmp_path / "log")
    check(recording, job, all_bytes(tmp_path / "whole"), out, sound(out))


def test_grow(command, recorder, inputs, tmp_path):
    """A result of other images: it is whole, or says that it is not, until the new one is in its place."""
    out, images = tmp_path / "out", tmp_path / "inputs" / "images"
    shutil.copytree(inputs, tmp_path / "inputs")
    job = arguments(command, tmp_path / "inputs", out, "--rows-per-file", "4")
    subprocess.run(job, check=True, capture_output=True)
    draw_image(100).save(images / "05b.png")
    draw_image(101).save(images / "07.png")
    (images / "02.png").unlink()
    subprocess.run(
        arguments(command, tmp_path / "inputs", tmp_path / "whole", "--rows-per-file", "4"),
        check=True,
        capture_output=True,
    )
    recording = Recording(recorder, job, out, tmp_path / "log")
    check(recording, job, all_bytes(tmp_path / "whole"), out, sound(out))


@pytest.mark.parametrize("rows", ["3", "4"])
def test_after_a_lost_overwrite(command, recorder, inputs, tmp_path, rows):
    """Without --overwrite the old command and the new one give a whole result of their own, or refuse."""
    out = tmp_path / "out"
    subprocess.run(arguments(command, inputs, out, "--rows-per-file", "3"), check=True, capture_output=True)
    wanted = arguments(command, inputs, tmp_path / "whole", "--rows-per-file", rows)
    subprocess.run(wanted, check=True, capture_output=True)
    recording = Recording(
        recorder, arguments(command, inputs, out, "--rows-per-file", "4", "--overwrite"), out, tmp_path / "log"
    )
    expected, refused = all_bytes(tmp_path / "whole"), 0
    for number, state, kind in list(kinds(recording))[::STEP]:
        recording.restore(state, kind, seed=number)
        done = subprocess.run(arguments(command, inputs, out, "--rows-per-file", rows), capture_output=True, text=True)
        if done.returncode == 0:
            assert all_bytes(out) == expected, f"step {number}, {kind}"
        else:
            assert "--overwrite" in done.stderr, done.stderr
            refused += 1
    assert refused


def test_fit(command, recorder, inputs, tmp_path):
    subprocess.run(arguments(command, inputs, tmp_path / "in", "--rows-per-file", "4"), check=True, capture_output=True)
    root = tmp_path / "disk"
    root.mkdir()
    job = [str(command), "fit", str(tmp_path / "in"), "-o", str(root / "pca.safetensors"), "-k", "2"]
    recording = Recording(recorder, job, root, tmp_path / "log")
    expected = {"pca.safetensors": (root / "pca.safetensors").read_bytes()}
    assert recording.done.returncode == 0
    for number, state, kind in kinds(recording):
        recording.restore(state, kind, seed=number)
        done = subprocess.run(job, capture_output=True, text=True)
        assert done.returncode == 0 or "already exists" in done.stderr, done.stderr
        assert all_bytes(root) == expected, f"step {number}, {kind}"


def test_transform(command, recorder, inputs, tmp_path):
    subprocess.run(arguments(command, inputs, tmp_path / "in", "--rows-per-file", "4"), check=True, capture_output=True)
    pca = tmp_path / "in" / "pca.safetensors"
    job = [str(command), "transform", str(tmp_path / "in"), "--pca", str(pca), "-o"]
    subprocess.run([*job, str(tmp_path / "whole")], check=True, capture_output=True)
    out = tmp_path / "out"
    out.mkdir()
    recording = Recording(recorder, [*job, str(out)], out, tmp_path / "log")
    check(recording, [*job, str(out)], all_bytes(tmp_path / "whole"), out, sound(out))
    shutil.rmtree(out)
    subprocess.run([*job, str(out)], check=True, capture_output=True)
    (tmp_path / "log").rename(tmp_path / "log1")
    recording = Recording(recorder, [*job, str(out), "--overwrite"], out, tmp_path / "log")
    check(recording, [*job, str(out), "--overwrite"], all_bytes(tmp_path / "whole"), out, sound(out))


@pytest.mark.parametrize("verb", ["add", "get"])
def test_models(own, server, weights, recorder, tmp_path, verb):  # noqa: F811
    """A network that has its name is whole; the same command, given again, gets it there."""
    name = "mobilenet-v3-large"
    (own.folder / "mine.pth").write_bytes(weights)
    server.files["f"] = weights
    own.publish(name, weights)
    more = ["mine.pth", "--name", name, "--from", "torch"] if verb == "add" else [name, "--url", server.url("f")]
    own.models.mkdir(parents=True)
    environment = {**own.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    job = [str(own.command), "models", verb, *more]
    recording = Recording(recorder, job, own.models, tmp_path / "log", env=environment, cwd=own.folder)
    assert recording.done.returncode == 0, recording.done.stderr
    path = own.models / f"{name}.safetensors"
    whole = path.read_bytes()
    states = list(kinds(recording))
    assert len(states) > 5
    for number, state, kind in states[:: 1 if LONG else 3]:
        recording.restore(state, kind, seed=number)
        there = path.exists()
        assert not there or path.read_bytes() == whole, f"step {number}, {kind}"
        done = subprocess.run(job, capture_output=True, text=True, env=environment, cwd=own.folder)
        assert done.returncode == 0 or (there and "already" in done.stderr), done.stderr
        assert path.read_bytes() == whole, f"step {number}, {kind}"
    print(f"{len(states[:: 1 if LONG else 3])} of {len(states)} states")
