"""The jobs of the Python package: what they write, how they are watched and stopped, and what they refuse."""

import json
import os
import signal

import coulis
import numpy
import pytest
from results import assert_same_parts
from test_python import small_image


@pytest.fixture()
def folder(tmp_path):
    """Two labels with three images each, and one file that is damaged."""
    for label in ("pear", "apple"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(3):
            (tmp_path / "photos" / label / f"{index}.png").write_bytes(small_image(ord(label[0]) + index)[0])
    (tmp_path / "photos" / "pear" / "broken.png").write_bytes(small_image()[0][:200])
    return tmp_path / "photos"


def test_run_writes_what_the_steps_write(folder, tmp_path, lite0_path):
    pytest.importorskip("pyarrow")
    seen = []
    summary = coulis.run(folder, tmp_path / "out", components=3, model=lite0_path, threads=2, progress=seen.append)
    assert summary == json.loads((tmp_path / "out" / "run.json").read_text())
    assert {state.stage for state in seen} <= {"list", "featurize", "fit", "transform"} and seen
    assert all(0 <= state.done <= state.total and state.seconds >= 0 for state in seen)
    features = coulis.read_table(tmp_path / "out", "features")
    reduced = coulis.read_table(tmp_path / "out")
    of_the_file = ["sha256", "bytes", "modified"]
    assert features.column_names == ["path", "label", "status", "error", "width", "height", "features", *of_the_file]
    assert reduced.column_names == ["path", "label", "status", "error", "width", "height", "pca", *of_the_file]
    assert features["label"].to_pylist() == ["apple"] * 3 + ["pear"] * 4
    assert features["status"].to_pylist() == ["ok"] * 6 + ["unreadable"]
    rows = [row for row in features["features"].to_pylist() if row is not None]
    scores = [row for row in reduced["pca"].to_pylist() if row is not None]
    files = [path for path in features["path"].to_pylist() if not path.endswith("broken.png")]
    with coulis.Featurizer(lite0_path) as featurizer:
        wanted = featurizer.featurize([folder / path for path in files]).values
    assert numpy.array(rows, numpy.float32).tobytes() == wanted.tobytes()
    pca = coulis.PCA.load(tmp_path / "out" / "pca.safetensors")
    assert numpy.array(scores, numpy.float32).tobytes() == pca.transform(wanted).tobytes()
    assert pca.components_.tobytes() == coulis.PCA(3).fit(wanted).components_.tobytes()

    coulis.featurize(str(folder), tmp_path / "steps", model=lite0_path)
    assert coulis.read_table(tmp_path / "steps").equals(features)
    assert isinstance(coulis.fit(tmp_path / "steps", tmp_path / "pca.safetensors", components=3), dict)
    assert coulis.PCA.load(tmp_path / "pca.safetensors").components_.tobytes() == pca.components_.tobytes()
    coulis.transform(tmp_path / "steps", tmp_path / "pca.safetensors", tmp_path / "reduced")
    assert coulis.read_table(tmp_path / "reduced" / "reduced").equals(reduced)


def test_run_options_reach_the_library(folder, tmp_path, lite0_path):
    pytest.importorskip("pyarrow")
    options = dict(
        components=0.5,
        model=lite0_path,
        features="logits",
        resize="crop",
        decode="fast",
        rows_per_file=2,
        precision="bf16",
        drop_features=True,
    )
    coulis.run([folder / "apple", folder / "pear"], tmp_path / "out", **options)
    assert not list((tmp_path / "out").glob("features/*"))
    assert len(list((tmp_path / "out" / "reduced").glob("part-*.parquet"))) == 4
    recipe = json.loads(coulis.read_table(tmp_path / "out").schema.metadata[b"coulis"])
    assert (recipe["resize"], recipe["features"], recipe["decode"]) == ("crop", "logits", "fast")
    assert recipe["precision"] == "bf16"
    assert coulis.PCA.load(tmp_path / "out" / "pca.safetensors").n_features_in_ == 1000


def test_another_recipe_is_refused_unless_overwritten(folder, tmp_path, lite0_path):
    coulis.featurize(folder, tmp_path / "out", model=lite0_path)
    with pytest.raises(coulis.Error) as caught:
        coulis.featurize(folder, tmp_path / "out", model=lite0_path, resize="crop")
    assert caught.value.status == "conflict"
    coulis.featurize(folder, tmp_path / "out", model=lite0_path, resize="crop", overwrite=True)


def test_progress_stops_a_job_and_the_same_call_resumes(folder, tmp_path, lite0_path):
    options = dict(components=2, model=lite0_path, rows_per_file=2)
    with pytest.raises(coulis.Error) as caught:
        coulis.run(folder, tmp_path / "out", progress=lambda state: state.stage == "featurize", **options)
    assert caught.value.status == "interrupted"
    assert not (tmp_path / "out" / "pca.safetensors").exists()
    summary = coulis.run(folder, tmp_path / "out", **options)
    whole = coulis.run(folder, tmp_path / "whole", **options)
    assert summary.keys() == whole.keys()
    assert_same_parts(tmp_path / "whole", tmp_path / "out")


def test_an_exception_in_progress_comes_out(folder, tmp_path, lite0_path):
    def fail(state):
        raise RuntimeError("from the callback")

    with pytest.raises(RuntimeError, match="from the callback"):
        coulis.run(folder, tmp_path / "out", components=2, model=lite0_path, rows_per_file=2, progress=fail)


def test_ctrl_c_stops_a_job_and_the_same_call_resumes(folder, tmp_path, lite0_path):
    def press(state):
        if state.stage == "featurize":
            os.kill(os.getpid(), signal.SIGINT)

    options = dict(components=2, model=lite0_path, rows_per_file=1)
    with pytest.raises(KeyboardInterrupt):
        coulis.run(folder, tmp_path / "out", progress=press, **options)
    assert coulis.run(folder, tmp_path / "out", **options) == json.loads((tmp_path / "out" / "run.json").read_text())


def test_job_errors(tmp_path, lite0_path):
    with pytest.raises(coulis.Error) as caught:
        coulis.fit(tmp_path / "nowhere", tmp_path / "pca.safetensors")
    assert "nowhere" in str(caught.value)
    with pytest.raises(ValueError, match="rows_per_file"):
        coulis.run(tmp_path, tmp_path / "out", rows_per_file=0)
    with pytest.raises(ValueError, match="components"):
        coulis.run(tmp_path, tmp_path / "out", components=1.5)
    with pytest.raises(FileNotFoundError, match="part-00000"):
        pytest.importorskip("pyarrow")
        coulis.read_table(tmp_path)
