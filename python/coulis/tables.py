"""A result as a table in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow


def read_table(directory: str | os.PathLike[str], kind: Literal["reduced", "features"] | None = None) -> pyarrow.Table:
    """A folder of parts as one table. Needs pyarrow.

    Parameters
    ----------
    directory : str or os.PathLike
        A folder with ``part-00000.parquet``..., or the output of a job.
    kind : {"reduced", "features"} or None
        Which table of a job's output; None takes ``reduced`` where there is one, else ``features``.

    Returns
    -------
    pyarrow.Table
        Columns ``path, label, status, error, width, height``, ``pca`` or ``features``, and ``sha256, bytes, modified``.

    Raises
    ------
    FileNotFoundError
        When there is no part.
    """
    from pyarrow import concat_tables, parquet

    folder = Path(directory)
    kinds = ("reduced", "features") if kind is None else (kind,)
    for candidate in [folder / name for name in kinds] + ([folder] if kind is None else []):
        parts = sorted(candidate.glob("part-*.parquet"))
        if parts:
            return concat_tables([parquet.ParquetFile(part).read() for part in parts])
    raise FileNotFoundError(f"there is no part-00000.parquet in {' or '.join(str(folder / name) for name in kinds)}")
