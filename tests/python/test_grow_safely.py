"""A result grows: its PCA is fitted anew or kept, and whatever happens on the way, nothing false is ever claimed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import coulis
import pyarrow.parquet as pq
import pytest
from conftest import draw_image
from growing import IMAGES, all_bytes, everything, model, refusal, resumed, run, same  # noqa: F401


# ---- the PCA ----


def scores(folder):
    return [(row["path"], row["pca"]) for row in coulis.read_table(folder, "reduced").to_pylist()]


def test_keeping_the_pca(run):
    run()
    pca = Path("out/pca.safetensors").read_bytes()
    everything()
    summary = run(keep_pca=True)
    assert Path("out/pca.safetensors").read_bytes() == pca and coulis.verify("out")
    assert summary["pca"]["explained_variance_share"] != summary["pca"]["fitted_variance_share"]
    Path("pca.safetensors").write_bytes(pca)
    run(out="fresh")
    coulis.transform("fresh", "pca.safetensors", "applied")
    assert scores("out") == scores("applied")
    assert scores("out") != scores("fresh")
    draw_image(110).save("images/a/110.png")
    run(keep_pca=True)
    assert Path("out/pca.safetensors").read_bytes() == pca
    os.remove("images/a/110.png")
    run()  # fitted anew
    same()


def test_keeping_a_pca_that_is_not_there(run):
    assert "no sound PCA" in refusal("conflict", run, keep_pca=True)
    assert not Path("out").exists()
    run()
    content = bytearray(Path("out/pca.safetensors").read_bytes())
    content[-5] ^= 1
    Path("out/pca.safetensors").write_bytes(content)
    assert "no sound PCA" in refusal("conflict", run, keep_pca=True)
    assert "exclude one another" in refusal("invalid_argument", run, keep_pca=True, overwrite=True)


# ---- what is not to happen ----


def test_another_recipe_is_refused(run, tmp_path):
    run()
    draw_image(100).save("images/a/000.png")
    before = all_bytes("out")
    for more, name in [
        (dict(components=2), "components"),
        (dict(resize="crop"), "resize"),
        (dict(rows_per_file=4), "rows_per_file"),
        (dict(max_pixels=10**6), "max_pixels"),
        (dict(features="map"), "features"),
    ]:
        assert f"another recipe (other {name})" in refusal("conflict", run, **more)
    with pytest.raises(coulis.Error, match="kind of job"):
        run(function=coulis.featurize)
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree("images", "elsewhere/images")
    os.chdir("elsewhere")
    assert "refer to the folder" in refusal("conflict", run, out="../out")
    os.chdir("..")
    assert all_bytes("out") == before


def test_images_of_another_folder_do_not_take_the_place_of_all(run):
    """A wrong folder on the command line costs no vectors."""
    run()
    before = all_bytes("out")
    os.rename("images", "mine")
    Path("images").mkdir()
    draw_image(900).save("images/other.png")
    draw_image(901).save("images/others.png")
    assert "none of those given now" in refusal("conflict", run)
    assert all_bytes("out") == before
    run(overwrite=True, components=2)
    assert len(coulis.read_table("out", "features")) == 2


@pytest.mark.parametrize("place", [4, 0.02, 0.2, 0.5, 0.8])
def test_a_damaged_part_is_not_carried_over(run, place):
    """What a flipped bit made of a vector, or of what else is in a row, must not get a digest of its own."""
    run()
    part = Path("out/features/part-00001.parquet")
    content = bytearray(part.read_bytes())
    content[place if place >= 1 else int(len(content) * place)] ^= 1
    part.write_bytes(content)
    draw_image(100).save("images/b/zzz.png")
    run()
    assert resumed() < IMAGES
    run(out="fresh")
    same()


@pytest.mark.parametrize("stage", ["featurize", "fit", "transform"])
def test_interrupted(run, stage):
    """The old result stays whole and readable until the new one takes its place."""
    run()
    everything()
    for number in range(200, 280):
        draw_image(number).save(f"images/a/{number}.png")
    before = all_bytes("out")
    refusal("interrupted", run, progress=lambda state: state.stage == stage and state.done > 40)
    assert coulis.verify("out")
    now = all_bytes("out")
    assert {name: now[name] for name in before} == before
    assert all(name.startswith(".next/") for name in now.keys() - before.keys())
    assert coulis.search("out", "images/a/02.png", k=3)
    if stage == "transform":  # images that change now are seen, too
        draw_image(300).save("images/a/200.png")
        os.remove("images/a/201.png")
    run()
    if stage == "fit":
        assert resumed() == len(coulis.read_table("out"))
    run(out="fresh")
    same()


@pytest.mark.parametrize("changed", [False, True])
def test_pieces_leave_out_vectors_that_are_carried_over(run, changed):
    """Hundreds of rows in turn whose vectors stand in the old result are kept without them; around new ones, with."""
    for number in range(60 * IMAGES):
        shutil.copy(f"images/{'ab'[number % 2]}/{number % IMAGES:02}.png", f"images/b/{number:04}.png")
    more = dict(rows_per_file=5000, threads=1)
    run(**more)
    for number in (3, 400, 403, 900):  # runs of 400, 2, 496 and more rows that are carried over
        draw_image(1000 + number).save(f"images/b/{number:04}-new.png")
    # Rows are read at most 8 chunks of 16 ahead of the first that is not finished: 972 are kept at least.
    refusal("interrupted", run, progress=lambda state: state.stage == "featurize" and state.done > 1100, **more)
    names = sorted(Path("out/.next/features").glob(".part-00000.piece-*"))
    pieces = [pq.read_table(piece, columns=["path", "status", "features"]) for piece in names]
    assert sum(map(len, pieces)) > 960
    without = [piece for piece in pieces if piece["features"].null_count == len(piece)]
    assert sum(map(len, without)) > 600 and set(without[0]["status"].to_pylist()) == {"ok"}
    assert not any("-new" in path for piece in without for path in piece["path"].to_pylist())
    if changed:  # an image of such a piece, which is no longer good then
        draw_image(2000).save("images/b/0300.png")
    good = []  # the pieces that the job goes on with; others are removed first
    run(progress=lambda state: good.append([name for name in names if name.exists()]), **more)
    assert (good[0] == names) != changed
    run(out="fresh", **more)
    same()


def test_interrupted_and_then_overwritten(run):
    run()
    everything()
    refusal("interrupted", run, progress=lambda state: state.stage == "transform")
    assert Path("out/.next").exists()
    run(overwrite=True)
    assert not Path("out/.next").exists()
    run(out="fresh")
    same()


def test_interrupted_and_then_changed_back(run):
    run()
    run(out="fresh")
    draw_image(100).save("images/a/000.png")
    refusal("interrupted", run, progress=lambda state: state.stage == "transform")
    os.remove("images/a/000.png")
    os.remove("images/a/bad.jpg")
    Path("images/a/bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    shutil.rmtree("fresh")
    run()
    run(out="fresh")
    same()
    assert not Path("out/.next").exists()


def test_a_replacement_that_was_interrupted_is_ended(run):
    """As if the power had been lost after the new result was there, and before its files were at their places."""
    run()
    everything()
    refusal("interrupted", run, progress=lambda state: state.stage == "transform")
    run(out="fresh")
    shutil.rmtree("out/.next")
    shutil.copytree("fresh", "out/.next")
    os.replace("out/.next/features/part-00001.parquet", "out/features/part-00001.parquet")  # moved already
    recipe = json.loads(Path("fresh/run.json").read_text())
    state = {"complete": False, "replacing": True, "recipe": recipe["recipe"], "root": recipe["root"]}
    Path("out/run.json").write_text(json.dumps(state))
    assert "not complete" in refusal("bad_data", coulis.verify, "out")
    assert "was interrupted" in refusal("conflict", run, dry_run=True)
    run()
    same()


# ---- the command ----


def test_command(run, command, model):
    def call(*more, code=0):
        arguments = [command, "run", "images", "-o", "out", "--model", model, "-k", "3", "--rows-per-file", "5", *more]
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done

    os.remove("images/a/bad.jpg")
    assert "new" not in call().stderr
    assert "new" not in call().stderr  # nothing to do
    everything()
    os.remove("images/a/bad.jpg")
    said = "2 new, 2 changed, 1 gone, 1 moved, 1 touched; 22 of 26 vectors carried over"
    assert said in call("--dry-run").stdout
    assert json.loads(call("--dry-run", "--json").stdout)["plan"] == {
        "images": 26,
        "new": 2,
        "changed": 2,
        "failed": 0,
        "moved": 1,
        "touched": 1,
        "gone": 1,
        "carried": 22,
    }
    assert said in call().stderr
    run(out="fresh")
    same()
    draw_image(120).save("images/a/120.png")
    assert "1 new, 0 changed, 0 gone; 25" in call("--keep-pca").stderr
    assert "exclude one another" in call("--keep-pca", "--overwrite", code=1).stderr
