"""What tests read of a result."""

from pathlib import Path

import pyarrow
import pyarrow.parquet


def read(folder, what="features"):
    """All parts of a kind as one table."""
    return pyarrow.concat_tables(
        [pyarrow.parquet.read_table(part) for part in sorted(Path(folder, what).glob("part-*.parquet"))]
    )


def all_bytes(path):
    """Content of every file of a result but run.json, which has times; or of a file."""
    path = Path(path)
    if path.is_file():
        return path.read_bytes()
    return {
        str(p.relative_to(path)): p.read_bytes()
        for p in sorted(path.rglob("*"))
        if p.is_file() and p.name != "run.json"
    }


def assert_same_parts(one, other):
    """Both have the same parts, and at least one."""
    parts = {str(path.relative_to(one)): path.read_bytes() for path in Path(one).rglob("*.parquet")}
    assert parts
    assert parts.keys() == {str(path.relative_to(other)) for path in Path(other).rglob("*.parquet")}
    for name, content in parts.items():
        assert content == (Path(other) / name).read_bytes(), name
