"""The command as a user meets it: results, messages, exit codes."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import draw_image, draw_images
from results import all_bytes
from PIL import Image


OF_THE_FILE = ["sha256", "bytes", "modified"]


def read(folder, name):
    return pq.read_table(folder / name)


def vectors(table, column):
    return np.array([v for v in table[column].to_pylist() if v is not None], dtype=np.float32)


def one_sentence(done):
    """The message of a failure: one line that begins with the program's name."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("coulis: "), done.stderr
    return lines[0]


# ---- the whole job ----


@pytest.fixture(scope="session")
def result(command, image_folder, tmp_path_factory):
    """A finished job over the generated images, to be read only."""
    out = tmp_path_factory.mktemp("result") / "out"
    subprocess.run(
        [str(command), "run", str(image_folder), "-o", str(out), "-k", "10", "--rows-per-file", "25"],
        check=True,
        capture_output=True,
    )
    return out


def test_files(result):
    names = {str(p.relative_to(result)) for p in result.rglob("*") if p.is_file()}
    parts = [f"{kind}/part-0000{n}.parquet" for kind in ("features", "reduced") for n in range(3)]
    assert names == {*parts, "pca.safetensors", "run.json"}
    assert [pq.read_metadata(result / "features" / f"part-0000{n}.parquet").num_rows for n in range(3)] == [25, 25, 10]


