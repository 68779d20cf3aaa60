"""A result grows with its images: what is new or changed is computed, and the bytes are those of a run from nothing."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import coulis
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import draw_image
from growing import IMAGES, all_bytes, everything, model, refusal, resumed, run, same, touch  # noqa: F401


# ---- what may have become of the images, and how many vectors are carried over then ----


def copy_all():
    shutil.copytree("images", "again")  # with the times of modification
    shutil.rmtree("images")
    os.rename("again", "images")


def restore_times():
    for path in Path("images").rglob("*.png"):
        os.utime(path)


def change_same_size():
    """Other pixels, in a file of the same size."""
    path = Path("images/b/05.png")
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    path.write_bytes(content)


CHANGES = {
    "added first": (lambda: draw_image(100).save("images/a/000.png"), {"new": 1}),
    "added last": (lambda: draw_image(100).save("images/b/99.png"), {"new": 1}),
    "changed": (lambda: draw_image(100).save("images/b/05.png"), {"changed": 1}),
    "changed, same size": (change_same_size, {"changed": 1}),
    "now damaged": (lambda: Path("images/b/05.png").write_bytes(b"\x89PNG\r\n\x1a\n"), {"changed": 1}),
    "removed": (lambda: os.remove("images/a/10.png"), {"gone": 1}),
    "renamed": (lambda: os.rename("images/a/10.png", "images/a/zzz.png"), {"moved": 1}),
    "moved": (lambda: os.rename("images/a", "images/c"), {"moved": 12, "new": 1, "gone": 1, "failed": 0}),
    "copied": (lambda: shutil.copy("images/a/10.png", "images/b/ten.png"), {"moved": 1}),
    "swapped": (
        lambda: [
            os.rename("images/a/10.png", "x"),
            os.rename("images/b/11.png", "images/a/10.png"),
            os.rename("x", "images/b/11.png"),
        ],
        {"changed": 2},
    ),
    "touched": (touch, {"touched": 1}),
    "all touched": (restore_times, {"touched": IMAGES}),
    "copied as a whole": (copy_all, {}),
    "failed, and mended": (lambda: draw_image(5).save("images/a/bad.jpg"), {"changed": 1, "failed": 0}),
    "everything": (everything, {"new": 2, "changed": 3, "gone": 1, "moved": 1, "touched": 1, "failed": 0}),
}


@pytest.mark.quick(4)
@pytest.mark.parametrize("change", CHANGES)
def test_is_that_of_a_run_from_nothing(run, change):
    run()
    make, expected = CHANGES[change]
    make()
    before = all_bytes("out")
    plan = run(dry_run=True)["plan"]
    assert {name: plan[name] for name in ("new", "changed", "gone", "moved", "touched", "failed")} == {
        "new": 0,
        "changed": 0,
        "gone": 0,
        "moved": 0,
        "touched": 0,
        "failed": 1,
        **expected,
    }
    assert all_bytes("out") == before and not Path("out/.next").exists()
    run()
    run(out="fresh")
    same()
    assert not Path("out/.next").exists()
    if change != "copied as a whole":  # nothing is new, so the earlier run.json stays
        assert resumed() == plan["carried"]


def test_vectors_are_carried_over_and_not_made_again(run):
    """Vectors that no network gives stay as they are, as far as their images do."""
    run(function=coulis.featurize)
    part = Path("out/features/part-00001.parquet")
    before = pq.read_table(part).to_pylist()
    run(out="other", function=coulis.featurize)
    draw_image(100).save("images/b/zzz.png")
    summary_before = json.loads(Path("out/run.json").read_text())
    assert run(function=coulis.featurize)["counts"]["resumed"] == IMAGES
    after = {row["path"]: row for row in coulis.read_table("out").to_pylist()}
    assert all(after[row["path"]] == row for row in before)
    assert json.loads(Path("out/run.json").read_text())["parts"] != summary_before["parts"]


def test_nothing_to_do_touches_nothing(run):
    os.remove("images/a/bad.jpg")
    run()
    times = {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")}
    assert run()["counts"]["resumed"] == 0  # of the run that made it
    assert {p: p.stat().st_mtime_ns for p in Path("out").rglob("*")} == times


def test_what_failed_is_tried_again(run):
    """Also where nothing of the file has changed: here its folder could not be read."""
    Path("list.txt").write_text("".join(f"images/a/{n:02}.png\n" for n in range(0, 10, 2)) + "images/x/late.png\n")
    run("@list.txt")
    assert coulis.read_table("out").to_pylist()[-1]["status"] == "missing"
    assert run("@list.txt", dry_run=True)["plan"]["failed"] == 1
    times = {p: p.stat().st_mtime_ns for p in Path("out").rglob("*.*")}
    run("@list.txt")  # in vain: the result is the same, and stays
    assert {p: p.stat().st_mtime_ns for p in Path("out").rglob("*.*")} == times
    Path("images/x").mkdir()
    draw_image(7).save("images/x/late.png")
    run("@list.txt")
    assert coulis.read_table("out").to_pylist()[-1]["status"] == "ok" and resumed() == 5
    run("@list.txt", out="fresh")
    same()


def test_labels_and_columns_are_those_of_now(run):
    def manifest(word):
        Path("list.csv").write_text(
            "path,label,note\n"
            + "".join(f"images/a/{n:02}.png,{word}{n % 3},{word} {n}\n" for n in range(0, IMAGES, 2))
        )

    manifest("one")
    run("list.csv")
    manifest("two")
    assert run("list.csv", dry_run=True)["plan"]["carried"] == 12
    run("list.csv")
    assert resumed() == 12
    assert coulis.read_table("out").to_pylist()[1]["note"] == "two 2"
    run("list.csv", out="fresh")
    same()


def test_order_is_that_of_now(run):
    names = [f"images/{'ab'[n % 2]}/{n:02}.png" for n in range(IMAGES)]
    Path("list.txt").write_text("\n".join(names) + "\n")
    run("@list.txt")
    np.random.default_rng(1).shuffle(names)
    Path("list.txt").write_text("\n".join([*names, names[0], names[3]]) + "\n")  # two of them twice
    run("@list.txt")
    assert resumed() == IMAGES + 2
    run("@list.txt", out="fresh")
    same()


def test_archives_by_the_hash_of_their_members(run):
    def pack():
        with tarfile.open("images.tar", "w") as archive:
            for path in sorted(Path("images").rglob("*.png")):
                archive.add(path)

    pack()
    run("images.tar")
    draw_image(100).save("images/a/02.png")
    draw_image(101).save("images/a/03.png")
    os.rename("images/b/05.png", "images/b/z.png")
    pack()
    plan = run("images.tar", dry_run=True)["plan"]
    assert (plan["new"], plan["changed"], plan["moved"], plan["gone"]) == (1, 1, 1, 0)
    run("images.tar")
    assert resumed() == IMAGES - 1
    run("images.tar", out="fresh")
    same()


def test_a_source_of_the_caller_by_hash(run):
    def items(numbers):
        return [(f"{n}", Path("images", "ab"[n % 2], f"{n:02}.png").read_bytes()) for n in numbers]

    run(items(range(10)), function=coulis.featurize)
    run(items(range(2, 16)), function=coulis.featurize)
    assert resumed() in (0, 8)  # 0: a source without an identity is refused or resumed as before
    run(items(range(2, 16)), out="fresh", function=coulis.featurize)
    assert coulis.read_table("out").equals(coulis.read_table("fresh"))


def test_vectors_only(run):
    run(function=coulis.featurize)
    everything()
    run(function=coulis.featurize)
    run(out="fresh", function=coulis.featurize)
    same()


def test_from_an_unfinished_result(run):
    """An interrupted job of other images: its parts, and what was kept of one in the making, are not lost."""
    refusal("interrupted", run, progress=lambda state: state.stage == "featurize" and state.done >= 13)
    draw_image(100).save("images/a/000.png")
    run()
    assert resumed() >= 10
    run(out="fresh")
    same()


def test_dropping_vectors(run):
    run(drop_features=True)
    run(drop_features=True)
    draw_image(100).save("images/a/000.png")
    assert "its vectors were dropped" in refusal("conflict", run, drop_features=True)
    shutil.rmtree("out")
    run()
    draw_image(101).save("images/a/001.png")
    run(drop_features=True)
    assert not Path("out/features").exists()
    run(out="fresh", drop_features=True)
    same()
