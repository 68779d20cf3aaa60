"""The command ``coulis``, of an installed wheel or by ``python -m coulis``: hands over to the program."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Replaces this process by the command, with the same arguments."""
    here = Path(__file__).resolve().parent
    program, built = here / "bin" / "coulis", here.parents[1] / "build" / "coulis"
    if not program.exists() and built.exists():  # in a checkout
        program = built
    # 'coulis models add' and 'get' are done by this package: the command is told which Python has it.
    os.environ.setdefault("COULIS_PYTHON", sys.executable)
    try:
        os.execv(program, [str(program), *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"coulis: {program}: {error.strerror}")
