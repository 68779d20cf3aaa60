"""What comes after the vectors: apply, grow, duplicates and search, beside NumPy, FAISS and imagededup.

Every program runs in a process of its own. Beside seconds stand seconds of CPU, user and system, of all its threads: on
a machine that others use, too, these are what to compare. Variables choose what is done:

    COULIS_BENCH_PARTS=grow,pairs,search,million,many    some parts only
    COULIS_BENCH_IMAGES=2000    grow: so many images of fruits-360 instead of all 11,968
    COULIS_BENCH_KILLS=6        grow: how often the job is killed; 0: not at all
    COULIS_BENCH_ROWS=200000    million, search: so many vectors instead of 1,000,000
    COULIS_BENCH_MANY=20000     many: so many small images instead of 100,000
    COULIS_BENCH_RESULT=DIR     pairs: a finished result instead of one made now
    COULIS_BENCH_FOLDER=DIR     what is made stays there, and is used again
"""

import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import drawn_vectors
import numpy as np
from bench import ROOT

COMMAND = [str(ROOT / "build" / "coulis")]
PARTS = ("grow", "pairs", "search", "million", "many")
IMAGEDEDUP = ROOT / "build" / "imagededup"
# Slow kernels that this variable may ask OpenBLAS for are nobody's choice here; waiting threads sleep.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
ENVIRONMENT |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": f"{ROOT / 'python'}:{IMAGEDEDUP}"}


