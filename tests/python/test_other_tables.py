"""Vectors in Parquet as Spark, pandas and polars write them: whatever has one column of vectors can be fitted."""

import coulis
import numpy as np
import pytest
from conftest import draw_images

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

X = np.random.default_rng(1).normal(size=(500, 16)).astype(np.float32)
LISTS = list(X)
# What Spark's VectorUDT is in Parquet.
VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), False))),
    ]
)


def dense(vector):
    return {"type": 1, "size": None, "indices": None, "values": vector.astype(float).tolist()}


def sparse(vector):
    return {"type": 0, "size": 32, "indices": list(range(len(vector))), "values": vector.astype(float).tolist()}


def components(path, folder):
    coulis.fit(path, folder / "pca.safetensors", components=3)
    return coulis.PCA.load(folder / "pca.safetensors").components_


@pytest.mark.parametrize(
    "columns",
    [
        {"features": pa.array(LISTS, pa.list_(pa.float32()))},
        {"features": pa.array(LISTS, pa.list_(pa.float64()))},
        {"features": pa.array(LISTS, pa.list_(pa.float32(), 16))},
        {"features": pa.array(LISTS, pa.large_list(pa.float64()))},
        {"features": pa.array([dense(v) for v in X], VECTOR)},
        {"embedding": pa.array(LISTS, pa.list_(pa.float32())), "id": range(500), "names": [["a", "b"]] * 500},
        {"features": LISTS, "other": LISTS},
        {"features": LISTS, "status": ["ok"] * 500, "error": [None] * 500, "width": pa.array([7] * 500, pa.int64())},
    ],
    ids=["float", "double", "fixed", "large", "spark", "only one", "by name", "pandas"],
)
def test_any_column_of_vectors(columns, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "vectors.parquet", row_group_size=170)
    assert np.array_equal(components(tmp_path / "vectors.parquet", tmp_path), coulis.PCA(3).fit(X).components_)


def test_a_folder_of_spark(tmp_path):
    """Names that are not ours, in the order of their bytes; what Spark notes beside them is passed over."""
    table = pa.table({"path": [f"{i}.jpg" for i in range(500)], "features": LISTS})
    for number, rows in enumerate((table.slice(0, 300), table.slice(300))):
        pq.write_table(rows, tmp_path / f"part-{number:05}-2b3c-c000.snappy.parquet", compression="snappy")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-00000-2b3c-c000.snappy.parquet.crc").write_bytes(b"crc")
    expected = coulis.PCA(3).fit(X)
    assert np.array_equal(components(tmp_path, tmp_path), expected.components_)
    coulis.transform(tmp_path, tmp_path / "pca.safetensors", tmp_path / "out")
    done = coulis.read_table(tmp_path / "out" / "reduced")
    assert done["path"].to_pylist() == table["path"].to_pylist() and set(done["status"].to_pylist()) == {"ok"}
    assert np.array(done["pca"].to_pylist(), np.float32).tobytes() == expected.transform(X).tobytes()


@pytest.fixture(scope="module")
def vectors_of_ours(tmp_path_factory):
    """A folder that coulis wrote: six images and one that is none."""
    folder = tmp_path_factory.mktemp("ours")
    images = draw_images(folder / "images", 6)
    (images / "7.png").write_text("words")
    coulis.featurize(images, folder / "out")
    return folder / "out"


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.select(["path", "features", "status", "error"]),
        lambda table: table.select(["features"]),
        lambda table: table.set_column(
            table.schema.get_field_index("width"), "width", table["width"].cast(pa.float64())
        ),
        lambda table: table.set_column(
            table.schema.get_field_index("features"), "features", table["features"].cast(pa.large_list(pa.float64()))
        ),
    ],
    ids=["some columns", "the vectors alone", "another width", "another type of vectors"],
)
def test_our_table_as_others_changed_it(change, vectors_of_ours, tmp_path):
    """pyarrow keeps the notes in the footer, so that the file still says that it is ours."""
    changed = change(pq.read_table(vectors_of_ours / "features" / "part-00000.parquet"))
    assert changed.schema.metadata[b"coulis"]
    pq.write_table(changed, tmp_path / "vectors.parquet")
    (tmp_path / "before").mkdir()
    expected = components(vectors_of_ours, tmp_path / "before")
    assert np.array_equal(components(tmp_path / "vectors.parquet", tmp_path), expected)
    coulis.transform(tmp_path / "vectors.parquet", tmp_path / "pca.safetensors", tmp_path / "changed")
    coulis.transform(vectors_of_ours, tmp_path / "pca.safetensors", tmp_path / "whole")
    scores = [coulis.read_table(tmp_path / name, "reduced")["pca"].to_pylist() for name in ("changed", "whole")]
    assert scores[0] == scores[1] and scores[0].count(None) == 1


