"""coulis.PCA against scikit-learn's over shapes, kinds of data and parameters drawn by chance, with a seed."""

import coulis
import numpy as np
import pytest

decomposition = pytest.importorskip("sklearn.decomposition")

# As in test_pca.py: shares are sums of float32 products in float64; scores are float32 products. Directions are
# compared where they stand out: the data below fall by at least 1.2 from one to the next.
SHARE = 1e-7
SHARE_OF_EQUAL_ROWS = 1e-6
ANGLE = 1e-5
SCORE = 1e-5
STRONG = 3e-3  # share of the total variance from which on a direction is compared
# Directions that drown in the noise of the sums, 1e-9 of the largest variance, are lost: the root of that, of a score.
BACK = 5e-5

SHAPES = ["wide", "square", "tall", "one column", "two rows", "two by one"]
KINDS = ["plain", "offset", "constant columns", "equal rows", "small unit", "large unit"]


def draw(shape, kind, seed):
    """A float32 matrix of random size."""
    rng = np.random.default_rng([SHAPES.index(shape), KINDS.index(kind), seed])
    few, more = sorted(int(n) for n in rng.integers(3, 90, 2))
    rows, columns = {
        "wide": (few, 3 * more),
        "square": (few, few),
        "tall": (3 * more, few),
        "one column": (more, 1),
        "two rows": (2, more),
        "two by one": (2, 1),
    }[shape]
    rank = min(rows, columns)
    strength = rng.uniform(1.2, 1.5) ** -np.arange(rank)
    left = np.linalg.qr(rng.standard_normal((rows, rank)))[0]
    right = np.linalg.qr(rng.standard_normal((columns, rank)))[0].T
    x = (left * strength) @ right
    if kind == "offset":
        x += 1e3 * rng.standard_normal(columns)
    elif kind == "constant columns":
        x[:, 1:][:, rng.random(columns - 1) < 0.3] = rng.standard_normal()
    elif kind == "equal rows":
        x = x[rng.integers(0, max(2, rows // 2), rows)]
        x[:2] += [[0.0], [1.0]]
    elif kind in ("small unit", "large unit"):
        x *= {"small unit": 1e-9, "large unit": 1e9}[kind]
    return x.astype(np.float32)


def angle(ours, theirs):
    """Sine of the largest angle by which one span leaves the other."""
    ours = ours.astype(np.float64)
    return np.linalg.norm(ours - (ours @ theirs.T) @ theirs, 2)


@pytest.mark.quick(40)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", ["auto", "covariance_eigh", "gram"])
def test_exact_solvers(shape, kind, seed, solver):
    x = draw(shape, kind, seed)
    exact = x.astype(np.float64)
    rng = np.random.default_rng(seed)
    k = [None, int(rng.integers(1, min(x.shape) + 1)), float(rng.uniform(0.3, 0.99))][seed]
    ours = coulis.PCA(k, solver=solver).fit(x)
    theirs = decomposition.PCA(k, svd_solver="full").fit(exact)
    share = SHARE_OF_EQUAL_ROWS if kind == "equal rows" else SHARE
    assert ours.n_components_ == theirs.n_components_
    assert ours.solver_ == {"covariance_eigh": solver, "gram": solver}.get(
        solver, "gram" if x.shape[0] < x.shape[1] else "covariance_eigh"
    )
    assert ours.error_bound_ == 0
    total = theirs.explained_variance_.sum() + theirs.noise_variance_ * (min(x.shape) - theirs.n_components_)
    assert np.abs(ours.explained_variance_ratio_ - theirs.explained_variance_ratio_).max() < share
    assert np.abs(ours.explained_variance_ - theirs.explained_variance_).max() < 2 * share * total
    np.testing.assert_allclose(ours.singular_values_**2, (len(x) - 1) * ours.explained_variance_, rtol=1e-12)
    assert abs(ours.noise_variance_ - theirs.noise_variance_) < 2 * share * total
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-12, atol=1e-12 * np.abs(x).max())

    strong = theirs.explained_variance_ratio_ > STRONG
    assert angle(ours.components_[strong], theirs.components_[strong]) < ANGLE
    scores, expected = ours.transform(x), theirs.transform(exact)
    assert np.abs(scores - expected)[:, strong].max() < SCORE * np.abs(expected).max()
    # Back again, with all components or strong ones alone, of which alone both keep the same.
    if theirs.n_components_ == min(x.shape) or strong.all():
        back = np.abs(ours.inverse_transform(scores) - theirs.inverse_transform(expected)).max()
        assert back < BACK * np.abs(expected).max() + 2**-23 * np.abs(x).max()


@pytest.mark.parametrize("solver", ["covariance_eigh", "gram"])
@pytest.mark.parametrize("shape", ["wide", "square", "tall", "one column"])
def test_whitening(shape, solver):
    x = draw(shape, "offset", 5)
    exact = x.astype(np.float64)
    k = max(1, min(x.shape) // 3)
    ours = coulis.PCA(k, whiten=True, solver=solver).fit(x)
    theirs = decomposition.PCA(k, whiten=True, svd_solver="full").fit(exact)
    strong = theirs.explained_variance_ratio_ > STRONG
    scores, expected = ours.transform(x), theirs.transform(exact)
    # a score's error is of the size of the largest, and so is 30 times as large beside one of a share of 0.001
    assert np.abs(scores - expected)[:, strong].max() < 30 * SCORE * np.abs(expected).max()
    np.testing.assert_allclose(scores[:, strong].astype(float).std(axis=0, ddof=1), 1, rtol=1e-5)
    assert coulis.PCA(k, whiten=True, solver=solver).fit_transform(x).tobytes() == scores.tobytes()
    back, unwhitened = ours.inverse_transform(scores), coulis.PCA(k, solver=solver).fit(x)
    np.testing.assert_allclose(
        back, unwhitened.inverse_transform(unwhitened.transform(x)), atol=SCORE * np.ptp(x - ours.mean_) + 1e-4
    )


@pytest.mark.parametrize("x", [np.full((6, 4), 0.3), np.eye(3)[[0, 1] * 4], np.eye(9)[:4]], ids=["equal", "two", "few"])
def test_whitening_of_no_variance_is_finite(x):
    ours = coulis.PCA(whiten=True).fit(x)
    scores = ours.transform(x)
    # what has no variance is divided by the noise of float32, and stays of the size of 1
    assert np.isfinite(scores).all() and np.abs(scores).max() < 10
    assert np.abs(ours.inverse_transform(scores) - x).max() < 1e-6


@pytest.mark.quick(4)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", ["wide", "square", "tall", "one column", "two rows"])
def test_randomized(shape, seed):
    x = draw(shape, "offset", seed)
    k = max(1, min(x.shape) // 4)
    ours = coulis.PCA(k, solver="randomized").fit(x)
    theirs = decomposition.PCA(k, svd_solver="full").fit(x.astype(np.float64))
    assert ours.solver_ == "randomized" and ours.n_components_ == k
    difference = np.abs(ours.explained_variance_ratio_ - theirs.explained_variance_ratio_).max()
    # the bound is the algorithm's; the products before it are float32 as everywhere
    assert difference <= ours.error_bound_ + SHARE and ours.error_bound_ < 1e-3
    again = coulis.PCA(k, solver="randomized", threads=2).fit(x)
    assert again.components_.tobytes() == ours.components_.tobytes() and again.error_bound_ == ours.error_bound_


def test_full_takes_what_fits():
    rng = np.random.default_rng(0)
    for shape, solver in [((30, 20000), "gram"), ((17000, 5), "covariance_eigh")]:
        pca = coulis.PCA(2, solver="full").fit(rng.standard_normal(shape))
        assert pca.solver_ == solver and pca.error_bound_ == 0
    with pytest.raises(ValueError, match="16,?384"):
        coulis.PCA(2, solver="covariance_eigh").fit(rng.standard_normal((3, 16385)))
    with pytest.raises(ValueError, match="16,?384"):
        coulis.PCA(2, solver="gram").fit(rng.standard_normal((16385, 3)))


@pytest.mark.parametrize("solver", ["auto", "covariance_eigh", "gram", "randomized"])
@pytest.mark.parametrize("shape", ["wide", "tall"])
def test_threads_do_not_matter(shape, solver):
    x = np.concatenate([draw(shape, "plain", 1)] * 9)
    found = set()
    for threads in (1, 2, None):
        pca = coulis.PCA(3, whiten=True, solver=solver, threads=threads)
        found.add(pca.fit_transform(x).tobytes() + pca.components_.tobytes() + pca.explained_variance_.tobytes())
    assert len(found) == 1
