"""The images of a result nearest to a text, as `coulis search` prints them."""

import argparse
import json
import sys

import coulis


def main() -> int:
    parser = argparse.ArgumentParser(prog="coulis search")
    parser.add_argument("folder")
    parser.add_argument("text")
    parser.add_argument("count", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("form", choices=("json", "table", "quiet"))
    parser.add_argument("output")
    given = parser.parse_args()
    try:
        found = coulis.search(given.folder, text=given.text, k=given.count, output=given.output or None,
                              threads=given.threads or None)
    except (coulis.Error, FileNotFoundError, ImportError) as error:
        print(f"coulis: {error}", file=sys.stderr)
        return 1
    if given.form == "json":
        print(json.dumps(found, indent=1, ensure_ascii=False))
    elif given.form == "table":
        for image in found:
            print(f"{image['similarity']:.4f}  {image['label']:<20}  {image['path']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
