"""Featurizer as a transformer of scikit-learn, and in other processes."""

import concurrent.futures
import copy
import multiprocessing
import pickle
import subprocess
import sys

import coulis
import joblib
import numpy
import pandas
import pytest
from conftest import draw_image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted

# Checks of the interface that all estimators have, and why one is left out. The others of check_estimator hand over
# matrices of numbers, which are not images; scikit-learn leaves them out itself by the tag two_d_array.
LEFT_OUT = {
    "check_do_not_raise_errors_in_init_or_set_params": "a misspelt or missing network is named at once",
    "check_fit_score_takes_y": "fit_transform is given numbers; test_pipelines_and_searches gives it images and y",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Paths of 16 images in two kinds, dark and bright."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(16):
        image = draw_image(number).point(lambda value, add=128 * (number % 2): value // 2 + add)
        image.save(folder / f"{number:02}.png")
    return sorted(str(path) for path in folder.iterdir())


@pytest.fixture(scope="module")
def labels(images):
    return numpy.arange(len(images)) % 2


@pytest.fixture(scope="module")
def featurizer(lite0_path):
    return coulis.Featurizer(lite0_path, threads=1)


@pytest.fixture(scope="module")
def values(featurizer, images):
    return featurizer.featurize(images).values


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_check_estimator_finds_nothing(featurizer):
    # Interface checks hand over numbers, too, but only to fit, which looks at nothing.
    checks = [estimator_checks.check_estimator_cloneable, *estimator_checks._yield_api_checks(featurizer)]
    names = []
    for check in checks:
        name = getattr(check, "func", check).__name__
        names.append(name)
        if name not in LEFT_OUT:
            check(type(featurizer).__name__, clone(featurizer))
    assert len(names) > 10 and set(LEFT_OUT) <= set(names)


@pytest.mark.filterwarnings("ignore")
def test_check_estimator_as_a_whole(featurizer):
    estimator_checks.check_estimator(featurizer)
    tags = get_tags(featurizer)
    assert not tags.requires_fit and not tags.input_tags.two_d_array
    check_is_fitted(featurizer)


def test_parameters(featurizer, images, values, lite0_path):
    assert featurizer.get_params()["threads"] == 1 and featurizer.get_params()["model"] is lite0_path
    assert repr(featurizer) == f"Featurizer(model={lite0_path!r}, threads=1)"
    other = clone(featurizer)
    assert other is not featurizer and other.get_params() == featurizer.get_params()
    assert other.transform(images[:2]).tobytes() == values[:2].tobytes()
    # what is set counts from the next image on
    assert other.set_params(features="logits") is other
    assert other.transform(images[:2]).shape == (2, 1000) and other.length == 1000
    assert other.recipe["features"] == "logits" and other.model_info["logits_length"] == 1000
    with pytest.raises(ValueError, match="Invalid parameter 'size'"):
        other.set_params(size=3)
    other.set_params(features="best")
    with pytest.raises(ValueError, match="features must be one of"):
        other.transform(images[:1])
    other.set_params(features="default")
    assert other.fit(images).transform(images[:2]).tobytes() == values[:2].tobytes()
    with pytest.raises(coulis.Error, match="nothing-of-that-name"):
        coulis.Featurizer("nothing-of-that-name")


def test_output_in_data_frames(featurizer, images, values):
    names = [f"featurizer{i}" for i in range(1280)]
    assert featurizer.get_feature_names_out().tolist() == names
    other = clone(featurizer).set_output(transform="pandas")
    column = pandas.Series(images, index=range(100, 116))
    frame = other.fit_transform(column)
    assert list(frame.columns) == names and frame.index.tolist() == column.index.tolist()
    assert frame.to_numpy().tobytes() == values.tobytes()
    assert clone(other).set_output(transform="polars").transform(images[:3]).shape == (3, 1280)
    mixed = ColumnTransformer([("image", clone(featurizer), "path"), ("rest", "passthrough", ["size"])])
    table = pandas.DataFrame({"path": images, "size": numpy.arange(16)})
    assert mixed.fit_transform(table)[:, :1280].astype("f4").tobytes() == values.tobytes()
    assert mixed.set_output(transform="pandas").fit_transform(table).columns[0] == "image__featurizer0"


def test_an_image_that_fails_is_raised_or_nan(featurizer, images):
    broken = [images[0], "nowhere.png", b"no image"]
    with pytest.raises(coulis.Error, match="2 of 3 images have no vector; image 1: .*nowhere.png") as caught:
        featurizer.transform(broken)
    assert caught.value.status == "missing"
    values = clone(featurizer).set_params(on_error="nan").transform(broken)
    assert numpy.isnan(values).all(1).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="on_error must be one of"):
        clone(featurizer).set_params(on_error="skip").transform(images)


def test_pickles_hold_what_it_takes_to_make_it_again(featurizer, images, values):
    data = pickle.dumps(featurizer)
    assert len(data) < 2000  # no weights
    for other in (pickle.loads(data), copy.deepcopy(featurizer), pickle.loads(pickle.dumps(pickle.loads(data)))):
        assert other.get_params() == featurizer.get_params() and other.recipe == featurizer.recipe
        assert other.transform(images[:2]).tobytes() == values[:2].tobytes()
    framed = pickle.loads(pickle.dumps(clone(featurizer).set_output(transform="pandas")))
    assert isinstance(framed.transform(images[:1]), pandas.DataFrame)


def test_another_network_of_the_name_is_refused(featurizer, images):
    state = featurizer.__getstate__()
    other = coulis.Featurizer.__new__(coulis.Featurizer)
    other.__setstate__({**state, "model_sha256": "0" * 64})
    for _ in range(2):
        with pytest.raises(coulis.Error, match="pickled with another network") as caught:
            other.transform(images)
        assert caught.value.status == "conflict"


def test_pipelines_and_searches(featurizer, images, labels):
    chain = make_pipeline(featurizer, coulis.PCA(), LogisticRegression())
    search = GridSearchCV(chain, {"pca__n_components": [2, 4]}, cv=2, n_jobs=2).fit(images, labels)
    assert search.best_score_ == 1
    assert search.predict(images[:4]).tolist() == labels[:4].tolist()
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert again.predict(images).tolist() == search.predict(images).tolist()


def test_joblib(featurizer, images, values, tmp_path):
    halves = joblib.Parallel(n_jobs=2)(joblib.delayed(featurizer.transform)(half) for half in (images[:8], images[8:]))
    assert numpy.concatenate(halves).tobytes() == values.tobytes()
    joblib.dump(featurizer, tmp_path / "featurizer.joblib")
    assert joblib.load(tmp_path / "featurizer.joblib").transform(images[:1]).tobytes() == values[:1].tobytes()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_process_pools(start, featurizer, images, values):
    context = multiprocessing.get_context(start)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        halves = list(pool.map(featurizer.transform, [images[:8], images[8:]]))
    assert numpy.concatenate(halves).tobytes() == values.tobytes()


def test_multiprocessing(featurizer, images, values):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(featurizer.transform, [images[:4], images[4:8]])
    assert numpy.concatenate(parts).tobytes() == values[:8].tobytes()


LOADER = """
import sys
import coulis, numpy, torch
from torch.utils.data import DataLoader, Dataset

class Images(Dataset):
    def __init__(self, featurizer, paths):
        self.featurizer, self.paths = featurizer, paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        return torch.from_numpy(self.featurizer.transform(self.paths[row])[0])

if __name__ == "__main__":
    featurizer, paths = coulis.Featurizer(sys.argv[1], threads=1), sys.argv[2:]
    whole = torch.from_numpy(featurizer.transform(paths))
    for start in "fork", "spawn":
        loader = DataLoader(Images(featurizer, paths), batch_size=3, num_workers=2, multiprocessing_context=start)
        batches = list(loader)
        assert len(batches) == 3 and torch.equal(torch.cat(batches), whole), start
    print("the same")
"""


def test_a_data_loader(featurizer, images, repository, tmp_path, lite0_path):
    """In the interpreter that has PyTorch: this one, or Debian's."""
    (tmp_path / "loader.py").write_text(LOADER)
    pythons = [sys.executable, "/usr/bin/python3", repository / "build" / "venv-torch" / "bin" / "python"]
    for python in pythons:
        try:
            found = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True, check=False)
        except OSError:
            continue
        if found.returncode == 0:
            break
    else:
        pytest.skip("no Python here has PyTorch: apt-get install python3-torch")
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(repository / "python"),
        "COULIS_LIBRARY": str(repository / "build" / "libcoulis.so"),
    }
    done = subprocess.run(
        [python, tmp_path / "loader.py", lite0_path, *images[:7]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "the same", done.stderr[-3000:]
