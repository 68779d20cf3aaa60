"""What a featurizer makes of images: vectors, and what became of each image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union, overload

import numpy

if TYPE_CHECKING:
    import pandas
    import pyarrow

# Floats in one piece of a column, at most: Arrow counts those of a list<float> in 31 bits.
_PIECE = 2**30


class Row(NamedTuple):
    """One image of a :class:`Result`; `values` is float32 (d,), zeros when the image failed."""

    path: str | None
    status: str
    error: str | None
    width: int
    height: int
    values: numpy.ndarray[Any, Any]


@dataclass(repr=False, eq=False)
class Result:
    """What :meth:`coulis.Featurizer.featurize` returns; entry i belongs to image i.

    ``result[3]`` is one image as a :class:`Row`, as iterating gives them; ``result[10:20]``, ``result[result.ok]`` and
    ``result[[3, 1]]`` are results.

    Attributes
    ----------
    values : float32 (n, d)
        One vector per image; zeros for an image that failed.
    status : list of str
        ``"ok"``, ``"unreadable"``, ``"unsupported"``, ``"too_large"``, ``"empty"`` or ``"missing"``.
    error : list of (str or None)
        One sentence for an image that failed, None when ok.
    width, height : int32 (n,)
        Of the image as stored, in pixels; 0 when unknown.
    recipe : dict or None
        What decides the vectors: network and its SHA-256, features, preprocessing, precision, instruction set and
        version. :class:`coulis.PCA` takes a result in place of a matrix, and compares.
    path : list of (str or None)
        Of images that were given as paths.
    """

    values: numpy.ndarray[Any, Any]
    status: list[str]
    error: list[str | None]
    width: numpy.ndarray[Any, Any]
    height: numpy.ndarray[Any, Any]
    recipe: dict[str, Any] | None = None
    path: list[str | None] | None = None

    def __post_init__(self) -> None:
        if self.path is None:
            self.path = [None] * len(self.status)

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        counts = {word: self.status.count(word) for word in dict.fromkeys(self.status)}
        shape = " x ".join(map(str, self.values.shape))
        words = ", ".join(f"{n} {word}" for word, n in counts.items()) or "none"
        return f"Result({len(self)} images: {words}; {shape})"

    def __iter__(self) -> Iterator[Row]:
        return (self[row] for row in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Row: ...

    @overload
    def __getitem__(self, which: slice | list[int] | list[bool] | numpy.ndarray[Any, Any]) -> Result: ...

    def __getitem__(self, which: Any) -> Union[Row, Result]:
        assert self.path is not None
        if isinstance(which, (int, numpy.integer)):
            row = range(len(self))[which]
            return Row(
                self.path[row],
                self.status[row],
                self.error[row],
                int(self.width[row]),
                int(self.height[row]),
                self.values[row],
            )
        chosen = which if isinstance(which, slice) or len(which) else slice(0)
        rows = numpy.arange(len(self))[chosen].tolist()
        return Result(
            self.values[chosen],
            [self.status[row] for row in rows],
            [self.error[row] for row in rows],
            self.width[chosen],
            self.height[chosen],
            self.recipe,
            [self.path[row] for row in rows],
        )

    @property
    def ok(self) -> numpy.ndarray[Any, Any]:
        """bool (n,): whether the image has a vector."""
        return numpy.array([word == "ok" for word in self.status], dtype=bool)

    def to_arrow(self) -> pyarrow.Table:
        """The columns of a job's tables: path, status, error, width, height, features; the recipe is in the schema.

        What is unknown, and the vector of an image that failed, is null. Needs pyarrow.
        """
        import pyarrow

        step = max(1, _PIECE // max(1, self.values.shape[1]))
        starts = range(0, len(self), step) or [0]
        pieces = [_lists(self.values[first : first + step], self.ok[first : first + step]) for first in starts]
        sides = [pyarrow.array(side, pyarrow.int32(), mask=side == 0) for side in (self.width, self.height)]
        texts = [pyarrow.array(column, pyarrow.string()) for column in (self.path, self.status, self.error)]
        table = pyarrow.table(
            dict(
                zip(
                    ("path", "status", "error", "width", "height", "features"),
                    [*texts, *sides, pyarrow.chunked_array(pieces, pyarrow.list_(pyarrow.float32()))],
                )
            )
        )
        return table.replace_schema_metadata({"coulis": json.dumps(self.recipe)} if self.recipe else None)

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a data frame: `features` holds one float32 array per image, None when it failed. Needs pandas."""
        import pandas

        ok = self.ok
        features = numpy.empty(len(self), dtype=object)
        for row, vector in enumerate(self.values):
            features[row] = vector if ok[row] else None
        sides = {
            name: pandas.Series(side, dtype="Int32").mask(side == 0)
            for name, side in (("width", self.width), ("height", self.height))
        }
        return pandas.DataFrame(
            {"path": self.path, "status": self.status, "error": self.error, **sides, "features": features}
        )


def _lists(values: numpy.ndarray[Any, Any], ok: numpy.ndarray[Any, Any]) -> Any:
    """Vectors as an Arrow array of lists, null where not `ok`."""
    import pyarrow

    offsets = numpy.concatenate([[0], numpy.cumsum(ok * values.shape[1])]).astype(numpy.int32)
    floats = numpy.ascontiguousarray(values[ok], numpy.float32).reshape(-1)
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets), pyarrow.array(floats), mask=pyarrow.array(~ok))


def joined(parts: list[Result], values: numpy.ndarray[Any, Any], recipe: dict[str, Any]) -> Result:
    """One result of consecutive ones, whose vectors are already together in `values`."""
    nothing = numpy.zeros(0, numpy.int32)
    return Result(
        values,
        [word for part in parts for word in part.status],
        [sentence for part in parts for sentence in part.error],
        numpy.concatenate([nothing, *(part.width for part in parts)]),
        numpy.concatenate([nothing, *(part.height for part in parts)]),
        recipe,
        [entry for part in parts for entry in part.path or []],
    )
