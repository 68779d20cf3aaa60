"""Where the C library is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# macOS' name for it; coulis was never built there.
_NAME = "libcoulis.dylib" if sys.platform == "darwin" else "libcoulis.so"


def find() -> Path:
    """Path of the shared library: COULIS_LIBRARY, beside this package, or a checkout's build folder."""
    named = os.environ.get("COULIS_LIBRARY")
    if named:
        return Path(named)
    here = Path(__file__).resolve().parent
    beside = sorted(here.glob(f"{_NAME}*"))
    if beside:
        return beside[0]
    built = here.parents[1] / "build" / _NAME
    if built.exists():
        return built
    raise ImportError(
        f"{_NAME} is neither in {here} nor at {built}: build it with './run build', install the wheel, "
        "or name it in the environment variable COULIS_LIBRARY"
    )
