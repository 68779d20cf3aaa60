"""Principal component analysis with scikit-learn's names."""

import ctypes
import numbers

import numpy

from . import _library


class PCA:
    """Exact principal component analysis, centred, in float64.

    The Gram matrix of the rows is solved when there are fewer rows than columns, else the covariance
    matrix of the columns. Method: Jolliffe, Principal Component Analysis, 2nd ed., 2002, chapters 3.5
    and 3.9. Signs follow scikit-learn: the largest element of a component in absolute value is positive.

    Parameters
    ----------
    n_components : int, float or None
        A count of at least 1; a share 0 < F < 1 of the total variance to reach; None for min(n, d).
    threads : int or None
        None for all cores. The result does not depend on it.

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
    """

    def __init__(self, n_components=None, *, threads=None):
        self.n_components = n_components
        self.threads = threads
        self._handle = None

    def fit(self, X, y=None):
        """Find the components of `X`.

        Parameters
        ----------
        X : array_like (n, d)
            Finite numbers, taken as float32.
        y : None
            Not used; there for scikit-learn's pipelines.

        Returns
        -------
        PCA
            This object.

        Raises
        ------
        Error
            Fewer rows than two or than components (``invalid_argument``); NaN or infinity (``numeric``).
        """
        x = _matrix(X, "X")
        handle = ctypes.c_void_p()
        _library.call(
            "coulis_pca_fit",
            _library.pointer(x, ctypes.c_float),
            x.shape[0],
            x.shape[1],
            components_number(self.n_components),
            _library.threads_number(self.threads),
            ctypes.byref(handle),
        )
        self._take(handle)
        return self

    def transform(self, X):
        """Scores of `X`: (X - mean_) times components_ transposed; float32 (n, k)."""
        x = _matrix(X, "X", self._fitted().n_features_in_)
        scores = numpy.empty((x.shape[0], self.n_components_), numpy.float32)
        _library.call(
            "coulis_pca_transform",
            self._handle,
            _library.pointer(x, ctypes.c_float),
            x.shape[0],
            _library.threads_number(self.threads),
            _library.pointer(scores, ctypes.c_float),
        )
        return scores

    def fit_transform(self, X, y=None):
        """``fit(X).transform(X)``."""
        return self.fit(X).transform(X)

    def inverse_transform(self, X):
        """From scores (n, k) back to the space of the input; float32 (n, d)."""
        scores = _matrix(X, "X", self._fitted().n_components_)
        x = numpy.empty((scores.shape[0], self.n_features_in_), numpy.float32)
        _library.call(
            "coulis_pca_inverse_transform",
            self._handle,
            _library.pointer(scores, ctypes.c_float),
            scores.shape[0],
            _library.pointer(x, ctypes.c_float),
        )
        return x

    def save(self, path):
        """Write a safetensors file; it appears whole or not at all."""
        self._fitted()
        _library.call("coulis_pca_save", self._handle, _library.path_bytes(path))

    @classmethod
    def load(cls, path, *, threads=None):
        """Read a file written by :meth:`save`, by ``coulis fit`` or by ``coulis run``.

        Raises
        ------
        Error
            ``missing``, or ``bad_data`` when the file is no such PCA.
        """
        handle = ctypes.c_void_p()
        _library.call("coulis_pca_load", _library.path_bytes(path), ctypes.byref(handle))
        pca = cls(threads=threads)
        pca._take(handle)
        pca.n_components = pca.n_components_
        return pca

    def __repr__(self):
        return f"PCA(n_components={self.n_components!r})"

    def __del__(self):
        if getattr(self, "_handle", None):
            _library.library().coulis_pca_free(self._handle)
            self._handle = None

    def _fitted(self):
        if not self._handle:
            raise ValueError("this PCA is not fitted yet: call fit first")
        return self

    def _take(self, handle):
        """Make `handle` this object's own, and copy its results into attributes."""
        lib = _library.library()
        if self._handle:
            lib.coulis_pca_free(self._handle)
        self._handle = handle
        k = lib.coulis_pca_components_count(handle)
        d = lib.coulis_pca_columns(handle)
        n = lib.coulis_pca_samples(handle)

        def copy(name, *shape):
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


def components_number(n_components):
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


def _matrix(values, name, columns=None):
    """`values` as a dense float32 matrix, with `columns` columns if that is given."""
    x = numpy.ascontiguousarray(values, dtype=numpy.float32)
    if numpy.ndim(values) != 2:
        raise ValueError(f"{name} must have two dimensions, rows and columns, not {numpy.ndim(values)}")
    if columns is not None and x.shape[1] != columns:
        raise ValueError(f"{name} has {x.shape[1]} columns, this PCA wants {columns}")
    return x
