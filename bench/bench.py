"""Benchmarks: coulis beside other programs, in the same run.

    ./run bench [net|transformers|kernels|zeros|decode|run|pca|recipes|sources|collection|view ...]
                [--seconds S] [--rounds N] [--json FILE]

Every group takes turns: one round of each program, then the next round, so that a machine that changes its speed
changes it for all. Printed are the median and the spread of the rounds, and the ratio of coulis to the best other.
"""

import argparse
import importlib
import json
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python"), str(ROOT / "bench")]
PAUSE = 0.3  # seconds: threads of the program before may still look for work instead of sleeping (OpenBLAS, OpenMP)
GROUPS = (
    "net",
    "transformers",
    "kernels",
    "zeros",
    "decode",
    "run",
    "pca",
    "neighbours",
    "recipes",
    "sources",
    "collection",
    "view",
)


def machine():
    """The processor's name and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return {"processor": name, "cores": len(os.sched_getaffinity(0))}


def rounds(programs, count):
    """Runs each program `count` times in turn; gives {name: [figure, ...]}."""
    figures = {name: [] for name in programs}
    for number in range(count):
        for name, run in programs.items():
            time.sleep(PAUSE)
            figures[name].append(run())
            print(f"  round {number + 1} {name}: {figures[name][-1]:.4g}", file=sys.stderr, flush=True)
    return figures


def rate(run, images, seconds):
    """Calls `run`, which works on `pictures` images, for some seconds; gives images a second."""
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        run()
        done += images
    return done / took


def table(title, figures, unit, more_is_better=True, ours="coulis"):
    """Prints a Markdown table of medians, spreads and ratios; gives it as a dictionary."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"\n{title}\n\n| program | {unit}, median | min - max | coulis is |\n| --- | ---: | ---: | ---: |")
    rows = {}
    for name, values in figures.items():
        ratio = medians[ours] / medians[name] if more_is_better else medians[name] / medians[ours]
        rows[name] = {"median": medians[name], "min": min(values), "max": max(values), "coulis_ratio": ratio}
        print(
            f"| {name} | {medians[name]:.4g} | {min(values):.4g} - {max(values):.4g} | "
            + ("" if name == ours else f"{ratio:.2f} times as fast")
            + " |"
        )
    return {"title": title, "unit": unit, "rows": rows}


def main():
    parser = argparse.ArgumentParser(
        prog="./run bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=3, help="of one round of one program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, action="append", help="may be given more than once; default: 1 and all")
    parser.add_argument("--model", action="append", help="for neighbours, recipes: a network; more than once")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    cores = machine()["cores"]
    arguments.threads = arguments.threads or sorted({1, cores})
    print(f"{machine()['processor']}, {cores} cores, {time.strftime('%Y-%m-%d')}")
    results = []
    for group in arguments.groups or GROUPS:
        results += importlib.import_module(f"bench_{group}").run(arguments)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(
            json.dumps({"machine": machine(), "date": time.strftime("%Y-%m-%d"), "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
