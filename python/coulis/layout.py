"""Where images are on the map of a report, by packages that are made for it: UMAP, and t-SNE of scikit-learn.

Both are given the vectors at length 1, so that what is near is what has a great cosine, reduced to 50 principal
components, as is usual before either. With a seed and on one thread the same vectors give the same map, as long as
these packages stay the same.
"""

from __future__ import annotations

from typing import Any

import numpy

from .pca import PCA

COMPONENTS = 50
SEED = 0
NAMES = {"umap": "UMAP", "tsne": "t-SNE"}
PACKAGES = {"umap": ("umap", "umap-learn"), "tsne": ("sklearn.manifold", "scikit-learn")}


def need(method: str) -> Any:
    """The module that has the method. ImportError says which package to install."""
    import importlib

    module, package = PACKAGES[method]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"map={method!r} needs the package {package}: pip install {package}") from error


def place(method: str, vectors: Any, threads: int | None) -> Any:
    """x and y of each vector, float32 (rows, 2)."""
    module = need(method)
    rows = len(vectors)
    if rows < 4:  # too few for neighbours
        return numpy.stack([numpy.arange(rows), numpy.zeros(rows)], axis=1).astype(numpy.float32)
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / numpy.where(lengths > 0, lengths, 1)).astype(numpy.float32)
    count = min(COMPONENTS, *unit.shape)
    scores = PCA(n_components=count, threads=threads).fit_transform(unit)
    if method == "umap":
        made = module.UMAP(n_components=2, n_neighbors=min(15, rows - 1), random_state=SEED, n_jobs=1)
        return numpy.asarray(made.fit_transform(scores), numpy.float32)
    from threadpoolctl import threadpool_limits  # scikit-learn needs it, too

    made = module.TSNE(n_components=2, perplexity=min(30, (rows - 1) / 3), init="pca", random_state=SEED)
    with threadpool_limits(1):  # its sums over threads come out in any order
        return numpy.asarray(made.fit_transform(scores), numpy.float32)
