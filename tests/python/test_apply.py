"""New images through the network, preprocessing and components of an earlier run."""

import json
import subprocess

import coulis
import numpy as np
import pytest
from conftest import draw_image

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(40):
        (folder / f"kind-{number % 2}").mkdir(exist_ok=True)
        draw_image(number, (90, 60)).save(folder / f"kind-{number % 2}" / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def result(images, tmp_path_factory, lite0_path):
    """A run with options that are not the defaults, which apply has to find in the recipe."""
    output = tmp_path_factory.mktemp("result") / "out"
    coulis.run(images, output, components=8, resize="crop", orient="exif", alpha="white", features="logits")
    return output


def scores(folder):
    return {row["path"]: row["pca"] for row in coulis.read_table(folder / "reduced").to_pylist()}


@pytest.mark.quick(1)
@pytest.mark.parametrize("what", ["folder", "file"])
def test_rows_are_those_of_the_run_bit_for_bit(images, result, tmp_path, what):
    pca = result if what == "folder" else result / "pca.safetensors"
    summary = coulis.apply(images, pca, tmp_path / "again")
    for name in ("features", "reduced"):
        column = "features" if name == "features" else "pca"
        ours, theirs = (coulis.read_table(folder / name)[column].to_pylist() for folder in (tmp_path / "again", result))
        assert np.array(ours, np.float32).tobytes() == np.array(theirs, np.float32).tobytes()
    assert (tmp_path / "again" / "pca.safetensors").read_bytes() == (result / "pca.safetensors").read_bytes()
    pca = summary["pca"]
    assert pca["explained_variance_share"] == pytest.approx(pca["fitted_variance_share"], abs=1e-6)
    assert coulis.verify(tmp_path / "again")
    one = coulis.apply(images / "kind-1" / "007.png", result, tmp_path / "one")
    path = str(images / "kind-1" / "007.png")
    assert scores(tmp_path / "one") == {path: scores(result)[path]} and one["pca"]["components"] == 8


def test_the_share_is_that_of_these_images(images, result, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    for number in range(30):
        draw_image(1000 + number, (90, 60)).rotate(number * 12, expand=True).save(new / f"{number}.png")
    summary = coulis.apply(new, result, tmp_path / "out")
    x = np.array(coulis.read_table(tmp_path / "out" / "features")["features"].to_pylist(), np.float64)
    y = np.array(coulis.read_table(tmp_path / "out" / "reduced")["pca"].to_pylist(), np.float64)
    share = y.var(axis=0).sum() / x.var(axis=0).sum()
    assert summary["pca"]["explained_variance_share"] == pytest.approx(share, abs=1e-6)
    fitted = coulis.PCA.load(result / "pca.safetensors").explained_variance_ratio_.sum()
    assert summary["pca"]["fitted_variance_share"] == pytest.approx(fitted, abs=1e-9)
    assert share < fitted


def test_it_is_resumed_and_refuses_another(images, result, tmp_path):
    done = coulis.apply(images, result, tmp_path / "out")
    assert coulis.apply(images, result, tmp_path / "out") == done
    with pytest.raises(coulis.Error, match="another recipe|other recipe|conflict|differ"):
        coulis.run(images, tmp_path / "out", components=3)


def test_images_that_cannot_be_read_have_a_row(result, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "bad.png").write_bytes(b"no image")
    draw_image(5).save(tmp_path / "new" / "good.png")
    summary = coulis.apply(tmp_path / "new", result, tmp_path / "out")
    rows = coulis.read_table(tmp_path / "out" / "reduced").to_pylist()
    assert [row["pca"] is None for row in rows] == [True, False] and summary["counts"]["ok"] == 1


def test_a_pca_without_a_recipe_is_refused(images, result, tmp_path):
    coulis.PCA(2).fit(np.random.default_rng(0).standard_normal((9, 1000))).save(tmp_path / "bare.safetensors")
    with pytest.raises(coulis.Error, match="does not say which network"):
        coulis.apply(images, tmp_path / "bare.safetensors", tmp_path / "out")
    with pytest.raises(coulis.Error):
        coulis.apply(images, tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_network_of_the_same_name_is_refused(images, result, tmp_path, lite0_path):
    raw = (result / "pca.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    recipe = json.loads(header["__metadata__"]["coulis"])
    recipe["model_sha256"] = "0" * 64
    header["__metadata__"]["coulis"] = json.dumps(recipe)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (tmp_path / "other.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    with pytest.raises(coulis.Error, match="efficientnet-lite0|model"):
        coulis.apply(images, tmp_path / "other.safetensors", tmp_path / "out")


def test_a_featurizer_of_a_pca(images, result):
    featurizer = coulis.Featurizer.from_pca(result)
    path = images / "kind-0" / "004.png"
    table = coulis.read_table(result / "features").to_pylist()
    (expected,) = [row["features"] for row in table if row["path"] == str(path)]
    assert featurizer.featurize([path]).values[0].tolist() == expected
    assert featurizer.recipe == coulis.PCA.load(result / "pca.safetensors").recipe_
    assert featurizer.recipe["resize"] == "crop" and featurizer.recipe["features"] == "logits"


@pytest.mark.quick(0)
def test_the_command(command, images, result, tmp_path):
    def say(*arguments, code=0):
        done = subprocess.run([str(command), *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done

    said = say("apply", images, "--pca", result, "-o", tmp_path / "out").stderr
    assert "1000 dimensions reduced to 8" in said and "warning" not in said
    (tmp_path / "flat").mkdir()
    for number in range(8):
        draw_image(2000 + number, (20, 200)).convert("L").save(tmp_path / "flat" / f"{number}.png")
    said = say("apply", tmp_path / "flat", "--pca", result, "-o", tmp_path / "far").stderr
    assert "warning: the components keep" in said and "their" not in said.split("warning")[0]
    assert "needs --pca" in say("apply", images, "-o", tmp_path / "x", code=2).stderr


@pytest.mark.quick(0)
def test_limits_are_those_of_the_run(images, tmp_path, lite0_path):
    """What was too large then is too large now, wherever the images go."""
    draw_image(99, (200, 60)).save(tmp_path / "large.png")
    coulis.run([images, tmp_path / "large.png"], tmp_path / "out", components=3, max_pixels=6000)
    assert coulis.PCA.load(tmp_path / "out" / "pca.safetensors").recipe_["max_pixels"] == 6000
    coulis.apply(tmp_path / "large.png", tmp_path / "out", tmp_path / "new")
    assert [row["status"] for row in coulis.read_table(tmp_path / "new").to_pylist()] == ["too_large"]
    featurizer = coulis.Featurizer.from_pca(tmp_path / "out")
    assert featurizer.featurize([tmp_path / "large.png"]).status[0] == "too_large"
    coulis.featurize(images, tmp_path / "vectors")  # a limit is no reason to refuse vectors
    coulis.transform(tmp_path / "vectors", tmp_path / "out" / "pca.safetensors", tmp_path / "scores")
