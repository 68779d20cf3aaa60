"""What shorter vectors cost: accuracy, time and bytes against their length. README.md beside this says more.

    .venv/bin/python docs/studies/vector-length/vector_length.py FRUITS/test -o /big/disk/work

FRUITS/test is the Test split of fruits-360. WORK keeps the vectors, 3.1 GB, and is resumed. Prints the tables as
Markdown and writes the plots beside this file; --images N takes every so many images, to try it in a minute.
"""

import argparse
import re
import time
from pathlib import Path

import coulis
import numpy as np

LENGTHS = (7, 16, 64, 256)
TURN = 328  # frames of one turn: the numbers in the file names go from 0 to 327
TRAIN_SHARE = 0.55  # of each series, in the order of the turn
GAP = 10  # frames left out between training and test images, about 11 degrees
PENALTIES = 10.0 ** np.arange(-5, 3)  # of the ridge classifier, times the mean squared length of a centred vector


def series(path):
    """(kind of fruit, axis of rotation, frame) of .../Kiwi/r_31_100.jpg: ("Kiwi", "r", 31)."""
    axis, frame = re.fullmatch(r"(?:(r\d?)_)?(\d+)_100\.jpg", path.name).groups()
    return path.parent.name, axis or "", int(frame)


def in_order_of_the_turn(frames):
    """Positions of `frames`, going round from behind the largest hole."""
    order = np.argsort(frames)
    ring = frames[order]
    holes = np.diff(ring, append=ring[0] + TURN)
    return np.roll(order, -(int(holes.argmax()) + 1))


def range_split(keys, among):
    """Of each series, the first frames of the turn to train on and the last to test on, a gap between them."""
    groups = {}
    for i in among:
        groups.setdefault(keys[i][:2], []).append(i)
    train, test = [], []
    for members in groups.values():
        members = np.array(members)
        frames = np.array([keys[i][2] for i in members])
        order = in_order_of_the_turn(frames)
        turned = (frames[order] - frames[order[0]]) % TURN
        count = max(1, round(TRAIN_SHARE * len(order)))
        first = members[order[:count]]
        train += list(first)
        test += list(members[order][turned > turned[count - 1] + GAP])
    return np.array(sorted(train)), np.array(sorted(test))


def axis_split(keys):
    """The fruit turning about one axis to train on, about the others to test on."""
    is_test = np.array([bool(key[1]) for key in keys])
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def least_distance(keys, train, test):
    """Frames between a test image and the nearest training image of its series."""
    frames = {}
    for i in train:
        frames.setdefault(keys[i][:2], []).append(keys[i][2])
    found = [
        min(min((keys[i][2] - f) % TURN, (f - keys[i][2]) % TURN) for f in frames[keys[i][:2]])
        for i in test
        if keys[i][:2] in frames
    ]
    return min(found) if found else "no series in common"


