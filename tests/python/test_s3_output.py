"""Results in S3: the bytes of the folder, through faults and kills, and nothing that claims what is not there."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest
from conftest import draw_image
from remote_servers import Faults, Server
from s3_server import NEEDED, caller, coulis, environment, serve  # noqa: F401

import coulis as package

pytestmark = NEEDED
OUT = "s3://results/a b+c%/out"
JOB = ("-k", 3, "--rows-per-file", 4, "--threads", 2)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(14):
        draw_image(number, (50, 40)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "buckets"
    (root / "results").mkdir(parents=True)
    return root


@pytest.fixture
def server(root, tmp_path):
    with serve(root, tmp_path / "s3.log") as url:
        yield url


@pytest.fixture
def there(root):
    return root / "results" / "a b+c%" / "out"


@pytest.fixture(scope="module")
def expected(command, images, tmp_path_factory):
    """The same job into a folder."""
    out = tmp_path_factory.mktemp("expected") / "out"
    subprocess.run([command, "run", images, "-o", out, "--quiet", *map(str, JOB)], check=True)
    return digests(out)


def digests(folder):
    """Every file of a result but run.json, whose seconds differ; of that one the list of parts."""
    run = json.loads((folder / "run.json").read_text())
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "run.json" and ".sgwtmp" not in str(path)
    }
    listed = {part["name"]: part["sha256"] for part in run["parts"]}
    assert run["complete"]
    assert listed.items() <= found.items()
    return found


def claims(folder):
    """What a reader of the bucket is told: nothing, or of a finished result, all of which must be there."""
    try:
        run = json.loads((folder / "run.json").read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return
    if run["complete"]:
        digests(folder)


def test_the_bytes_of_the_folder(coulis, images, expected, there, tmp_path):
    said = coulis("run", images, "-o", OUT, "--json", *JOB)
    assert json.loads(said.stdout)["output"] == OUT
    assert digests(there) == expected
    assert not list((tmp_path / "cache/coulis/work").iterdir())  # nothing is left here
    before = (there / "run.json").read_bytes()
    coulis("run", images, "-o", OUT + "/", *JOB)  # there is nothing to do
    assert (there / "run.json").read_bytes() == before
    refused = coulis("run", images, "-o", OUT, "--resize", "crop", *JOB, code=1).stderr
    assert f"{OUT}: holds the result of another recipe (other resize)" in refused and str(tmp_path) not in refused
    assert (there / "run.json").read_bytes() == before
    coulis("run", images, "-o", OUT, "--overwrite", "--drop-features", *JOB)
    kept = {name: digest for name, digest in expected.items() if not name.startswith("features")}
    assert digests(there) == kept
    assert "every digest, row and recipe" in coulis("verify", OUT).stderr


def test_what_is_in_the_way_stays(coulis, images, root, there):
    there.mkdir(parents=True)
    (there / "notes.txt").write_text("mine")
    assert "is not empty and holds no result" in coulis("run", images, "-o", OUT, *JOB, code=1).stderr
    coulis("run", images, "-o", OUT, "--overwrite", *JOB)
    assert (there / "notes.txt").read_text() == "mine"
    (there / "run.json").write_text("{}")
    assert "coulis did not write it" in coulis("run", images, "-o", OUT, "--overwrite", *JOB, code=1).stderr
    (there / "run.json").unlink()
    said = coulis("run", images, "-o", OUT, "--overwrite", *JOB, code=1).stderr
    assert "coulis did not write it" in said and (there / "features/part-00000.parquet").exists()
    for place in ("gs://bucket/x", "https://host/x", "hdfs://x/y"):
        assert "is not served as output" in coulis("run", images, "-o", place, code=1).stderr
        assert "is not served as output" in coulis("fit", images, "-o", place, code=1).stderr


@pytest.mark.parametrize("which", [{"share": 0.1, "seed": 8}, {"once": True}], ids=["a tenth", "each once"])
def test_faults_change_nothing(coulis, server, images, expected, there, which):
    with Faults(server, stall=0.2, **which) as faults:
        coulis("run", images, "-o", OUT, *JOB, AWS_ENDPOINT_URL=faults.url)
        assert min(faults.made.values()) > 0, faults.made
    assert digests(there) == expected


@contextlib.contextmanager
def watched(folder):
    """What the bucket claims is looked at all the while."""
    watching, faults = True, []

    def watch():
        while watching:
            try:
                claims(folder)
            except (AssertionError, FileNotFoundError) as error:
                faults.append(error)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watching = False
        watcher.join()
    assert not faults, faults[:1]


@pytest.mark.quick(2)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_killed_at_any_moment(command, server, images, expected, there, tmp_path, elsewhere):
    """Killed again and again, and gone on with, here or on another machine; the bucket is watched all the while."""
    drawn = random.Random(elsewhere)
    kills, jobs, longest = 0, 0, 0.25
    while kills < 3:  # a fast machine may finish between two kills: then another job is killed sooner
        shutil.rmtree(there, ignore_errors=True)
        with watched(there):
            for attempt in range(100):
                cache = tmp_path / (f"machine{jobs}-{attempt}" if elsewhere else f"machine{jobs}")
                process = subprocess.Popen(
                    [command, "run", images, "-o", OUT, "--quiet", *map(str, JOB)],
                    env=environment(server, XDG_CACHE_HOME=str(cache)),
                    stderr=subprocess.PIPE,
                )
                try:
                    process.wait(drawn.uniform(0.2, 1) * longest * (1 + attempt / 5))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                error = process.communicate()[1]
                if process.returncode == 0:
                    break
                assert process.returncode == -signal.SIGKILL, error.decode()
        assert process.returncode == 0
        assert digests(there) == expected
        jobs, longest = jobs + 1, longest / 2


def test_what_is_listed_alone_is_taken(coulis, images, expected, there, tmp_path):
    """On another machine the parts that are whole are brought, and no others."""
    coulis("run", images, "-o", OUT, *JOB)
    run = json.loads((there / "run.json").read_text())
    run = {"complete": False, "work": "0" * 32, "recipe": run["recipe"], "parts": run["parts"][:2]}
    (there / "run.json").write_text(json.dumps(run))
    damaged = bytearray((there / "features/part-00001.parquet").read_bytes())
    damaged[100] ^= 1
    (there / "features/part-00001.parquet").write_bytes(damaged)
    said = json.loads(coulis("run", images, "-o", OUT, "--json", *JOB).stdout)
    assert said["counts"]["resumed"] == 4
    assert digests(there) == expected


def test_images_that_are_added(coulis, images, there, tmp_path):
    some = tmp_path / "some"
    shutil.copytree(images, some)
    for name in ("03.png", "12.png"):
        (some / name).unlink()
    coulis("run", some, "-o", OUT, *JOB)
    shutil.copy2(images / "03.png", some / "03.png")
    plan = coulis("run", some, "-o", OUT, "--dry-run", *JOB)
    assert "1 new" in plan.stdout + plan.stderr
    said = coulis("run", some, "-o", OUT, *JOB).stderr
    assert "1 new" in said
    coulis("run", some, "-o", "local", *JOB)
    assert digests(there) == digests(tmp_path / "local")
    shutil.copy2(images / "12.png", some / "12.png")
    coulis("run", some, "-o", OUT, "--keep-pca", *JOB)
    coulis("run", some, "-o", "local", "--keep-pca", *JOB)
    assert digests(there) == digests(tmp_path / "local")


def test_every_verb(coulis, images, there, root, tmp_path):
    coulis("featurize", images, "-o", "v", "--rows-per-file", 4)
    coulis("featurize", images, "-o", "s3://results/v", "--rows-per-file", 4)
    assert digests(root / "results/v") == digests(tmp_path / "v")
    coulis("fit", "s3://results/v", "-o", "s3://results/pca.safetensors", "-k", 3)
    coulis("fit", "v", "-o", "pca.safetensors", "-k", 3)
    pca = (tmp_path / "pca.safetensors").read_bytes()
    assert (root / "results/pca.safetensors").read_bytes() == pca
    assert "already exists" in coulis("fit", "v", "-o", "s3://results/pca.safetensors", "-k", 2, code=1).stderr
    coulis("transform", "s3://results/v", "--pca", "s3://results/pca.safetensors", "-o", "s3://results/t")
    coulis("transform", "v", "--pca", "pca.safetensors", "-o", "t")
    assert digests(root / "results/t") == digests(tmp_path / "t")
    coulis("run", images, "-o", OUT, *JOB)
    coulis("apply", images, "--pca", OUT, "-o", "s3://results/applied", "--rows-per-file", 4)
    coulis("apply", images, "--pca", there, "-o", "applied", "--rows-per-file", 4)
    assert digests(root / "results/applied") == digests(tmp_path / "applied")
    for shard in (1, 2):
        coulis("run", images, "-o", f"s3://results/shard{shard}", "--shard", f"{shard}/2", *JOB)
    coulis("merge", "s3://results/shard1", "s3://results/shard2", "-o", "s3://results/merged")
    assert digests(root / "results/merged") == digests(there)
    assert (
        "is one of the shards"
        in coulis(
            "merge", "s3://results/shard1", "s3://results/shard2", "-o", "s3://results/shard1", "--overwrite", code=1
        ).stderr
    )
    for verb, name, more in (
        ("export", "x.npy", ()),
        ("dedup", "groups.csv", ("--threshold", "0.5")),
        ("view", "report.html", ()),
    ):
        coulis(verb, OUT, "-o", f"s3://results/{name}", *more)
        coulis(verb, there, "-o", name, *more)
        assert (root / "results" / name).stat().st_size > 0
        if verb != "view":  # which has its own name in it
            assert (root / "results" / name).read_bytes() == (tmp_path / name).read_bytes()
    coulis("cluster", OUT, "-k", 2)
    assert (there / "clusters.parquet").exists()
    found = coulis("search", OUT, 0, "-k", 2, "--json").stdout
    assert found == coulis("search", there, 0, "-k", 2, "--json").stdout
    coulis("list", images, "-o", "s3://results/list.parquet")
    coulis("list", images, "-o", "list.parquet")
    assert (root / "results/list.parquet").read_bytes() == (tmp_path / "list.parquet").read_bytes()
    assert "s3://results/nothing: not found" in coulis("verify", "s3://results/nothing", code=1).stderr
    (root / "results/t/reduced/part-00000.parquet").write_bytes(b"x")
    said = coulis("verify", "s3://results/t", code=1).stderr
    assert "s3://results/t/reduced/part-00000.parquet: has 1 bytes" in said
    assert not list((tmp_path / "cache/coulis/work").iterdir())


def test_the_output_among_the_images(coulis, images, root):
    shutil.copytree(images, root / "results" / "images")
    coulis("run", "s3://results", "-o", "s3://results/out", *JOB)
    again = coulis("run", "s3://results", "-o", "s3://results/out", "--json", *JOB)
    assert json.loads(again.stdout)["counts"]["pictures"] == 14


def test_from_python(server, images, there, expected, tmp_path, monkeypatch):
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    options = {"components": 3, "rows_per_file": 4, "work": tmp_path / "work"}

    def stop(state):
        return state.stage == "transform"

    with pytest.raises(package.Error, match="stopped|interrupted|resume"):
        package.run(images, OUT, progress=stop, **options)
    assert not json.loads((there / "run.json").read_text())["complete"]
    assert list((tmp_path / "work").iterdir())
    stages = set()
    summary = package.run(images, OUT, progress=lambda state: stages.add(state.stage), **options)
    assert summary["output"] == OUT and "transfer" not in stages or stages
    assert digests(there) == expected
    assert package.verify(OUT)["rows"] == 14
    assert len(package.search(OUT, 0, k=3)) == 3


def test_another_writer_is_noticed(command, server, images, there, tmp_path):
    """Where two machines write one result, the one that finds the other's run.json gives up."""
    process = subprocess.Popen(
        [command, "run", images, "-o", OUT, *map(str, JOB)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(server, XDG_CACHE_HOME=str(tmp_path / "one")),
    )
    while not (there / "features/part-00000.parquet").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    caller(command, server, tmp_path)("run", images, "-o", OUT, *JOB, XDG_CACHE_HOME=str(tmp_path / "two"))
    process.send_signal(signal.SIGCONT)
    said = process.communicate()[1]
    if process.returncode != 0:  # else it had done all before it was stopped
        assert process.returncode == 1 and "another coulis has been at work there" in said
    claims(there)


def test_without_the_library(command, server, images, tmp_path):
    """A copy of the command beside no libcoulis_s3.so says what is missing."""
    for name in ("coulis", "libcoulis.so.1"):
        shutil.copy(os.path.realpath(command.parent / name), tmp_path / name)
    done = subprocess.run(
        [tmp_path / "coulis", "run", images, "-o", OUT],
        capture_output=True,
        text=True,
        env=environment(server, XDG_CACHE_HOME=str(tmp_path / "cache")),
    )
    assert done.returncode == 1 and "libcoulis_s3" in done.stderr and done.stderr.count("\n") == 1


def test_a_key_that_may_not_write(coulis, images):
    def handle(handler):
        from remote_servers import send

        if handler.command == "PUT":
            return send(handler, b"<Error><Code>AccessDenied</Code><Message>No.</Message></Error>", 403)
        if "list-type" in handler.path:
            return send(handler, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        return send(handler, b"<Error><Code>NoSuchKey</Code></Error>", 404)

    with Server(handle) as other:
        said = coulis("run", images, "-o", OUT, *JOB, code=1, AWS_ENDPOINT_URL=other.url).stderr
    assert "run.json: S3 answers 403" in said and "policy of the bucket" in said
