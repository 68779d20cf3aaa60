"""Every allocation and every system call of a job fails in turn: no false success, nothing blamed on an image, and the
same command resumes to the same bytes.

tests/faults/interpose.c makes them fail. The ordinary run takes a sample of a small job; with COULIS_TEST_LONG=1 every
call of a job of 300 images in 12 parts fails, and COULIS_TEST_SLICE=i/n takes the i-th of n shares of that.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from fault_jobs import LONG, VERBS, spread

pytest.importorskip("pyarrow")

# Sampled allocations for each verb, once and from then on; `./run coverage` takes more.
RUNS = 10**9 if LONG else int(os.environ.get("COULIS_TEST_FAULTS", 30))
SAMPLED = ["run", "fit", "transform"]
# Of those verbs whose parts are tried by others there are fewer: a tenth of the long count.
FEWER = ["overwrite", "grow", "apply", "verify", "verify_damaged", "dedup", "cluster", "export", "view", "list"]

# The errors of system calls that a machine out of something, or a failing disk, gives.
CALLS = {
    "openat": ["EMFILE", "ENFILE", "ENOMEM", "EIO", "EINTR", "ENOSPC", "EDQUOT"],
    "read": ["EIO", "EINTR", "ENOMEM", "short"],
    "write": ["ENOSPC", "EDQUOT", "EIO", "EINTR", "short"],
    "fsync": ["EIO", "ENOSPC", "EDQUOT", "EINTR"],
    "rename": ["EIO", "ENOSPC", "ENOMEM", "EDQUOT"],
    "close": ["EIO", "EINTR", "ENOSPC", "EDQUOT"],
    "mkdir": ["ENOSPC", "ENOMEM", "EIO", "EDQUOT"],
    "newfstatat": ["ENOMEM", "EIO"],
    "fstat": ["ENOMEM", "EIO"],
    "access": ["ENOMEM", "EIO"],
    "faccessat": ["ENOMEM", "EIO"],
    "getdents": ["EIO", "ENOMEM"],
    "lseek": ["EIO"],
    "pread": ["EIO", "EINTR", "short"],
    "flock": ["EINTR", "ENOMEM", "EIO"],
    "unlink": ["EIO"],
    "link": ["EIO", "EPERM"],
    "unlinkat": ["EIO"],
    "rmdir": ["EIO"],
    "fcntl": ["ENOMEM"],
    "thread": ["EAGAIN"],
}


@pytest.fixture(scope="module")
def interposer(command):
    path = command.parent / "tests" / "libinterpose.so"
    if not path.exists():
        pytest.skip(f"no {path}: configure with -DCOULIS_TESTS=ON")
    return path


@pytest.fixture(scope="module")
def job_of(command, interposer):
    """The job of a verb, made when it is first asked for, in memory where there is a file system for that."""
    top = Path(tempfile.mkdtemp(prefix="coulis-faults-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    jobs = {}

    def of(verb):
        if verb not in jobs:
            given = of("run") if verb != "run" else None
            folder = top / verb
            folder.mkdir()
            jobs[verb] = VERBS[verb](folder, command, interposer, given)
        return jobs[verb]

    yield of
    shutil.rmtree(top)


def memory(job, runs, plus):
    return [f"memory:{n}{plus}:ENOMEM" for n in spread(job.counts["memory"], runs)]


def calls(job, kind, runs):
    names = [name for name in CALLS[kind] if (kind, name) not in job.excused]
    return [f"{kind}:{n}:{name}" for name in names for n in spread(job.counts[kind], runs)]


@pytest.mark.quick(5)
@pytest.mark.parametrize("plus", ["", "+"], ids=["once", "from then on"])
@pytest.mark.parametrize("verb", SAMPLED + FEWER)
def test_memory(job_of, verb, plus):
    job = job_of(verb)
    few = job.counts["memory"] // 10 if LONG else RUNS // 3
    runs = few if verb in FEWER else max(120, RUNS) if verb == "run" and not plus else RUNS
    assert not job.try_all(memory(job, runs, plus))


@pytest.mark.quick(9)
@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("verb", SAMPLED)
def test_system_call(job_of, verb, kind):
    job = job_of(verb)
    # A folder is walked by hundreds of calls of these; one that was passed over in silence left an image out.
    sample = 12 if kind in ("newfstatat", "getdents") else 3
    assert not job.try_all(calls(job, kind, RUNS if LONG else sample))


@pytest.mark.quick(2)
@pytest.mark.parametrize("verb", FEWER)
def test_system_calls(job_of, verb):
    """All kinds of calls, the first and the last of each with some of its errors."""
    job = job_of(verb)
    faults = [fault for kind in CALLS for fault in calls(job, kind, max(2, job.counts[kind] // 10) if LONG else 2)]
    assert not job.try_all(faults if LONG else faults[::5])
