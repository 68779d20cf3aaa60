"""A report whose images UMAP or t-SNE places, as `coulis view` makes it."""

import argparse
import json
import sys

import coulis


def main() -> int:
    parser = argparse.ArgumentParser(prog="coulis view")
    parser.add_argument("folder")
    parser.add_argument("output")
    parser.add_argument("map", choices=("umap", "tsne"))
    parser.add_argument("threshold", type=float)
    parser.add_argument("max_bytes", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("form", choices=("json", "table", "quiet"))
    given = parser.parse_args()
    try:
        made = coulis.view(given.folder, given.output, map=given.map, threshold=given.threshold,
                           max_bytes=given.max_bytes, threads=given.threads or None)
    except (coulis.Error, FileNotFoundError, ImportError) as error:
        print(f"coulis: {error}", file=sys.stderr)
        return 1
    if given.form == "json":
        print(json.dumps(made, indent=1, ensure_ascii=False))
    elif given.form == "table":
        print(f"{made['images']} images, {made['bytes'] / 1e6:.1f} MB, {made['seconds']:.2f} s: open {made['output']} "
              "in a browser", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
