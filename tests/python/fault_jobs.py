"""Verbs of the command, their undisturbed results, and what comes of them when a call fails (test_faults.py).

tests/faults/interpose.c makes an allocation or a system call fail. A job that failed is run again without the fault,
and must end with the undisturbed bytes; where two faults leave the same files behind, byte for byte, once is enough.
"""

import errno
import hashlib
import itertools
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import draw_image

LONG = bool(os.environ.get("COULIS_TEST_LONG"))
IMAGES, PER_PART, THREADS = (300, 25, 1) if LONG else (20, 6, 2)
# Which of the faults are tried: the i-th of n shares, as "i/n" with i from 0.
SHARE, SHARES = (int(n) for n in os.environ.get("COULIS_TEST_SLICE", "0/1").split("/"))
JOBS = 1 if SHARES > 1 else 2  # side by side


def all_bytes(folder):
    """{path: bytes} of the files below `folder`, without the one that tells the time."""
    found, waiting = {}, [str(folder)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.name != "run.json":
                with open(entry.path, "rb") as file:
                    found[os.path.relpath(entry.path, folder)] = file.read()
    return found


def run_of(images, out, model):
    """The words of the whole job."""
    words = f"-k 3 --rows-per-file {PER_PART} --threads {THREADS}".split()
    return ["run", images, "-o", out, "--model", model, *words]


def state(folder):
    """A digest of all that a job left behind."""
    files = all_bytes(folder) if folder.exists() else {}
    summary = folder / "run.json"
    files["run.json"] = summary.read_bytes() if summary.exists() else b"none"
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    return digest.digest()


def spread(count, runs):
    """At most `runs` numbers of 1..count, evenly, first and last among them; of these the share that was asked for."""
    numbers = range(1, count + 1)
    if count > runs:
        numbers = sorted({1 + round(i * (count - 1) / (runs - 1)) for i in range(runs)})
    return list(numbers)[SHARE::SHARES]


def write_model(path):
    import numpy
    from coulis.convert import graph, safetensors_file

    nodes = [
        {
            "name": "a",
            "op": "conv",
            "inputs": ["image"],
            "weight": "a",
            "channels": 16,
            "kernel": [3, 3],
            "stride": [2, 2],
            "padding": "same",
        },
        {"name": "b", "op": "relu6", "inputs": ["a"]},
        {"name": "f", "op": "conv", "inputs": ["b"], "weight": "f", "channels": 24, "kernel": [1, 1]},
        {"name": "g", "op": "global_average_pool", "inputs": ["f"]},
    ]
    description = {
        "format": 1,
        "name": "tiny",
        "source": "test",
        "licence": "MIT",
        "input": {"width": 8, "height": 8, "channels": "RGB", "mean": [127, 127, 127], "std": [128, 128, 128]},
        "nodes": nodes,
        "features": {"map": "f", "pooled": "g"},
    }
    rng = numpy.random.default_rng(1)
    tensors = {"a": rng.normal(size=(16, 3, 3, 3)).astype("f"), "f": rng.normal(size=(24, 16, 1, 1)).astype("f")}
    safetensors_file.write(path, tensors, graph.metadata(description))


def draw_images(folder):
    folder.mkdir()
    for number in range(IMAGES - 2):
        ending = ("jpg", "png", "webp")[number % 3]
        size = (8, 8) if LONG else (40 + number % 20, 32)
        draw_image(number, size).save(folder / f"{number:03}.{ending}")
    draw_image(1, (16, 16)).save(folder / "progressive.jpg", progressive=True)
    (folder / "broken.jpg").write_bytes((folder / "000.jpg").read_bytes()[:200])


class Job:
    """A verb, given what the run before it made. Its result is a folder named `out`."""

    good = 0
    old = {}  # the contents of the folder before
    quiet = ["--quiet"]
    excused = ()  # kinds of calls and errors that may change the result

    def __init__(self, folder, command, interposer, given=None):
        self.folder, self.command, self.interposer = folder, command, interposer
        self.given = given.folder if given else folder  # images, model and a result named "whole"
        self.numbers = itertools.count()
        self.resumed = set()  # states from which a job was resumed with the right bytes
        self.prepare()
        out, code, error = self.undisturbed()
        assert code == self.good, error
        self.expected = all_bytes(out)
        self.counts = self.count()

    def prepare(self):
        pass

    def begin(self, out):
        """What must be there before the job."""

    def undisturbed(self):
        out = self.folder / "whole"
        self.begin(out)
        return out, *self.run(out)

    def arguments(self, out):
        raise NotImplementedError

    def environment(self):
        return os.environ

    def run(self, out, **environment):
        """Exit code and what was said."""
        own = {**self.environment(), **environment}
        if environment:
            own["LD_PRELOAD"] = str(self.interposer)
        said = Path(f"{out}.said")
        with open(said, "w") as file:
            code = subprocess.Popen(
                [str(a) for a in [self.command, *self.arguments(out), *self.quiet]],
                env=own,
                stdout=subprocess.DEVNULL,
                stderr=file,
                close_fds=False,
            ).wait(timeout=120)
        error = said.read_text(errors="replace")
        said.unlink()
        return code, error

    def count(self):
        """How many calls of each kind the job makes; that differs a little from run to run."""
        out, file = self.folder / "counted", self.folder / "count"
        self.begin(out)
        code, error = self.run(out, COULIS_FAULT_COUNT=str(file))
        if code == 99:
            pytest.skip(error)
        assert code == self.good and all_bytes(out) == self.expected, error
        return {name: int(number) for name, number in (line.split() for line in file.read_text().splitlines())}

    def blamed(self, out):
        """The errors of images whose row says something else than in the undisturbed result."""
        import pyarrow.parquet

        wrong = []
        for path, content in all_bytes(out).items():
            whole = self.expected.get(path)
            if content in (whole, self.old.get(path)) or not path.endswith(".parquet") or "/." in path:
                continue
            ours = pyarrow.parquet.read_table(out / path).to_pylist()
            theirs = pyarrow.parquet.read_table(self.folder / "whole" / path).to_pylist()
            assert len(ours) == len(theirs), path
            wrong += [f"{a['path']}: {a['error']}" for a, b in zip(ours, theirs) if a.get("error") != b.get("error")]
        return wrong

    def problem(self, fault, out):
        """What is wrong with the job when `fault` happens to it; None when nothing is."""
        self.begin(out)
        code, error = self.run(out, COULIS_FAULT=self.numeric(fault))
        try:
            rows = self.blamed(out) if out.exists() else []
        except Exception as problem:
            return f"an unreadable part (exit {code}, {error!r}): {problem}"
        kind, _, name = fault.split(":")
        if rows and kind in ("openat", "read", "newfstatat", "fstat") and name == "EIO":
            # What a failing disk says of one file is a property of that file.
            return None if code in (1, 3) and all("Input/output error" in row for row in rows) else str(rows)
        if rows:
            return f"a row blames an image: {rows}"
        if code == self.good:
            return None if all_bytes(out) == self.expected else f"false success: {error}"
        if code != 1 or not error.startswith("coulis: ") or error.count("\n") != 1:
            return f"exit {code}, no sentence: {error!r}"
        return self.unfinished(out, error) or self.resume(out, error)

    def unfinished(self, out, error):
        """What is wrong with what a failed job left behind."""
        for path, content in (all_bytes(out) if out.exists() else {}).items():
            hidden = path.rsplit("/", 1)[-1].startswith(".")  # of a job that is not finished
            if not hidden and content not in (self.expected.get(path), self.old.get(path)):
                return f"{path} is not what it should be after: {error}"
        return None

    def resume(self, out, error):
        left = state(out)
        if left in self.resumed:
            return None
        again, said = self.run(out)
        if again != self.good:
            return f"not resumed (exit {again}: {said}) after: {error}"
        if all_bytes(out) != self.expected:
            return f"other bytes after resuming; before: {error}"
        self.resumed.add(left)
        return None

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
        print(f"{len(faults)} faults, {len(self.resumed)} states resumed")
        return [f"{fault}: {outcome}" for fault, outcome in zip(faults, outcomes) if outcome]


class Run(Job):
    good = 3  # one image is broken

    def prepare(self):
        write_model(self.folder / "tiny.safetensors")
        draw_images(self.folder / "images")

    def arguments(self, out):
        return run_of(self.given / "images", out, self.given / "tiny.safetensors")


class Overwrite(Run):
    """A run over another result, whose files are links to one copy: no file may be changed in place."""

    def prepare(self):
        self.before = self.folder / "before"
        code, error = self.run(self.before)
        assert code == self.good, error
        self.old = all_bytes(self.before)
        self.old_summary = (self.before / "run.json").read_bytes()

    def begin(self, out):
        shutil.copytree(self.before, out, copy_function=os.link)

    def arguments(self, out):
        other = ["-k", 2, "--rows-per-file", PER_PART + 2] if out == self.before else []
        return [*super().arguments(out), "--overwrite", *other]

    def unfinished(self, out, error):
        summary = out / "run.json"
        if all_bytes(self.before) != self.old:
            return "a file was changed in place"
        if (
            summary.exists()
            and summary.read_bytes() == self.old_summary
            and not all((out / path).exists() for path in self.old)
        ):
            return f"what looks complete is not, after: {error}"
        return super().unfinished(out, error)


class Grow(Run):
    """A run over a result of other images: some are new, changed, gone and moved."""

    def prepare(self):
        self.before = self.folder / "before"
        self.images = self.folder / "images"
        shutil.copytree(self.given / "images", self.images)
        code, error = self.run(self.before)
        assert code == self.good, error
        self.old = all_bytes(self.before)
        draw_image(100, (16, 16)).save(self.images / "000b.png")
        draw_image(101, (16, 16)).save(self.images / "004.png")
        (self.images / "007.png").unlink()
        (self.images / "010.png").rename(self.images / "zzz.png")

    def begin(self, out):
        shutil.copytree(self.before, out, copy_function=os.link)

    def undisturbed(self):
        out = self.folder / "whole"
        return out, *self.run(out)  # from nothing

    def arguments(self, out):
        return run_of(self.images, out, self.given / "tiny.safetensors")

    def blamed(self, out):
        # Old rows and new ones stand side by side until the replacement is ended.
        whole = not (out / ".next").exists() and len(all_bytes(out)) == len(self.expected)
        return super().blamed(out) if whole else []

    def unfinished(self, out, error):
        if all_bytes(self.before) != self.old:
            return "a file was changed in place"
        for path, content in all_bytes(out).items():
            hidden = path.rsplit("/", 1)[-1].startswith(".")
            own = path.removeprefix(".next/")
            if not hidden and content not in (self.expected.get(own), self.old.get(path)):
                return f"{path} is not what it should be after: {error}"
        return None


class Fit(Job):
    def begin(self, out):
        out.mkdir()

    def arguments(self, out):
        return [
            "fit",
            self.given / "whole",
            "-o",
            out / "pca.safetensors",
            "-k",
            3,
            "--overwrite",
            "--threads",
            THREADS,
        ]


class Transform(Job):
    def arguments(self, out):
        return [
            "transform",
            self.given / "whole",
            "--pca",
            self.given / "whole" / "pca.safetensors",
            "-o",
            out,
            "--threads",
            THREADS,
        ]


class Apply(Job):
    good = 3

    def environment(self):
        # A PCA names the model of its vectors, and apply looks for it by that name.
        return {**os.environ, "COULIS_MODELS": str(self.given)}

    def arguments(self, out):
        return [
            "apply",
            self.given / "images",
            "--pca",
            self.given / "whole",
            "-o",
            out,
            "--rows-per-file",
            PER_PART,
            "--threads",
            THREADS,
        ]


class Verify(Job):
    """Of a sound result: done, or a failure with a sentence. Its own result is nothing."""

    def begin(self, out):
        out.mkdir()

    def arguments(self, out):
        return ["verify", self.given / "whole"]


class VerifyDamaged(Verify):
    """Of a result in which one bit of the last part is another: whatever fails beside it, it is never called sound."""

    good = 1

    def prepare(self):
        self.damaged = self.folder / "damaged"
        shutil.copytree(self.given / "whole", self.damaged)
        part = sorted(self.damaged.glob("features/*.parquet"))[-1]
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)

    def arguments(self, out):
        return ["verify", self.damaged]


