"""What scikit-learn asks of an estimator, without scikit-learn being there.

The rules are those of its developer's guide and of ``sklearn.utils.estimator_checks``, which
``tests/python/test_pca_sklearn.py`` runs.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy

from .error import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

    Array = numpy.ndarray[Any, Any]


class Estimator:
    """Parameters, tags, names of features, and containers of results, as scikit-learn wants them.

    A subclass takes its parameters by name in ``__init__`` and keeps each under its name; fitted, it has
    ``n_features_in_`` and perhaps ``feature_names_in_``; ``_names_out`` gives the names of what it makes.
    """

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Each parameter of ``__init__`` and its default."""
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters this object was made with, as a dictionary. `deep` makes no difference here."""
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; they take effect at the next fit. Returns this object."""
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {sorted(known)!r}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._defaults()
        given = {name: getattr(self, name) for name in defaults if getattr(self, name) is not defaults[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float32"]),
            input_tags=InputTags(),
        )

    def _more_tags(self) -> dict[str, Any]:  # the same before scikit-learn 1.6
        return {"preserves_dtype": [numpy.float32]}

    # ---- names of features ---------------------------------------------------------

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the columns that `transform` makes: ``pca0``, ``pca1``, ...

        Parameters
        ----------
        input_features : array_like of str or None
            Only compared with the names seen in fit.

        Returns
        -------
        ndarray of object (k,)
        """
        names = self._names_out()
        if input_features is not None:
            given = numpy.asarray(input_features, dtype=object)
            seen = getattr(self, "feature_names_in_", None)
            if seen is not None and not numpy.array_equal(seen, given):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(given) != self.n_features_in_:
                raise ValueError(
                    f"input_features should have length equal to number of features ({self.n_features_in_}), "
                    f"got {len(given)}"
                )
        return names

    def _names_out(self) -> Array:
        raise NotImplementedError

    def _remember(self, X: Any, columns: int) -> None:
        """Keeps number and names of the features of `X`, which a fit took."""
        self.n_features_in_ = columns
        names = _names_of(X)
        if names is not None:
            self.feature_names_in_ = names
        else:
            self.__dict__.pop("feature_names_in_", None)

    def _compare(self, X: Any, columns: int) -> None:
        """Refuses an `X` that has other features than those of the fit."""
        seen, found = getattr(self, "feature_names_in_", None), _names_of(X)
        if seen is None and found is not None:
            warnings.warn(
                f"X has feature names, but {type(self).__name__} was fitted without feature names", stacklevel=3
            )
        elif seen is not None and found is None:
            warnings.warn(
                f"X does not have valid feature names, but {type(self).__name__} was fitted with feature names",
                stacklevel=3,
            )
        elif seen is not None and found is not None and not numpy.array_equal(seen, found):
            raise ValueError(_difference(list(seen), list(found)))
        if columns != self.n_features_in_:
            raise ValueError(
                f"X has {columns} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input"
            )

    def _not_fitted(self) -> ValueError:
        """The exception to raise; scikit-learn's own where that is loaded."""
        exceptions = sys.modules.get("sklearn.exceptions")
        kind = exceptions.NotFittedError if exceptions else ValueError
        return kind(f"this {type(self).__name__} is not fitted yet: call fit or partial_fit first")

    # ---- containers ----------------------------------------------------------------

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Choose what `transform` and `fit_transform` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            A NumPy array or a data frame with the names of :meth:`get_feature_names_out`; None changes
            nothing. Without a choice here, scikit-learn's ``set_config(transform_output=...)`` counts.

        Returns
        -------
        This object.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}  # where sklearn.clone looks for it
        return self

    def _contained(self, values: Array, X: Any) -> Any:
        """`values` in the container that was asked for."""
        kind = getattr(self, "_sklearn_output_config", {}).get("transform")
        if kind is None:
            sklearn = sys.modules.get("sklearn")
            configured = sklearn is not None and hasattr(sklearn, "get_config")
            kind = sklearn.get_config()["transform_output"] if configured else "default"  # type: ignore[union-attr]
        if kind == "default":
            return values
        if kind == "pandas":
            import pandas

            index = X.index if isinstance(X, (pandas.DataFrame, pandas.Series)) else None
            return pandas.DataFrame(values, index=index, columns=self.get_feature_names_out(), copy=False)
        if kind == "polars":
            import polars

            return polars.DataFrame(values, schema=list(self.get_feature_names_out()), orient="row")
        raise ValueError(f"output config must be in ['default', 'pandas', 'polars'], got {kind}")


def matrix(values: Any, owner: str, rows: int = 1) -> Array:
    """`values` as a dense float32 matrix of at least so many `rows` and one column; `owner` is named in errors."""
    if hasattr(values, "nnz") and hasattr(values, "toarray"):
        raise TypeError(
            f"Sparse data was passed, but {owner} wants dense data, as centring makes it dense anyway: "
            "use '.toarray()' to convert it"
        )
    array = numpy.asarray(values)
    if array.dtype.kind == "c":
        raise ValueError("Complex data not supported: X must hold real numbers")
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: X must have two dimensions, rows and columns. "
            "Reshape your data using array.reshape(-1, 1) if it is one column or array.reshape(1, -1) if it is one row"
        )
    for what, count, least in (("sample", array.shape[0], rows), ("feature", array.shape[1], 1)):
        if count < least:
            raise InputError(
                f"Found array with {count} {what}(s) (shape={array.shape}) while a minimum of {least} is required "
                f"by {owner}."
            )
    try:
        with numpy.errstate(over="raise"):
            return numpy.ascontiguousarray(array, dtype=numpy.float32)
    except FloatingPointError:
        row, column = numpy.argwhere(numpy.abs(array) > numpy.finfo(numpy.float32).max)[0]
        raise InputError(
            f"row {row}, column {column} of the input (counted from 0) is infinite as a float32, whose limit is 3.4e38",
            "numeric",
            15,
        ) from None


def _names_of(X: Any) -> Array | None:
    """Names of the columns of a data frame, None where there are none or they are not text."""
    names = getattr(X, "columns", None)
    if names is None:
        names = getattr(X, "column_names", None)  # pyarrow.Table
    if names is None or isinstance(X, numpy.ndarray):
        return None
    names = list(names)
    kinds = {type(name).__name__ for name in names if not isinstance(name, str)}
    if not kinds and names:
        return numpy.array(names, dtype=object)
    if kinds and any(isinstance(name, str) for name in names):
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{sorted(kinds | {'str'})} as feature name / column name types"
        )
    return None


def _difference(seen: list[str], found: list[str]) -> str:
    """How the names of now differ from those of the fit, in scikit-learn's words."""

    def listed(names: list[str]) -> str:
        return "".join(f"- {name}\n" for name in names[:5]) + ("- ...\n" if len(names) > 5 else "")

    unseen, missing = sorted(set(found) - set(seen)), sorted(set(seen) - set(found))
    text = "The feature names should match those that were passed during fit.\n"
    if unseen:
        text += "Feature names unseen at fit time:\n" + listed(unseen)
    if missing:
        text += "Feature names seen at fit time, yet now missing:\n" + listed(missing)
    if not unseen and not missing:
        text += "Feature names must be in the same order as they were in fit.\n"
    return text
