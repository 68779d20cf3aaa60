"""Every place in the program that allocates memory or calls the system fails once, in a job of each verb
and each kind of source: no false success, nothing blamed on an image, and the same command then ends with the right
bytes.

test_faults.py fails calls by their number, of few verbs; here each call site fails, whichever call comes from it first.
A site is the last three calls on the stack (COULIS_TEST_FRAMES says how many), and is tried in the first job that has
it.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from remote_servers import Server, folder_of
from small_jobs import JOBS, SmallJob, make_ground

pytest.importorskip("pyarrow")

# The error of each kind of call: what a machine out of something says, or a failing disk.
ERRORS = {
    "memory": "ENOMEM",
    "thread": "EAGAIN",
    "openat": "EMFILE",
    "read": "EIO",
    "write": "ENOSPC",
    "fsync": "EIO",
    "rename": "ENOSPC",
    "close": "EIO",
    "mkdir": "ENOSPC",
    "newfstatat": "ENOMEM",
    "fstat": "ENOMEM",
    "access": "ENOMEM",
    "faccessat": "ENOMEM",
    "getdents": "EIO",
    "lseek": "EIO",
    "pread": "EIO",
    "flock": "ENOMEM",
    "unlink": "EIO",
    "link": "EPERM",
    "unlinkat": "EIO",
    "rmdir": "EIO",
    "fcntl": "ENOMEM",
    "ftruncate": "EIO",
}
PLUS = os.environ.get("COULIS_TEST_PLUS", "")  # "+": every later call of the kind fails, too
# The number of a call differs a little from run to run, as threads take turns.
EARLIER = 40


@pytest.fixture(scope="module")
def top():
    folder = Path(tempfile.mkdtemp(prefix="coulis-sites-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ground(top, command):
    return top / "ground", make_ground(top / "ground", command)


@pytest.fixture(scope="module")
def server(ground):
    with Server(folder_of(ground[0])) as server:
        yield server.url


@pytest.fixture(scope="module")
def tried():
    return set()


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", JOBS)
def test_each_call_site(top, ground, server, command, tried, name):
    interposer = command.parent / "tests" / "libinterpose.so"
    if not interposer.exists():
        pytest.skip(f"no {interposer}: configure with -DCOULIS_TESTS=ON")
    folder, copy = ground
    job = SmallJob(name, top / name, copy, interposer, folder, server)
    new = {key: first for key, first in job.counts.items() if key not in tried and key[0] in ERRORS}
    tried.update(new)
    faults = [
        f"{kind}:{max(1, first - EARLIER)}@{site}{PLUS}:{ERRORS[kind]}"
        for (kind, site), first in new.items()
        if (kind, ERRORS[kind]) not in job.excused and kind + PLUS != "write+"
    ]  # who cannot write cannot tell
    assert not job.try_all(faults[:: job.every])
    assert job.unchanged()
