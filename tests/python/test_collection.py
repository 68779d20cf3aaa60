"""Neighbours, duplicates, clusters and exports of a result, against NumPy in float64."""

import csv
import json
import subprocess

import coulis
import numpy as np
import pytest
from conftest import draw_image

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def draw(folder):
    """80 images in two folders: 60 of their own kinds, 20 that are copies, resized copies, or damaged."""
    for number in range(60):
        (folder / f"kind-{number % 2}").mkdir(parents=True, exist_ok=True)
        draw_image(number, (90, 70)).save(folder / f"kind-{number % 2}" / f"{number:03}.png")
    for number in range(6):  # the same bytes, under another label
        original = folder / "kind-0" / f"{2 * number:03}.png"
        (folder / "kind-1" / f"copy-{number}.png").write_bytes(original.read_bytes())
    for number in range(6):  # the same pixels in another file
        draw_image(number + 20, (90, 70)).save(folder / "kind-0" / f"again-{number}.png", compress_level=1)
    for number in range(6):  # larger
        draw_image(number + 40, (90, 70)).resize((180, 140)).save(folder / "kind-0" / f"large-{number}.png")
    (folder / "kind-0" / "bad.png").write_bytes(b"no image")
    (folder / "kind-1" / "bad.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def result(tmp_path_factory, lite0_path):
    folder = draw(tmp_path_factory.mktemp("images"))
    output = tmp_path_factory.mktemp("result") / "out"
    coulis.run(folder, output, components=5)
    return output


@pytest.fixture(scope="module")
def rows(result):
    """path, label and unit vector in float64 of the rows that have one."""
    table = coulis.read_table(result / "features").to_pylist()
    good = [row for row in table if row["features"] is not None]
    vectors = np.array([row["features"] for row in good], np.float64)
    return [r["path"] for r in good], [r["label"] for r in good], vectors, table


def unit(x):
    return x / np.linalg.norm(x, axis=1)[:, None]


def components(count, pairs):
    """The connected components of more than one, by repeated relabelling."""
    label = list(range(count))
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(label[a], label[b])
            changed |= label[a] != low or label[b] != low
            label[a] = label[b] = low
    groups = {}
    for i, name in enumerate(label):
        groups.setdefault(name, set()).add(i)
    return {frozenset(group) for group in groups.values() if len(group) > 1}


# ---- search ----


def test_search_finds_the_nearest(result, rows):
    paths, labels, vectors, table = rows
    exact = unit(vectors) @ unit(vectors)[7]
    exact[7] = -2
    found = coulis.search(result, paths[7], k=5)
    assert [match["path"] for match in found] == [paths[i] for i in np.argsort(-exact, kind="stable")[:5]]
    assert np.allclose([match["similarity"] for match in found], np.sort(exact)[::-1][:5], atol=1e-6)
    number = [row["path"] for row in table].index(paths[7])
    assert coulis.search(result, number, k=5) == found
    assert [table[match["row"]]["path"] for match in found] == [match["path"] for match in found]


def test_search_for_several_is_for_their_mean(result, rows):
    paths, _, vectors, _ = rows
    exact = unit(vectors) @ unit(vectors)[[3, 9, 20]].mean(axis=0)
    exact[[3, 9, 20]] = -2
    found = coulis.search(result, [paths[3], paths[9], paths[20]], k=4)
    assert [match["path"] for match in found] == [paths[i] for i in np.argsort(-exact, kind="stable")[:4]]


def test_search_with_more_than_there_are(result, rows):
    assert len(coulis.search(result, 0, k=1000)) == len(rows[0]) - 1


def test_search_for_a_file(result, rows, tmp_path):
    """An image that is not in the table goes through the same network and preprocessing."""
    paths, _, _, table = rows
    (tmp_path / "query.png").write_bytes(open(paths[11], "rb").read())
    found = coulis.search(result, tmp_path / "query.png", k=3)
    assert found[0]["path"] == paths[11] and found[0]["similarity"] == 1
    draw_image(500, (90, 70)).save(tmp_path / "new.png")
    vector = coulis.Featurizer().featurize([tmp_path / "new.png"]).values
    x = np.array([row["features"] for row in table if row["features"] is not None], np.float32)
    assert [match["path"] for match in coulis.search(result, tmp_path / "new.png", k=3)] == [
        paths[i] for i in coulis.Index(x).search(vector, 3)[1][0]
    ]
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(coulis.Error, match="cannot be searched for"):
        coulis.search(result, tmp_path / "bad.png")


def test_search_refuses_what_is_no_row(result, rows):
    with pytest.raises(coulis.Error, match="neither a path"):
        coulis.search(result, "nowhere.jpg")
    with pytest.raises(coulis.Error, match="neither a path"):
        coulis.search(result, 100000)
    bad = next(row["path"] for row in rows[3] if row["status"] != "ok")
    with pytest.raises(coulis.Error, match="has no vector"):
        coulis.search(result, bad)
    with pytest.raises(coulis.Error, match="not found"):
        coulis.search(result / "gone", 1)


# ---- dedup ----


@pytest.mark.parametrize("threshold", [0.98, 0.9, 1.0])
def test_dedup_has_the_components_of_all_pairs(result, rows, threshold, tmp_path):
    paths, labels, vectors, table = rows
    summary = coulis.dedup(result, tmp_path / "groups.parquet", threshold=threshold)
    exact = unit(vectors) @ unit(vectors).T
    # Equal rows have exactly 1 here; NumPy's product may round it down.
    near = np.triu(exact >= threshold - 1e-15, 1)
    everything = [row["path"] for row in table]
    place = {path: i for i, path in enumerate(everything)}
    pairs = [(place[paths[a]], place[paths[b]]) for a, b in zip(*np.nonzero(near))]
    hashes = [row["sha256"] for row in table]
    pairs += [(a, b) for a in range(len(table)) for b in range(a) if hashes[a] and hashes[a] == hashes[b]]
    found = pq.read_table(tmp_path / "groups.parquet").to_pylist()
    groups = {}
    for row in found:
        groups.setdefault(row["group"], []).append(row)
    assert {frozenset(place[row["path"]] for row in group) for group in groups.values()} == components(
        len(table), pairs
    )
    assert summary["pairs"] == near.sum() and summary["groups"] == len(groups)
    assert summary["duplicates"] == len(found) - len(groups)
    by_path = {row["path"]: row for row in table}
    for group in groups.values():
        assert [row["keep"] for row in group] == [True] + [False] * (len(group) - 1)
        stored = [by_path[row["path"]] for row in group]
        order = [(-(r["width"] or 0) * (r["height"] or 0), -r["bytes"], r["path"]) for r in stored]
        assert order == sorted(order)
        for row in group[1:]:
            same = by_path[row["path"]]["sha256"] == by_path[group[0]["path"]]["sha256"]
            assert (row["kind"] == "file") == same
            if row["similarity"] is not None:
                a, b = (unit(vectors)[paths.index(r["path"])] for r in (row, group[0]))
                assert abs(row["similarity"] - a @ b) < 1e-6
                assert (row["kind"] == "pixels") == (not same and np.array_equal(a, b))


def test_dedup_kinds_and_labels(result):
    summary = coulis.dedup(result, threshold=1.0)
    kinds = [row["kind"] for row in summary["rows"]]
    # Six copies and the two files that are not images; six with the same pixels; large ones differ.
    assert kinds.count("file") == 7 and kinds.count("pixels") == 6
    assert summary["groups_across_labels"] == 10  # 6 copies, the bad files, and 3 of the same pixels
    assert summary["across_labels"] == [{"labels": ["kind-0", "kind-1"], "groups": 10}]
    assert {entry["label"] for entry in summary["labels"]} == {"kind-0", "kind-1"}
    assert [row["similarity"] for row in summary["rows"] if row["path"].endswith("bad.png")] == [None, None]


def test_dedup_against_another(result, rows, tmp_path, lite0_path):
    folder = tmp_path / "other"
    folder.mkdir()
    draw_image(3, (90, 70)).save(folder / "same.png", compress_level=2)
    draw_image(3, (90, 70)).save(folder / "same-again.png", compress_level=3)
    draw_image(999, (90, 70)).save(folder / "new.png")
    draw_image(999, (90, 70)).save(folder / "new-again.png")
    coulis.featurize(folder, tmp_path / "out")
    found = coulis.dedup(tmp_path / "out", against=result, threshold=0.999)
    # What stands twice in one collection alone is not a match.
    assert sorted(row["path"].rsplit("/", 1)[1] for row in found["rows"]) == ["003.png", "same-again.png", "same.png"]
    assert {row["collection"] for row in found["rows"]} == {str(result), str(tmp_path / "out")}
    coulis.featurize(folder, tmp_path / "flat", resize="crop")
    with pytest.raises(coulis.Error, match="another 'resize'"):
        coulis.dedup(tmp_path / "flat", against=result)


def test_dedup_writes_csv(result, tmp_path):
    coulis.dedup(result, tmp_path / "a.csv")
    coulis.dedup(result, tmp_path / "a.parquet")
    with open(tmp_path / "a.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert list(lines[0]) == list(table[0]) == ["group", "path", "keep", "similarity", "kind", "label"]
    assert [(int(line["group"]), line["path"], line["keep"]) for line in lines] == [
        (row["group"], row["path"], str(row["keep"]).lower()) for row in table
    ]
    assert [np.float32(line["similarity"] or "nan").tobytes() for line in lines] == [
        np.float32(np.nan if row["similarity"] is None else row["similarity"]).tobytes() for row in table
    ]
    with pytest.raises(coulis.Error, match="must end in .parquet or .csv"):
        coulis.dedup(result, tmp_path / "a.txt")


def test_threads_give_the_same_bytes(result, tmp_path):
    for threads in (1, 3):
        coulis.dedup(result, tmp_path / f"{threads}.parquet", threshold=0.9, threads=threads)
        coulis.cluster(result, 4, tmp_path / f"c{threads}", threads=threads)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()
    one, three = (tmp_path / f"c{threads}" / "clusters.parquet" for threads in (1, 3))
    assert one.read_bytes() == three.read_bytes()


# ---- cluster ----


def test_clusters_are_a_fixed_point_of_k_means(result, rows, tmp_path):
    paths, labels, vectors, _ = rows
    summary = coulis.cluster(result, 5, tmp_path)
    table = pq.read_table(tmp_path / "clusters.parquet")
    assert table.column_names == ["path", "cluster", "distance", "label"]
    assert table["path"].to_pylist() == paths and table["label"].to_pylist() == labels
    cluster = table["cluster"].to_numpy()
    sizes = np.bincount(cluster, minlength=5)
    assert summary["sizes"] == sizes.tolist() == sorted(sizes, reverse=True) and summary["converged"]
    centres = np.array([vectors[cluster == c].mean(axis=0) for c in range(5)])
    distances = np.linalg.norm(vectors[:, None] - centres[None], axis=2)
    # Centres are rounded to float32.
    scale = np.abs(vectors).max() * np.sqrt(vectors.shape[1]) * 2.0**-23
    assert np.all(distances[np.arange(len(paths)), cluster] <= distances.min(axis=1) + scale)
    assert np.abs(table["distance"].to_numpy() - distances[np.arange(len(paths)), cluster]).max() <= scale
    assert summary["inertia"] == pytest.approx((distances.min(axis=1) ** 2).sum(), rel=1e-5)


@pytest.mark.quick(0)
def test_clusters_are_about_as_good_as_scikit_learns(tmp_path):
    cluster = pytest.importorskip("sklearn.cluster")
    x = np.random.default_rng(0).standard_normal((3000, 20)).astype(np.float32)
    x += np.random.default_rng(1).integers(0, 8, 3000)[:, None] * np.float32(0.8)
    folder = write_vectors(tmp_path, x)
    ours = coulis.cluster(folder, 8)
    theirs = cluster.KMeans(8, n_init=1, random_state=0).fit(x.astype(np.float64))
    assert ours["converged"] and ours["inertia"] < 1.05 * theirs.inertia_
    assert (folder / "clusters.parquet").exists()


def write_vectors(folder, x):
    """A folder of vectors, as another program writes it."""
    (folder / "features").mkdir(parents=True)
    count = len(x)
    columns = {
        "path": [f"{i}.jpg" for i in range(count)],
        "label": [f"{i % 3}" for i in range(count)],
        "status": ["ok"] * count,
        "error": pa.array([None] * count, pa.string()),
        "width": pa.array([10] * count, pa.int32()),
        "height": pa.array([10] * count, pa.int32()),
        "features": pa.array(list(x), pa.list_(pa.float32())),
    }
    fields = [pa.field(name, pa.string(), nullable=name == "error") for name in ("path", "label", "status", "error")]
    fields += [pa.field("width", pa.int32()), pa.field("height", pa.int32())]
    fields.append(pa.field("features", pa.list_(pa.field("element", pa.float32()))))
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), folder / "features" / "part-00000.parquet")
    return folder


