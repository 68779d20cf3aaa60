"""What precision="bf16" and "int8" do to vectors: their cosine with those of float32, and whose neighbours they are.

    python bench/precision_effect.py [FOLDER] [--model NAME] [--images N]

N images are taken at even distances from the JPEG below FOLDER, sorted by path; without it from the test images of
fruits-360. An image's neighbour is the other one with the greatest cosine. For scale, the last line has the cosines of
different images.
"""

import argparse
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python")]

import coulis  # noqa: E402
import numpy  # noqa: E402


def unit(vectors):
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


def neighbours(vectors):
    cosines = vectors @ vectors.T
    numpy.fill_diagonal(cosines, -1)
    return cosines.argmax(1)


def main():
    data = os.environ.get("COULIS_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=f"{data}/fruits-360/test")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    paths = sorted(pathlib.Path(arguments.folder).rglob("*.jpg"))
    if not paths:
        parser.error(f"there is no .jpg in {arguments.folder}")
    paths = paths[:: max(1, len(paths) // arguments.images)][: arguments.images]
    vectors = {}
    for precision in ("float32", "bf16", "int8"):
        with coulis.Featurizer(arguments.model, precision=precision) as featurizer:
            vectors[precision] = unit(featurizer.featurize(paths).values.astype(float))
    exact = vectors.pop("float32")
    print(
        f"{len(paths)} images, {arguments.model}\n\n"
        "| precision | cosine, median | cosine, least | same neighbour | neighbour of the same folder |\n"
        "| --- | ---: | ---: | ---: | ---: |"
    )
    folders = numpy.array([path.parent.name for path in paths])
    nearest = neighbours(exact)
    print(f"| float32 | 1 | 1 | 100 % | {100 * (folders[nearest] == folders).mean():.1f} % |")
    for precision, found in vectors.items():
        cosines, now = (exact * found).sum(1), neighbours(found)
        print(
            f"| {precision} | {numpy.median(cosines):.5f} | {cosines.min():.5f} "
            f"| {100 * (now == nearest).mean():.1f} % | {100 * (folders[now] == folders).mean():.1f} % |"
        )
    others = (exact @ exact.T)[numpy.triu_indices(len(paths), 1)]
    print(f"\ndifferent images: cosine {numpy.median(others):.3f} (median), {others.max():.3f} (greatest)")


if __name__ == "__main__":
    main()
