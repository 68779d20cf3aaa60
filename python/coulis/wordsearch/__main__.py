"""The images of a result nearest to a text, as `coulis search` prints them."""

import argparse
import sys
from typing import Any

import coulis
from coulis._answers import FORMS, answer


def show(found: Any) -> None:
    for image in found:
        print(f"{image['similarity']:.4f}  {image['label']:<20}  {image['path']}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="coulis search")
    parser.add_argument("folder")
    parser.add_argument("text")
    parser.add_argument("count", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("output")
    for flag in ("no_sign_request", "requester_pays"):
        parser.add_argument(flag, type=int)
    given = parser.parse_args()
    return answer(
        given.form,
        lambda: coulis.search(
            given.folder,
            text=given.text,
            k=given.count,
            output=given.output or None,
            no_sign_request=given.no_sign_request != 0,
            requester_pays=given.requester_pays != 0,
            threads=given.threads or None,
        ),
        show,
    )


if __name__ == "__main__":
    sys.exit(main())
