"""Ctrl-C ends a job at once and keeps what is done inside a part; closed descriptors do no harm."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from results import all_bytes

pa_parquet = pytest.importorskip("pyarrow.parquet")

# One part: what an interrupted run keeps of it is in pieces.
ROWS = ["--rows-per-file", "10000", "-k", "3", "--threads", "2", "--quiet"]
LONG = bool(os.environ.get("COULIS_TEST_LONG"))


def pieces(folder):
    return sorted(folder.glob("features/.part-*.piece-*.parquet"))


@pytest.fixture(scope="module")
def many(tmp_path_factory, image_folder):
    """A list of enough images for some seconds of work, some of which cannot be read."""
    files = sorted(p for p in image_folder.rglob("*") if p.is_file())
    broken = tmp_path_factory.mktemp("broken") / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no JPEG")
    listing = broken.parent / "list.txt"
    lines = [f"{p}\n" for p in [*files, broken, broken.parent / "nothing.png"]]
    listing.write_text("".join(lines * (14 if LONG else 10)))
    return f"@{listing}"


@pytest.fixture
def start(command, many, tmp_path, lite0_path):
    def begin(out, before=(), **more):
        return subprocess.Popen([*before, str(command), "run", many, "-o", out, *ROWS], cwd=tmp_path, text=True, **more)

    return begin


@pytest.fixture(scope="module")
def undisturbed(command, many, tmp_path_factory, lite0_path):
    out = tmp_path_factory.mktemp("whole") / "out"
    began = time.monotonic()
    assert subprocess.run([str(command), "run", many, "-o", out, *ROWS]).returncode == 3
    return all_bytes(out), time.monotonic() - began


def interrupt(process, after):
    """Ctrl-C after `after` seconds; how long the command took to end then."""
    try:
        process.wait(timeout=after)
        pytest.fail(f"the job was done before Ctrl-C, {after:.1f} seconds after its start")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.wait(timeout=60)
    return time.monotonic() - began


def allowed(seconds):
    """How long the command may take to end: two seconds; longer where other programs leave it so little of the machine
    that the whole job, of a second of work, takes longer."""
    return max(2, seconds)


def rows_kept(out):
    return sum(pa_parquet.read_metadata(p).num_rows for p in pieces(out))


def interrupt_with_more_kept(start, out, seconds):
    """Runs the job until Ctrl-C finds it with rows that were not kept before. How long a process needs until its first
    images are done depends on the machine, so a turn that kept nothing new is followed by a longer one."""
    before, after = rows_kept(out), 0.3
    while True:
        process = start(out.name, stderr=subprocess.PIPE)
        assert interrupt(process, after) < allowed(seconds)
        said = process.stderr.read()
        after *= 1.3
        if process.returncode == -signal.SIGINT or "before anything was done" in said:
            continue  # it had hardly begun
        assert process.returncode == 130 and "images; rerun the same command to resume" in said, said
        now = rows_kept(out)
        assert now == int(re.search(r"after (\d+) of", said)[1]), f"what was finished is lost: {now} are kept, {said}"
        assert now >= before, "rows that were kept are lost"
        if now > before:
            return now


def test_what_is_done_inside_a_part_is_kept(start, undisturbed, tmp_path):
    expected, seconds = undisturbed
    out = tmp_path / "out"
    for _ in range(2):
        kept = interrupt_with_more_kept(start, out, seconds)
        assert not list(out.glob("features/part-*")), "the only part already exists"
        assert json.loads((out / "run.json").read_text())["complete"] is False
    assert start("out").wait() == 3
    assert json.loads((out / "run.json").read_text())["counts"]["resumed"] == kept
    assert all_bytes(out) == expected, "pieces stay behind, or the bytes differ"


def test_pieces_that_do_not_fit_are_not_taken(start, undisturbed, tmp_path):
    """Cut, of other rows, or of another recipe: what follows them is made again."""
    expected, seconds = undisturbed
    first = tmp_path / "first"
    for _ in range(2):
        interrupt_with_more_kept(start, first, seconds)
    names = [p.name for p in pieces(first)]
    assert len(names) >= 2

    def cut(folder):
        (folder / names[0]).write_bytes((folder / names[0]).read_bytes()[:-100])

    def swap(folder):
        (folder / names[0]).rename(folder / "x")
        (folder / names[1]).rename(folder / names[0])
        (folder / "x").rename(folder / names[1])

    def flip(folder):
        raw = bytearray((folder / names[1]).read_bytes())
        raw[len(raw) - 300] ^= 0xFF  # in the footer
        (folder / names[1]).write_bytes(raw)

    def lose(folder):
        (folder / names[0]).unlink()

    for change in (cut, swap, flip, lose) if LONG else (cut, swap):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(first, tmp_path / "out")
        change(tmp_path / "out" / "features")
        assert start("out").wait() == 3
        assert all_bytes(tmp_path / "out") == expected, change.__name__


@pytest.mark.skipif(not LONG, reason="takes minutes: set COULIS_TEST_LONG=1")
def test_killed_inside_a_part(start, undisturbed, tmp_path):
    """A kill that nothing announces loses some seconds of work, not the part."""
    expected, seconds = undisturbed
    out = tmp_path / "out"
    process = start("out")
    time.sleep(seconds * 0.8)
    process.kill()
    process.wait()
    kept = sum(pa_parquet.read_metadata(p).num_rows for p in pieces(out))
    assert kept > 0
    assert start("out").wait() == 3
    assert json.loads((out / "run.json").read_text())["counts"]["resumed"] == kept
    assert all_bytes(out) == expected


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)] if LONG else [(2,), (0, 1, 2)])
def test_closed_descriptors(start, undisturbed, tmp_path, closed):
    """The note of Ctrl-C goes to stderr; with that closed, to nobody, and above all into no file of the result."""
    expected, seconds = undisturbed
    shell = ["bash", "-c", 'exec "$@" ' + " ".join(f"{n}>&-" for n in closed), "bash"]
    process = start("out", shell)
    interrupt(process, max(0.5, seconds * 0.2))
    assert process.returncode == 130
    assert start("out", shell).wait() == 3
    assert all_bytes(tmp_path / "out") == expected


def test_closed_stdout_is_no_success(command):
    """What was asked for on stdout could not be written."""
    assert subprocess.run(["bash", "-c", f"'{command}' version >&-"], stderr=subprocess.DEVNULL).returncode == 1
