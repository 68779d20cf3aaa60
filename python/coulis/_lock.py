"""A lock that does not hang after fork."""

from __future__ import annotations

import os
import threading


class Lock:
    """One caller at a time, who may take it again.

    A child process has a copy of the lock, but none of the other threads of its parent. Where one of them held it,
    nobody would ever give it back, and what it was at work on is half done. So taking it raises there.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._lost = False

    def __enter__(self) -> Lock:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._lost = not self._lock.acquire(blocking=False)
            if not self._lost:
                self._lock.release()
        if self._lost:
            raise RuntimeError(
                "another thread was at work with this object when this process was forked; make a new "
                "one in the child, or fork before"
            )
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
