"""Principal component analysis with scikit-learn's names."""

from __future__ import annotations

import ctypes
import json
import numbers
import os
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

import numpy

from . import _library
from ._handle import Handle
from ._sums import COLUMNS_MAX, Parts, fit_rows
from .error import InputError
from .estimator import Estimator, matrix
from .likelihood import Likelihood
from .result import Result

if TYPE_CHECKING:
    from .estimator import Array

# scikit-learn's word, or ours where it has none -> coulis_solver
SOLVERS = {"auto": "auto", "full": "auto", "covariance_eigh": "covariance", "gram": "gram", "randomized": "randomized"}

# The same for what a model says it was made by; one of an old file does not say which of the exact ones.
USED = ("full", "covariance_eigh", "gram", "randomized")

# What is worked out when it is first asked for after partial_fit.
LAZY = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "noise_variance_",
    "n_components_",
    "solver_",
    "error_bound_",
    "recipe_",
)


class PCA(Estimator, Likelihood):
    """Principal component analysis, centred; products in float32, sums and eigenvalues in float64.

    Signs follow scikit-learn: the largest element of a component in absolute value is positive. What is
    given is taken as float32, and scores are float32. The same input gives the same bytes for any number of
    threads. docs/pca.md has the methods, their cost and their error.

    Parameters
    ----------
    n_components : int, float or None
        A count of at least 1; a share 0 < F < 1 of the total variance to reach; None for min(n, d).
    whiten : bool
        Divide each score by the root of its explained variance, so that all have variance 1.
    solver : {"auto", "full", "covariance_eigh", "gram", "randomized"}
        As scikit-learn names them, and ``"gram"``. ``"covariance_eigh"``: the covariance matrix of the columns,
        at most 16,384. ``"gram"``: the products of the rows with one another, at most 16,384. ``"full"``: the
        smaller of these two, both exact. ``"randomized"``: block Krylov for any shape, with a bound on its error.
        ``"auto"``: ``"full"`` where it can be, else ``"randomized"``.
    threads : int or None
        None for all cores.

    Attributes
    ----------
    components_ : float32 (k, d)
    explained_variance_ : float64 (k,)
        In the square of the input's unit, divided by n - 1.
    explained_variance_ratio_ : float64 (k,)
        Share of the total variance.
    singular_values_ : float64 (k,)
        Of the centred input.
    mean_ : float64 (d,)
    noise_variance_ : float
        Mean of the variances left out, 0 when none is.
    n_components_, n_features_in_, n_samples_ : int
        k, d and n.
    feature_names_in_ : ndarray of str (d,)
        Only when `X` was a data frame whose columns all have text for a name.
    solver_ : str
        The one that was used.
    error_bound_ : float
        By how much an explained variance ratio may be wrong: 0 for the exact solvers.
    recipe_ : dict or None
        What the vectors it was fitted to were made by: of a :class:`coulis.Result`, or in a file that a job wrote.
        None for a matrix.
    """

    _handle = None  # the library's model, once fitted
    _parts = None  # what partial_fit was given

    def __init__(
        self,
        n_components: float | None = None,
        *,
        whiten: bool = False,
        solver: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.solver = solver
        self.threads = threads

    # ---- fitting -------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> PCA:
        """Find the components of `X`.

        Parameters
        ----------
        X : array_like (n, d), or coulis.Result
            Finite numbers, taken as float32. Of a result, the rows that have a vector; and its recipe is kept.
        y : None
            Not used; there for scikit-learn's pipelines.

        Returns
        -------
        PCA
            This object.

        Raises
        ------
        Error
            Fewer rows than two or than components, a solver that does not take this shape
            (``invalid_argument``); NaN or infinity (``numeric``). Both are a ValueError too.
        """
        X, recipe = _vectors(X)
        self._fit(X, matrix(X, type(self).__name__, rows=2))
        self._set_recipe(recipe)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> PCA:
        """Take more rows, of which all together are analysed when a result is first asked for.

        The result is that of `fit` on all rows, byte for byte. Where `fit` would use the covariance matrix, the
        rows are summed and not kept. Kept, as 4 bytes for each number, are those of fewer rows than columns, of
        more than 16,384 columns, and of the solvers ``"gram"`` and ``"randomized"``. `fit` keeps nothing that
        `partial_fit` could add to: after it, `partial_fit` starts over, and warns of that.

        Parameters and errors are those of `fit`; a single row will do, and rows that are too few for the
        components are refused when a result is asked for.
        """
        if self._parts is None and self._handle is not None:
            warnings.warn(
                "partial_fit starts over: what was fitted by fit, or loaded, has no sums to add these rows to",
                stacklevel=2,
            )
        self._options()  # refuses parameters that make no sense now rather than later
        x = matrix(X, type(self).__name__)
        if self._parts is None:
            parts = Parts(x.shape[1], self.solver, self.threads)
            parts.add(x)
            self._remember(X, x.shape[1])
            self._parts = parts
        else:
            self._compare(X, x.shape[1])
            self._parts.add(x)
        self._handle = None
        for name in LAZY:
            self.__dict__.pop(name, None)
        self.n_samples_ = self._parts.rows
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """``fit(X).transform(X)``."""
        X, recipe = _vectors(X)
        x = matrix(X, type(self).__name__, rows=2)
        self._fit(X, x)
        self._set_recipe(recipe)
        return self._contained(self._scores(x), X)

    # ---- using -----------------------------------------------------------------------

    def transform(self, X: Any, *, allow_other_recipe: bool = False) -> Any:
        """Scores of `X`: (X - mean_) times components_ transposed; float32 (n, k).

        `X` may be a :class:`coulis.Result`, whose rows with a vector are taken. One of another recipe than the PCA was
        fitted to is an Error (``conflict``) that names the difference, unless `allow_other_recipe`.
        """
        self._model()
        X, recipe = _vectors(X)
        if not allow_other_recipe:
            self._check_recipe(recipe)
        x = matrix(X, type(self).__name__)
        self._compare(X, x.shape[1])
        return self._contained(self._scores(x), X)

    def inverse_transform(self, X: Any) -> Array:
        """From scores (n, k) back to the space of the input; float32 (n, d)."""
        model = self._model()
        scores = matrix(X, type(self).__name__)
        if scores.shape[1] != self.n_components_:
            raise InputError(
                f"X has {scores.shape[1]} features, but {type(self).__name__} is expecting {self.n_components_} "
                "components as input of inverse_transform"
            )
        if self.whiten:
            scores = (scores * self._spread()).astype(numpy.float32)
        x = numpy.empty((scores.shape[0], self.n_features_in_), numpy.float32)
        _library.call(
            "coulis_pca_inverse_transform",
            model,
            _library.pointer(scores, ctypes.c_float),
            scores.shape[0],
            _library.pointer(x, ctypes.c_float),
        )
        return x

    # ---- files, copies, pickles --------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file; it appears whole or not at all."""
        _library.call("coulis_pca_save", self._model(), _library.path_bytes(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, whiten: bool = False, threads: int | None = None) -> PCA:
        """Read a file written by :meth:`save`, by ``coulis fit`` or by ``coulis run``.

        `whiten` is not in the file and has to be said again.

        Raises
        ------
        Error
            ``missing``, or ``bad_data`` when the file is no such PCA.
        """
        pca = cls(whiten=whiten, threads=threads)
        pca._take(_loaded(path))
        pca.n_components = pca.n_components_
        return pca

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._handle is not None:
            for name in ("components_", "mean_"):  # the large ones, which the file has
                state.pop(name, None)
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "pca.safetensors")
                self.save(path)
                with open(path, "rb") as file:
                    state["_handle"] = file.read()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        handle = state.pop("_handle", None)
        if handle is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "pca.safetensors")
                with open(path, "wb") as file:
                    file.write(handle)
                self._take(_loaded(path))
        self.__dict__.update(state)

    # ---- inside ------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return self._handle is not None or self._parts is not None

    def __getattr__(self, name: str) -> Any:
        if name in LAZY and self._parts is not None:
            self._model()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _names_out(self) -> Array:
        self._model()
        prefix = type(self).__name__.lower()
        return numpy.array([f"{prefix}{number}" for number in range(self.n_components_)], dtype=object)

    def _model(self) -> Any:
        """The library's model; made now after partial_fit."""
        if self._handle is None:
            if self._parts is None:
                raise self._not_fitted()
            self._take(self._parts.fit(self._options((self._parts.rows, self._parts.columns))))
        return self._handle

    def _options(self, shape: tuple[int, int] | None = None) -> Any:
        """``coulis_pca_options`` of the parameters, for a matrix of this shape where it is known."""
        options = _library.new(_library.PcaOptions)
        options.components = components_number(self.n_components)
        solver = tuple(SOLVERS.values())[_library.choice("solver", self.solver, SOLVERS)]
        options.solver = _library.choice("solver", solver)
        options.threads = _library.threads_number(self.threads)
        if self.solver == "full" and shape is not None and min(shape) > COLUMNS_MAX:
            raise InputError(
                f"solver='full' takes at most {COLUMNS_MAX} rows or columns, not {shape[0]} x {shape[1]}: "
                "use 'auto' or 'randomized'"
            )
        return options

    def _fit(self, X: Any, x: Array) -> None:
        """Fits the matrix `x`, which was made of `X`."""
        self._take(fit_rows(x, self._options(x.shape)))
        self._remember(X, x.shape[1])
        self._parts = None

    def _set_recipe(self, recipe: dict[str, Any] | None) -> None:
        """Keeps the recipe of the vectors, a dict, with the library's model, which saves it."""
        text = None if recipe is None else json.dumps(recipe).encode("utf-8")
        _library.call("coulis_pca_set_recipe", self._handle, text)
        self.recipe_ = recipe

    def _check_recipe(self, recipe: dict[str, Any] | None) -> None:
        if recipe is not None:
            _library.call("coulis_pca_check_recipe", self._model(), json.dumps(recipe).encode("utf-8"), None)

    def _scores(self, x: Array) -> Array:
        model = self._model()
        scores = numpy.empty((x.shape[0], self.n_components_), numpy.float32)
        _library.call(
            "coulis_pca_transform",
            model,
            _library.pointer(x, ctypes.c_float),
            x.shape[0],
            _library.threads_number(self.threads),
            _library.pointer(scores, ctypes.c_float),
        )
        if self.whiten:
            scores /= self._spread()
        return scores

    def _spread(self) -> Array:
        """What whitening divides by."""
        return numpy.maximum(numpy.sqrt(self.explained_variance_), self._least_spread())

    def _least_spread(self) -> float:
        """Scores carry noise of 6e-8 of the largest; a spread below that is nothing to divide by. scikit-learn's
        guard has the same size, but in the unit of the data instead of relative to the largest."""
        return numpy.finfo(numpy.float32).eps * (float(self.explained_variance_[0]) ** 0.5 or 1.0)

    def _take(self, handle: Any) -> None:
        """Make `handle` this object's model, and copy its results into attributes."""
        lib = _library.library()
        k = lib.coulis_pca_components_count(handle)
        d = lib.coulis_pca_columns(handle)
        n = lib.coulis_pca_samples(handle)

        def copy(name: str, *shape: int) -> Array:
            return numpy.ctypeslib.as_array(getattr(lib, name)(handle), shape).copy()

        self.components_ = copy("coulis_pca_components", k, d)
        self.explained_variance_ = copy("coulis_pca_explained_variance", k)
        self.explained_variance_ratio_ = copy("coulis_pca_explained_variance_ratio", k)
        self.mean_ = copy("coulis_pca_mean", d)
        self.n_components_, self.n_features_in_, self.n_samples_ = k, d, n
        self.singular_values_ = numpy.sqrt(self.explained_variance_ * (n - 1))
        left = lib.coulis_pca_total_variance(handle) - float(self.explained_variance_.sum())
        rest = min(n, d) - k
        self.noise_variance_ = max(left, 0.0) / rest if rest > 0 else 0.0
        self.solver_ = USED[lib.coulis_pca_solver(handle)]
        self.error_bound_ = lib.coulis_pca_error_bound(handle)
        recipe = lib.coulis_pca_recipe(handle)
        self.recipe_ = json.loads(recipe.decode("utf-8")) if recipe else None
        self._handle = handle


def _vectors(X: Any) -> tuple[Any, dict[str, Any] | None]:
    """The matrix in `X`, and its recipe when that is a :class:`coulis.Result`."""
    if isinstance(X, Result):
        return X.values[X.ok], X.recipe
    return X, None


def _loaded(path: str | os.PathLike[str]) -> Any:
    handle = Handle("coulis_pca_free")
    _library.call("coulis_pca_load", _library.path_bytes(path), handle.out)
    return handle


def components_number(n_components: Any) -> float:
    """scikit-learn's ``n_components`` as the library's number: 0 for None, else a count or a share."""
    if n_components is None:
        return 0.0
    whole = isinstance(n_components, numbers.Integral) and not isinstance(n_components, bool)
    share = isinstance(n_components, numbers.Real) and not isinstance(n_components, numbers.Integral)
    if (whole and n_components >= 1) or (share and 0 < n_components < 1):
        return float(n_components)
    raise ValueError(
        "the number of components must be an integer of at least 1, a share between 0 and 1, or None, "
        f"not {n_components!r}"
    )