def test_clusters_of_few_and_equal_rows(tmp_path):
    x = np.ones((4, 3), np.float32)
    folder = write_vectors(tmp_path, x)
    assert coulis.cluster(folder, 3)["inertia"] == 0
    with pytest.raises(coulis.Error, match="5 clusters cannot be made of 4"):
        coulis.cluster(folder, 5)


# ---- export ----


@pytest.mark.parametrize("what", ["features", "pca"])
@pytest.mark.parametrize("normalize", [False, True])
def test_export_is_the_table(result, rows, tmp_path, what, normalize):
    stored = coulis.read_table(result / ("reduced" if what == "pca" else "features"))[what].to_pylist()
    expected = np.array([v for v in stored if v is not None], np.float32)
    if normalize:
        wide = expected.astype(np.float64)
        expected = (wide * (1 / np.sqrt((wide**2).sum(axis=1)))[:, None]).astype(np.float32)
    summary = coulis.export(result, tmp_path / "x.npy", what=what, normalize=normalize)
    found = np.load(tmp_path / "x.npy")
    assert found.dtype == np.float32 and found.shape == expected.shape == (summary["rows"], summary["dimensions"])
    # The sum of the squares may round differently, which moves a number by a unit in its last place.
    assert np.array_equal(found, expected) if not normalize else np.abs(found - expected).max() <= 2.0**-23
    assert summary["skipped"] == 2
    coulis.export(result, tmp_path / "x.parquet", what=what, normalize=normalize)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["path"].to_pylist() == rows[0] and table["label"].to_pylist() == rows[1]
    assert np.array_equal(np.array(table[what].to_pylist(), np.float32), found)
    coulis.export(result, tmp_path / "x.csv", what=what, normalize=normalize)
    with open(tmp_path / "x.csv", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0][:3] == ["path", "label", f"{what}_0"] and len(lines) == len(found) + 1
    assert np.array_equal(np.array([line[2:] for line in lines[1:]], np.float32), found)


