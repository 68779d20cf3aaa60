"""Reads files of strangers whole: ordinary ones alone, since a FIFO or a device may never end, up to a limit."""

import os
import stat


def read(path, limit):
    """The bytes of an ordinary file.

    Raises
    ------
    ValueError
        When it is not an ordinary file, or has more than `limit` bytes; names it.
    OSError
    """
    # Opening a FIFO waits for who writes to it, unless one says not to.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is not an ordinary file")
    with open(descriptor, "rb") as file:
        # One byte more than there should be: it may have grown, and files of /proc have no size.
        data = file.read(found.st_size + 1) if found.st_size <= limit else b""
        if found.st_size < len(data) <= limit:
            data += file.read(limit + 1 - len(data))
    if max(len(data), found.st_size) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    return data
