"""How far the shares of each solver are from scikit-learn's full SVD in float64, on data that is hard.

    .venv/bin/python bench/pca_accuracy.py

Rows have a geometric spectrum. "shares" is the largest difference of explained_variance_ratio_; "smallest" the relative
error of the smallest variance that is at least 1e-8 of the largest, 1 where it is taken for 0.
"""

import coulis
import numpy as np
from sklearn.decomposition import PCA

CASES = [  # rows, columns, decades of the singular values, offset in standard deviations
    (3000, 100, 4, 0),
    (3000, 100, 4, 10_000),
    (3000, 100, 8, 0),
    (1500, 600, 4, 0),
    (1500, 600, 4, 10_000),
]


def data(rows, cols, decades, offset):
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((rows, cols)))
    right, _ = np.linalg.qr(rng.standard_normal((cols, cols)))
    x = (left * np.logspace(0, -decades, cols)) @ right.T
    return (x + offset * x.std()).astype(np.float32)


print("rows x columns  decades  offset  solver           shares   smallest  bound")
for rows, cols, decades, offset in CASES:
    x = data(rows, cols, decades, offset)
    wanted = PCA(svd_solver="full").fit(x.astype(np.float64)).explained_variance_ratio_
    last = int((wanted >= 1e-8 * wanted[0]).sum()) - 1
    for solver in ("covariance_eigh", "gram", "randomized"):
        pca = coulis.PCA(solver=solver).fit(x)
        found = pca.explained_variance_ratio_
        bound = coulis._library.library().coulis_pca_error_bound(pca._handle)
        print(
            f"{rows:5} x {cols:<7} {decades:7} {offset:7}  {solver:15}  {np.abs(found - wanted).max():.0e}"
            f"    {abs(found[last] / wanted[last] - 1):.0e}  {bound:.0e}"
        )
