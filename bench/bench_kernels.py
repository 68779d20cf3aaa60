"""The kernels on the shapes of real networks, against the multiply-add limit of one core."""

import subprocess

from bench import ROOT


def run(arguments):
    shapes = sorted(str(path) for path in (ROOT / "bench" / "shapes").glob("*.txt"))
    text = subprocess.run(
        [str(ROOT / "build" / "bench_kernels"), *shapes], check=True, capture_output=True, text=True
    ).stdout
    print(text)
    return [{"title": "kernels", "table": text}]