class OfResult(Job):
    """A verb that makes one file from a result."""

    def blamed(self, out):
        return []

    def begin(self, out):
        out.mkdir(exist_ok=True)

    def arguments(self, out):
        verb, *more = self.verb
        return [verb, self.given / "whole", *more[:-1], out / more[-1] if more[-1] else out, "--threads", THREADS]


class Dedup(OfResult):
    verb = "dedup", "--threshold", "0.5", "-o", "groups.parquet"


class Cluster(OfResult):
    verb = "cluster", "-k", "4", "-o", ""


class Export(OfResult):
    verb = "export", "-o", "vectors.csv"


class View(OfResult):
    verb = "view", "-o", "report.html"
    # An image on a failing disk has no thumbnail.
    excused = ("openat", "EIO"), ("read", "EIO"), ("newfstatat", "EIO"), ("fstat", "EIO")


class List(OfResult):
    quiet = []

    def arguments(self, out):
        return ["list", self.given / "images", "-o", out / "list.parquet"]


VERBS = {
    "run": Run,
    "overwrite": Overwrite,
    "grow": Grow,
    "fit": Fit,
    "transform": Transform,
    "apply": Apply,
    "verify": Verify,
    "verify_damaged": VerifyDamaged,
    "dedup": Dedup,
    "cluster": Cluster,
    "export": Export,
    "view": View,
    "list": List,
}
