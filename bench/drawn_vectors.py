"""A collection of drawn vectors, written as a result of `coulis featurize` is."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_FILE, ROWS_PER_GROUP, BLOCK = 100_000, 8192, 20_000
EACH = 100  # one row of so many is close to an earlier one


def spectrum(cols):
    """Standard deviations of the columns, and the common part. It is the shape that vectors of images have: a mean
    longer than what varies about it, and a spectrum that falls."""
    scale = (0.985 ** np.arange(cols)).astype(np.float32)
    return scale, 1.5 * np.random.default_rng(1).standard_normal(cols).astype(np.float32) * scale


def draw(rows, cols, seed=0):
    """float32 (rows, cols); every hundredth row is an earlier one with a fifth of the noise."""
    rng = np.random.default_rng(seed)
    scale, common = spectrum(cols)
    x = np.empty((rows, cols), np.float32)
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        x[first : first + count] = rng.standard_normal((count, cols), np.float32) * scale + common
    copies = np.arange(EACH, rows, EACH)
    of = (rng.random(len(copies)) * copies).astype(np.int64)
    x[copies] = x[of] + 0.2 * rng.standard_normal((len(copies), cols), np.float32) * scale
    return x


def write(folder, x):
    """x as FOLDER/features/part-00000.parquet ..."""
    features = pathlib.Path(folder) / "features"
    features.mkdir(parents=True)
    texts = [pa.field(name, pa.string(), False) for name in ("path", "label", "status")]
    numbers = pa.list_(pa.field("element", pa.float32()))
    schema = pa.schema(
        [
            *texts,
            pa.field("error", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("features", numbers),
        ]
    )
    for part, first in enumerate(range(0, len(x), ROWS_PER_FILE)):
        with pq.ParquetWriter(
            features / f"part-{part:05}.parquet", schema, compression="none", use_dictionary=False
        ) as writer:
            for begin in range(first, min(first + ROWS_PER_FILE, len(x)), ROWS_PER_GROUP):
                rows = x[begin : min(begin + ROWS_PER_GROUP, first + ROWS_PER_FILE)]
                count, cols = rows.shape
                vectors = pa.ListArray.from_arrays(
                    np.arange(0, count * cols + 1, cols, dtype=np.int32), pa.array(rows.ravel(), pa.float32())
                )
                size = pa.array(np.full(count, 100), pa.int32())
                writer.write_table(
                    pa.Table.from_arrays(
                        [
                            pa.array([f"{begin + i:07}.jpg" for i in range(count)]),
                            pa.array([""] * count),
                            pa.array(["ok"] * count),
                            pa.nulls(count, pa.string()),
                            size,
                            size,
                            vectors.cast(schema.field("features").type),
                        ],
                        schema=schema,
                    )
                )
