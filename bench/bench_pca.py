"""PCA of one matrix: coulis beside scikit-learn's solvers."""

import time

import coulis
import numpy
from bench import rounds, table
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

K = 50
SHAPES = {
    (100, 100352): ("full", "randomized", "arpack"),
    (1000, 100352): ("randomized", "arpack"),
    (12000, 2048): ("covariance_eigh", "randomized"),
}


def matrix(rows, cols):
    """Rank-200 signal and noise, as features have: a falling spectrum, no exact zeros."""
    rng = numpy.random.default_rng(0)
    rank = min(200, rows, cols)
    signal = rng.standard_normal((rows, rank), dtype=numpy.float32) * (0.97 ** numpy.arange(rank, dtype=numpy.float32))
    x = signal @ rng.standard_normal((rank, cols), dtype=numpy.float32)
    return x + 0.1 * rng.standard_normal((rows, cols), dtype=numpy.float32) + 1


def run(arguments):
    results = []
    threads = max(arguments.threads)
    for (rows, cols), solvers in SHAPES.items():
        x = matrix(rows, cols)

        def timed(fit):
            began = time.perf_counter()
            fit()
            return time.perf_counter() - began

        programs = {"coulis": lambda: timed(lambda: coulis.PCA(K, threads=threads).fit(x))}
        for solver in solvers:
            programs[f"scikit-learn {solver}"] = lambda solver=solver: timed(
                lambda: PCA(K, svd_solver=solver, random_state=0).fit(x)
            )
        with threadpool_limits(threads):
            figures = rounds(programs, arguments.rounds)
        title = f"PCA of {rows} x {cols}, k = {K}, {threads} threads"
        results.append(table(title, figures, "seconds", more_is_better=False))
    return results
