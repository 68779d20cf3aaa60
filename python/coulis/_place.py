"""Where the C library is."""

from __future__ import annotations

import os
from pathlib import Path


def find() -> Path:
    """Path of the shared library: COULIS_LIBRARY, beside this package, or a checkout's build folder."""
    named = os.environ.get("COULIS_LIBRARY")
    if named:
        return Path(named)
    here = Path(__file__).resolve().parent
    beside = sorted(here.glob("libcoulis.so*"))
    if beside:
        return beside[0]
    built = here.parents[1] / "build" / "libcoulis.so"
    if built.exists():
        return built
    raise ImportError(
        f"libcoulis.so is neither in {here} nor at {built}: build it with './run build', install the wheel, "
        "or name it in the environment variable COULIS_LIBRARY"
    )
