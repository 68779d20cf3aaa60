"""How far a job is, shown where people look: a bar in terminals and notebooks, else lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

LOG = logging.getLogger("coulis")
_LOG_SECONDS = 10.0  # between two lines of the log
_BAR_SECONDS = 0.2  # between two drawings of a bar
_WIDTH = 30


@dataclass(frozen=True)
class Progress:
    """How far a job is; given to its `progress` callback a few times a second.

    Attributes
    ----------
    stage : {"list", "featurize", "fit", "transform", "transfer"}
    done, total : int
        Images or rows of this stage; `total` is -1 as long as it is not known.
    resumed : int
        How many of `done` an earlier run had finished.
    failed : int
        Images without a vector so far.
    seconds : float
        Since this stage began.
    """

    stage: str
    done: int
    total: int
    resumed: int
    failed: int
    seconds: float


if TYPE_CHECKING:
    #: What `progress` may be: a function, True for a bar, or None.
    Watching = Union[Callable[[Progress], Any], bool, None]


def watcher(progress: Watching) -> tuple[Callable[[Progress], Any] | None, Callable[[], None]]:
    """The function to call with each state, and one to call at the end."""
    if progress is None or progress is False:
        return _Log(), _nothing
    if progress is not True:
        return progress, _nothing
    if not _is_shown():
        return _Log(logging.WARNING), _nothing
    try:
        from tqdm.auto import tqdm
    except ImportError:
        line = _Line()
        return line, line.end
    bar = _Tqdm(tqdm)
    return bar, bar.end


def _nothing() -> None:
    pass


def _is_shown() -> bool:
    """Whether somebody can see a bar: in a terminal or a notebook."""
    shell = sys.modules.get("IPython")
    kernel = shell is not None and hasattr(getattr(shell, "get_ipython", _nothing)(), "kernel")
    return kernel or bool(getattr(sys.stderr, "isatty", lambda: False)())


class _Log:
    """A line when a stage begins, and one every ten seconds."""

    def __init__(self, level: int = logging.INFO) -> None:
        self.level = level
        self.stage, self.last = "", 0.0

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if state.stage != self.stage or now - self.last >= _LOG_SECONDS:
            self.stage, self.last = state.stage, now
            LOG.log(self.level, "%s", describe(state))


class _Line:
    """A bar of its own, on standard error."""

    def __init__(self) -> None:
        self.last, self.stage, self.length = 0.0, "", 0

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if state.stage != self.stage:
            self.end()
            self.stage = state.stage
        elif now - self.last < _BAR_SECONDS and state.done != state.total:
            return
        self.last = now
        text = describe(state)
        if state.total > 0:
            full = _WIDTH * state.done // state.total
            text = f"{text} [{'#' * full}{'.' * (_WIDTH - full)}]"
        sys.stderr.write("\r" + text.ljust(self.length))
        sys.stderr.flush()
        self.length = len(text)

    def end(self) -> None:
        if self.length:
            sys.stderr.write("\n")
            sys.stderr.flush()
        self.length = 0


class _Tqdm:
    """A bar of tqdm for each stage, which knows how to draw itself in a notebook."""

    def __init__(self, make: Any) -> None:
        self.make = make
        self.bar: Any = None
        self.stage = ""

    def __call__(self, state: Progress) -> None:
        if state.stage != self.stage:
            self.end()
            self.stage = state.stage
            # Images finished by an earlier run do not count towards the speed.
            self.bar = self.make(desc=state.stage, initial=max(0, state.resumed), unit=" images", dynamic_ncols=True)
        self.bar.total = state.total if state.total >= 0 else None
        if state.failed:
            self.bar.set_postfix_str(f"{state.failed} failed", refresh=False)
        self.bar.update(state.done - self.bar.n)

    def end(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None


def describe(state: Progress) -> str:
    """A state in words: ``featurize: 120 of 4,000 images, 61.5 a second, 2 failed``."""
    total = f" of {state.total:,}" if state.total >= 0 else ""
    fresh = state.done - state.resumed
    rate = f", {fresh / state.seconds:.1f} a second" if state.seconds > 0 and fresh > 0 else ""
    failed = f", {state.failed:,} failed" if state.failed else ""
    return f"{state.stage}: {state.done:,}{total} images{rate}{failed}"
