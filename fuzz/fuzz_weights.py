"""Damages small files of weights (.pth, .safetensors, wheels, .h5, .onnx) and has them converted.

  fuzz_weights.py [SECONDS] [--folder DIR] [--cases N] [--seed S]

Each must become a network or a sentence, in bounded time and memory. The seeds are made here. A child process does the
work, so that a crash there does not end this program; what was in its hands then is left in DIR (build/fuzz) as
crash-READER-DIGEST. The last line says how many files there were and how many of them are left. Exit status 1 when
there are any.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python")]

import numpy  # noqa: E402
from coulis.convert import add, onnx_import  # noqa: E402
from test_convert import GOOD as LEGACY  # noqa: E402
from weight_makers import torch_zip_bytes  # noqa: E402

SECONDS_MAX = 20  # of one file; a machine with other work takes a hundredth of a second for most
MEMORY_MAX = 2 << 30  # of address space beyond what the libraries take
SENTENCE_MAX = 1500
CASES = 200  # of one child
NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff" * 8)


def state():
    return {
        "a.weight": numpy.arange(24, dtype="<f4").reshape(2, 3, 2, 2),
        "a.bias": numpy.ones(2, "<f2"),
        "n": numpy.int64(7),
    }


# ---- seeds: the part that is damaged, and what makes a file of it ----


def in_zip(data, name="net/data.pkl", compression=zipfile.ZIP_STORED):
    """Seed of an archive whose member `name` is damaged, with the checksum that fits."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(one for one in members if one.endswith(name.rpartition("/")[2]))

    def made(part):
        file = BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for member, content in members.items():
                archive.writestr(member, part if member == name else content)
        return file.getvalue()

    return members[name], made


def wheel(data):
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/weights.pth", data)
    return file.getvalue()


def safetensors():
    values = numpy.arange(6, dtype="<f4").tobytes()
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "BF16", "shape": [3], "data_offsets": [24, 30]},
        }
    ).encode()
    return header, lambda part: struct.pack("<Q", len(part)) + part + values + bytes(6)


def whole(data):
    return data, lambda part: part


def h5():
    import h5py

    file = BytesIO()
    with h5py.File(file, "w") as top:
        top.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": []}})
        group = top.create_group("model_weights/conv1/conv1")
        group.create_dataset("kernel:0", data=numpy.ones((3, 3, 3, 2), "<f4"))
        group.create_dataset("bias:0", data=numpy.ones(2, "<f4"))
    return file.getvalue()


def onnx():
    import onnx_small
    from onnx import numpy_helper

    shape = numpy_helper.from_array(numpy.array([-1, 4], numpy.int64), "shape")
    middle = [
        onnx_small.node("Relu", ["a"], "r"),
        onnx_small.node("Constant", [], "two", value_float=2.0),
        onnx_small.node("Add", ["r", "two"], "b"),
    ]
    return onnx_small.model(middle, [shape]).SerializeToString()


def seeds():
    """{reader: (kind, [(part, function that makes a file of it)])} of what can be read here."""
    zipped = torch_zip_bytes(state())
    made = {
        "pth": ("torch", [whole(zipped), in_zip(zipped), whole(LEGACY), whole(wheel(LEGACY))]),
        "safetensors": ("torch", [safetensors()]),
    }
    for name, kind, make in (("h5", "keras", h5), ("onnx", "onnx", onnx)):
        try:
            made[name] = (kind, [whole(make())])
        except ImportError as error:
            print(f"{name} is left out: {error}", flush=True)
    return made


# ---- damage ----


def damaged(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at, other = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        count = rng.choice((1, 2, 4, 8, 16, 64))
        what = rng.randrange(7)
        if what == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            number = rng.choice(NUMBERS)
            data[at : at + len(number)] = number
        elif what == 2:
            del data[at : at + count]
        elif what == 3:
            data[at:at] = data[other : other + count]
        elif what == 4:
            data[at : at + count] = data[other : other + count]
        elif what == 5:
            data[at:at] = bytes(data[other : other + count]) * rng.choice((2, 100, 5000))
        elif rng.random() < 0.1:
            del data[at:]
    return bytes(data)


# ---- trying ----


def attempt(path, kind):
    """None, or what is wrong with how a file is taken."""
    signal.alarm(SECONDS_MAX)
    try:
        add.convert(path, "net", kind, None, onnx_import.Options(preprocessing="none"))
    except (ValueError, OSError) as error:
        text = str(error)
        if isinstance(error, UnicodeError) or "\n" in text or not text or len(text) > SENTENCE_MAX:
            return f"no sentence: {type(error).__name__}: {text[:300]!r}"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return None


def child(path, kind, seeds, seed, cases, until):
    """Ends with 0, or with 1 after saying what is wrong; the file at `path` is the one it had then."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_MAX, taken + MEMORY_MAX))
    for case in range(cases):
        if time.monotonic() > until:
            break
        rng = random.Random(f"{seed} {case}")
        part, made = seeds[rng.randrange(len(seeds))]
        path.write_bytes(made(damaged(part, rng)))
        problem = attempt(path, kind)
        if problem:
            print(f"{path.name}: {problem}", flush=True)
            return 1
        os.write(3, b".")
    return 0


def run(name, kind, seeds, folder, seed, cases, seconds):
    """(files tried, files kept) of one reader."""
    until, tried, kept, round = time.monotonic() + seconds, 0, 0, 0
    path = folder / f"trying-{name}-{os.getpid()}"
    while time.monotonic() < until and (cases is None or tried < cases):
        round += 1
        todo = CASES if cases is None else min(CASES, cases - tried)
        sys.stdout.flush()
        ends = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(ends[1], 3)
            code = 2
            try:
                code = child(path, kind, seeds, f"{seed} {name} {round}", todo, until)
            finally:
                os._exit(code)
        os.close(ends[1])
        with open(ends[0], "rb") as file:
            tried += len(file.read())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            tried, kept = tried + 1, kept + 1
            data = path.read_bytes()
            saved = folder / f"crash-{name}-{hashlib.sha256(data).hexdigest()[:12]}"
            saved.write_bytes(data)
            print(f"{saved}: {'took too long' if code == -signal.SIGALRM else f'ended with {code}'}", flush=True)
    path.unlink(missing_ok=True)
    return tried, kept


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("seconds", nargs="?", type=float, default=60, help="of each reader")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--cases", type=int, help="of each reader, instead of all that fit into the time")
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    total = [0, 0]
    for name, (kind, made) in seeds().items():
        counts = run(name, kind, made, options.folder, options.seed, options.cases, options.seconds)
        print(f"{name}: {counts[0]} files, {counts[1]} of them kept", flush=True)
        total = [a + b for a, b in zip(total, counts)]
    print(f"{total[0]} files tried, {total[1]} kept")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
