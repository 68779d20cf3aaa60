"""Sums over rows that come in parts, from which a PCA can be made."""

from __future__ import annotations

from ._sums import Sums
from .pca import PCA


class Moments(Sums):
    """Number, mean and covariance of rows that come in parts: one machine's, or many's.

    Rows are numbered from 0. Whatever the pieces in which they are added, and whatever the order in which
    accumulators are merged, :meth:`finish` gives the same bytes, which are those of
    ``PCA(solver="covariance_eigh").fit`` of all rows at once. Can be pickled.

    Parameters
    ----------
    columns : int
        Numbers in a row, at most 16,384.
    first_row : int
        Number of the first row that will be added, a multiple of ``leaf_rows(columns)``: the sums are those of
        leaves of that many rows, so a part of a matrix has to begin with a leaf.
    threads : int or None
        None for all cores.
    """

    def finish(self, n_components: float | None = None, *, whiten: bool = False, solver: str = "auto") -> PCA:
        """A fitted :class:`coulis.PCA` of the rows so far; more may follow afterwards.

        Raises
        ------
        Error
            ``invalid_argument`` when rows from 0 on are missing, or there are fewer than two or than components.
        """
        pca = PCA(n_components, whiten=whiten, solver=solver, threads=self.threads)
        pca._take(self._fit(pca._options()))
        return pca

    def __repr__(self) -> str:
        return f"<coulis.Moments of {self.rows} rows with {self.columns} columns>"
