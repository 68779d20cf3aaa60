"""Results know what they were made from: records of parts, recipes of a PCA, digests of tables, changed images."""

import json
import os
import shutil
import subprocess

import coulis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import draw_image, draw_images
from results import all_bytes

OPTIONS = dict(components=3, rows_per_file=4, threads=2)


@pytest.fixture
def images(tmp_path):
    """Ten images in a folder of their own, which a test may change."""
    folder = draw_images(tmp_path / "images", 10)
    return folder


@pytest.fixture
def result(images, tmp_path, lite0_path):
    coulis.run(images, tmp_path / "out", **OPTIONS)
    return tmp_path / "out"


def refusal(status, function, *arguments, **options):
    with pytest.raises(coulis.Error) as caught:
        function(*arguments, **options)
    assert caught.value.status == status, caught.value
    return str(caught.value)


def interrupted(images, out, after=4, **options):
    """A job that is stopped once it has made so many vectors."""
    refusal(
        "interrupted",
        coulis.run,
        images,
        out,
        **{**OPTIONS, **options},
        progress=lambda state: state.stage == "featurize" and state.done >= after,
    )


# ---- what is written down ----


def test_parts_are_in_the_summary(result):
    import hashlib

    summary = json.loads((result / "run.json").read_text())
    names = [f"{kind}/part-0000{n}.parquet" for kind in ("features", "reduced") for n in range(3)]
    assert [part["name"] for part in summary["parts"]] == names
    for part in summary["parts"]:
        content = (result / part["name"]).read_bytes()
        assert part["bytes"] == len(content) and part["sha256"] == hashlib.sha256(content).hexdigest()
        assert part["rows"] == pq.read_metadata(result / part["name"]).num_rows
    pca = (result / "pca.safetensors").read_bytes()
    assert summary["pca"]["bytes"] == len(pca) and summary["pca"]["sha256"] == hashlib.sha256(pca).hexdigest()
    assert not [p for p in result.rglob("*") if p.name.startswith(".")]
    assert coulis.verify(result) == dict(
        verified=True, output=str(result), files=7, rows=10, bytes=sum(p["bytes"] for p in summary["parts"]) + len(pca)
    )


def test_dropped_features_are_not_in_the_summary(images, tmp_path, lite0_path):
    coulis.run(images, tmp_path / "out", drop_features=True, **OPTIONS)
    coulis.run(images, tmp_path / "later", **OPTIONS)
    coulis.run(images, tmp_path / "later", drop_features=True, **OPTIONS)
    for name in ("out", "later"):
        summary = json.loads((tmp_path / name / "run.json").read_text())
        assert [part["name"][:8] for part in summary["parts"]] == ["reduced/"] * 3
        assert not (tmp_path / name / "features").exists() and coulis.verify(tmp_path / name)["rows"] == 10


# ---- a result that is not whole any more ----


