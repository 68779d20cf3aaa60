"""Tables on disk as other programs see them, and tables of other programs as we see them."""

import json

import coulis
import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

RECIPE = json.dumps({"model": "none"})
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("features", pa.list_(pa.field("element", pa.float32()))),
    ],
    metadata={"coulis": RECIPE},
)


OF_THE_FILE = {"sha256": pa.string(), "bytes": pa.int64(), "modified": pa.timestamp("us", tz="UTC")}


def vectors(rows, length, seed=0):
    """Numbers whose first direction stands out, so that its component is stable."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, length)).astype(np.float32)
    return x + np.float32(5) * rng.standard_normal((rows, 1)).astype(np.float32)


def table(x, bad=(3,), **changes):
    """A table of coulis in which the rows `bad` have no vector."""
    rows = len(x)
    columns = {
        "path": [f"bär/{i}.jpg" for i in range(rows)],
        "label": ["bär"] * rows,
        "status": ["unreadable" if i in bad else "ok" for i in range(rows)],
        "error": ["it is damaged" if i in bad else None for i in range(rows)],
        "width": [None if i in bad else i + 1 for i in range(rows)],
        "height": [None if i in bad else 7 for i in range(rows)],
        "features": [None if i in bad else x[i] for i in range(rows)],
    }
    columns.update(changes)
    return pa.table(columns, schema=SCHEMA)


def write(folder, *tables, **options):
    """A folder of parts, written by pyarrow."""
    (folder / "features").mkdir(parents=True)
    for number, part in enumerate(tables):
        pq.write_table(part, folder / "features" / f"part-{number:05}.parquet", **options)
    return folder


def reduce(folder, components=2):
    """Fits and transforms; the reduced table's folder."""
    pca = folder / "pca.safetensors"
    coulis.fit(folder, pca, components=components)
    coulis.transform(folder, pca, folder / "out")
    return folder / "out" / "reduced"


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    x = vectors(50, 9)
    return x, reduce(write(folder, table(x[:30]), table(x[30:], bad=())))


def test_pyarrow_reads_ours(reduced):
    x, folder = reduced
    file = pq.ParquetFile(folder / "part-00000.parquet")
    schema = SCHEMA.remove(6).append(pa.field("pca", pa.list_(pa.field("element", pa.float32()))))
    for name, kind in OF_THE_FILE.items():
        schema = schema.append(pa.field(name, kind))
    assert file.schema_arrow.remove_metadata() == schema.remove_metadata()
    assert file.metadata.created_by == f"coulis {coulis.__version__}"
    assert json.loads(file.metadata.metadata[b"coulis"])
    found = coulis.read_table(folder)
    good = np.arange(50) != 3
    assert found.num_rows == 50
    for name in ("path", "label", "status", "error", "width", "height"):
        expected = pa.concat_tables([table(x[:30]), table(x[30:], bad=())])[name].to_pylist()
        assert found[name].to_pylist() == expected, name
    assert [entry is None for entry in found["pca"].to_pylist()] == [i == 3 for i in range(50)]
    scores = np.array([entry for entry in found["pca"].to_pylist() if entry is not None], np.float32)
    assert scores.tobytes() == coulis.PCA(2).fit(x[good]).transform(x[good]).tobytes()


def test_duckdb_reads_ours(reduced):
    duckdb = pytest.importorskip("duckdb")
    _, folder = reduced
    query = f"select count(*), count(pca), sum(length(pca)), count(error), max(width) from '{folder}/*.parquet'"
    assert duckdb.sql(query).fetchall() == [(50, 49, 98, 1, 30)]


def test_pages_are_checked_by_others_too(reduced, tmp_path):
    _, folder = reduced
    good = (folder / "part-00000.parquet").read_bytes()
    assert pq.ParquetFile(folder / "part-00000.parquet", page_checksum_verification=True).read().num_rows == 30
    place = good.index(np.float32(pq.read_table(folder / "part-00000.parquet")["pca"][0][0].as_py()).tobytes())
    bad = bytearray(good)
    bad[place] ^= 1
    (tmp_path / "bad.parquet").write_bytes(bad)
    with pytest.raises(OSError, match="(?i)crc"):
        pq.ParquetFile(tmp_path / "bad.parquet", page_checksum_verification=True).read()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "none"},
        {"compression": "zstd", "row_group_size": 7},
        {"compression": "snappy", "use_dictionary": False, "data_page_version": "2.0"},
        {"compression": "gzip", "data_page_size": 100},
        {"compression": "zstd", "use_dictionary": False, "use_byte_stream_split": ["features.list.element"]},
    ],
)
def test_reads_what_pyarrow_writes(options, tmp_path):
    x = vectors(40, 11, seed=2)
    folder = reduce(write(tmp_path, table(x), **options))
    scores = [entry for entry in coulis.read_table(folder)["pca"].to_pylist() if entry is not None]
    good = np.arange(40) != 3
    assert np.array(scores, np.float32).tobytes() == coulis.PCA(2).fit(x[good]).transform(x[good]).tobytes()


