"""The same images from every kind of source, and into S3: images a second, and the CPU seconds of the command.

Each source is read by `coulis featurize` on all cores, in turns, and each round begins with another one; after each run
the vectors are compared with the folder's, byte for byte. With EfficientNet-Lite0 reading is a fiftieth of the work,
less than one round differs from the next, so a second table has a network that takes next to no time: what is left is
finding, reading and decoding. The servers of http:// and s3:// run on this machine, and take some of its cores.
"""

import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import s3_server
from bench import PAUSE, ROOT
from bench_run import COUNT, image_paths
from fault_jobs import write_model
from remote_servers import Server, folder_of

SHARDS = 4


def vectors(folder):
    """SHA-256 of the column `features`."""
    column = pa.concat_tables(
        [
            parquet.read_table(part, columns=["features"])
            for part in sorted(Path(folder).glob("features/part-*.parquet"))
        ]
    )["features"]
    assert len(column) == COUNT
    return hashlib.sha256(column.combine_chunks().flatten().to_numpy()).hexdigest()


def write_sources(folder, paths):
    """The images in every form; gives {name: (arguments, lines for standard input)}."""
    images = folder / "buckets" / "images"
    for path in paths:
        target = images / Path(path).parent.name / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    found = sorted((path for path in images.rglob("*") if path.is_file()), key=os.fsencode)  # as the folder is sorted
    names = [str(path.relative_to(images)) for path in found]
    listing = "\n".join(map(str, found)) + "\n"
    (folder / "list.txt").write_text(listing)
    for name, mode in (("all.tar", "w:"), ("all.tar.gz", "w:gz")):
        with tarfile.open(folder / name, mode) as archive:
            for path, short in zip(found, names):
                archive.add(path, short)
    for shard in range(SHARDS):
        first, last = (len(found) * n // SHARDS for n in (shard, shard + 1))
        with tarfile.open(folder / f"shard-{shard}.tar", "w") as archive:
            for number in range(first, last):
                for ending, data in (
                    ("jpg", found[number].read_bytes()),
                    ("cls", found[number].parent.name.encode()),
                    ("json", json.dumps({"number": number}).encode()),
                ):
                    member = tarfile.TarInfo(f"{number:06}.{ending}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path, short in zip(found, names):
            archive.write(path, short)
    image = pa.StructArray.from_arrays(
        [pa.array(path.read_bytes() for path in found), pa.array(names)], ["bytes", "path"]
    )
    parquet.write_table(
        pa.table({"image": image, "label": [path.parent.name for path in found]}),
        folder / "all.parquet",
        row_group_size=100,
    )  # as Hugging Face's datasets write images
    return (
        images,
        names,
        {
            "folder": ([images], None),
            "list": (["@list.txt"], None),
            "standard input": (["@-"], listing),
            "tar": (["all.tar"], None),
            "tar.gz": (["all.tar.gz"], None),
            f"WebDataset, {SHARDS} shards": ([f"shard-{shard}.tar" for shard in range(SHARDS)], None),
            "zip": (["all.zip"], None),
            "Parquet with bytes": (["all.parquet"], None),
        },
    )


def measure(folder, sources, environment, options, rounds):
    """Seconds and CPU seconds of each source, of rounds in turns."""
    wall, cpu = ({name: [] for name in sources} for _ in range(2))
    names, expected = list(sources), None
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            given, lines = sources[name]
            time.sleep(PAUSE)
            out = "s3://results/out" if name.endswith("to s3") else "out"
            before, began = os.times(), time.perf_counter()
            subprocess.run(
                [
                    ROOT / "build" / "coulis",
                    "featurize",
                    *map(str, given),
                    "-o",
                    out,
                    "--overwrite",
                    "--quiet",
                    *map(str, options),
                ],
                cwd=folder,
                env=environment,
                check=True,
                input=lines,
                text=True,
            )
            wall[name].append(time.perf_counter() - began)
            after = os.times()
            cpu[name].append(
                after.children_user - before.children_user + after.children_system - before.children_system
            )
            print(
                f"  round {number + 1} {name}: {wall[name][-1]:.2f} s, CPU {cpu[name][-1]:.2f} s",
                file=sys.stderr,
                flush=True,
            )
            found = vectors(folder / "buckets" / "results" / "out" if "://" in out else folder / "out")
            expected = expected or found
            assert found == expected, f"{name} has other vectors than the folder"
    return wall, cpu


def table(wall, cpu):
    print(
        "| source | images/s, median (min - max) | to the folder | CPU seconds, median (min - max) "
        "| to the folder |\n"
        "| --- | ---: | ---: | ---: | ---: |"
    )
    rows = {}
    for name in wall:
        rates = sorted(COUNT / seconds for seconds in wall[name])
        rate, used = statistics.median(rates), statistics.median(cpu[name])
        # Of rounds in turns: each beside the folder of its own round.
        faster = statistics.median(f / own for f, own in zip(wall["folder"], wall[name]))
        more = statistics.median(own / f for f, own in zip(cpu["folder"], cpu[name]))
        rows[name] = {
            "median": rate,
            "min": rates[0],
            "max": rates[-1],
            "to_folder": faster,
            "cpu": used,
            "cpu_to_folder": more,
        }
        print(
            f"| {name} | {rate:.1f} ({rates[0]:.1f} - {rates[-1]:.1f}) | {faster:.2f} "
            f"| {used:.2f} ({min(cpu[name]):.2f} - {max(cpu[name]):.2f}) | {more:.2f} |"
        )
    return rows


def run(arguments):
    threads = max(arguments.threads)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths, kind = image_paths(folder)
        images, names, sources = write_sources(folder, paths)
        server = stack.enter_context(Server(folder_of(images)))
        (folder / "urls.txt").write_text("".join(f"{server.url}/{urllib.parse.quote(name)}\n" for name in names))
        sources["http, loopback"] = (["@urls.txt"], None)
        environment = dict(os.environ)
        if s3_server.SERVER.exists():
            (folder / "buckets" / "results").mkdir()
            address = stack.enter_context(s3_server.serve(folder / "buckets", folder / "s3.log"))
            environment = s3_server.environment(address, XDG_CACHE_HOME=str(folder / "cache"))
            sources["s3, loopback"] = (["s3://images/"], None)
            sources["folder, output to s3"] = ([images], None)
        else:
            print("no S3 server, so no figures of s3://: ./run test s3 builds one", file=sys.stderr)
        write_model(folder / "tiny.safetensors")
        results = []
        for title, model, rounds in (
            ("EfficientNet-Lite0", "efficientnet-lite0", arguments.rounds),
            ("reading and decoding", folder / "tiny.safetensors", 3 * arguments.rounds),
        ):
            wall, cpu = measure(folder, sources, environment, ["--model", model, "--threads", str(threads)], rounds)
            print(f"\n{title}: {COUNT} images of {kind}, {threads} threads; the vectors of all are the same bytes\n")
            results.append({"title": f"sources, {title}", "unit": "images/s", "rows": table(wall, cpu)})
    return results