def measure(command, **more):
    """Seconds, seconds of CPU and the peak memory of a program."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        **more,
    )
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {errors}")
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": 1024 * used.ru_maxrss,
        "output": output,
    }


def median(figures, name):
    return statistics.median(figure[name] for figure in figures)


def line(name, figures, ours=None):
    cpu = median(figures, "cpu_seconds")
    ratio = "" if ours is None else f"{cpu / median(ours, 'cpu_seconds'):.1f} times"
    wall, peak = median(figures, "seconds"), max(figure["peak_bytes"] for figure in figures)
    print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak / 2**20:.0f} | {ratio} |", flush=True)
    return {"name": name, "cpu_seconds": cpu, "seconds": wall, "peak_bytes": peak}


def head(title):
    print(
        f"\n{title}\n\n| program | seconds | CPU seconds | MiB | CPU seconds to those of coulis |\n"
        "| --- | ---: | ---: | ---: | ---: |"
    )


# ---- apply and grow ----


def same(one, other, folders):
    """Whether two results have the same files, byte for byte."""
    for folder in folders:
        names = sorted(p.name for p in (one / folder).iterdir())
        if names != sorted(p.name for p in (other / folder).iterdir()):
            return False
        if any((one / folder / name).read_bytes() != (other / folder / name).read_bytes() for name in names):
            return False
    return True


def check_same(one, other, message):
    assert same(one, other, ["features", "reduced"]), message
    assert (one / "pca.safetensors").read_bytes() == (other / "pca.safetensors").read_bytes(), message


def same_rows(one, other):
    """Whether two results have the same paths, labels, vectors and scores, bit for bit."""
    import coulis

    for name in ("features", "reduced"):
        tables = [coulis.read_table(folder, name) for folder in (one, other)]
        column = "pca" if name == "reduced" else name
        bits = [table[column].combine_chunks().flatten().to_numpy().tobytes() for table in tables]
        if bits[0] != bits[1] or any(tables[0][text] != tables[1][text] for text in ("path", "label", "status")):
            return False
    return True


def killed(command, kills, seconds, **more):
    """Runs a program until it is done, though it is killed some times on the way, at random moments of its first
    `seconds`."""
    chance = random.Random(7)
    for _ in range(kills):
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            **more,
        )
        try:
            process.wait(chance.uniform(0.02, 1) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return measure(command, **more)


def grow(folder, arguments):
    data = pathlib.Path(os.environ.get("COULIS_TEST_DATA", ROOT.parent / "shared" / "data")) / "fruits-360" / "test"
    if not data.is_dir():
        print("\ngrow: skipped, there is no fruits-360: set COULIS_TEST_DATA to the folder that holds it")
        return []
    given = sorted(data.glob("*/*.jpg"))
    step = max(1, len(given) // int(os.environ.get("COULIS_BENCH_IMAGES", len(given))))
    kills = int(os.environ.get("COULIS_BENCH_KILLS", "6"))
    for name in ("fruits", "out", "applied", "killed", "fresh"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in given[::step]:
        place = folder / "fruits" / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    paths = sorted((folder / "fruits").glob("*/*.jpg"))
    small = ["--quiet", "--no-progress"]

    def job(*words):
        return measure([*COMMAND, *words, *small], cwd=folder)

    print(f"{len(paths)} images", file=sys.stderr)
    whole = job("run", "fruits", "-o", "out")
    applied = job("apply", "fruits", "--pca", "out", "-o", "applied")
    assert same_rows(folder / "out", folder / "applied"), "apply gives other rows than run"
    if kills:
        killed([*COMMAND, "run", "fruits", "-o", "killed", *small], kills, whole["seconds"] / 2, cwd=folder)
        check_same(folder / "out", folder / "killed", "a job that was killed gives another result")
    grown = []
    for number in range(3):  # one added, one changed, one removed
        near = [paths[(1000 * number + step) % len(paths)] for step in (0, 100, 200)]
        near[0].with_name(f"added-{number}.jpg").write_bytes(near[1].read_bytes()[:-2] + b"\0\xff\xd9")
        near[1].write_bytes(near[2].read_bytes())
        near[2].unlink()
        grown.append(job("run", "fruits", "-o", "out"))
    again = job("run", "fruits", "-o", "fresh")
    check_same(folder / "out", folder / "fresh", "grown and from nothing differ")
    if kills:  # the result of before, killed while it grows
        killed([*COMMAND, "run", "fruits", "-o", "killed", *small], kills, median(grown, "seconds"), cwd=folder)
        check_same(folder / "killed", folder / "fresh", "grown while killed and from nothing differ")
        print(f"\nkilled {kills} times on the way, the whole job and the growing one give the same bytes")
    head(
        f"{len(paths)} images: the whole job, apply, and one added, one changed, one removed (the same bytes as from "
        "nothing)"
    )
    rows = [line("run", [whole, again]), line("apply", [applied]), line("run again", grown)]
    share = {name: 100 * rows[2][name] / rows[0][name] for name in ("seconds", "cpu_seconds")}
    print(
        f"\nrun again takes {share['seconds']:.2f} % of the time of run, {share['cpu_seconds']:.2f} % of its CPU time"
    )
    return rows


# ---- duplicates and neighbours ----


def peer(what, program, vectors, threads, *more, folder):
    output = folder / f"{what}-{program}.npy"
    figure = measure(
        [sys.executable, ROOT / "bench" / "collection_peers.py", what, program, vectors, threads, *more, "-o", output]
    )
    return {**json.loads(figure["output"]), "result": output}


def turns(programs, rounds, function):
    figures = {program: [] for program in programs}
    for number in range(rounds):
        for program in programs:
            figures[program].append(function(program))
            print(
                f"  round {number + 1} {program}: {figures[program][-1]['cpu_seconds']:.3f} CPU seconds",
                file=sys.stderr,
                flush=True,
            )
    return figures


def feature_vectors(folder):
    """The vectors of fruits-360, of a result that is named, or made now."""
    import coulis

    result = os.environ.get("COULIS_BENCH_RESULT") or folder / "out"
    if not pathlib.Path(result, "features").is_dir():
        if not (folder / "fruits").is_dir():
            data = pathlib.Path(os.environ.get("COULIS_TEST_DATA", ROOT.parent / "shared" / "data"))
            (folder / "fruits").symlink_to((data / "fruits-360" / "test").resolve())
        coulis.featurize(folder / "fruits", result)
    column = coulis.read_table(pathlib.Path(result, "features"))["features"].combine_chunks().drop_null()
    x = np.asarray(column.flatten(), np.float32).reshape(len(column), -1)
    np.save(folder / "vectors.npy", x)
    return x


def exact_pairs(x, threshold):
    """The pairs that NumPy's product in float64 finds."""
    unit = x.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found = []
    for first in range(0, len(x), 512):
        a, b = np.nonzero(unit[first : first + 512] @ unit[first:].T >= threshold)
        found.append(np.stack([a, b])[:, a < b] + first)
    return np.concatenate(found, axis=1)


