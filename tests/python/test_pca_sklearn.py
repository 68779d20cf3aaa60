"""coulis.PCA as an estimator: scikit-learn's own checks, and its pipelines, searches, containers and copies."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import coulis
import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn import base, compose, datasets, decomposition  # noqa: E402
from sklearn import linear_model, model_selection, pipeline, preprocessing  # noqa: E402
from sklearn.utils import estimator_checks  # noqa: E402


def data(rows=120, columns=9, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * np.linspace(4, 0.5, columns)
    return (x @ np.linalg.qr(rng.standard_normal((columns, columns)))[0] + 3).astype(np.float32)


# ---- scikit-learn's own checks -------------------------------------------------------------

ESTIMATORS = [
    coulis.PCA(),
    coulis.PCA(1),
    coulis.PCA(0.9),
    coulis.PCA(1, whiten=True),
    coulis.PCA(1, solver="full"),
    coulis.PCA(1, solver="covariance_eigh"),
    coulis.PCA(1, solver="gram"),
    coulis.PCA(1, solver="randomized"),
]


# The package does not import scikit-learn, so PCA cannot inherit from its BaseEstimator, of which it warns.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_estimator_checks_pass_without_an_exception(estimator):
    results = estimator_checks.check_estimator(estimator, on_skip=None)
    assert len(results) > 40
    for result in results:
        # this one runs when SCIPY_ARRAY_API=1 was in the environment before SciPy was imported
        allowed = {"passed", "skipped"} if result["check_name"] == "check_array_api_input" else {"passed"}
        assert result["status"] in allowed, result["check_name"]


# Checks that scikit-learn runs on its own estimators and not in check_estimator.
MORE = [
    "check_dataframe_column_names_consistency",
    "check_estimators_partial_fit_n_features",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MORE)
def test_further_checks_of_scikit_learn(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"scikit-learn {sklearn.__version__} has no {name}")
    library = [word for word in ("pandas", "polars") if word in name or (word == "pandas" and "dataframe" in name)]
    for word in library:
        pytest.importorskip(word)
    check("PCA", coulis.PCA())


# ---- in company ------------------------------------------------------------------------------


@pytest.mark.quick(0)
def test_in_a_pipeline_and_a_search():
    x, y = datasets.load_digits(n_class=4, return_X_y=True)
    scores = {}
    for word, pca in (("ours", coulis.PCA(threads=1)), ("theirs", decomposition.PCA(svd_solver="full"))):
        chain = pipeline.Pipeline(
            [("scale", preprocessing.StandardScaler()), ("pca", pca), ("fit", linear_model.LogisticRegression())]
        )
        search = model_selection.GridSearchCV(
            chain, {"pca__n_components": [2, 10, 0.9], "pca__whiten": [False, True]}, cv=3, n_jobs=2
        ).fit(x, y)
        scores[word] = search.cv_results_["mean_test_score"]
        assert "PCA" in repr(search) and "PCA" in search._repr_html_()
    # Predictions from scores that agree to 1e-5: at most one of 720 images lies that near to a border.
    np.testing.assert_allclose(scores["ours"], scores["theirs"], atol=1.5 / len(x))


def test_in_a_column_transformer():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(data(columns=5), columns=list("abcde"), index=np.arange(120) + 7)
    columns = compose.ColumnTransformer(
        [("few", coulis.PCA(2), ["a", "b", "c"]), ("rest", "passthrough", ["d", "e"])]
    ).set_output(transform="pandas")
    found = columns.fit_transform(frame)
    assert list(found.columns) == ["few__pca0", "few__pca1", "rest__d", "rest__e"]
    assert list(found.index) == list(frame.index)
    expected = coulis.PCA(2).fit_transform(frame[["a", "b", "c"]])
    assert found[["few__pca0", "few__pca1"]].to_numpy().tobytes() == expected.tobytes()


def test_searched_by_its_own_score():
    x = data(200, 12, seed=3)
    found = model_selection.GridSearchCV(coulis.PCA(), {"n_components": [1, 4, 8]}, cv=3).fit(x)
    theirs = model_selection.GridSearchCV(decomposition.PCA(svd_solver="full"), {"n_components": [1, 4, 8]}, cv=3).fit(
        x.astype(float)
    )
    # logarithms of densities, sums over 12 columns of squares known to 1e-7
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-6)


@pytest.mark.parametrize("k", [1, 4, 11, 12, None, 0.9])
def test_likelihood(k):
    x = data(200, 12)
    ours, theirs = coulis.PCA(k).fit(x), decomposition.PCA(k, svd_solver="full").fit(x.astype(float))
    np.testing.assert_allclose(ours.score_samples(x), theirs.score_samples(x.astype(float)), rtol=1e-6)
    assert ours.score(x) == pytest.approx(theirs.score(x.astype(float)), rel=1e-7)
    # products of two numbers known to 1e-7, of up to 16 and, for the inverse, up to 4
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-5)
    np.testing.assert_allclose(ours.get_precision(), theirs.get_precision(), atol=1e-5)


def test_likelihood_without_variance():
    """Five rows leave most directions without variance: they count as the noise of float32; nothing is infinite."""
    few = data(5, 9)
    for k in (None, 2):
        pca = coulis.PCA(k).fit(few)
        assert np.isfinite(pca.score_samples(few)).all() and np.isfinite(pca.get_precision()).all()
        assert pca.score(few) > pca.score(few + 1)


# ---- parameters --------------------------------------------------------------------------------


def test_parameters_and_clone():
    pca = coulis.PCA(3, whiten=True, solver="gram", threads=2)
    assert pca.get_params() == {"n_components": 3, "whiten": True, "solver": "gram", "threads": 2}
    assert repr(pca) == "PCA(n_components=3, whiten=True, solver='gram', threads=2)" and repr(coulis.PCA()) == "PCA()"
    twin = base.clone(pca.set_output(transform="default").fit(data()))
    assert twin.get_params() == pca.get_params() and not hasattr(twin, "components_")
    assert pca.set_params(n_components=0.5, solver="auto") is pca and pca.fit(data()).n_components_ < 9
    with pytest.raises(ValueError, match="Invalid parameter 'svd_solver'"):
        pca.set_params(svd_solver="full")


@pytest.mark.parametrize("solver", ["arpack", "svd", None, ["full"]])
def test_solvers_that_are_not_here(solver):
    words = "'auto', 'full', 'covariance_eigh', 'gram', 'randomized'"
    with pytest.raises(ValueError, match=f"solver must be one of {words}, not"):
        coulis.PCA(solver=solver).fit(data())


def test_import_does_not_bring_scikit_learn():
    code = (
        "import sys, coulis, numpy\n"
        "pca = coulis.PCA(2).fit(numpy.eye(5))\n"
        "pca.transform(numpy.eye(5)), pca.get_params(), pca.get_feature_names_out(), repr(pca)\n"
        "try:\n    coulis.PCA().transform(numpy.eye(5))\n"
        "except ValueError as error:\n    print(error)\n"
        "print('sklearn' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["this PCA is not fitted yet: call fit or partial_fit first", "False"]


# ---- what goes in ----------------------------------------------------------------------------------


def test_kinds_of_input():
    whole = np.random.default_rng(2).integers(-50, 50, (60, 20))
    wanted = coulis.PCA(4).fit(whole.astype(np.float32))
    strided = np.repeat(np.repeat(whole, 2, 0), 3, 1)[::2, ::3]
    for other in (
        whole,
        whole.astype(np.int8),
        whole.astype(float),
        np.asfortranarray(whole),
        strided,
        whole.tolist(),
        whole.astype(object),
        whole.astype(">f8"),
    ):
        assert coulis.PCA(4).fit(other).components_.tobytes() == wanted.components_.tobytes()
        assert wanted.transform(other).tobytes() == wanted.transform(whole).tobytes()


def test_sparse_and_complex_and_too_large():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.coo_array):
        with pytest.raises(TypeError, match="Sparse data.*toarray"):
            coulis.PCA().fit(kind(np.eye(5)))
    with pytest.raises(ValueError, match="Complex"):
        coulis.PCA().fit(np.eye(5) * 1j)
    x = np.eye(5)
    x[3, 1] = -1e300
    with pytest.raises(coulis.Error, match="row 3, column 1 .* infinite as a float32") as caught:
        coulis.PCA().fit(x)
    assert caught.value.status == "numeric" and isinstance(caught.value, ValueError)
    with pytest.raises(ValueError, match="2D"):
        coulis.PCA().fit(np.zeros((3, 3, 3)))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(method, value):
    pca, x = coulis.PCA(2), data()
    if method == "transform":
        pca.fit(x)
    x[17, 5] = value
    with pytest.raises(ValueError, match="row 17, column 5 .*(NaN|infinite)") as caught:
        getattr(pca, method)(x)
    assert isinstance(caught.value, coulis.Error) and caught.value.status == "numeric"
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), ValueError)


def test_names_of_features():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(data(columns=3), columns=["height", "width", "depth"])
    pca = coulis.PCA(2).fit(frame)
    assert pca.feature_names_in_.tolist() == ["height", "width", "depth"]
    assert pca.get_feature_names_out().tolist() == ["pca0", "pca1"]
    with pytest.raises(ValueError, match="same order"):
        pca.transform(frame[["width", "height", "depth"]])
    with pytest.raises(ValueError, match="unseen at fit time:\n- length\n.*now missing:\n- depth"):
        pca.transform(frame.rename(columns={"depth": "length"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        pca.transform(frame.to_numpy())
    pca.fit(frame.to_numpy())
    assert not hasattr(pca, "feature_names_in_")
    with pytest.warns(UserWarning, match="fitted without feature names"):
        pca.transform(frame)
    with pytest.raises(TypeError, match="string names"):
        pca.fit(frame.rename(columns={"depth": 3}))
    with pytest.raises(ValueError, match="length equal to number of features"):
        pca.get_feature_names_out(["height"])


def test_data_frames_out():
    x = data()
    plain = coulis.PCA(2).fit(x)
    for kind in ("pandas", "polars"):
        module = pytest.importorskip(kind)
        pca = coulis.PCA(2).set_output(transform=kind)
        found = pca.fit_transform(x)
        assert isinstance(found, module.DataFrame) and list(found.columns) == ["pca0", "pca1"]
        assert np.ascontiguousarray(found.to_numpy()).tobytes() == plain.transform(x).tobytes()
        assert isinstance(base.clone(pca).fit(x).transform(x), module.DataFrame)
        with sklearn.config_context(transform_output=kind):
            assert isinstance(plain.transform(x), module.DataFrame)
    with pytest.raises(ValueError, match="output config must be"):
        plain.set_output(transform="arrow").transform(x)


# ---- copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy", "joblib", "file"])
@pytest.mark.parametrize("fitted", ["fit", "partial_fit", "not"])
def test_copies(how, fitted, tmp_path):
    x = data()
    pca = coulis.PCA(3, whiten=True, threads=1)
    if fitted != "not":
        getattr(pca, fitted)(x)
    if how == "joblib":
        joblib = pytest.importorskip("joblib")
        joblib.dump(pca, tmp_path / "pca.joblib")
        other = joblib.load(tmp_path / "pca.joblib")
    elif how == "file":
        if fitted == "not":
            pytest.skip("there is nothing to save")
        pca.save(tmp_path / "pca.safetensors")
        other = coulis.PCA.load(tmp_path / "pca.safetensors", whiten=True, threads=1)
    else:
        ways = {"pickle": lambda o: pickle.loads(pickle.dumps(o)), "deepcopy": copy.deepcopy, "copy": copy.copy}
        other = ways[how](pca)
    assert other.get_params() == pca.get_params()
    if fitted == "not":
        assert not hasattr(other, "components_")
        return
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
        assert getattr(other, name).tobytes() == getattr(pca, name).tobytes(), name
    for name in ("n_components_", "n_features_in_", "n_samples_", "solver_", "error_bound_"):
        assert getattr(other, name) == getattr(pca, name), name
    assert other.noise_variance_ == pytest.approx(pca.noise_variance_, rel=1e-12)
    assert other.transform(x).tobytes() == pca.transform(x).tobytes()
    if fitted == "partial_fit" and how in ("pickle", "joblib", "deepcopy"):
        more = data(seed=2)
        assert other.partial_fit(more).components_.tobytes() == pca.partial_fit(more).components_.tobytes()


def test_several_threads_may_use_one(tmp_path):
    x = data(3000)
    pca = coulis.PCA(3, threads=1).partial_fit(x)
    wanted, found = coulis.PCA(3).fit(x).transform(x).tobytes(), []
    workers = [threading.Thread(target=lambda: found.append(pca.transform(x).tobytes())) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [wanted] * 8
