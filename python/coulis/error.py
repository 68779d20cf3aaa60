"""The one exception of this package."""


class Error(Exception):
    """Something coulis could not do; the message is one sentence that says what and why.

    Attributes
    ----------
    status : str
        The word for the kind of failure, as in the tables' ``status`` column and in
        ``coulis_status_name``: ``"unreadable"``, ``"missing"``, ``"bad_model"``, ...
    code : int
        The same as a number (``coulis_status`` in ``coulis.h``).
    """

    def __init__(self, message, status="invalid_argument", code=10):
        super().__init__(message)
        self.status = status
        self.code = code

    def __reduce__(self):
        return type(self), (str(self), self.status, self.code)
