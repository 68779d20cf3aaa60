"""Images to vectors to principal components on a Spark cluster; see docs/spark.md.

Importing this imports PySpark (3.5 or 4.x); the rest of the package does not need it.
"""

try:
    import pyarrow as _pyarrow  # noqa: F401
    import pyspark as _pyspark  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"coulis.spark needs PySpark 3.5 or later and pyarrow, on the driver and on every executor: {error}"
    ) from error

from .featurizer import ImageFeaturizer
from .inputs import read_manifest, read_pictures, register_functions
from .pca import PCA, PCAModel

__all__ = ["ImageFeaturizer", "PCA", "PCAModel", "read_manifest", "read_pictures", "register_functions"]