def test_export_as_float16(result, tmp_path):
    coulis.export(result, tmp_path / "x.npy")
    coulis.export(result, tmp_path / "h.npy", dtype="float16")
    coulis.export(result, tmp_path / "h.parquet", dtype="float16")
    halves = np.load(tmp_path / "h.npy")
    assert halves.dtype == np.float16
    assert halves.tobytes() == np.load(tmp_path / "x.npy").astype(np.float16).tobytes()
    table = pq.read_table(tmp_path / "h.parquet")
    assert table.schema.field("features").type.value_type == pa.float16()
    assert np.array_equal(np.array(table["features"].to_pylist(), np.float16), halves)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_export_as_lists_of_a_fixed_size(result, tmp_path, dtype):
    for fixed in (False, True):
        coulis.export(result, tmp_path / f"{fixed}.parquet", dtype=dtype, fixed_size=fixed)
    lists, fixed = (pq.read_table(tmp_path / f"{name}.parquet") for name in (False, True))
    assert pa.types.is_list(lists.schema.field("features").type)
    assert fixed.schema.field("features").type == pa.list_(pa.field("element", getattr(pa, dtype)()), 1280)
    assert fixed.schema.field("path").type == fixed.schema.field("label").type == pa.string()
    assert fixed.to_pylist() == lists.to_pylist()
    # Other readers on Arrow, and one that does not know of it.
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    if dtype == "float32":
        assert polars.read_parquet(tmp_path / "True.parquet").schema["features"] == polars.Array(polars.Float32, 1280)
        found = duckdb.sql(f"select features from '{tmp_path / 'True.parquet'}'").fetchall()
        assert [list(row[0]) for row in found] == lists["features"].to_pylist()
    for name in ("x.npy", "x.csv"):
        with pytest.raises(coulis.Error, match="for .parquet alone"):
            coulis.export(result, tmp_path / name, fixed_size=True)