def pairs(folder, arguments):
    x, threads, threshold = feature_vectors(folder), max(arguments.threads), 0.98
    programs = ["coulis", "faiss", *(["imagededup"] if install_imagededup() else [])]
    figures = turns(
        programs,
        min(3, arguments.rounds),
        lambda program: peer("pairs", program, folder / "vectors.npy", threads, threshold, folder=folder),
    )
    expected = exact_pairs(x, threshold)
    found = {program: np.load(figures[program][0]["result"]) for program in programs}
    assert np.array_equal(found["coulis"], expected), "coulis finds other pairs than NumPy in float64"
    head(f"all pairs of {len(x)} x {x.shape[1]} with a cosine of at least {threshold}, {threads} threads")
    rows = [line(program, figures[program], None if program == "coulis" else figures["coulis"]) for program in programs]
    print(f"\n{expected.shape[1]} pairs: coulis finds those that NumPy's float64 product finds, and no others")
    places = set(map(tuple, expected.T.tolist()))
    for program in programs[1:]:
        theirs = set(map(tuple, found[program].T.tolist()))
        print(f"{program}: {len(places - theirs)} of them missing, {len(theirs - places)} too many")
    return rows


def install_imagededup():
    """imagededup without PyTorch, which its search does not use."""
    if not (IMAGEDEDUP / "imagededup").is_dir():
        listed = ROOT / "requirements" / "imagededup.txt"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "-r",
                listed,
                "--target",
                IMAGEDEDUP,
            ],
            check=False,
        )
        if done.returncode:
            print("imagededup cannot be installed here: left out")
            return False
    return True


def million_vectors(folder):
    """1,000,000 drawn vectors as a file and a result, and queries drawn alike."""
    rows = int(os.environ.get("COULIS_BENCH_ROWS", "1000000"))
    if not (folder / "queries.npy").exists() or len(np.load(folder / "million.npy", mmap_mode="r")) != rows:
        shutil.rmtree(folder / "million", ignore_errors=True)
        x = drawn_vectors.draw(rows, 384)
        np.save(folder / "million.npy", x)
        drawn_vectors.write(folder / "million", x)
        scale, common = drawn_vectors.spectrum(384)
        drawn = np.random.default_rng(2).standard_normal((1000, 384), np.float32)
        np.save(folder / "queries.npy", drawn * scale + common)
    return np.load(folder / "million.npy", mmap_mode="r")


def search(folder, arguments):
    million_vectors(folder)
    threads, k = max(arguments.threads), 10
    figures = turns(
        ["coulis", "faiss"],
        min(3, arguments.rounds),
        lambda program: peer(
            "search", program, folder / "million.npy", threads, folder / "queries.npy", k, folder=folder
        ),
    )
    ours, theirs = (np.load(figures[program][0]["result"]) for program in ("coulis", "faiss"))
    differ = ours[1] != theirs[1]
    # FAISS adds 384 products in float32; two neighbours closer than that may change places.
    assert np.all(np.abs(ours[0] - theirs[0])[differ] <= 384 * 2.0**-24), "other neighbours than FAISS"
    rows = len(np.load(folder / "million.npy", mmap_mode="r"))
    head(f"the {k} nearest of {rows} x 384 to 1,000 queries, {threads} threads")
    rows = [line("coulis", figures["coulis"]), line("FAISS IndexFlatIP", figures["faiss"], figures["coulis"])]
    print(
        f"\nequal neighbours; {int(differ.sum())} of {differ.size} have another place, as float32 does not tell "
        "them apart"
    )
    return rows


