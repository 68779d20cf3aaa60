"""Every allocation and every system call of a job fails in turn: no false success, nothing blamed on an image, and the
same command resumes to the same bytes.

tests/faults/interpose.c makes them fail. The ordinary run takes a sample of a small job; with COULIS_TEST_LONG=1 every
call of a job of 300 images in 12 parts fails.
"""

import errno
import itertools
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import draw_picture

pytest.importorskip("pyarrow")

LONG = bool(os.environ.get("COULIS_TEST_LONG"))
IMAGES, PER_PART = (300, 25) if LONG else (18, 6)
# Sampled allocations for each verb, once and from then on.
RUNS = 10**9 if LONG else 30
JOBS = 2  # side by side

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
def jobs(tmp_path_factory, command, interposer):
    run = Job(tmp_path_factory.mktemp("run"), command, interposer)
    given = run.folder / "whole"
    return {"run": run, **{verb: Job(tmp_path_factory.mktemp(verb), command, interposer, verb, given)
                           for verb in ("fit", "transform")}}


def all_bytes(folder):
    return {str(p.relative_to(folder)): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "run.json"}


class Job:
    """A verb of the command, its undisturbed result, and what comes of it when a call fails."""

    def __init__(self, folder, command, interposer, verb="run", given=None):
        self.folder, self.command, self.interposer, self.verb = folder, command, interposer, verb
        self.given = given  # the result of a run
        self.model = folder / "tiny.safetensors"
        self.images = folder / "images"
        if verb == "run":
            self.write_model()
            self.draw_images()
        self.good = 3 if verb == "run" else 0
        self.numbers = itertools.count()
        code, error = self.run(folder / "whole")
        assert code == self.good, error
        self.expected = all_bytes(folder / "whole")
        self.counts = self.count()

    def draw_images(self):
        self.images.mkdir()
        for number in range(IMAGES):
            ending = ("jpg", "png", "webp")[number % 3]
            draw_picture(number, (40 + number % 20, 32)).save(self.images / f"{number:03}.{ending}")
        draw_picture(1).save(self.images / "progressive.jpg", progressive=True)
        (self.images / "broken.jpg").write_bytes((self.images / "000.jpg").read_bytes()[:200])

    def write_model(self):
        import numpy
        from coulis.convert import graph, safetensors_file

        nodes = [
            {"name": "a", "op": "conv", "inputs": ["image"], "weight": "a", "channels": 16, "kernel": [3, 3],
             "stride": [2, 2], "padding": "same"},
            {"name": "b", "op": "relu6", "inputs": ["a"]},
            {"name": "f", "op": "conv", "inputs": ["b"], "weight": "f", "channels": 24, "kernel": [1, 1]},
            {"name": "g", "op": "global_average_pool", "inputs": ["f"]},
        ]
        description = {
            "format": 1, "name": "tiny", "source": "test", "licence": "MIT",
            "input": {"width": 32, "height": 32, "channels": "RGB", "mean": [127, 127, 127], "std": [128, 128, 128]},
            "nodes": nodes, "features": {"map": "f", "pooled": "g"},
        }
        rng = numpy.random.default_rng(1)
        tensors = {"a": rng.normal(size=(16, 3, 3, 3)).astype("f"), "f": rng.normal(size=(24, 16, 1, 1)).astype("f")}
        safetensors_file.write(self.model, tensors, graph.metadata(description))

    def arguments(self, out):
        own = {"run": [self.images, "-o", out, "--model", self.model, "-k", "3", "--rows-per-file", PER_PART],
               "fit": [self.given, "-o", out / "pca.safetensors", "-k", "3", "--overwrite"],
               "transform": [self.given, "--pca", f"{self.given}/pca.safetensors", "-o", out]}[self.verb]
        return [str(a) for a in [self.command, self.verb, *own, "--threads", 2, "--quiet"]]

    def run(self, out, **environment):
        """Exit code and what was said."""
        if self.verb == "fit":
            out.mkdir(exist_ok=True)
        own = {**os.environ, **environment}
        if environment:
            own["LD_PRELOAD"] = str(self.interposer)
        done = subprocess.run(self.arguments(out), env=own, capture_output=True, text=True, errors="replace",
                              timeout=120)
        return done.returncode, done.stderr

    def count(self):
        """How many calls of each kind the job makes; that differs a little from run to run."""
        out, file = self.folder / "counted", self.folder / "count"
        code, error = self.run(out, COULIS_FAULT_COUNT=str(file))
        if code == 99:
            pytest.skip(error)
        assert code == self.good and all_bytes(out) == self.expected, error
        return {name: int(number) for name, number in (line.split() for line in file.read_text().splitlines())}

    def blamed(self, out):
        """The errors of images whose row says something else than in the undisturbed result."""
        import pyarrow.parquet

        wrong = []
        for part in sorted(out.glob("*/part-*.parquet")):
            ours = pyarrow.parquet.read_table(part).to_pylist()
            whole = pyarrow.parquet.read_table(self.folder / "whole" / part.parent.name / part.name).to_pylist()
            assert len(ours) == len(whole), part
            wrong += [f"{a['path']}: {a['error']}" for a, b in zip(ours, whole) if a["error"] != b["error"]]
        return wrong

    def problem(self, fault, out):
        """What is wrong with the job when `fault` happens to it; None when nothing is."""
        code, error = self.run(out, COULIS_FAULT=self.numeric(fault))
        try:
            rows = self.blamed(out)
        except Exception as problem:
            return f"an unreadable part (exit {code}, {error!r}): {problem}"
        kind, _, name = fault.split(":")
        if rows and kind in ("openat", "read", "newfstatat", "fstat") and name == "EIO":
            # What a failing disk says of one file is a property of that file.
            return None if code in (1, self.good) and all("Input/output error" in row for row in rows) else str(rows)
        if rows:
            return f"a row blames an image: {rows}"
        if code == self.good:
            return None if all_bytes(out) == self.expected else f"false success: {error}"
        if code != 1 or not error.startswith("coulis: ") or error.count("\n") != 1:
            return f"exit {code}, no sentence: {error!r}"
        for path, content in all_bytes(out).items():
            hidden = path.rsplit("/", 1)[-1].startswith(".")  # of a job that is not finished
            if not hidden and self.expected.get(path) != content:
                return f"{path} is not what it should be"
        again, said = self.run(out)
        if again != self.good:
            return f"not resumed (exit {again}: {said}) after: {error}"
        return None if all_bytes(out) == self.expected else f"other bytes after resuming; before: {error}"

    def try_fault(self, fault):
        out = self.folder / f"out{next(self.numbers)}"
        try:
            return self.problem(fault, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    @staticmethod
    def numeric(fault):
        kind, number, what = fault.split(":")
        return f"{kind}:{number}:{getattr(errno, what, what)}"

    def try_all(self, faults):
        with ThreadPoolExecutor(JOBS) as pool:
            outcomes = list(pool.map(self.try_fault, faults))
        return [f"{fault}: {outcome}" for fault, outcome in zip(faults, outcomes) if outcome]

    def memory(self, runs, plus):
        return [f"memory:{n}{plus}:ENOMEM" for n in spread(self.counts["memory"], runs)]

    def calls(self, kind, runs):
        errors = CALLS[kind]
        return [f"{kind}:{n}:{name}" for name in errors for n in spread(self.counts[kind], runs)]


def spread(count, runs):
    """At most `runs` numbers of 1..count, evenly, the first and last among them."""
    if count <= runs:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (runs - 1)) for i in range(runs)})


@pytest.mark.parametrize("plus", ["", "+"], ids=["once", "from then on"])
@pytest.mark.parametrize("verb", ["run", "fit", "transform"])
def test_memory(jobs, verb, plus):
    job = jobs[verb]
    more = 4 if verb == "run" and not plus else 1
    assert not job.try_all(job.memory(RUNS * more, plus))


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("verb", ["run", "fit", "transform"])
def test_system_call(jobs, verb, kind):
    job = jobs[verb]
    assert not job.try_all(job.calls(kind, RUNS if LONG else 3))
