"""What the command's verbs that this package does have in common: how they end, and what they print."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any, Callable

import coulis

FORMS = ("json", "table", "quiet")


def answer(form: str, make: Callable[[], Any], show: Callable[[Any], None]) -> int:
    """Makes a result and prints it, as JSON or by `show`; the exit code."""
    # As the command tells of what ends nothing: without the name of a module and its line.
    warnings.showwarning = lambda message, *_, **__: print(f"coulis: {message}", file=sys.stderr)
    warnings.simplefilter("always", UserWarning)
    try:
        made = make()
    except (coulis.Error, FileNotFoundError, ImportError) as error:
        print(f"coulis: {error}", file=sys.stderr)
        return 1
    if form == "json":
        print(json.dumps(made, indent=1, ensure_ascii=False))
    elif form == "table":
        show(made)
    return 0
