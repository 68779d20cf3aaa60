"""The whole job, from files to Parquet: the command beside a plain Python script."""

import os
import subprocess
import sys
import tempfile
import time

import coulis
import engines
from bench import ROOT, rounds, table

COUNT = int(os.environ.get("COULIS_BENCH_IMAGES", "2000"))


def image_paths(folder):
    """Paths of test images: fruits-360 where it is, else generated ones."""
    data = os.environ.get("COULIS_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    root = os.path.join(data, "fruits-360", "test")
    paths = sorted(os.path.join(where, name) for where, _, names in os.walk(root) for name in names)
    if paths:
        step = max(1, len(paths) // COUNT)
        return paths[::step][:COUNT], "fruits-360"
    from conftest import draw_image

    for number in range(COUNT):
        paths.append(f"{folder}/{number:05}.jpg")
        draw_image(number, (100, 100)).save(paths[-1])
    return paths, "generated"


def run(arguments):
    results = []
    with tempfile.TemporaryDirectory() as folder:
        paths, kind = image_paths(folder)
        listing, model = f"{folder}/list.txt", f"{folder}/model.onnx"
        open(listing, "w").write("\n".join(paths) + "\n")
        open(model, "wb").write(engines.onnx_bytes(coulis.find_model("efficientnet-lite0"))[1])
        for threads in arguments.threads:
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}

            def timed(command):
                began = time.perf_counter()
                subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
                return time.perf_counter() - began

            programs = {
                "coulis": lambda: timed(
                    [
                        str(ROOT / "build" / "coulis"),
                        "run",
                        f"@{listing}",
                        "-o",
                        f"{folder}/out",
                        "-k",
                        "0.99",
                        "--threads",
                        str(threads),
                        "--overwrite",
                    ]
                ),
                "plain script": lambda: timed(
                    [
                        sys.executable,
                        str(ROOT / "bench" / "plain_script.py"),
                        listing,
                        model,
                        f"{folder}/out.parquet",
                        str(threads),
                        "0.99",
                    ]
                ),
            }
            figures = rounds(programs, arguments.rounds)
            title = f"Whole job, {len(paths)} {kind} images, {threads} thread{'s' if threads > 1 else ''}"
            results.append(table(title, figures, "seconds", more_is_better=False))
            for name, values in figures.items():
                print(f"{name}: {len(paths) / sorted(values)[len(values) // 2]:.1f} images/s")
    return results
