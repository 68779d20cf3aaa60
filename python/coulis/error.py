"""The exceptions of this package."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Something coulis could not do; the message is one sentence that says what and why.

    One whose status is ``invalid_argument`` or ``numeric`` is a ValueError too.

    Attributes
    ----------
    status : str
        The word for the kind of failure, as in the tables' ``status`` column and in
        ``coulis_status_name``: ``"unreadable"``, ``"missing"``, ``"bad_model"``, ...
    code : int
        The same as a number (``coulis_status`` in ``coulis.h``).
    """

    def __init__(self, message: str, status: str = "invalid_argument", code: int = 10) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.status, self.code)


class InputError(Error, ValueError):
    """What was given is at fault: what Python, and with it scikit-learn, calls a ValueError."""


def error_of(message: str, status: str, code: int) -> Error:
    """The exception for a failure of the library."""
    kind = InputError if status in ("invalid_argument", "numeric") else Error
    return kind(message, status, code)
