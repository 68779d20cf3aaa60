"""Killed at any moment, the same command ends with the same bytes and repeats no finished part."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from results import all_bytes

KILLS = 5 if os.environ.get("COULIS_TEST_QUICK") else 50


def parts(folder):
    """Every finished part with what tells one file from a rewritten one."""
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("*/part-*.parquet")}


@pytest.fixture
def start(command, image_folder, tmp_path):
    def begin(out):
        arguments = [
            str(command),
            "run",
            str(image_folder),
            "-o",
            out,
            "-k",
            "5",
            "--rows-per-file",
            "4",
            "--threads",
            "2",
        ]
        return subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    return begin


@pytest.fixture
def undisturbed(start, tmp_path):
    began = time.monotonic()
    assert start("whole").wait() == 0
    return all_bytes(tmp_path / "whole"), time.monotonic() - began


def test_kill(start, undisturbed, tmp_path):
    expected, seconds = undisturbed
    rng = random.Random(1)
    killed = runs = 0
    while killed < KILLS:
        out, runs = tmp_path / f"out{runs}", runs + 1
        finished = {}
        while True:
            process = start(out.name)
            try:
                code = process.wait(timeout=rng.uniform(0, seconds / 3))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                code = None
            now = parts(out)
            assert finished.items() <= now.items(), "a finished part was written again"
            finished = now
            if code is not None:
                assert code == 0, process.stderr.read()
                break
        assert all_bytes(out) == expected
    assert runs < KILLS, "no run got anywhere between two kills"


@pytest.mark.quick(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(start, undisturbed, tmp_path, number):
    expected, _ = undisturbed
    for _ in range(5):  # on a busy machine the job may be done before the signal is sent
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        process = start("out")
        while process.poll() is None and not list((tmp_path / "out").glob("features/part-*")):
            time.sleep(0.001)
        process.send_signal(number)
        if process.wait() != 0:
            break
    assert process.returncode == 130
    assert "rerun the same command to resume" in process.stderr.read()
    names = {p.name for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert not [name for name in names if name.endswith(".tmp")] and 0 < len(parts(tmp_path / "out")) < 30
    assert start("out").wait() == 0
    assert all_bytes(tmp_path / "out") == expected


def test_killed_before_the_first_run_json(start, undisturbed, tmp_path):
    """What is left then is the temporary file of run.json; anything that is not ours is refused as before."""
    expected, _ = undisturbed
    out = tmp_path / "out"
    out.mkdir()
    (out / ".run.json.tmp").write_text('{ "compl')
    (out / "mine.txt").write_text("mine")
    process = start("out")
    assert process.wait() == 1
    assert "is not empty and holds no result" in process.stderr.read()
    assert len(list(out.iterdir())) == 2
    (out / "mine.txt").unlink()
    assert start("out").wait() == 0
    assert all_bytes(out) == expected


@pytest.mark.quick(0)
def test_left_overs_are_removed(start, undisturbed, tmp_path):
    expected, _ = undisturbed
    out = tmp_path / "out"
    process = start("out")
    while not list(out.glob("features/part-*")):
        assert process.poll() is None
    process.kill()
    process.wait()
    (out / "features" / ".part-00099.parquet.tmp").write_text("half")
    assert start("out").wait() == 0
    assert all_bytes(out) == expected


def test_a_finished_result_that_says_it_is_not_complete(start, undisturbed, tmp_path):
    """What run.json lists is still checked against the files: only what does not fit is made again."""
    expected, _ = undisturbed
    whole = tmp_path / "whole"
    summary = json.loads((whole / "run.json").read_text())
    (whole / "run.json").write_text(json.dumps({**summary, "complete": False}))
    (whole / "features" / "part-00001.parquet").write_bytes(b"PAR1")
    before = parts(whole)
    assert start("whole").wait() == 0
    again = json.loads((whole / "run.json").read_text())
    assert again["parts"] == summary["parts"] and all_bytes(whole) == expected
    assert again["counts"]["resumed"] == summary["counts"]["pictures"] - summary["parts"][1]["rows"]
    again = [path.name for path, what in parts(whole).items() if before[path] != what and "features" in path.parts]
    assert again == ["part-00001.parquet"]
