"""What a network's neighbours are worth: how often the nearest image shows the same kind of thing.

On fruits-360, photographed while turning: each fruit was turned around one axis, and in images whose names begin with
r_ around another. Those of the second axis are looked up among those of the first. `--model` names networks; without
it, those that are here are taken.
"""

import os
import pathlib

import coulis
import numpy

EACH = (12, 6)  # of every class, how many are looked among and how many looked up


def images():
    """(paths, class of each) of both turns, at even distances."""
    data = pathlib.Path(os.environ.get("COULIS_TEST_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared/data"))
    found = ([], []), ([], [])
    for folder in sorted((data / "fruits-360" / "test").glob("*/")):
        turned = sorted(folder.glob("r_*.jpg")), sorted(set(folder.glob("*.jpg")) - set(folder.glob("r_*.jpg")))
        for (paths, kinds), all_of, count in zip(found, turned[::-1], EACH):
            taken = all_of[:: max(1, len(all_of) // count)][:count]
            paths += taken
            kinds += [folder.name] * len(taken)
    return found


def share(model, threads):
    """The share of images whose nearest has the same class, and the length of a vector."""
    (among, kinds), (asked, wanted) = images()
    if not among or not asked:
        raise SystemExit("there is no fruits-360: set COULIS_TEST_DATA to the folder that holds it")
    with coulis.Featurizer(model, threads=threads) as featurizer:
        known, new = (numpy.asarray(featurizer.featurize(paths).values) for paths in (among, asked))
    known, new = (rows / numpy.linalg.norm(rows, axis=1, keepdims=True) for rows in (known, new))
    nearest = (new @ known.T).argmax(1)
    right = [kinds[place] == kind for place, kind in zip(nearest, wanted)]
    return sum(right) / len(right), known.shape[1], len(asked), len(among)


def run(arguments):
    models = arguments.model or [
        name for name in ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2") if coulis.find_model(name)
    ]
    print("\n| network | dimensions | nearest of the same kind |\n| --- | ---: | ---: |")
    rows = {}
    for model in models:
        value, length, asked, among = share(model, max(arguments.threads))
        rows[str(model)] = {"share": value, "dimensions": length}
        print(f"| {model} | {length} | {100 * value:.1f} % |", flush=True)
    print(f"\n{asked} images of one turn, looked up among {among} of the other")
    return [{"title": "neighbours", "unit": "share", "rows": rows}]