def test_scores_are_no_vectors(vectors_of_ours, tmp_path):
    """What has our notes and another column of vectors is refused, whoever wrote it last."""
    components(vectors_of_ours, tmp_path)
    coulis.transform(vectors_of_ours, tmp_path / "pca.safetensors", tmp_path / "scores")
    scores = pq.read_table(tmp_path / "scores" / "reduced" / "part-00000.parquet")
    pq.write_table(scores.select(["path", "pca"]), tmp_path / "scores.parquet")
    with pytest.raises(coulis.Error, match="has no column"):
        coulis.fit(tmp_path / "scores.parquet", tmp_path / "again.safetensors", components=2)


@pytest.mark.parametrize("kind", [None, VECTOR])
def test_rows_without_a_vector(kind, tmp_path):
    rows = [None if i in (7, 400) else dense(v) if kind else v for i, v in enumerate(X)]
    pq.write_table(pa.table({"features": pa.array(rows, kind)}), tmp_path / "v.parquet", row_group_size=99)
    rest = np.delete(X, [7, 400], 0)
    assert np.array_equal(components(tmp_path / "v.parquet", tmp_path), coulis.PCA(3).fit(rest).components_)
    coulis.transform(tmp_path / "v.parquet", tmp_path / "pca.safetensors", tmp_path / "out")
    done = coulis.read_table(tmp_path / "out" / "reduced")
    assert [i for i, status in enumerate(done["status"].to_pylist()) if status != "ok"] == [7, 400]
    assert done["error"][7].as_py() == "it has no vector" and done["pca"][7].as_py() is None


@pytest.mark.parametrize(
    "columns, reason",
    [
        (
            {"features": pa.array([sparse(v) if i == 9 else dense(v) for i, v in enumerate(X)], VECTOR)},
            "sparse vectors",
        ),
        ({"features": pa.array([sparse(v) for v in X], VECTOR)}, "sparse vectors"),
        ({"a": LISTS, "b": LISTS}, "several columns of vectors, 'a' and 'b'"),
        ({"features": range(500)}, "no column of vectors"),
        ({"features": [["a"]] * 500}, "no column of vectors"),
        ({"features": [[v] for v in LISTS]}, "no column of vectors"),
        ({"features": pa.array([{"x": {"values": v}} for v in X.tolist()])}, "no column of vectors"),
        ({"features": pa.array([{"values": v} for v in X.tolist()])}, "neither a list nor a vector of Spark"),
        ({"features": [v[:15] if i == 300 else v for i, v in enumerate(LISTS)]}, "differ in length"),
        ({"features": [[*v[:15], None] if i == 300 else v for i, v in enumerate(LISTS)]}, "null in it"),
        ({"features": [np.full(16, 1e300) if i == 300 else v.astype(float) for i, v in enumerate(LISTS)]}, "infinite"),
    ],
)
def test_refused(columns, reason, tmp_path):
    pq.write_table(pa.table(columns), tmp_path / "vectors.parquet")
    with pytest.raises(coulis.Error) as caught:
        coulis.fit(tmp_path / "vectors.parquet", tmp_path / "pca.safetensors", components=3)
    assert reason in str(caught.value)
    assert not (tmp_path / "pca.safetensors").exists()


def test_nothing_there(tmp_path):
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(coulis.Error, match="no part-00000.parquet, nor any other .parquet file"):
        coulis.fit(tmp_path, tmp_path / "pca.safetensors", components=3)