def million(folder, arguments):
    x = million_vectors(folder)
    threads, threshold = max(arguments.threads), 0.95
    figure = measure(
        [
            *COMMAND,
            "dedup",
            "million",
            "--threshold",
            threshold,
            "--threads",
            threads,
            "--json",
            "-o",
            "groups.parquet",
        ],
        cwd=folder,
    )
    summary = json.loads(figure["output"])
    head(f"coulis dedup of {len(x)} x 384 at {threshold}, {threads} threads, reading and writing included")
    rows = [line("coulis dedup", [figure])]
    print(
        f"\n{summary['pairs']} pairs of {summary['pairs_compared']:.4g} compared by a bound of "
        f"{summary['bound_dimensions']} dimensions; the cosine was computed for {summary['pairs_computed']}"
    )
    check_groups(folder / "groups.parquet", x, threshold)
    return rows


def check_groups(path, x, threshold):
    """For 1,000 rows: those above the threshold, by NumPy in float64, are in the same group; others have none."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["group", "path"]).to_pydict()
    group_of = {int(path[:-4]): group for group, path in zip(table["group"], table["path"])}
    step = max(200, len(x) // 500)
    rows = np.unique(np.concatenate([np.arange(100, len(x), step), np.arange(157, len(x), step)]))
    some = x[rows].astype(np.float64)
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    with_pair = 0
    near = [[] for _ in rows]
    for first in range(0, len(x), 20_000):
        block = x[first : first + 20_000].astype(np.float64)
        a, b = np.nonzero(some @ block.T / np.linalg.norm(block, axis=1) >= threshold)
        for i, j in zip(a, b + first):
            if rows[i] != j:
                near[i].append(int(j))
    for row, others in zip(rows.tolist(), near):
        with_pair += bool(others)
        assert bool(others) == (row in group_of), f"row {row}: {others}"
        assert all(group_of[other] == group_of[row] for other in others), f"row {row}: {others}"
    print(f"checked with NumPy in float64 on {len(rows)} rows, of which {with_pair} have a pair")


def many(folder, arguments):
    """100,000 small images, of which 100 change: hard links to 50 drawn ones, so that the disk does not count."""
    from conftest import draw_image

    count, changed = int(os.environ.get("COULIS_BENCH_MANY", "100000")), 100
    for number in range(50):
        draw_image(number, (24, 24)).save(folder / f"drawn-{number}.png")
    for name in ("many", "many-out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for number in range(count):
        place = folder / "many" / f"{number // 1000:03}" / f"{number:06}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / f"drawn-{number % 50}.png", place)
    model = tiny_model(folder)
    job = ["run", "many", "-o", "many-out", "--model", model, "-k", "3", "--quiet", "--no-progress"]
    whole = measure([*COMMAND, *job], cwd=folder)
    for number in range(changed):
        place = folder / "many" / f"{number * (count // changed) // 1000:03}" / f"{number * (count // changed):06}.png"
        place.unlink()
        draw_image(1000 + number, (24, 24)).save(place)
    head(f"{count} images through a tiny network, and again after {changed} changed")
    rows = [line("run", [whole]), line("run again", [measure([*COMMAND, *job], cwd=folder)])]
    counts = json.loads((folder / "many-out" / "run.json").read_text())["counts"]
    assert counts["resumed"] == count - changed, counts
    return rows


def tiny_model(folder):
    from net_helpers import write_tiny

    write_tiny(folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def run(arguments):
    wanted = os.environ.get("COULIS_BENCH_PARTS", ",".join(PARTS)).split(",")
    if set(wanted) - set(PARTS):
        raise SystemExit(f"no such part: {', '.join(sorted(set(wanted) - set(PARTS)))}; there are {', '.join(PARTS)}")
    results = []
    kept = os.environ.get("COULIS_BENCH_FOLDER")  # what was made there before is used again
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(kept or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for part in wanted:
            rows = globals()[part](folder, arguments)
            results.append({"title": f"collection {part}", "unit": "seconds", "rows": rows})
    return results
