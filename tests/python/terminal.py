"""A program on a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import termios


def on_terminal(command, columns=0, **options):
    """Runs a command whose standard error is a terminal, which with 0 columns does not say how wide it is; its exit
    code, and what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, **options)
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            break
        if not more:
            break
        said += more
    os.close(ours)
    return process.wait(), said.decode()