def test_columns(result, image_folder):
    table = read(result, "features")
    assert table.schema.names == ["path", "label", "status", "error", "width", "height", "features", *OF_THE_FILE]
    assert table.schema.types[:7] == [pa.string()] * 4 + [pa.int32()] * 2 + [table.schema.field("features").type]
    assert table.schema.types[7:] == [pa.string(), pa.int64(), pa.timestamp("us", tz="UTC")]
    assert pa.types.is_list(table.schema.field("features").type)
    assert table.schema.field("features").type.value_type == pa.float32()
    paths = table["path"].to_pylist()
    assert paths == sorted(str(p) for p in image_folder.rglob("*") if p.is_file())
    assert table["label"].to_pylist() == [p.split("/")[-2] for p in paths]
    assert set(table["status"].to_pylist()) == {"ok"} and table["error"].null_count == 60
    sizes = [Image.open(p).size for p in paths]
    assert list(zip(table["width"].to_pylist(), table["height"].to_pylist())) == sizes
    assert vectors(table, "features").shape == (60, 1280)
    reduced = read(result, "reduced")
    assert reduced.schema.names == [*table.schema.names[:6], "pca", *OF_THE_FILE]
    assert reduced["path"].to_pylist() == paths and vectors(reduced, "pca").shape == (60, 10)
    for name in OF_THE_FILE:
        assert reduced[name].equals(table[name])
    assert table["sha256"].to_pylist() == [hashlib.sha256(open(p, "rb").read()).hexdigest() for p in paths]
    assert table["bytes"].to_pylist() == [os.stat(p).st_size for p in paths]
    assert table["modified"].cast(pa.int64()).to_pylist() == [os.stat(p).st_mtime_ns // 1000 for p in paths]


def test_what_is_not_known_of_a_file_is_null(coulis, tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    draw_image(1).save(tmp_path / "good.jpg")
    os.utime(tmp_path / "good.jpg", ns=(0, -1))  # before 1970, rounded down
    (tmp_path / "list.txt").write_text("gone.jpg\nempty.jpg\ntext.jpg\ngood.jpg\n")
    coulis("featurize", "@list.txt", "-o", "out", code=3)
    table = read(tmp_path / "out", "features")
    assert table["bytes"].to_pylist() == [None, 0, 8, os.stat(tmp_path / "good.jpg").st_size]
    assert [digest is None for digest in table["sha256"].to_pylist()] == [True, True, False, False]
    assert table["modified"].cast(pa.int64()).to_pylist()[0::3] == [None, -1]


def test_duckdb_reads_it(result):
    import duckdb

    query = f"select label, count(*), avg(len(features)) from '{result}/features/*.parquet' group by 1 order by 1"
    assert duckdb.sql(query).fetchall() == [("blue", 20, 1280.0), ("green", 20, 1280.0), ("red", 20, 1280.0)]


@pytest.mark.quick(0)
def test_scores_are_those_of_scikit_learn(result):
    from sklearn.decomposition import PCA

    x = vectors(read(result, "features"), "features").astype(np.float64)
    scores = vectors(read(result, "reduced"), "pca")
    reference = PCA(10, svd_solver="full").fit(x)
    # Float32 vectors and components: some 1e-6 of the largest score.
    np.testing.assert_allclose(scores, reference.transform(x), atol=1e-4 * abs(scores).max())
    shares = json.loads((result / "run.json").read_text())["pca"]["explained_variance_ratio"]
    np.testing.assert_allclose(shares, reference.explained_variance_ratio_, atol=1e-6)


def test_peak_memory_is_that_of_the_job_and_not_of_its_parent(command, image_folder, tmp_path):
    """A program begins with its parent's figure for getrusage: this one holds more than any job here."""
    held = bytearray(os.urandom(1 << 20)) * 700
    run = [command, "run", image_folder, "-o", tmp_path / "out", "--threads", "1"]
    subprocess.run([str(word) for word in run], check=True, capture_output=True)
    peak = json.loads((tmp_path / "out" / "run.json").read_text())["peak_memory_bytes"]
    assert 20e6 < peak < 500e6 < len(held)


def test_recipe_is_stored(result):
    for kind in ("features", "reduced"):
        metadata = pq.read_schema(result / kind / "part-00000.parquet").metadata
        recipe = json.loads(metadata[b"coulis"])
        assert recipe["model"] == "efficientnet-lite0" and recipe["features"] == "pooled" and recipe["pictures"] == 60
    run = json.loads((result / "run.json").read_text())
    assert run["complete"] is True and run["counts"]["ok"] == 60 and len(run["model"]["sha256"]) == 64
    assert set(run["seconds"]) == {"list", "featurize", "fit", "transform", "total"}


def test_json_and_quiet(coulis, image_folder):
    done = coulis("run", image_folder, "-o", "out", "-k", 5, "--json", "--no-progress")
    assert json.loads(done.stdout)["pca"]["components"] == 5 and done.stderr == ""
    assert coulis("run", image_folder, "-o", "out", "-k", 5, "--quiet").stderr == ""
    with open("/dev/full", "w") as full:
        coulis_full = subprocess.run([*coulis("version").args], stdout=full, stderr=subprocess.PIPE)
    assert coulis_full.returncode == 1


@pytest.mark.quick(0)
def test_share_of_variance(coulis, image_folder, tmp_path):
    summary = json.loads(coulis("run", image_folder, "-o", "out", "-k", 0.8, "--json").stdout)
    shares = np.cumsum(summary["pca"]["explained_variance_ratio"])
    assert shares[-1] >= 0.8 > shares[-2] and summary["pca"]["components"] == len(shares)


def test_threads_give_the_same_bytes(coulis, image_folder, tmp_path):
    for threads in (1, 2, 3):
        coulis("run", image_folder, "-o", f"out{threads}", "-k", 7, "--threads", threads, "--rows-per-file", 23)
    assert all_bytes(tmp_path / "out1") == all_bytes(tmp_path / "out2") == all_bytes(tmp_path / "out3")


@pytest.mark.quick(0)
def test_order_gives_the_same_vectors(coulis, image_folder, tmp_path):
    paths = sorted(str(p) for p in image_folder.rglob("*") if p.is_file())
    (tmp_path / "list.txt").write_text("\n".join(reversed(paths)) + "\n\n")
    coulis("featurize", "@list.txt", "-o", "backwards")
    coulis("featurize", image_folder, "-o", "forwards")
    backwards, forwards = read(tmp_path / "backwards", "features"), read(tmp_path / "forwards", "features")
    assert backwards["path"].to_pylist() == list(reversed(paths))
    assert (vectors(backwards, "features")[::-1] == vectors(forwards, "features")).all()


@pytest.mark.quick(0)
def test_steps_give_what_run_gives(coulis, image_folder, tmp_path):
    coulis("run", image_folder, "-o", "whole", "-k", 6)
    coulis("featurize", image_folder, "-o", "steps")
    coulis("fit", "steps", "-o", "pca.safetensors", "-k", 6)
    coulis("transform", "steps", "--pca", "pca.safetensors", "-o", "scores")
    whole = tmp_path / "whole"
    assert (tmp_path / "pca.safetensors").read_bytes() == (whole / "pca.safetensors").read_bytes()
    assert read(tmp_path / "steps", "features")["features"] == read(whole, "features")["features"]
    assert read(tmp_path / "scores", "reduced")["pca"] == read(whole, "reduced")["pca"]
    assert "already exists" in one_sentence(coulis("fit", "steps", "-o", "pca.safetensors", "-k", 6, code=1))


def test_drop_features(coulis, image_folder, tmp_path):
    coulis("run", image_folder, "-o", "out", "-k", 3, "--drop-features")
    assert not (tmp_path / "out" / "features").exists()
    assert vectors(read(tmp_path / "out", "reduced"), "pca").shape == (60, 3)
    coulis("run", image_folder, "-o", "out", "-k", 3, "--drop-features")  # and it is complete


@pytest.mark.quick(0)
def test_map_features(coulis, image_folder, tmp_path):
    coulis("run", image_folder / "red", "-o", "out", "-k", 4, "--features", "map")
    table = read(tmp_path / "out", "features")
    assert vectors(table, "features").shape == (20, 7 * 7 * 1280)
    pooled = vectors(table, "features").reshape(20, 49, 1280).mean(1)
    coulis("featurize", image_folder / "red", "-o", "pooled")
    np.testing.assert_allclose(pooled, vectors(read(tmp_path / "pooled", "features"), "features"), atol=1e-5)


# ---- bad input ----


@pytest.fixture
def dirty(tmp_path):
    """One good image among everything that can be wrong with a folder."""
    folder = tmp_path / "dirty"
    folder.mkdir()
    draw_image(1).save(folder / "a-good.jpg")
    draw_image(2).save(folder / "b-good.png")
    (folder / "cut.jpg").write_bytes((folder / "a-good.jpg").read_bytes()[:700])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("not a picture")
    Image.new("RGB", (8, 8)).save(folder / "other.ico")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    png = bytearray((folder / "b-good.png").read_bytes())
    png[16:24] = (60000).to_bytes(4, "big") * 2  # width and height
    import zlib

    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(png)
    (folder / ".hidden").write_text("passed over")
    (folder / b"caf\xe9.jpg".decode("utf-8", "surrogateescape")).write_bytes((folder / "a-good.jpg").read_bytes())
    return folder


def test_every_input_has_its_row(coulis, dirty, tmp_path):
    done = coulis("run", dirty, "-o", "out", "-k", 1, code=3)
    table = read(tmp_path / "out", "features")
    rows = {os.path.basename(r["path"]): r for r in table.to_pylist()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a-good.jpg": "ok",
        "b-good.png": "ok",
        "caf%E9.jpg": "ok",
        "cut.jpg": "unreadable",
        "empty.jpg": "empty",
        "notes.txt": "unsupported",
        "other.ico": "unsupported",
        "gone.jpg": "missing",
        "huge.png": "too_large",
    }
    for row in rows.values():
        good = row["status"] == "ok"
        assert (row["error"] is None) == good and (row["features"] is not None) == good
    assert (rows["huge.png"]["width"], rows["huge.png"]["height"]) == (60000, 60000)
    assert rows["empty.jpg"]["width"] is None
    reduced = {os.path.basename(r["path"]): r for r in read(tmp_path / "out", "reduced").to_pylist()}
    assert all((reduced[name]["pca"] is None) == (row["status"] != "ok") for name, row in rows.items())
    assert "9 images, 3 with a vector" in done.stderr
    assert "--max-pixels" in done.stderr and "--truncated keep" in done.stderr  # the ways out
    kept = coulis("run", dirty, "-o", "kept", "-k", 1, "--truncated", "keep", code=3)
    assert "--max-pixels" in kept.stderr and "--truncated keep" not in kept.stderr
    coulis("run", dirty, "-o", "strict", "-k", 1, "--strict", code=1)


def test_vanished_file_in_a_list(coulis, image_folder, tmp_path):
    paths = sorted(str(p) for p in image_folder.rglob("*") if p.is_file())[:4]
    (tmp_path / "list.txt").write_text("\n".join([paths[0], "was/here.jpg", *paths[1:]]))
    coulis("run", "@list.txt", "-o", "out", "-k", 2, code=3)
    table = read(tmp_path / "out", "reduced")
    assert table["status"].to_pylist() == ["ok", "missing", "ok", "ok", "ok"]
    assert "was/here.jpg" in table["error"].to_pylist()[1] and table["label"].to_pylist()[1] == "was"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", ".", "-o", "x", "--wrong"],
        ["run", ".", "-o", "x", "-k", "2.5"],
        ["run", ".", "-o", "x", "-k", "nan"],
        ["run", ".", "-o", "x", "--threads", "none"],
        ["run", ".", "-o", "x", "--rows-per-file", "0"],
        ["fit", "x"],
        ["models", "dance"],
        ["bench", "x"],
    ],
)
def test_wrong_usage(coulis, arguments):
    done = coulis(*arguments, code=2)
    assert done.stderr.strip() and done.stdout == ""


