"""One search among vectors by one program, in a process of its own, so that its memory and CPU time are its own.

    python collection_peers.py WHAT PROGRAM VECTORS.npy THREADS [QUERIES.npy K | THRESHOLD] -o RESULT.npy

prints seconds of wall time and of CPU time of the search alone, and the peak memory of the process, as JSON.
"""

import json
import pathlib
import resource
import sys
import time
import types

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent


def unit(x):
    return np.ascontiguousarray(x / np.linalg.norm(x, axis=1, keepdims=True), np.float32)


def pairs_coulis(x, threads, threshold):
    import coulis

    first, second, _ = coulis.Index(x, threads=threads).pairs(threshold)
    return np.stack([first, second])


def pairs_faiss(x, threads, threshold):
    import faiss

    faiss.omp_set_num_threads(threads)
    flat = faiss.IndexFlatIP(x.shape[1])
    flat.add(x)
    limits, _, ids = flat.range_search(x, threshold)
    first = np.repeat(np.arange(len(x)), np.diff(limits.astype(np.int64)))
    return np.stack([first, ids])[:, first < ids]


def pairs_imagededup(x, threads, threshold):
    """The search of imagededup.methods.CNN on vectors that it is given. Its module wants PyTorch, which the search does
    not use: where that is missing, names that do nothing stand in its place."""
    try:
        import torch  # noqa: F401
    except ImportError:
        stand_in()
    from imagededup.methods.cnn import CNN

    import logging

    searching = object.__new__(CNN)  # without the network, which would have to be downloaded
    searching.logger, searching.verbose = logging.getLogger("imagededup"), False
    found = searching.find_duplicates(
        encoding_map={str(i): row for i, row in enumerate(x)},
        min_similarity_threshold=threshold,
        num_sim_workers=threads,
    )
    return np.array([(int(a), int(b)) for a, others in found.items() for b in others if int(a) < int(b)], np.int64).T


def stand_in():
    class Names(type):
        def __getattr__(cls, name):
            return Anything

    class Anything(metaclass=Names):
        def __init__(self, *_, **__):
            pass

    class Module(types.ModuleType):
        __path__ = []

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything

    for name in (
        "torch",
        "torch.utils",
        "torch.utils.data",
        "torch.nn",
        "torchvision",
        "torchvision.transforms",
        "torchvision.models",
        "torchvision.models.vision_transformer",
        "pywt",
        "matplotlib",
        "matplotlib.pyplot",
        "matplotlib.gridspec",
    ):
        sys.modules[name] = Module(name)


def search_coulis(x, threads, queries, k):
    import coulis

    return coulis.Index(x, threads=threads), queries, k


def search_faiss(x, threads, queries, k):
    import faiss

    faiss.omp_set_num_threads(threads)
    flat = faiss.IndexFlatIP(x.shape[1])
    flat.add(x)
    return flat, queries, k


def main():
    what, program, path, threads = sys.argv[1:5]
    output = sys.argv[-1]
    x, threads = np.load(path), int(threads)
    if what == "pairs":
        arguments, unit_rows = [float(sys.argv[5])], program == "faiss"
    else:
        queries = np.load(sys.argv[5])
        arguments, unit_rows = [unit(queries) if program == "faiss" else queries, int(sys.argv[6])], program == "faiss"
    if unit_rows:
        x = unit(x)
    function = globals()[f"{what}_{program}"]
    __import__({"coulis": "coulis", "faiss": "faiss"}.get(program, "sklearn.metrics.pairwise"))
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = function(x, threads, *arguments)
    if what == "search":  # the index is made already: only the search counts
        index, queries, k = result
        began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        result = index.search(queries, k)
    wall = time.perf_counter() - began
    cpu = sum(
        getattr(resource.getrusage(who), name) - getattr(before, name)
        for who, before in ((resource.RUSAGE_SELF, used), (resource.RUSAGE_CHILDREN, children))
        for name in ("ru_utime", "ru_stime")
    )
    np.save(output, result if what == "pairs" else np.stack([result[0].astype(np.float64), result[1]]))
    print(
        json.dumps(
            {
                "seconds": wall,
                "cpu_seconds": cpu,
                "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()
