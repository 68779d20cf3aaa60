"""What decode="fast" does to vectors: their cosine with those of exact decoding, over large photographs.

    python bench/decode_effect.py [FOLDER] [--model NAME]

FOLDER holds JPEG photographs of some megapixels; without it, those of fruits-360 are taken. Each is taken as it is, and
saved anew in other sizes and qualities, so that every fraction has its turn. For scale, the last line has the cosines
of different photographs.
"""

import argparse
import io
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python")]

import coulis  # noqa: E402
import numpy  # noqa: E402
from PIL import Image  # noqa: E402


def saved(data, longer=None, **settings):
    """The image saved as a JPEG again, its longer side of `longer` pixels."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if longer:
        scale = longer / max(image.size)
        image = image.resize([round(side * scale) for side in image.size], Image.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", **settings)
    return out.getvalue()


VARIANTS = {
    "as they are": None,
    "quality 50": {"quality": 50},
    "quality 95, no subsampling": {"quality": 95, "subsampling": 0},
    "progressive, quality 85": {"quality": 85, "progressive": True},
    "1,600 pixels": {"longer": 1600, "quality": 90},
    "6,000 pixels": {"longer": 6000, "quality": 90},
}


def cosines(a, b):
    return (a * b).sum(-1) / (numpy.linalg.norm(a, axis=-1) * numpy.linalg.norm(b, axis=-1))


def main():
    data = os.environ.get("COULIS_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=f"{data}/fruits-360/photos")
    parser.add_argument("--model", default="efficientnet-lite0")
    arguments = parser.parse_args()
    paths = [p for p in sorted(pathlib.Path(arguments.folder).rglob("*")) if p.suffix.lower() in (".jpg", ".jpeg")]
    if not paths:
        parser.error(f"there is no JPEG in {arguments.folder}")
    exact, fast, scores, fast_scores = (
        coulis.Featurizer(arguments.model, features, decode=decode)
        for features in ("pooled", "logits")
        for decode in ("exact", "fast")
    )
    side = exact.model_info["input_width"], exact.model_info["input_height"]
    print(
        f"{len(paths)} photographs, {arguments.model}\n\n"
        "| photographs | fraction | mean difference of a value, of 255 | cosine, median | cosine, least "
        "| same class |\n"
        "| --- | --- | ---: | ---: | ---: | ---: |"
    )
    vectors = None
    for name, settings in VARIANTS.items():
        files = [path.read_bytes() for path in paths]
        files = files if settings is None else [saved(file, **settings) for file in files]
        fractions = set()
        for file in files:
            image = Image.open(io.BytesIO(file))
            image.draft(None, (2 * side[0], 2 * side[1]))
            fractions.add(image.decoderconfig[0])
        a, b = (
            numpy.stack([coulis.load_image(file, side, decode=decode) for file in files]).astype(int)
            for decode in ("exact", "fast")
        )
        before, after = exact.featurize(files).values, fast.featurize(files).values
        same = scores.featurize(files).values.argmax(1) == fast_scores.featurize(files).values.argmax(1)
        found = cosines(before, after)
        print(
            f"| {name} | {', '.join(f'1/{n}' for n in sorted(fractions))} | {numpy.abs(a - b).mean():.2f} "
            f"| {numpy.median(found):.5f} | {found.min():.5f} | {same.sum()} of {len(same)} |",
            flush=True,
        )
        vectors = before if vectors is None else vectors
    others = cosines(vectors[:, None], vectors[None])[numpy.triu_indices(len(vectors), 1)]
    if len(others):
        print(f"\ndifferent photographs: cosine {numpy.median(others):.3f} (median), {others.max():.3f} (greatest)")


if __name__ == "__main__":
    main()
