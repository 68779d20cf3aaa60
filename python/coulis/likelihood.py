"""What a PCA says about data as a probability: a normal distribution of full rank.

Along the components its variances are those explained, in all other directions their mean, ``noise_variance_``.
Source: Tipping and Bishop, Probabilistic Principal Component Analysis, 1999; Bishop, Pattern Recognition and
Machine Learning, 2006, chapter 12.2.1. In float64 by NumPy. Whitening changes the scores and not the
distribution, so it makes no difference here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy

from .estimator import matrix

if TYPE_CHECKING:
    from .estimator import Array

BLOCK = 1 << 22  # numbers worked on at a time: 32 MiB, so that memory does not grow with the rows


class Likelihood:
    """The part of :class:`coulis.PCA` that needs nothing but its results."""

    if TYPE_CHECKING:  # what a PCA has
        components_: Array
        explained_variance_: Array
        mean_: Array
        noise_variance_: float
        n_components_: int
        n_features_in_: int

        def _model(self) -> Any: ...
        def _least_spread(self) -> float: ...
        def _scores(self, x: Array) -> Array: ...
        def _compare(self, X: Any, columns: int) -> None: ...

    def get_covariance(self) -> Array:
        """Covariance of the distribution; float64 (d, d)."""
        return self._power_of_covariance(1)

    def get_precision(self) -> Array:
        """Inverse of the covariance; float64 (d, d)."""
        return self._power_of_covariance(-1)

    def score_samples(self, X: Any) -> Array:
        """Logarithm of the likelihood of each row of `X`; float64 (n,)."""
        self._model()
        variances, noise = self._invertible()
        x = matrix(X, type(self).__name__)
        self._compare(X, x.shape[1])
        n, d = x.shape
        components = self.components_.astype(numpy.float64)
        squares = numpy.empty(n)
        step = max(1, BLOCK // d)
        for first in range(0, n, step):
            centred = x[first : first + step] - self.mean_
            scores = centred @ components.T
            # not |centred|^2 - |scores|^2, which would lose the digits that a small noise needs
            left = centred - scores @ components
            squares[first : first + step] = (scores**2 / variances).sum(axis=1)
            if len(variances) < d:
                squares[first : first + step] += (left**2).sum(axis=1) / noise
        volume = numpy.log(variances).sum() + (d - len(variances)) * math.log(noise)
        return -0.5 * (squares + volume + d * math.log(2 * math.pi))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`: the higher, the better; `y` is not used."""
        return float(self.score_samples(X).mean())

    def _invertible(self) -> Any:
        """Explained variances and noise, but at least what whitening takes for nothing: a direction without any
        variance is not known better than that."""
        least = self._least_spread() ** 2
        return numpy.maximum(self.explained_variance_, least), max(self.noise_variance_, least)

    def _power_of_covariance(self, power: float) -> Array:
        self._model()
        variances, noise = self._invertible() if power < 0 else (self.explained_variance_, self.noise_variance_)
        if len(variances) == self.n_features_in_:
            noise = 0.0  # no direction is left for it
        components = self.components_.astype(numpy.float64)
        rest = noise**power if noise else 0.0
        found = (components.T * (variances**power - rest)) @ components
        found.flat[:: found.shape[0] + 1] += rest
        return found
