"""Rows that come in parts: partial_fit and Moments give what fit gives of all rows at once."""

import os
import pickle
import random
import subprocess
import sys
import threading

import coulis
import numpy as np
import pytest

RESULTS = ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_")


def data(rows, columns, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, columns)) * 1.1 ** -np.arange(columns) + 7).astype(np.float32)


def content(pca):
    """All that a fit finds, as bytes."""
    numbers = (pca.n_components_, pca.n_samples_, pca.n_features_in_, pca.solver_, pca.noise_variance_)
    return [getattr(pca, name).tobytes() for name in RESULTS] + [numbers]


def pieces(rows, seed):
    """Borders that cut the rows into pieces of 1 to a third of them."""
    rng, borders = random.Random(seed), [0]
    while borders[-1] < rows:
        borders.append(min(rows, borders[-1] + rng.randint(1, max(1, rows // 3))))
    return list(zip(borders[:-1], borders[1:]))


# ---- partial_fit ------------------------------------------------------------------------------------


@pytest.mark.quick(10)
@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh", "gram", "randomized"])
@pytest.mark.parametrize("shape", [(1300, 40), (700, 520), (40, 300), (64, 64), (2, 5), (5, 1)])
def test_partial_fit_gives_the_bytes_of_fit(shape, solver):
    x = data(*shape)
    k = 1 if solver == "randomized" else None
    wanted = content(coulis.PCA(k, solver=solver).fit(x))
    for seed in range(3):
        pca = coulis.PCA(k, solver=solver, threads=1 + seed % 2)
        for begin, end in pieces(shape[0], seed):
            assert pca.partial_fit(x[begin:end]) is pca
        assert content(pca) == wanted


@pytest.mark.parametrize("solver", ["auto", "randomized"])
def test_more_columns_than_a_covariance_matrix_may_have(solver):
    x = data(12, 20000)
    pca = coulis.PCA(3, solver=solver)
    for begin, end in pieces(12, 1):
        pca.partial_fit(x[begin:end])
    assert content(pca) == content(coulis.PCA(3, solver=solver).fit(x))


def test_results_are_there_after_every_part():
    x = data(500, 30)
    pca = coulis.PCA(0.95)
    for end in (10, 29, 30, 31, 200, 500):  # fewer rows than columns, as many, more
        begin = getattr(pca, "n_samples_", 0)
        pca.partial_fit(x[begin:end])
        fitted = coulis.PCA(0.95).fit(x[:end])
        assert content(pca) == content(fitted) and pca.solver_ == ("gram" if end < 30 else "covariance_eigh")
        assert pca.transform(x).tobytes() == fitted.transform(x).tobytes()


def test_nothing_is_worked_out_before_it_is_asked_for():
    pca = coulis.PCA().partial_fit(data(90, 9)).partial_fit(data(80, 9))
    assert "components_" not in vars(pca) and pca.n_samples_ == 170 and pca.n_features_in_ == 9
    assert len(pca.get_feature_names_out()) == 9 and "components_" in vars(pca)
    assert "components_" not in vars(pca.partial_fit(data(10, 9)))


def test_the_caller_may_use_its_array_again():
    x = data(30, 50)
    part, pca = np.empty((10, 50), np.float32), coulis.PCA()
    for begin in range(0, 30, 10):
        part[:] = x[begin : begin + 10]
        pca.partial_fit(part)
    assert content(pca) == content(coulis.PCA().fit(x))


@pytest.mark.parametrize("rows", [3, 40])
def test_a_part_that_is_refused_leaves_no_trace(rows):
    """Both while rows are kept (3 of 9 columns) and while they are summed (40)."""
    x = data(60, 9)
    pca = coulis.PCA().partial_fit(x[:rows])
    bad = x[rows:].copy()
    bad[5, 2] = np.nan
    with pytest.raises(coulis.Error, match=r"row 5, column 2 .*NaN"):
        pca.partial_fit(bad)
    with pytest.raises(ValueError, match="X has 8 features, but PCA is expecting 9 features as input"):
        pca.partial_fit(x[:, :8])
    assert pca.n_samples_ == rows
    assert content(pca.partial_fit(x[rows:])) == content(coulis.PCA().fit(x))


def test_too_few_rows_for_the_components():
    pca = coulis.PCA(4).partial_fit(data(3, 9))
    for ask in (lambda: pca.components_, lambda: pca.transform(data(3, 9)), lambda: hasattr(pca, "mean_")):
        with pytest.raises(ValueError, match="component"):
            ask()
    assert pca.partial_fit(data(3, 9, seed=2)).components_.shape == (4, 9)
    with pytest.raises(ValueError, match="two"):
        coulis.PCA().partial_fit(data(1, 9)).mean_  # noqa: B018


def test_partial_fit_after_fit_begins_anew_and_says_so():
    pca = coulis.PCA().fit(data(30, 5))
    with pytest.warns(UserWarning, match="starts over"):
        pca.partial_fit(data(40, 5, seed=2))
    assert content(pca) == content(coulis.PCA().fit(data(40, 5, seed=2)))
    assert content(pca.fit(data(30, 5))) == content(coulis.PCA().fit(data(30, 5)))


# ---- Moments ------------------------------------------------------------------------------------------


def parts(x, leaves, seed):
    """Accumulators of consecutive parts of x, each of so many leaves, in a random order."""
    step = leaves * coulis.Moments.leaf_rows(x.shape[1])
    made = []
    for first in range(0, len(x), step):
        moments = coulis.Moments(x.shape[1], first_row=first, threads=1 + len(made) % 2)
        for begin, end in pieces(len(x[first : first + step]), seed):
            moments.update(x[first + begin : first + end])
        made.append(moments)
    random.Random(seed).shuffle(made)
    return made


def merged_in_turn(made):
    whole = made[0]
    for other in made[1:]:
        whole.merge(other)
    return whole


def merged_in_pairs(made):
    while len(made) > 1:
        made = [made[i].merge(made[i + 1]) if i + 1 < len(made) else made[i] for i in range(0, len(made), 2)]
    return made[0]


@pytest.mark.parametrize("rows", [1, 1023, 1024, 1025, 4096, 9000, 12345])
def test_any_order_of_merging_gives_the_bytes_of_fit(rows):
    x = data(rows, 24)
    if rows > 1:
        wanted = content(coulis.PCA(solver="covariance_eigh").fit(x))
    for seed in range(6):
        merge = (merged_in_turn, merged_in_pairs)[seed % 2]
        whole = merge([pickle.loads(pickle.dumps(one)) if seed > 2 else one for one in parts(x, 1 + seed % 3, seed)])
        assert (whole.rows, whole.columns) == (rows, 24)
        if rows > 1:
            assert content(whole.finish()) == wanted
        else:
            with pytest.raises(ValueError, match="two"):
                whole.finish()


def test_leaves():
    """A leaf has 1,024 rows, and more where its matrix is large: a power of two of half the columns."""
    assert [coulis.Moments.leaf_rows(d) for d in (1, 2048, 4096, 5000, 16384)] == [1024, 1024, 2048, 4096, 8192]
    with pytest.raises(ValueError, match="16384"):
        coulis.Moments.leaf_rows(16385)


def test_bytes_go_to_another_process(tmp_path):
    x = data(5000, 16)
    first, second = coulis.Moments(16).update(x[:2048]), coulis.Moments(16, first_row=2048).update(x[2048:])
    (tmp_path / "second").write_bytes(second.to_bytes())
    (tmp_path / "first").write_bytes(first.to_bytes())
    code = (
        "import sys, pathlib, coulis\n"
        "first, second = (coulis.Moments.from_bytes(pathlib.Path(p).read_bytes()) for p in sys.argv[1:3])\n"
        "second.merge(first).finish(5, whiten=True).save(sys.argv[3])\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "first", tmp_path / "second", tmp_path / "pca"],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    coulis.PCA(5).fit(x).save(tmp_path / "here")
    assert (tmp_path / "pca").read_bytes() == (tmp_path / "here").read_bytes()
    assert first.merge(second).to_bytes() == coulis.Moments(16).update(x).to_bytes()


def test_several_threads_may_use_one_accumulator():
    x = data(3000, 300)
    moments, found = coulis.Moments(300).update(x), []
    wanted = moments.finish(3).components_.tobytes()
    workers = [threading.Thread(target=lambda: found.append(moments.finish(3).components_.tobytes())) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(components == wanted for components in found) and len(found) == 8


def test_finish_can_go_on():
    x = data(3000, 8)
    moments = coulis.Moments(8).update(x[:1500])
    assert content(moments.finish(3)) == content(coulis.PCA(3).fit(x[:1500]))
    assert content(moments.update(x[1500:]).finish(0.9)) == content(coulis.PCA(0.9).fit(x))
    whitened = moments.finish(2, whiten=True)
    assert whitened.transform(x).std(axis=0, ddof=1) == pytest.approx(1, abs=1e-6)
    assert repr(moments) == "<coulis.Moments of 3000 rows with 8 columns>"


def test_moments_refuse():
    x = data(2048, 4)
    with pytest.raises(ValueError, match="16,?384"):
        coulis.Moments(16385)
    with pytest.raises(coulis.Error):
        coulis.Moments(4, first_row=1000)
    half = coulis.Moments(4, first_row=1024).update(x[1024:])
    with pytest.raises(coulis.Error, match="0"):
        half.finish()  # rows 0 to 1023 are missing
    with pytest.raises(coulis.Error):
        half.merge(half)
    with pytest.raises(coulis.Error):
        half.merge(coulis.Moments(5).update(data(1024, 5)))
    with pytest.raises(TypeError, match="Moments"):
        half.merge(x)
    with pytest.raises(ValueError, match="X has 3 features, but Moments is expecting 4"):
        half.update(x[:, :3])
    with pytest.raises(coulis.Error):
        half.finish(solver="gram")
    x[7, 1] = np.inf
    with pytest.raises(coulis.Error, match="column 1 .*infinite"):
        half.update(x)
    assert half.rows == 1024
    for broken in (b"", b"nonsense", half.to_bytes()[:-1], half.to_bytes() + b"x"):
        with pytest.raises(coulis.Error) as caught:
            coulis.Moments.from_bytes(broken)
        assert caught.value.status == "bad_data"


@pytest.mark.quick(0)
def test_memory_is_given_back():
    """Each turn makes the triangle of a 400 x 400 float64 matrix, 627 KiB, and its copy as bytes: 100 are 120 MiB."""
    resource = pytest.importorskip("resource")
    x = data(1024, 400)

    def turn():
        coulis.Moments(400, threads=1).update(x).to_bytes()

    turn()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        turn()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024  # KiB