class Vectors:
    """Vectors of all images, and their inner products with one another, from which distances follow."""

    def __init__(self, x):
        self.x = x
        self.products = x @ x.T  # float32, n x n

    def nearest(self, train, test, labels):
        """Share of test images whose nearest training image, by Euclidean distance, is of the same kind."""
        squares = self.products.diagonal().astype(np.float64)
        distances = squares[train] - 2.0 * self.products[np.ix_(test, train)]  # but for the test vector's own square
        return float((labels[train][distances.argmin(axis=1)] == labels[test]).mean())

    def ridge(self, train, test, labels, penalties):
        """Share of test images a ridge classifier gets right, for each penalty.

        Least squares from the centred vector to 1 for its own kind and 0 for the others, plus a penalty on the
        weights; the kind with the largest answer wins. With more numbers than images it is solved for a weight
        per image instead of one per number, which is the same classifier.
        """
        wanted = (labels[train][:, None] == np.arange(labels.max() + 1)).astype(np.float64)
        wanted_mean = wanted.mean(axis=0)
        dual = self.x.shape[1] > len(train)
        if dual:
            k = self.products[np.ix_(train, train)].astype(np.float64)
            rows = k.mean(axis=0)
            cross = self.products[np.ix_(test, train)].astype(np.float64)
            cross -= rows + cross.mean(axis=1, keepdims=True) - rows.mean()
            k -= rows + rows[:, None] - rows.mean()
            right = wanted - wanted_mean
        else:
            x = self.x[train].astype(np.float64)
            mean = x.mean(axis=0)
            x -= mean
            cross = self.x[test] - mean
            k, right = x.T @ x, x.T @ (wanted - wanted_mean)
        scale = np.trace(k) / len(train)
        shares = []
        for penalty in penalties:
            matrix = k.copy()
            matrix.flat[:: len(k) + 1] += penalty * scale
            answers = cross @ np.linalg.solve(matrix, right) + wanted_mean
            shares.append(float((answers.argmax(axis=1) == labels[test]).mean()))
        return shares

    def accuracy(self, keys, train, test, labels):
        """(nearest neighbour, linear probe, its penalty, linear probe at the penalty best for the test images).

        The penalty is chosen on ranges held out of the training part. The last number is not a fair accuracy, but
        shows how much of a difference is the choice of the penalty.
        """
        tried = self.ridge(*range_split(keys, train), labels, PENALTIES)
        chosen = int(np.argmax(tried))
        found = self.ridge(train, test, labels, PENALTIES)
        return self.nearest(train, test, labels), found[chosen], PENALTIES[chosen], max(found)


def read(folder, paths):
    """The vectors of a job as one matrix, in the order of `paths`; read in pieces, as the map is 3 GB."""
    from pyarrow import parquet

    x, row = None, 0
    for part in sorted((folder / "features").glob("part-*.parquet")):
        for batch in parquet.ParquetFile(part).iter_batches(512, columns=["path", "status", "features"]):
            assert set(batch["status"].to_pylist()) == {"ok"}, "an image has no vector"
            assert batch["path"].to_pylist() == [str(p) for p in paths[row : row + len(batch)]]
            values = batch["features"].flatten().to_numpy().reshape(len(batch), -1)
            if x is None:
                x = np.empty((len(paths), values.shape[1]), np.float32)
            x[row : row + len(batch)] = values
            row += len(batch)
    return x


def size(folder):
    return sum(p.stat().st_size for p in folder.glob("part-*.parquet"))


def timed(call):
    began = time.perf_counter()
    result = call()
    return result, time.perf_counter() - began


def study(paths, work, threads):
    """Rows of the tables: accuracy {(split, what): [(length, nearest, probe, penalty, best)]}, and costs."""
    keys = [series(p) for p in paths]
    kinds = sorted({key[0] for key in keys})
    labels = np.array([kinds.index(key[0]) for key in keys])
    splits = {"range": range_split(keys, range(len(keys))), "axis": axis_split(keys)}
    print(f"{len(paths)} images of {len(kinds)} kinds")
    for name, (train, test) in splits.items():
        print(
            f"split {name}: {len(train)} to train on, of {len(set(labels[train]))} kinds, {len(test)} to test on, of "
            f"{len(set(labels[test]))} kinds; frames to the nearest of the same series: "
            f"{least_distance(keys, train, test)}"
        )
    if min(len(train) for train, _ in splits.values()) < max(LENGTHS):
        raise SystemExit(f"too few images to train {max(LENGTHS)} components on: take 600 or more")
    listed = work / "images.txt"
    listed.write_text("".join(f"{p}\n" for p in paths))
    accuracy, costs, shares = {}, [], {}
    for what in ("pooled", "map"):
        summary = coulis.featurize(f"@{listed}", work / what, features=what, threads=threads)
        x = read(work / what, paths)
        costs.append((what, x.shape[1], summary["seconds"]["featurize"], None, None, size(work / what / "features")))
        scores = {}
        for split, (train, _) in splits.items():
            pca = coulis.PCA(max(LENGTHS), threads=threads)
            _, fit_seconds = timed(lambda: pca.fit(x[train]))
            scores[split], transform_seconds = timed(lambda: pca.transform(x))
            costs.append((f"{what}, PCA, {split}", max(LENGTHS), None, fit_seconds, transform_seconds, None))
            shares[what, split] = [float(pca.explained_variance_ratio_[:k].sum()) for k in LENGTHS]
        vectors = Vectors(x)
        for split, (train, test) in splits.items():
            accuracy[split, what] = [(x.shape[1], *vectors.accuracy(keys, train, test, labels))]
        vectors = x = None  # 3 GB of map
        for split, (train, test) in splits.items():
            for k in LENGTHS:
                short = Vectors(np.ascontiguousarray(scores[split][:, :k]))
                accuracy[split, what].append((k, *short.accuracy(keys, train, test, labels)))
    for k in LENGTHS:  # bytes of the scores, which do not depend on what they were made from
        coulis.fit(work / "pooled", work / f"size-{k}.safetensors", components=k, overwrite=True)
        coulis.transform(work / "pooled", work / f"size-{k}.safetensors", work / f"size-{k}", overwrite=True)
        costs.append(("scores", k, None, None, None, size(work / f"size-{k}" / "reduced")))
    return accuracy, costs, shares


