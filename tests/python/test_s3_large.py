"""Objects of S3 that come in several parts: large images, archives and tables, results; archives and tables by the
options of S3; featurizers that are given addresses."""

import io
import os
import shutil
import tarfile
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from conftest import draw_image
from remote_servers import Faults, Server, folder_of, send
from s3_server import NEEDED, caller, coulis, environment, server  # noqa: F401

import coulis as package

pytestmark = NEEDED
LARGE = 8 << 20  # what comes in one request


def read(folder, column="features"):
    return pa.concat_tables([parquet.read_table(part) for part in sorted(folder.glob("features/*.parquet"))])[column]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Buckets of large files: an image, and a tar, a zip and a Parquet file of six."""
    root = tmp_path_factory.mktemp("buckets")
    bucket = root / "large"
    bucket.mkdir()
    files = {}
    for number in range(6):
        kept = io.BytesIO()
        draw_image(number, (1400, 1000)).save(kept, "bmp")
        files[f"{number}.bmp"] = kept.getvalue()
    draw_image(9, (2000, 1700)).save(bucket / "one.bmp")
    shutil.copy(bucket / "one.bmp", bucket / "untagged.bmp")
    try:  # where the server looks for what S3 always has, and files that came otherwise lack
        os.setxattr(bucket / "one.bmp", "user.etag", b"0123456789abcdef")
    except OSError:
        pytest.skip("this disk keeps no attributes of files")
    with tarfile.open(bucket / "all.tar", "w") as tar, zipfile.ZipFile(bucket / "all.zip", "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            archive.writestr(name, data)
    table = pa.table({"path": list(files), "bytes": pa.array(files.values(), pa.binary())})
    parquet.write_table(table, bucket / "all.parquet", compression="none", use_dictionary=False, row_group_size=2)
    (bucket / "all.csv").write_text("path,label\ns3://large/one.bmp,big\n")
    for name in ("one.bmp", "all.tar", "all.zip", "all.parquet"):
        assert (bucket / name).stat().st_size > LARGE
    assert (bucket / "all.tar").stat().st_size > 20_000_000
    return root


NAMES = ("all.tar", "all.zip", "all.parquet", "one.bmp", "untagged.bmp")


@pytest.fixture(scope="module")
def expected(command, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    call = caller(command, "", folder)
    for name in NAMES:
        call("featurize", root / "large" / name, "-o", f"{name}.out", "--label", "none")
    return {name: read(folder / f"{name}.out") for name in NAMES}


def test_parts_at_the_same_time_and_through_faults(coulis, server, expected, tmp_path):
    with Faults(server, share=0.25, stall=0.3, seed=1) as faults:
        for name in NAMES:
            coulis(
                "featurize", f"s3://large/{name}", "-o", f"{name}.out", "--label", "none", AWS_ENDPOINT_URL=faults.url
            )
            assert read(tmp_path / f"{name}.out").equals(expected[name]), name
        assert min(faults.made.values()) > 0, faults.made
        ranges = {name: {asked[2] for asked in faults.asked if asked[1].endswith(name)} for name in NAMES}
    assert ranges["one.bmp"] == {"bytes=0-8388607", "bytes=8388608-10200053"}  # at the same time
    assert "" in ranges["untagged.bmp"]  # all in one answer


@pytest.mark.parametrize("kind", ["cut", "500"])
def test_one_part_that_fails_at_first(coulis, server, expected, tmp_path, kind):
    """The same fault for each part of a large object, once."""

    class Once(Faults):
        def fault(self, handler):
            return kind if self.count(handler)[1] == 1 else None

    with Once(server) as faults:
        coulis("featurize", "s3://large/one.bmp", "-o", "out", "--label", "none", AWS_ENDPOINT_URL=faults.url)
    assert read(tmp_path / "out").equals(expected["one.bmp"]) and max(faults.asked.values()) > 1


@pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="half a minute of silence: COULIS_TEST_LONG=1")
def test_silence_is_not_waited_for(coulis, server, expected, tmp_path):
    """A server that goes silent within a body: after half a minute the part is asked for again."""

    class Silent(Faults):
        kinds = ("stall",)

        def fault(self, handler):
            with self.lock:
                self.made["stall"] += "one.bmp" in handler.path
            return "stall" if self.made["stall"] == 1 and "one.bmp" in handler.path else None

    began = time.monotonic()
    with Silent(server, stall=300) as faults:
        coulis("featurize", "s3://large/one.bmp", "-o", "out", "--label", "none", AWS_ENDPOINT_URL=faults.url)
    assert 20 < time.monotonic() - began < 120
    assert read(tmp_path / "out").equals(expected["one.bmp"])


def test_a_large_result(coulis, server, root, tmp_path):
    """Parts of a result that go to the bucket in several requests, each of which fails once."""
    for number in range(44):
        draw_image(number, (30, 30)).save(tmp_path / f"{number:02}.png")
    (root / "results").mkdir(exist_ok=True)
    with Faults(server, stall=0.2, once=True) as faults:
        coulis(
            "featurize",
            *tmp_path.glob("*.png"),
            "-o",
            "s3://results/map",
            "--features",
            "map",
            AWS_ENDPOINT_URL=faults.url,
        )
        assert min(faults.made.values()) > 0, faults.made
        assert any("partNumber=2" in asked[1] for asked in faults.asked)
    coulis("featurize", *tmp_path.glob("*.png"), "-o", "map", "--features", "map")
    part = (tmp_path / "map/features/part-00000.parquet").read_bytes()
    assert len(part) > LARGE and (root / "results/map/features/part-00000.parquet").read_bytes() == part
    coulis("verify", "s3://results/map")


class Recorder(Server):
    """A server over a folder that remembers how it was asked."""

    def __init__(self, root):
        self.headers = []
        give = folder_of(root)

        def handle(handler):
            self.headers.append(
                (handler.path, handler.headers.get("Authorization"), handler.headers.get("x-amz-request-payer"))
            )
            return give(handler)

        super().__init__(handle)


@pytest.mark.parametrize("name", ["all.tar", "all.zip", "all.parquet", "all.csv"])
def test_archives_and_tables_as_the_options_say(coulis, root, tmp_path, name):
    """Whatever is read for them, and what they name, is read so."""
    for option, signed, payer in (("--no-sign-request", False, None), ("--requester-pays", True, "requester")):
        with Recorder(root) as asked:
            for environment_name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
                more = {"AWS_ENDPOINT_URL": None, environment_name: asked.url}
                coulis("featurize", f"s3://large/{name}", "-o", "out", "--overwrite", option, **more)
        assert asked.headers
        for path, authorization, pays in asked.headers:
            assert (authorization is not None) == signed and pays == payer, path


def test_featurizers_are_given_addresses(server, root, expected, monkeypatch):
    for variable, value in environment(server).items():
        monkeypatch.setenv(variable, value)
    found = package.Featurizer(resize="squash").featurize(
        ["s3://large/one.bmp", "s3://large/none.bmp", str(root / "large" / "one.bmp")]
    )
    assert list(found.status) == ["ok", "missing", "ok"]
    assert np.array_equal(found.values[0], found.values[2])
    assert found.values[0].tolist() == expected["one.bmp"][0].as_py()


def test_featurizers_pay_or_do_not_sign(root, monkeypatch):
    for variable, value in environment("").items():
        monkeypatch.setenv(variable, value)
    for options, signed, payer in (
        ({"no_sign_request": True}, False, None),
        ({"requester_pays": True}, True, "requester"),
    ):
        with Recorder(root) as asked:
            monkeypatch.setenv("AWS_ENDPOINT_URL", asked.url)
            assert package.Featurizer(**options).featurize(["s3://large/one.bmp"]).status[0] == "ok"
        assert asked.headers and all((a is not None) == signed and p == payer for _, a, p in asked.headers)


def test_what_is_no_error_of_s3(server, monkeypatch):
    """A handler that answers in a way S3 never does is not a crash."""

    def handle(handler):
        return send(handler, b"<html>", 200)

    with Server(handle) as other:
        for variable, value in environment(other.url).items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(package.Error, match="is not a listing"):
            package.run("s3://large/", "out")