def test_float16_of_hard_numbers(tmp_path):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(6000) * 10.0 ** rng.uniform(-9, 4, 6000)).astype(np.float32)
    x = np.clip(
        np.concatenate(
            [
                x,
                np.arange(2048, 2060) + 0.5,
                2.0 ** np.arange(-26, 15),
                -(2.0 ** np.arange(-26, 15)),
                np.array([65503.9, 65519, 0, -0.0, 6.1e-5, 5.96e-8, 2.98e-8, 2.99e-8]),
            ]
        ),
        -65519,
        65519,
    ).astype(np.float32)
    folder = write_vectors(tmp_path, np.resize(x, (len(x) // 3 + 1, 3)))
    coulis.export(folder, tmp_path / "x.npy", dtype="float16")
    assert np.load(tmp_path / "x.npy").tobytes() == np.resize(x, (len(x) // 3 + 1, 3)).astype(np.float16).tobytes()
    folder = write_vectors(tmp_path / "large", np.array([[1, 65520]], np.float32))
    with pytest.raises(coulis.Error, match="65504"):
        coulis.export(folder, tmp_path / "x.npy", dtype="float16")


def test_csv_quotes_what_needs_it(tmp_path):
    folder = write_vectors(tmp_path, np.zeros((1, 2), np.float32))
    table = pq.read_table(folder / "features" / "part-00000.parquet")
    table = table.set_column(0, table.schema.field("path"), [['a "quoted", name\nof two lines.jpg']])
    pq.write_table(table, folder / "features" / "part-00000.parquet")
    coulis.export(folder, tmp_path / "x.csv")
    with open(tmp_path / "x.csv", newline="") as file:
        assert list(csv.reader(file))[1][0] == 'a "quoted", name\nof two lines.jpg'


def test_a_result_without_vectors_is_refused(result, tmp_path, image_folder, lite0_path):
    coulis.run(image_folder, tmp_path / "out", components=2, drop_features=True)
    with pytest.raises(coulis.Error, match="--drop-features"):
        coulis.dedup(tmp_path / "out")
    assert coulis.export(tmp_path / "out", tmp_path / "x.npy", what="pca")["dimensions"] == 2


# ---- the command ----


def test_the_command(command, result, rows, tmp_path):
    def say(*arguments, code=0):
        done = subprocess.run([str(command), *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done

    lines = say("search", result, rows[0][0], "-k", 3).stdout.splitlines()
    found = json.loads(say("search", result, rows[0][0], "-k", 3, "--json").stdout)
    assert found == coulis.search(result, rows[0][0], k=3)
    assert [line.split("  ")[-1] for line in lines] == [match["path"] for match in found]
    assert "duplicates of a better one" in say("dedup", result, "-o", tmp_path / "g.csv").stderr
    summary = json.loads(say("dedup", result, "-o", tmp_path / "g.parquet", "--threshold", 0.9, "--json").stdout)
    assert summary["threshold"] == 0.9 and (tmp_path / "g.parquet").exists()
    assert "4 clusters" in say("cluster", result, "-k", 4, "-o", tmp_path / "c").stderr
    assert "2 rows without a vector" in say("export", result, "-o", tmp_path / "x.npy", "--normalize").stderr
    assert say("export", result, "-o", tmp_path / "x.npy", "--quiet").stderr == ""
    say("export", result, "-o", tmp_path / "f.parquet", "--fixed-size")
    assert pa.types.is_fixed_size_list(pq.read_schema(tmp_path / "f.parquet").field("features").type)
    assert "neither a path" in say("search", result, "nowhere", code=1).stderr
    assert "needs" in say("cluster", result, code=2).stderr