def test_what_is_not_there(coulis, tmp_path, image_folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nothing.txt").touch()
    for arguments, words in [
        (["run", "nowhere", "-o", "out"], "nowhere: no such file"),
        (["run", "empty", "-o", "out"], "empty: no files"),
        (["run", "@nowhere.txt", "-o", "out"], "nowhere.txt: list cannot be opened"),
        (["run", "@nothing.txt", "-o", "out"], "nothing.txt: no paths"),
        (["run", image_folder, "-o", "file/out"], "file"),
        (["run", image_folder, "-o", "/proc/out"], "/proc/out"),
        (["run", image_folder, "-o", "out", "--model", "nonet"], "model 'nonet' not found"),
        (["run", image_folder, "-o", "out", "--model", "./file"], "file"),
        (["fit", "empty", "-o", "p"], "empty"),
        (["transform", "empty", "--pca", "nowhere", "-o", "p"], "nowhere"),
        (["run", image_folder, "-o", "gopher://host/x"], "gopher://host/x: 'gopher://' is not served as output"),
        (["fit", "empty", "-o", "ftp://host/x"], "ftp://host/x: 'ftp://' is not served as output"),
        (["transform", "empty", "--pca", "nowhere", "-o", "ftp://host/x"], "'ftp://' is not served as output"),
        (["run", "gopher://host/x", "-o", "out"], "gopher://host/x: 'gopher://' is not served"),
    ]:
        assert words in one_sentence(coulis(*arguments, code=1))


def test_too_few_images(coulis, image_folder, tmp_path):
    first = sorted(p for p in image_folder.rglob("*") if p.is_file())[0]
    alone = coulis("run", first, "-o", "one", "--drop-features")
    assert "no PCA: it needs at least two images" in alone.stderr and not (tmp_path / "one" / "reduced").exists()
    assert len(vectors(read(tmp_path / "one", "features"), "features")) == 1
    assert json.loads(coulis("run", first, "-o", "one", "--drop-features", "--json").stdout).get("pca") is None
    assert len(vectors(read(tmp_path / "one", "features"), "features")) == 1
    assert "20" in one_sentence(coulis("run", image_folder / "red", "-o", "out", "-k", 21, code=1))
    # Nothing was fitted yet, so the same folder takes another number of components.
    coulis("run", image_folder / "red", "-o", "out", "-k", 20)
    (tmp_path / "text.jpg").write_text("no image")
    assert "nothing to fit" in one_sentence(coulis("run", tmp_path / "text.jpg", "-o", "none", code=1))


def test_equal_images(coulis, tmp_path):
    for number in range(4):
        draw_image(7).save(tmp_path / f"{number}.png")
    (tmp_path / "list.txt").write_text("\n".join(f"{number}.png" for number in range(4)))
    summary = json.loads(coulis("run", "@list.txt", "-o", "out", "--json").stdout)
    assert summary["pca"]["components"] == 1 and summary["pca"]["explained_variance_ratio"] == [0]
    assert (vectors(read(tmp_path / "out", "reduced"), "pca") == 0).all()


@pytest.mark.quick(0)
def test_full_disk(coulis, image_folder, tmp_path):
    """No file may grow past 100 kB: the part cannot be written, and no half of it stays."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    message = one_sentence(coulis("run", image_folder, "-o", "out", code=1, preexec_fn=limit))
    assert "part-00000.parquet" in message and "File too large" in message
    assert [p.name for p in (tmp_path / "out" / "features").iterdir()] == []
    coulis("run", image_folder, "-o", "out")


# ---- going on ----


@pytest.mark.quick(0)
def test_folders_of_others_are_left_alone(coulis, image_folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "not empty" in one_sentence(coulis("run", image_folder, "-o", "mine", code=1))
    coulis("run", image_folder, "-o", "mine", "-k", 2, "--overwrite")
    coulis("run", image_folder, "-o", "mine", "-k", 3, "--overwrite")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_another_recipe_is_refused(coulis, image_folder, tmp_path):
    coulis("run", image_folder, "-o", "out", "-k", 2)
    before = all_bytes(tmp_path / "out")
    assert "resize" in one_sentence(coulis("run", image_folder, "-o", "out", "-k", 2, "--resize", "crop", code=1))
    assert "components" in one_sentence(coulis("run", image_folder, "-o", "out", "-k", 3, code=1))
    assert "decode" in one_sentence(coulis("run", image_folder, "-o", "out", "-k", 2, "--decode", "fast", code=1))
    assert all_bytes(tmp_path / "out") == before
    assert "decode" not in json.loads((tmp_path / "out" / "run.json").read_text())["recipe"]  # as before the option
    coulis("run", image_folder, "-o", "fast", "-k", 2, "--decode", "fast")
    assert json.loads((tmp_path / "fast" / "run.json").read_text())["recipe"]["decode"] == "fast"
    assert "decode" in one_sentence(coulis("run", image_folder, "-o", "fast", "-k", 2, code=1))
    assert "kind of job" in one_sentence(coulis("featurize", image_folder, "-o", "out", code=1))


@pytest.mark.quick(0)
def test_precision_is_part_of_the_recipe(coulis, image_folder, tmp_path):
    assert "float32, bf16 or int8" in one_sentence(
        coulis("run", image_folder, "-o", "out", "--precision", "half", code=2)
    )
    coulis("featurize", image_folder, "-o", "out")
    assert "precision" not in json.loads((tmp_path / "out" / "run.json").read_text())["recipe"]  # as before the option
    assert "precision" in one_sentence(coulis("featurize", image_folder, "-o", "out", "--precision", "bf16", code=1))
    coulis("featurize", image_folder, "-o", "low", "--precision", "int8")
    recipe = json.loads((tmp_path / "low" / "run.json").read_text())["recipe"]
    assert recipe["precision"] == "int8" and recipe["precision_instructions"] in ("avx512_vnni", "none")
    assert "precision" in one_sentence(coulis("featurize", image_folder, "-o", "low", "--precision", "bf16", code=1))


def test_output_among_the_images(coulis, tmp_path):
    draw_images(tmp_path, 5, "jpg")
    coulis("run", ".", "-o", "out", "-k", 2)
    assert "5 images" in coulis("run", ".", "-o", "out", "-k", 2).stderr


def test_two_at_once(coulis, command, image_folder, tmp_path):
    for _ in range(5):  # on a busy machine the first may be done before it is stopped
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        first = subprocess.Popen(
            [str(command), "run", str(image_folder), "-o", "out"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        while first.poll() is None and not (tmp_path / "out" / "run.json").exists():
            time.sleep(0.001)
        os.kill(first.pid, signal.SIGSTOP)
        if first.poll() is None:
            break
    assert "another coulis" in one_sentence(coulis("run", image_folder, "-o", "out", code=1))
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait() == 0


# ---- the other verbs ----


def test_models(coulis, lite0_path):
    assert "efficientnet-lite0" in coulis("models").stdout and "resnet50" in coulis("models", "list").stdout
    shown = json.loads(coulis("models", "show", "efficientnet-lite0", "--json").stdout)
    assert shown["pooled"] == 1280 and shown["map"] == 62720 and shown["licence"]
    path = coulis("models", "path", "efficientnet-lite0").stdout.strip()
    assert os.path.samefile(path, lite0_path)
    assert "pooled 2048" in coulis("models", "show", "resnet50").stdout  # its graph alone
    assert "nonet" in one_sentence(coulis("models", "show", "nonet", code=1))


@pytest.mark.quick(0)
def test_bench(coulis):
    figures = json.loads(coulis("bench", "--seconds", 1, "--threads", 1, "--json").stdout)
    assert figures["images_per_second"] > 0 and figures["threads"] == 1
    figures = json.loads(coulis("bench", "--model", "resnet50", "--random-weights", "--seconds", 1, "--json").stdout)
    assert figures["model"] == "resnet50" and figures["images_per_second"] > 0
    assert "not found" in one_sentence(coulis("bench", "--model", "resnet50", code=1))
