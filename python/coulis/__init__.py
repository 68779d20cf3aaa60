"""Images to feature vectors to principal components to Parquet.

The work is done by a C library; this package is a thin layer over it, see docs/python.md.
"""

from __future__ import annotations

from . import _library
from .collection import cluster, dedup, export, search, view
from .error import Error
from .featurizer import Featurizer
from .finished import merge, verify
from .images import load_image
from .index import Index
from .jobs import Progress, apply, check, featurize, fit, run, transform
from .listing import list_images, open_source
from .model_files import find_model, list_models
from .moments import Moments
from .pca import PCA
from .options import ImageOptions, RunOptions, SourceOptions, VectorOptions
from .result import Result, Row
from .source import Item, Source
from .tables import read_table
from .texts import TextFeaturizer

__all__ = [
    "Error",
    "Featurizer",
    "ImageOptions",
    "Index",
    "Item",
    "Moments",
    "PCA",
    "Progress",
    "Result",
    "Row",
    "RunOptions",
    "Source",
    "SourceOptions",
    "TextFeaturizer",
    "VectorOptions",
    "__version__",
    "apply",
    "cluster",
    "dedup",
    "export",
    "featurize",
    "find_model",
    "fit",
    "list_images",
    "list_models",
    "load_image",
    "merge",
    "open_source",
    "read_table",
    "run",
    "search",
    "transform",
    "check",
    "verify",
    "view",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        return _library.version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