def swap(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


DAMAGE = {
    "deleted": lambda out: (out / "features" / "part-00001.parquet").unlink(),
    "cut": lambda out: cut(out / "features" / "part-00001.parquet"),
    "swapped": lambda out: swap(out / "features" / "part-00000.parquet", out / "features" / "part-00001.parquet"),
    "scores deleted": lambda out: (out / "reduced" / "part-00002.parquet").unlink(),
    "scores cut": lambda out: cut(out / "reduced" / "part-00002.parquet"),
    "scores swapped": lambda out: swap(out / "reduced" / "part-00000.parquet", out / "reduced" / "part-00001.parquet"),
    "PCA deleted": lambda out: (out / "pca.safetensors").unlink(),
    "PCA changed": lambda out: flip(out / "pca.safetensors", -5),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_finished_result_that_is_damaged_is_made_whole(result, images, damage):
    expected = all_bytes(result)
    DAMAGE[damage](result)
    assert "run.json" not in refusal("bad_data", coulis.verify, result) if damage != "PCA deleted" else True
    coulis.run(images, result, **OPTIONS)
    assert all_bytes(result) == expected
    coulis.verify(result)


FOUND = {
    **DAMAGE,
    "a bit of a vector": lambda out: flip(out / "features" / "part-00000.parquet", 5000),
    "a bit of a score": lambda out: flip(out / "reduced" / "part-00000.parquet", 50),
    "a bit of a footer": lambda out: flip(out / "reduced" / "part-00000.parquet", -30),
    "counts": lambda out: edit(out / "run.json", counts={"pictures": 11, "ok": 11}),
    "a time": lambda out: edit(out / "run.json", threads=77),
    "recipe": lambda out: edit(out / "run.json", recipe={"model": "another"}),
    "a part too many": lambda out: shutil.copy(
        out / "features" / "part-00000.parquet", out / "features" / "part-00003.parquet"
    ),
    "run.json deleted": lambda out: (out / "run.json").unlink(),
    "run.json cut": lambda out: cut(out / "run.json"),
}


@pytest.mark.parametrize("damage", FOUND)
def test_verify_finds_it(result, damage):
    coulis.verify(result)
    FOUND[damage](result)
    with pytest.raises(coulis.Error) as caught:
        coulis.verify(result)
    assert caught.value.status in ("bad_data", "missing") and str(result) in str(caught.value)


def test_verify_finds_the_pca_of_another_recipe(result, images, tmp_path):
    coulis.run(images, tmp_path / "other", resize="crop", **OPTIONS)
    shutil.copy(tmp_path / "other" / "pca.safetensors", result)
    message = refusal("conflict", coulis.verify, result)
    assert "their resize is crop, that of these vectors is squash" in message
    # Taken for its own, it would give scores of other vectors: it is fitted again.
    expected = all_bytes(result)["reduced/part-00000.parquet"]
    coulis.run(images, result, **OPTIONS)
    assert all_bytes(result)["reduced/part-00000.parquet"] == expected and coulis.verify(result)


def test_layout_of_run_json_does_not_matter(result):
    (result / "run.json").write_text(json.dumps(json.loads((result / "run.json").read_text())))
    assert coulis.verify(result)["files"] == 7


def test_an_unfinished_result_is_not_verified(images, tmp_path, lite0_path):
    interrupted(images, tmp_path / "out")
    assert "not complete" in refusal("bad_data", coulis.verify, tmp_path / "out")
    assert "cannot open" in refusal("missing", coulis.verify, tmp_path)


@pytest.mark.parametrize("damage", ["deleted", "cut", "foreign"])
def test_an_interrupted_result_that_is_damaged_is_made_whole(images, tmp_path, lite0_path, damage):
    out, whole = tmp_path / "out", tmp_path / "whole"
    coulis.run(images, whole, **OPTIONS)
    interrupted(images, out, after=8)
    part = out / "features" / "part-00000.parquet"
    if damage == "foreign":
        part.write_bytes((whole / "features" / "part-00001.parquet").read_bytes())
    else:
        DAMAGE[damage](out) if (out / "features" / "part-00001.parquet").exists() else cut(part)
    coulis.run(images, out, **OPTIONS)
    assert all_bytes(out) == all_bytes(whole)


def test_another_k_after_the_pca_was_removed_mixes_nothing(result, images, tmp_path):
    (result / "pca.safetensors").unlink()
    summary = json.loads((result / "run.json").read_text())
    (result / "run.json").write_text(json.dumps({"complete": False, "recipe": summary["recipe"]}))
    coulis.run(images, result, **{**OPTIONS, "components": 2})
    coulis.run(images, tmp_path / "fresh", **{**OPTIONS, "components": 2})
    assert all_bytes(result) == all_bytes(tmp_path / "fresh")


# ---- images that change ----


@pytest.mark.parametrize("change", ["size", "time", "gone"])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_images_that_changed_are_computed_again(images, tmp_path, lite0_path, change, after):
    out, first = tmp_path / "out", images / "1.png"
    interrupted(images, out, after)
    if change == "size":
        draw_image(77).save(first)
    elif change == "time":
        before = first.stat()
        flip(first, first.read_bytes().index(b"IDAT") + 20)
        os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    if change == "gone":
        (tmp_path / "list.txt").write_text("".join(f"{images}/{n}.png\n" for n in range(10)))
        shutil.rmtree(out)
        interrupted(f"@{tmp_path}/list.txt", out, after)
        first.unlink()
        coulis.run(f"@{tmp_path}/list.txt", out, **OPTIONS)
        coulis.run(f"@{tmp_path}/list.txt", tmp_path / "fresh", **OPTIONS)
    else:
        coulis.run(images, out, **OPTIONS)
        coulis.run(images, tmp_path / "fresh", **OPTIONS)
    assert all_bytes(out) == all_bytes(tmp_path / "fresh")
    coulis.verify(out)


def test_images_that_changed_after_the_fit(images, tmp_path, lite0_path):
    out = tmp_path / "out"
    refusal("interrupted", coulis.run, images, out, **OPTIONS, progress=lambda state: state.stage == "transform")
    assert (out / "pca.safetensors").exists()
    draw_image(77).save(images / "1.png")
    coulis.run(images, out, **OPTIONS)
    coulis.run(images, tmp_path / "fresh", **OPTIONS)
    assert all_bytes(out) == all_bytes(tmp_path / "fresh")


def test_relative_paths_are_tied_to_their_root(images, tmp_path, lite0_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copytree(images, tmp_path / name / "images")
    monkeypatch.chdir(tmp_path / "one")
    interrupted("images", tmp_path / "out")
    monkeypatch.chdir(tmp_path / "two")
    message = refusal("conflict", coulis.run, "images", tmp_path / "out", **OPTIONS)
    assert f"refer to the folder '{tmp_path}/one'" in message
    monkeypatch.chdir(tmp_path / "one")
    coulis.run("images", tmp_path / "out", **OPTIONS)
    monkeypatch.chdir(tmp_path / "two")
    assert "refer to the folder" in refusal("conflict", coulis.run, "images", tmp_path / "out", **OPTIONS)


# ---- recipes of a PCA ----


def test_vectors_of_another_recipe_are_refused(images, tmp_path, lite0_path):
    for name, options in {"squash": {}, "crop": dict(resize="crop"), "logits": dict(features="logits")}.items():
        coulis.featurize(images, tmp_path / name, rows_per_file=4, **options)
    pca = tmp_path / "pca.safetensors"
    coulis.fit(tmp_path / "squash", pca, components=2)
    recipe = coulis.PCA.load(pca).recipe_
    assert len(recipe["model_sha256"]) == 64 and recipe["resize"] == "squash" and recipe["instruction_set"]
    assert "paths_sha256" not in recipe
    coulis.transform(tmp_path / "squash", pca, tmp_path / "ok")
    message = refusal("conflict", coulis.transform, tmp_path / "crop", pca, tmp_path / "refused")
    assert (
        f"{pca}: was fitted to vectors of another recipe: their resize is squash, that of these vectors is crop; "
        in message
    )
    assert not (tmp_path / "refused").exists()
    coulis.transform(tmp_path / "crop", pca, tmp_path / "allowed", allow_other_recipe=True)
    with coulis.Featurizer(lite0_path) as featurizer:
        result = featurizer.featurize(sorted(images.iterdir()))
        assert result.recipe == featurizer.recipe == recipe
    fitted = coulis.PCA(2).fit(result)
    assert fitted.recipe_ == recipe
    fitted.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == pca.read_bytes()
    with coulis.Featurizer(lite0_path, resize="crop") as featurizer:
        other = featurizer.featurize(sorted(images.iterdir()))
    loaded = coulis.PCA.load(pca)
    assert "their resize is squash" in refusal("conflict", loaded.transform, other)
    assert loaded.transform(other, allow_other_recipe=True).tobytes() == loaded.transform(other.values).tobytes()
    assert loaded.transform(result).shape == (10, 2)
    assert coulis.PCA(2).fit(result.values).recipe_ is None
    # Vectors of a cluster do not say which instruction set they come from, which is not a difference; another is.
    fitted._set_recipe({key: value for key, value in recipe.items() if key != "instruction_set"})
    assert fitted.transform(result).shape == (10, 2)
    fitted._set_recipe({**recipe, "instruction_set": "another"})
    assert "their instruction_set is another" in refusal("conflict", fitted.transform, result)


def test_another_network_is_named(images, tmp_path, lite0_path):
    """Two networks of the same length: what passed until 0.1."""
    content = open(lite0_path, "rb").read()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"]["coulis"] = json.dumps({**json.loads(header["__metadata__"]["coulis"]), "name": "another"})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "another.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    coulis.run(images, tmp_path / "lite0", **OPTIONS)
    coulis.featurize(images, tmp_path / "another", model=tmp_path / "another.safetensors")
    pca = tmp_path / "lite0" / "pca.safetensors"
    message = refusal("conflict", coulis.transform, tmp_path / "another", pca, tmp_path / "scores")
    assert "their model is efficientnet-lite0, that of these vectors is another" in message


def test_a_result_whose_images_failed(images, tmp_path, lite0_path):
    with coulis.Featurizer(lite0_path) as featurizer:
        result = featurizer.featurize([*sorted(images.iterdir()), tmp_path / "gone.png"])
    assert coulis.PCA(2).fit(result).transform(result).shape == (10, 2)
    assert coulis.PCA(2).fit(result).n_samples_ == 10


def test_parts_of_two_recipes_are_refused(images, tmp_path, lite0_path):
    coulis.featurize(images, tmp_path / "one", rows_per_file=5)
    coulis.featurize(images, tmp_path / "two", rows_per_file=5, resize="crop")
    shutil.copy(tmp_path / "two" / "features" / "part-00001.parquet", tmp_path / "one" / "features")
    message = refusal("bad_data", coulis.fit, tmp_path / "one", tmp_path / "pca.safetensors")
    assert "part-00001.parquet: its vectors were made by another recipe" in message


# ---- transform ----


def vectors_table(folder, x):
    """A table without a recipe, as another program writes it."""
    folder.mkdir(exist_ok=True)
    rows = len(x)
    columns = {
        "path": [f"{i}.jpg" for i in range(rows)],
        "label": [""] * rows,
        "status": ["ok"] * rows,
        "error": pa.nulls(rows, pa.string()),
        "width": pa.nulls(rows, pa.int32()),
        "height": pa.nulls(rows, pa.int32()),
        "features": pa.array(list(x), pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), folder / "part-00000.parquet")


def test_another_table_is_another_job(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 6)).astype(np.float32)
    y = x.copy()
    y[7, 3] += 1  # same size, same names: only the content tells
    for name, values in (("x", x), ("y", y)):
        vectors_table(tmp_path / name, values)
    pca = tmp_path / "pca.safetensors"
    coulis.fit(tmp_path / "x", pca, components=2)
    coulis.transform(tmp_path / "x", pca, tmp_path / "scores")
    assert "other table_sha256" in refusal("conflict", coulis.transform, tmp_path / "y", pca, tmp_path / "scores")
    shutil.rmtree(tmp_path / "x")
    vectors_table(tmp_path / "x", y)
    refusal("conflict", coulis.transform, tmp_path / "x", pca, tmp_path / "scores")
    coulis.transform(tmp_path / "x", pca, tmp_path / "scores", overwrite=True)
    assert coulis.verify(tmp_path / "scores")["rows"] == 40


def test_the_share_of_variance_is_that_of_these_rows(tmp_path):
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((60, 8)) * [9, 5, 3, 1, 1, 1, 1, 1]).astype(np.float32)
    y = (rng.standard_normal((50, 8)) * [1, 2, 1, 8, 2, 1, 1, 1] + 100).astype(np.float32)
    for name, values in (("x", x), ("y", y)):
        vectors_table(tmp_path / name, values)
    pca = tmp_path / "pca.safetensors"
    fitted = coulis.fit(tmp_path / "x", pca, components=3)["pca"]["explained_variance_share"]
    same = coulis.transform(tmp_path / "x", pca, tmp_path / "a")["pca"]
    other = coulis.transform(tmp_path / "y", pca, tmp_path / "b")["pca"]
    # Float32 components and scores: a few times 6e-8 relative to the variance.
    np.testing.assert_allclose(same["explained_variance_share"], fitted, rtol=1e-6)
    components = coulis.PCA.load(pca).components_.astype(np.float64)
    centred = y.astype(np.float64) - y.mean(axis=0, dtype=np.float64)
    expected = (centred @ components.T).var(axis=0).sum() / centred.var(axis=0).sum()
    np.testing.assert_allclose(other["explained_variance_share"], expected, rtol=1e-5)
    assert expected < 0.5 < fitted and other["fitted_variance_share"] == fitted
    constant = np.full((5, 8), 3, np.float32)
    vectors_table(tmp_path / "c", constant)
    assert coulis.transform(tmp_path / "c", pca, tmp_path / "d")["pca"]["explained_variance_share"] == 0


# ---- starting again ----


def test_in_the_command(command, result, images, tmp_path):
    def call(*arguments, code=0):
        done = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done

    assert json.loads(call("verify", result, "--json").stdout)["rows"] == 10
    assert "every digest, row and recipe" in call("verify", result).stderr
    assert call("verify", result, "--quiet").stderr == ""
    coulis.featurize(images, tmp_path / "crop", resize="crop")
    transform = ("transform", tmp_path / "crop", "--pca", result / "pca.safetensors", "-o", tmp_path / "scores")
    assert "their resize is squash" in call(*transform, code=1).stderr
    said = call(*transform, "--allow-other-recipe").stderr
    summary = json.loads((tmp_path / "scores" / "run.json").read_text())
    assert f"explained variance {100 * summary['pca']['explained_variance_share']:.2f} %" in said
    flip(result / "features" / "part-00000.parquet", 5000)
    assert f"{result}/features/part-00000.parquet" in call("verify", result, code=1).stderr


@pytest.mark.parametrize(
    "name", ["features/part-00007.parquet", "reduced/part-00000.parquet", "pca.safetensors", "run.json"]
)
def test_overwrite_removes_only_what_coulis_wrote(images, tmp_path, lite0_path, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("{}")
    assert f"{name}: is in the way" in refusal("conflict", coulis.run, images, out, overwrite=True, **OPTIONS)
    assert (out / name).read_text() == "{}"
    (out / name).unlink()
    coulis.run(images, out, overwrite=True, **OPTIONS)
    (out / "features" / "part-mine.parquet").write_text("mine")
    (out / "notes.txt").write_text("mine")
    coulis.run(images, out, overwrite=True, **{**OPTIONS, "rows_per_file": 5})
    assert (out / "features" / "part-mine.parquet").read_text() == (out / "notes.txt").read_text() == "mine"
    assert len(list(out.glob("*/part-0*.parquet"))) == 4 and coulis.verify(out)


def test_a_lock_that_cannot_be_had_ends_the_job(command, images, tmp_path):
    """Whatever the reason: here a library in front of the system's, whose flock fails as that of some network file
    systems does."""
    source = tmp_path / "flock.c"
    source.write_text("#include <errno.h>\nint flock(int fd, int how) { errno = ENOLCK; return -1; }\n")
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", tmp_path / "flock.so"], check=True)
    done = subprocess.run(
        [command, "run", images, "-o", tmp_path / "out"],
        capture_output=True,
        text=True,
        env={**os.environ, "LD_PRELOAD": str(tmp_path / "flock.so")},
    )
    assert done.returncode == 1 and "cannot be locked: No locks available" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
