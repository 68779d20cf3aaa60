"""Principal components against scikit-learn's, which are computed by SVD in float64 here."""

import os
import subprocess
import sys

import coulis
import numpy as np
import pytest

decomposition = pytest.importorskip("sklearn.decomposition")

# Where the tolerances come from: the data are float32, centred values are rounded to it once (2^-24 = 6e-8) and
# multiplied in it. Shares are sums over thousands of such products and lose 1e-9 to 1e-8; where many rows are equal,
# roundings add up in a Gram matrix (the covariance is then summed in float64). Scores are a float32 product,
# and their components turn by the noise of the matrix over the gap to the next eigenvalue, which the data below keeps
# wide.
SHARE = 1e-7
SHARE_OF_EQUAL_ROWS = 1e-6
SCORE = 1e-5
ORTHONORMAL = 1e-6


def matrix(rows, columns, offset=0.0, seed=1):
    """Directions whose strength falls by a factor of 1.3 each, and noise far below."""
    rng = np.random.default_rng(seed)
    rank = min(rows, columns, 24)
    strength = 1.3 ** -np.arange(rank)
    x = rng.standard_normal((rows, rank)) @ (strength[:, None] * rng.standard_normal((rank, columns)))
    return (x + 1e-3 * rng.standard_normal((rows, columns)) + offset).astype(np.float32)


def theirs(x, components):
    x = x.astype(np.float64)
    pca = decomposition.PCA(components or min(x.shape), svd_solver="full").fit(x)
    return pca, pca.transform(x)


def deviation(components):
    components = components.astype(np.float64)
    return np.abs(components @ components.T - np.eye(len(components))).max()


CASES = [
    (9, 100352, 5, 0.0),
    (100, 5000, 20, 0.0),
    (100, 20000, 0.95, 1e4),
    (1000, 1280, 0.99, 0.0),
    (1000, 1280, 20, 1e4),
    (3000, 64, None, 0.0),
    (3000, 64, 0.9, 1e4),
    (2500, 700, 20, 5.0),
    (2, 3, 1, 0.0),
    (3, 2, 2, 0.0),
    (300, 300, 24, 0.0),
    (299, 300, 24, 0.0),
]


@pytest.mark.quick(2)
@pytest.mark.parametrize(("rows", "columns", "components", "offset"), CASES)
def test_equals_scikit_learn(rows, columns, components, offset):
    x = matrix(rows, columns, offset)
    ours = coulis.PCA(components).fit(x)
    other, scores = theirs(x, components)
    assert ours.n_components_ == other.n_components_
    assert np.abs(ours.explained_variance_ratio_ - other.explained_variance_ratio_).max() < SHARE
    np.testing.assert_allclose(ours.explained_variance_[0], other.explained_variance_[0], rtol=SHARE)
    np.testing.assert_allclose(ours.mean_, other.mean_, rtol=1e-12, atol=1e-12)
    assert deviation(ours.components_) < ORTHONORMAL
    # Each direction by itself where it stands out, that is above the noise.
    clear = other.explained_variance_ratio_ > 1e-5
    assert np.abs(ours.transform(x) - scores)[:, clear].max() < SCORE * np.abs(scores).max()
    # The rounding of the centred values turns a subspace by some 1e-7 times the ratio of the largest singular
    # value to its smallest: 30 for these.
    strong = other.explained_variance_ratio_ > 1e-3
    back = ours.components_[strong].astype(np.float64)
    angle = np.linalg.norm(back - (back @ other.components_[strong].T) @ other.components_[strong], 2)
    assert angle < 1e-5


@pytest.mark.parametrize("share", [1e-9, 0.3, 0.5, 0.9, 0.999, 0.999999])
@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_counts_components_as_scikit_learn(share, shape):
    x = matrix(*shape)
    expected = theirs(x, share)[0].n_components_
    found = coulis.PCA(share).fit(x).n_components_
    assert found == expected


