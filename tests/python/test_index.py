"""Search and pairs against NumPy's product in float64, and against FAISS."""

import coulis
import numpy as np
import pytest


def vectors(rows, cols, seed=0, common=1.0):
    """Vectors with a common part and a spectrum that falls, as those of images have."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, cols)) * 0.97 ** np.arange(cols) + common * rng.standard_normal(cols)
    return x.astype(np.float32)


def cosines(queries, x):
    a, b = (m.astype(np.float64) for m in (queries, x))
    return (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T


@pytest.mark.parametrize("shape", [(2000, 5, 40, 1), (3000, 384, 300, 10), (1500, 1280, 7, 100)])
def test_search_is_that_of_numpy_in_float64(shape):
    rows, cols, count, k = shape
    x, queries = vectors(rows, cols), vectors(count, cols, 1)
    similarity, row = coulis.Index(x).search(queries, k)
    exact = cosines(queries, x)
    expected = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    assert (similarity.dtype, row.dtype, similarity.shape, row.shape) == ("float32", "int64", (count, k), (count, k))
    assert np.array_equal(row, expected)
    # Rounded once to float32, numbers below 1.
    assert np.abs(similarity - np.take_along_axis(exact, expected, 1)).max() <= 2.0**-24


@pytest.mark.quick(0)
def test_search_finds_the_neighbours_of_faiss():
    faiss = pytest.importorskip("faiss")
    x, queries = vectors(4000, 64), vectors(100, 64, 1)
    unit, unit_queries = (m / np.linalg.norm(m, axis=1)[:, None] for m in (x, queries))
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(64)
    flat.add(unit)
    found, rows = flat.search(unit_queries, 10)
    similarity, row = coulis.Index(x).search(queries, 10)
    # Where FAISS has another neighbour, the two are closer than its float32 sums of 64 products distinguish.
    differ = rows != row
    assert np.abs(found - similarity).max() <= 64 * 2.0**-24
    assert np.all(np.abs(found - similarity)[differ] <= 64 * 2.0**-24) and differ.mean() < 0.01
    exact = cosines(x, x)
    threshold = float(np.quantile(exact, 0.9995))
    limits, _, ids = flat.range_search(unit, threshold)
    theirs = np.zeros_like(exact, bool)
    theirs[np.repeat(np.arange(len(x)), np.diff(limits.astype(np.int64))), ids] = True
    ours = np.zeros_like(exact, bool)
    ours[coulis.Index(x).pairs(threshold)[:2]] = True
    assert ours.sum() > 1000
    assert np.all(np.abs(exact - threshold)[np.triu(theirs, 1) != ours] <= 64 * 2.0**-24)


@pytest.mark.quick(3)
@pytest.mark.parametrize("threshold", [-0.2, 0.7, 0.95])
@pytest.mark.parametrize("shape", [(500, 24), (3100, 24), (3100, 400)])
def test_pairs_are_those_of_numpy_in_float64(shape, threshold):
    x = vectors(*shape, common=0.3)
    if threshold < 0:
        x = x[:400]
    exact = cosines(x, x)
    expected = np.nonzero(np.triu(exact >= threshold, 1))
    first, second, similarity = coulis.Index(x).pairs(threshold)
    assert np.array_equal(first, expected[0]) and np.array_equal(second, expected[1])
    assert len(first) == 0 or np.abs(similarity - exact[expected]).max() <= 2.0**-24
    half = len(x) * 2 // 3
    first, second, _ = coulis.Index(x[:half]).pairs(threshold, coulis.Index(x[half:], threads=1))
    expected = np.nonzero(exact[:half, half:] >= threshold)
    assert np.array_equal(first, expected[0]) and np.array_equal(second, expected[1])


def test_threads_and_other_queries_do_not_matter():
    x, queries = vectors(3000, 48), vectors(600, 48, 1)
    one, row = coulis.Index(x, threads=1).search(queries, 20)
    for threads in (2, 5):
        similarity, other = coulis.Index(x, threads=threads).search(queries, 20)
        assert similarity.tobytes() == one.tobytes() and other.tobytes() == row.tobytes()
    alone = coulis.Index(x).search(queries[599:], 20)
    assert alone[0].tobytes() == one[599:].tobytes() and np.array_equal(alone[1], row[599:])


def test_double_rows_and_zeros():
    x = vectors(50, 7)
    x[30], x[31] = 0, x[3]
    index = coulis.Index(x)
    similarity, row = index.search(x[[3, 30]], 50)
    assert row[0, :2].tolist() == [3, 31] and similarity[0, :2].tolist() == [1, 1]
    assert row[1].tolist() == list(range(50)) and not similarity[1].any()
    assert (3, 31) in zip(*(column.tolist() for column in index.pairs(1.0)[:2]))
    assert len(index) == 50 and index.shape == (50, 7) and "50 vectors" in repr(index)


def test_wrong_arguments():
    index = coulis.Index(vectors(5, 3))
    with pytest.raises(coulis.Error, match="3"):
        index.search(np.zeros((1, 4)), 1)
    with pytest.raises(coulis.Error, match="number of vectors, 5"):
        index.search(np.zeros((1, 3)), 6)
    with pytest.raises(ValueError):
        index.search(np.zeros((1, 3)), 1.5)
    with pytest.raises(coulis.Error, match="threshold"):
        index.pairs(2)
    with pytest.raises(TypeError):
        index.pairs(0.5, np.zeros((2, 3)))
    with pytest.raises(coulis.Error, match="row 1 "):
        coulis.Index([[1.0], [np.nan]])