def test_large_vectors(tmp_path):
    """A vector longer than a page, and row groups of a few rows."""
    x = vectors(12, 300000, seed=4)
    folder = reduce(write(tmp_path, table(x), row_group_size=5))
    scores = [entry for entry in coulis.read_table(folder)["pca"].to_pylist() if entry is not None]
    good = np.arange(12) != 3
    assert np.array(scores, np.float32).tobytes() == coulis.PCA(2).fit(x[good]).transform(x[good]).tobytes()


def test_columns_in_any_order_and_others_beside_them(tmp_path):
    x = vectors(20, 4)
    of_files = [pa.array([None, *range(19)]).cast(kind) for kind in OF_THE_FILE.values()]
    columns = table(x)
    for name, column in zip(OF_THE_FILE, of_files):
        columns = columns.append_column(name, column)
    columns = columns.append_column("mine", pa.array([["anything"]] * 20))
    plain = coulis.read_table(reduce(write(tmp_path / "plain", table(x))))
    mixed = coulis.read_table(reduce(write(tmp_path / "mixed", columns.select([10, 9, 6, 0, 3, 2, 8, 1, 4, 5, 7]))))
    assert mixed.drop_columns(list(OF_THE_FILE)).equals(plain.drop_columns(list(OF_THE_FILE)))
    assert [plain[name].null_count for name in OF_THE_FILE] == [20] * 3
    assert [mixed[name].combine_chunks() for name in OF_THE_FILE] == of_files
    other = table(x).append_column("sha256", pa.array(range(20)))
    assert coulis.read_table(reduce(write(tmp_path / "other", other)))["sha256"].null_count == 20


def refusal(folder):
    with pytest.raises(coulis.Error) as caught:
        coulis.fit(folder, folder / "pca.safetensors", components=2)
    assert "part-00000.parquet" in str(caught.value)
    return str(caught.value)


def test_refuses_tables_without_vectors(tmp_path):
    """Other columns may be missing or of other types: test_other_tables."""
    x = vectors(10, 4)
    good = table(x)
    flat = good.set_column(6, "features", pa.array(range(10), pa.float32()))
    assert "no column of vectors" in refusal(write(tmp_path / "a", flat))
    assert "no column 'features'" in refusal(write(tmp_path / "b", good.drop_columns(["features"])))


def test_refuses_other_contents(tmp_path):
    x = vectors(10, 4)
    ragged = [None if i == 3 else x[i, : 3 if i == 7 else 4] for i in range(10)]
    assert "differ in length" in refusal(write(tmp_path / "a", table(x, features=ragged)))
    last = [None if i == 3 else x[i, : 3 if i == 9 else 4] for i in range(10)]
    assert "too early" in refusal(write(tmp_path / "b", table(x, features=last)))
    holes = [None if i == 3 else [1, None, 3, 4] if i == 5 else x[i] for i in range(10)]
    assert "null in it" in refusal(write(tmp_path / "c", table(x, features=holes)))
    empty = [None if i == 3 else [] if i == 5 else x[i] for i in range(10)]
    assert "empty" in refusal(write(tmp_path / "d", table(x, features=empty)))
    missing = [None if i in (3, 4) else x[i] for i in range(10)]
    assert "without status ok" in refusal(write(tmp_path / "e", table(x, features=missing)))
    assert "status is none" in refusal(write(tmp_path / "f", table(x, status=["fine"] * 10)))


def test_refuses_what_is_no_parquet(tmp_path):
    folder = write(tmp_path / "a", table(vectors(10, 4)))
    part = folder / "features" / "part-00000.parquet"
    part.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert "damaged" in refusal(folder)
    part.write_bytes(b"")
    assert "damaged" in refusal(folder)