def tables(accuracy, costs, shares, count):
    for split in ("range", "axis"):
        print(
            f"\n| split by {split} | numbers | variance held, % | 1-NN, % right | linear probe, % right | penalty | "
            "probe at best penalty |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for what in ("map", "pooled"):
            rows = zip(accuracy[split, what], [None, *shares[what, split]])
            for (length, nearest, probe, penalty, best), share in rows:
                name, held = (what, "") if share is None else (f"PCA of the {what}", f"{100 * share:.1f}")
                print(
                    f"| {name} | {length:,} | {held} | {100 * nearest:.1f} | {100 * probe:.1f} | {penalty:g} | "
                    f"{100 * best:.1f} |"
                )
    print("\n| what | numbers | featurize, s | fit, s | transform, s | Parquet, bytes | bytes an image |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, length, *seconds, written in costs:
        cells = ["" if s is None else f"{s:.2f}" for s in seconds]
        cells += ["", ""] if written is None else [f"{written:,}", f"{written / count:,.0f}"]
        print(f"| {name} | {length:,} | {' | '.join(cells)} |")


def plots(accuracy, costs, folder):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    colours = {"map": "#b3541e", "pooled": "#1f6f8b"}
    for split in ("range", "axis"):
        figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True)
        for column, title in ((1, "nearest neighbour"), (2, "linear probe")):
            at = axes[column - 1]
            for what, colour in colours.items():
                rows = accuracy[split, what]
                at.plot(
                    [r[0] for r in rows[1:]],
                    [100 * r[column] for r in rows[1:]],
                    "o-",
                    color=colour,
                    label=f"PCA of the {what}",
                )
                at.plot(
                    rows[0][0],
                    100 * rows[0][column],
                    "s",
                    color=colour,
                    markersize=8,
                    label=f"{what} itself, {rows[0][0]:,}",
                )
                at.axhline(100 * rows[0][column], color=colour, linewidth=0.8, linestyle=":")
            at.set_xscale("log")
            at.set_xticks([7, 16, 64, 256, 1280, 62720], ["7", "16", "64", "256", "1,280", "62,720"])
            at.minorticks_off()
            at.set_xlabel("numbers in the vector")
            at.set_title(title)
            at.grid(axis="y", linewidth=0.4)
        axes[0].set_ylabel("test images right, %")
        axes[1].legend(loc="lower right", fontsize=8)
        figure.tight_layout()
        figure.savefig(folder / f"accuracy-{split}.png", dpi=90, metadata={"Software": None})
        pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image_folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the vectors, kept")
    parser.add_argument("--images", type=int, help="about so many, evenly spread; then no plots without --plots")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--plots", type=Path, help="folder for the plots (default: beside this file)")
    given = parser.parse_args()
    paths = sorted(given.image_folder.rglob("*.jpg"))
    if given.images:
        paths = paths[:: max(1, round(len(paths) / given.images))]
    given.output.mkdir(parents=True, exist_ok=True)
    accuracy, costs, shares = study(paths, given.output, given.threads)
    tables(accuracy, costs, shares, len(paths))
    if given.plots or not given.images:
        plots(accuracy, costs, given.plots or Path(__file__).parent)


if __name__ == "__main__":
    main()