def test_share_that_is_met_exactly():
    # Variances 3 and 1 exactly: three quarters are met by one component, but not exceeded.
    x = np.array([[3, 0], [-3, 0], [0, 3**0.5], [0, -(3**0.5)]], dtype=np.float32)
    x[2:, 1] = [1, -1]
    x[:2, 0] = [3**0.5, -(3**0.5)]
    y = np.array([[1, 1, 1], [-1, -1, -1], [1, -1, 0], [-1, 1, 0]], dtype=np.float32)
    for data in (x, y):
        for share in (0.5, 0.7499, 0.7501):
            assert coulis.PCA(share).fit(data).n_components_ == theirs(data, share)[0].n_components_


@pytest.mark.quick(4)
@pytest.mark.parametrize("shape", [(60, 400), (400, 60), (3000, 100), (600, 700)])
@pytest.mark.parametrize("different", [2, 3, 7, 16])
def test_rank_deficient(shape, different):
    few = matrix(different, shape[1], 1.0)
    x = few[np.arange(shape[0]) % different]
    ours = coulis.PCA().fit(x)
    other, _ = theirs(x, None)
    rank = different - 1
    assert ours.n_components_ == min(shape)
    share = SHARE_OF_EQUAL_ROWS if shape[0] < shape[1] else SHARE
    assert np.abs(ours.explained_variance_ratio_ - other.explained_variance_ratio_).max() < share
    assert (ours.explained_variance_[rank:] == 0).all() and (ours.explained_variance_[:rank] > 0).all()
    assert (np.diff(ours.explained_variance_) <= 0).all()
    assert deviation(ours.components_) < ORTHONORMAL
    back = ours.inverse_transform(ours.transform(x))
    assert np.abs(back - x).max() < 1e-5 * np.abs(x).max()


def falling(rows, columns, offset):
    """Variances that fall by a factor of 1.05 squared each, down to nothing."""
    rng = np.random.default_rng(11)
    turned = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    return (rng.standard_normal((rows, columns)) * 1.05 ** -np.arange(columns) @ turned + offset).astype(np.float32)


def dominated(rows, columns, different, strong):
    """Copies of a few rows, of which a few columns are 1,000 times as large as the others."""
    rng = np.random.default_rng(different + 10 * strong)
    few = rng.standard_normal((different, columns))
    few[:, strong:] *= 1e-3
    return few[np.arange(rows) % different].astype(np.float32)


WIDE = {
    "falling": falling(900, 600, 0),
    "falling, offset": falling(900, 600, 1e4),
    "falling, tall": falling(2500, 600, 1),
    "two rows": dominated(1500, 600, 2, 600),
    "two rows, one column": dominated(1500, 600, 2, 1),
    "two rows, two columns": dominated(1100, 513, 2, 2),
    "three rows, five columns": dominated(2048, 600, 3, 5),
    "sixteen rows": dominated(1500, 600, 16, 600),
}


@pytest.mark.quick(0)
@pytest.mark.parametrize("name", WIDE)
def test_small_variances_of_many_columns(name):
    """Products of float32, whose roundings add up where rows are equal: shares hold 1e-7 all the same. Without the
    second look at them the copies fail here."""
    x = WIDE[name]
    ours = coulis.PCA(solver="covariance_eigh").fit(x)
    other, _ = theirs(x, None)
    assert np.abs(ours.explained_variance_ratio_ - other.explained_variance_ratio_).max() < SHARE
    largest = other.explained_variance_[0]
    assert (ours.explained_variance_[other.explained_variance_ < 1e-12 * largest] == 0).all()
    assert (ours.explained_variance_[other.explained_variance_ > 1e-7 * largest] > 0).all()
    assert deviation(ours.components_) < ORTHONORMAL
    parts = [coulis.Moments(x.shape[1], first_row=first, threads=threads) for first, threads in ((0, 2), (1024, 1))]
    for part, rows in zip(parts, (x[:1024], x[1024:]), strict=True):
        for begin in range(0, len(rows), 300):
            part.update(rows[begin : begin + 300])
    parts[1].merge(parts[0])
    assert parts[1].finish().explained_variance_.tobytes() == ours.explained_variance_.tobytes()


