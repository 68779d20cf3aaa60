"""Says in a few lines the contents of a folder that `coulis run` wrote."""

import json
import pathlib
import sys


def main(folder):
    folder = pathlib.Path(folder)
    run = json.loads((folder / "run.json").read_text())
    counts, pca = run["counts"], run["pca"]
    print(f"\nThe result is in {folder}:")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        print(f"  {str(path.relative_to(folder)):32} {path.stat().st_size / 1e6:8.2f} MB")
    print(f"\n{counts['pictures']} rows, {counts['ok']} of them with a vector of {run['vector_length']} numbers")
    print(
        f"{pca['components']} components hold {pca['explained_variance_share']:.2%} of the variance; the first ones: "
        + ", ".join(f"{share:.1%}" for share in pca["explained_variance_ratio"][:5])
    )
    print(f"\nTo read it in Python:  pyarrow.parquet.read_table('{folder}/reduced').to_pandas()")


if __name__ == "__main__":
    main(sys.argv[1])
