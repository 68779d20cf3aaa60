"""What was used before fork works in the child, too, and may be closed in either process."""

import multiprocessing
import threading
import time

import coulis
import numpy
import pytest
from coulis import Moments
from conftest import draw_images

FORK = multiprocessing.get_context("fork")
SECONDS = 60  # after which a child counts as hanging


def in_child(work):
    """What `work` returns in a forked process; an exception as its words."""
    queue = FORK.Queue()

    def call():
        try:
            queue.put(work())
        except Exception as error:
            queue.put(f"{type(error).__name__}: {error}")

    child = FORK.Process(target=call)
    child.start()
    try:
        return queue.get(timeout=SECONDS)
    finally:
        child.join(5)
        if child.is_alive():
            child.kill()
            pytest.fail("the child did not end")
        assert child.exitcode == 0


@pytest.fixture(scope="module")
def matrix():
    return numpy.random.default_rng(0).standard_normal((3000, 300)).astype("f4")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = draw_images(tmp_path_factory.mktemp("images"), 6, "jpg")
    return sorted(str(p) for p in folder.iterdir())


@pytest.fixture
def featurizer(lite0_path):
    with coulis.Featurizer(threads=3) as made:
        yield made


def test_featurizer_in_child(featurizer, images):
    expected = featurizer.featurize(images).values
    assert numpy.array_equal(in_child(lambda: featurizer.featurize(images).values), expected)
    assert numpy.array_equal(featurizer.featurize(images).values, expected), "the parent's own"


def test_featurizer_in_grandchild(featurizer, images):
    expected = featurizer.featurize(images).values
    assert numpy.array_equal(in_child(lambda: in_child(lambda: featurizer.featurize(images).values)), expected)


def test_featurizer_closed_in_child(featurizer, images):
    expected = featurizer.featurize(images).values
    assert in_child(lambda: featurizer.close()) is None
    assert numpy.array_equal(featurizer.featurize(images).values, expected)


def test_featurizer_closed_in_parent(lite0_path, images):
    made = coulis.Featurizer(threads=3)
    expected = made.featurize(images).values
    go_on = FORK.Event()

    def work():
        go_on.wait(SECONDS)
        values = made.featurize(images).values
        made.close()
        return values

    queue = FORK.Queue()
    child = FORK.Process(target=lambda: queue.put(work()))
    child.start()
    made.close()
    go_on.set()
    assert numpy.array_equal(queue.get(timeout=SECONDS), expected)
    child.join(5)
    assert child.exitcode == 0


def test_pool_of_multiprocessing(featurizer, images):
    expected = featurizer.featurize(images).values
    global _shared
    _shared = featurizer
    with FORK.Pool(2) as pool:
        rows = pool.map_async(_one, images).get(SECONDS)
    assert numpy.array_equal(numpy.vstack(rows), expected)


def _one(path):
    return _shared.featurize(path).values[0]


def test_joblib(featurizer, images):
    joblib = pytest.importorskip("joblib")
    expected = featurizer.featurize(images).values
    global _shared
    _shared = featurizer
    rows = joblib.Parallel(n_jobs=2, backend="multiprocessing", timeout=SECONDS)(
        joblib.delayed(_one)(path) for path in images
    )
    assert numpy.array_equal(numpy.vstack(rows), expected)


def test_moments_in_child(matrix):
    sums = Moments(300, threads=3)
    sums.update(matrix[:1500])

    def work():
        sums.update(matrix[1500:])
        return sums.to_bytes(), sums.finish(5).components_

    data, components = in_child(work)
    sums.update(matrix[1500:])
    assert data == sums.to_bytes() and numpy.array_equal(components, sums.finish(5).components_)


def test_pca_in_child(matrix):
    pca = coulis.PCA(5, threads=2).fit(matrix)
    expected = pca.transform(matrix)
    assert numpy.array_equal(in_child(lambda: pca.transform(matrix)), expected)
    fitted = in_child(lambda: coulis.PCA(5, threads=2).fit(matrix).components_)
    assert numpy.array_equal(fitted, pca.components_)


def test_index_in_child(matrix):
    index = coulis.Index(matrix, threads=2)
    expected = index.search(matrix[:20], k=3)
    found = in_child(lambda: index.search(matrix[:20], k=3))
    assert all(numpy.array_equal(a, b) for a, b in zip(found, expected))


def test_job_in_child(images, tmp_path, lite0_path):
    coulis.featurize(images, tmp_path / "parent", threads=2)
    counts = in_child(lambda: coulis.featurize(images, tmp_path / "child", threads=2)["counts"])
    assert counts["ok"] == len(images)
    name = "features/part-00000.parquet"
    assert (tmp_path / "child" / name).read_bytes() == (tmp_path / "parent" / name).read_bytes()


def test_forked_while_another_thread_is_at_work(matrix):
    """What that thread was doing is half done in the child, so there it is refused."""
    sums = Moments(300, threads=2)
    began, stop = threading.Event(), threading.Event()

    def work():
        with sums._lock:
            began.set()
            stop.wait(SECONDS)

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    said = in_child(lambda: sums.update(matrix))
    again = in_child(lambda: Moments(300, threads=2).update(matrix).rows)
    stop.set()
    thread.join()
    assert said.startswith("RuntimeError: another thread was at work"), said
    assert again == len(matrix)
    assert sums.update(matrix).rows == len(matrix)


@pytest.mark.quick(0)
def test_forked_in_the_middle_of_a_fit(matrix):
    """The library's own locks may be held at that moment."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            coulis.PCA(5, solver="covariance_eigh", threads=2).fit(matrix)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        expected = coulis.PCA(5, threads=2).fit(matrix).components_
        for _ in range(10):
            time.sleep(0.03)
            assert numpy.array_equal(in_child(lambda: coulis.PCA(5, threads=2).fit(matrix).components_), expected)
    finally:
        stop.set()
        thread.join()