@pytest.mark.parametrize("shape", [(6, 90), (90, 6)])
def test_equal_rows(shape):
    ours = coulis.PCA().fit(np.full(shape, 0.3))
    assert ours.n_components_ == 6 and (ours.explained_variance_ratio_ == 0).all()
    assert deviation(ours.components_) < ORTHONORMAL
    assert (ours.transform(np.full(shape, 0.3)) == 0).all()
    assert coulis.PCA(0.9).fit(np.full(shape, 0.3)).n_components_ == 1


def test_spectrum_that_falls_steeply():
    """Directions down to the noise of float32 are still at right angles to one another."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((120, 120)) @ (10.0 ** -np.linspace(0, 6, 120)[:, None] * rng.standard_normal((120, 2000)))
    x = x.astype(np.float32)
    ours = coulis.PCA().fit(x)
    other, _ = theirs(x, None)
    assert np.abs(ours.explained_variance_ratio_ - other.explained_variance_ratio_).max() < SHARE
    assert deviation(ours.components_) < ORTHONORMAL


def test_signs():
    for shape in [(30, 500), (500, 30)]:
        components = coulis.PCA().fit(matrix(*shape, seed=8)).components_
        largest = np.abs(components).argmax(axis=1)
        assert (components[np.arange(len(components)), largest] > 0).all()


@pytest.mark.parametrize(
    ("rows", "columns", "components"),
    [(9, 100352, None), (300, 5000, 30), (3000, 300, 0.9), (10000, 33, None), (2, 3, None)],
)
def test_threads_do_not_matter(rows, columns, components):
    x = matrix(rows, columns, 2.0)
    results = []
    for threads in (1, 2, 3):
        pca = coulis.PCA(components, threads=threads).fit(x)
        results.append([pca.components_, pca.mean_, pca.explained_variance_, pca.transform(x)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert one.tobytes() == two.tobytes()


def test_a_row_does_not_depend_on_its_neighbours():
    x = matrix(70, 3000)
    pca = coulis.PCA(20).fit(x)
    scores = pca.transform(x)
    for rows in ([5], [69, 0, 5], range(40)):
        assert pca.transform(x[list(rows)]).tobytes() == scores[list(rows)].tobytes()


def test_not_finite_in_transform():
    x = matrix(20, 30)
    pca = coulis.PCA(3).fit(x)
    x[4, 6] = np.nan
    with pytest.raises(coulis.Error, match="row 4, column 6"):
        pca.transform(x)


CHILD = """
import sys
import coulis
import numpy as np
with np.load(sys.argv[1]) as data:
    x = data["x"]
pca = coulis.PCA(10).fit(x)
np.savez(sys.argv[2], set=coulis._library.library().coulis_instruction_set(), ratio=pca.explained_variance_ratio_,
         components=pca.components_, scores=pca.transform(x))
"""


@pytest.mark.quick(0)
@pytest.mark.parametrize("shape", [(700, 90), (90, 700)])
def test_instruction_sets_agree(shape, tmp_path):
    x = matrix(*shape, 1.0)
    np.savez(tmp_path / "x.npz", x=x)
    other, scores = theirs(x, 10)
    seen = set()
    for name in ("scalar", "neon", "avx2", "avx512"):
        out = tmp_path / f"{name}.npz"
        environment = {**os.environ, "COULIS_CPU": name, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", CHILD, tmp_path / "x.npz", out], check=True, env=environment)
        with np.load(out) as found:
            seen.add(bytes(found["set"]))
            assert np.abs(found["ratio"] - other.explained_variance_ratio_).max() < SHARE
            assert np.abs(found["scores"] - scores).max() < SCORE * np.abs(scores).max()
            assert deviation(found["components"]) < ORTHONORMAL
    assert b"scalar" in seen
