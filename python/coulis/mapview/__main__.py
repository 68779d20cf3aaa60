"""A report whose images UMAP or t-SNE places, as `coulis view` makes it."""

import argparse
import sys
from typing import Any

import coulis
from coulis._answers import FORMS, answer


def show(made: Any) -> None:
    print(
        f"{made['images']} images, {made['bytes'] / 1e6:.1f} MB, {made['seconds']:.2f} s: open {made['output']} "
        "in a browser",
        file=sys.stderr,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="coulis view")
    parser.add_argument("folder")
    parser.add_argument("output")
    parser.add_argument("map", choices=("umap", "tsne"))
    parser.add_argument("threshold", type=float)
    parser.add_argument("max_bytes", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("form", choices=FORMS)
    for flag in ("no_sign_request", "requester_pays", "no_thumbnails"):
        parser.add_argument(flag, type=int)
    given = parser.parse_args()
    return answer(
        given.form,
        lambda: coulis.view(
            given.folder,
            given.output,
            map=given.map,
            threshold=given.threshold,
            max_bytes=given.max_bytes,
            no_thumbnails=given.no_thumbnails != 0,
            no_sign_request=given.no_sign_request != 0,
            requester_pays=given.requester_pays != 0,
            threads=given.threads or None,
        ),
        show,
    )


if __name__ == "__main__":
    sys.exit(main())
