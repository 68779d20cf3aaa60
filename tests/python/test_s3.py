"""Images in S3: the rows of the folder, from a server of S3's protocol, through faults; `coulis check`."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import draw_image, save_image
from results import assert_same_parts, read
from remote_servers import Faults, Server, send
from s3_server import NEEDED, caller, server  # noqa: F401

MANY = 2000 if os.environ.get("COULIS_TEST_LONG") else 100
PLACE = "s3://pictures/all"

pytestmark = NEEDED


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """What the server serves: folders are buckets, files are objects."""
    root = tmp_path_factory.mktemp("s3")
    for number in range(MANY):
        label = ("red", "dark green", "K\u00fcrbis & Co", "a+b%41")[number % 4]
        folder = root / "pictures" / "all" / label
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{number:04} {'%' if number % 2 else '+'}\u00e9.jpg"
        save_image(target, number, MANY)
    (root / "pictures" / "all-others").mkdir()
    draw_image(1, (50, 50)).save(root / "pictures" / "all-others" / "not-this.png")
    (root / "pictures" / "all" / "red" / "@eaDir").mkdir()
    draw_image(1, (50, 50)).save(root / "pictures" / "all" / "red" / "@eaDir" / "thumb.png")
    return root


@pytest.fixture
def coulis(command, server, tmp_path):
    return caller(command, server, tmp_path)


@pytest.fixture(scope="module")
def expected(command, root, tmp_path_factory):
    """What the folder gives."""
    out = tmp_path_factory.mktemp("expected") / "out"
    subprocess.run([str(command), "featurize", str(root / "pictures" / "all"), "-o", str(out), "--quiet"], check=True)
    return read(out)


def check(out, expected, root):
    table = read(out)
    assert table["error"].to_pylist() == [None] * len(expected)
    for name in ("features", "sha256", "label", "width", "height", "bytes"):
        assert table[name].to_pylist() == expected[name].to_pylist(), name
    local = str(root / "pictures") + "/"
    assert [path.partition("://")[2] for path in table["path"].to_pylist()] == [
        f"pictures/{path.removeprefix(local)}" for path in expected["path"].to_pylist()
    ]
    seconds = [int(moment.timestamp()) for moment in expected["modified"].to_pylist()]
    assert [int(moment.timestamp()) for moment in table["modified"].to_pylist()] == seconds


def test_a_prefix_gives_the_rows_of_the_folder(coulis, expected, root, tmp_path):
    for threads in (1, 2):
        coulis("featurize", PLACE, "-o", f"out{threads}", "--threads", threads, "--rows-per-file", 30)
    check(tmp_path / "out2", expected, root)
    assert_same_parts(tmp_path / "out1", tmp_path / "out2")
    for scheme in ("s3a", "s3n"):
        coulis("featurize", f"{scheme}://pictures/all/", "-o", scheme)
        check(tmp_path / scheme, expected, root)


def test_lists_manifests_and_single_objects(coulis, expected, root, tmp_path):
    coulis("list", PLACE, "-o", "all.parquet")
    coulis("featurize", "all.parquet", "-o", "manifest")
    check(tmp_path / "manifest", expected, root)
    names = read(tmp_path / "manifest")["path"].to_pylist()
    (tmp_path / "list.txt").write_text("\n".join([*names[:3], "s3://pictures/all/none.jpg"]))
    coulis("featurize", "@list.txt", "-o", "list", code=3)
    assert read(tmp_path / "list")["status"].to_pylist() == ["ok", "ok", "ok", "missing"]
    coulis("featurize", names[0], "-o", "one")
    assert read(tmp_path / "one")["features"].to_pylist() == expected["features"].to_pylist()[:1]
    coulis("featurize", PLACE, "-o", "some", "--include", "red/*", "--max-bytes", 10, code=3)
    assert set(read(tmp_path / "some")["status"].to_pylist()) == {"too_large"}
    shutil.copy(tmp_path / "list.txt", root / "pictures" / "list.txt")
    coulis("featurize", "@s3://pictures/list.txt", "-o", "elsewhere", code=3)
    assert read(tmp_path / "elsewhere")["status"].to_pylist() == ["ok", "ok", "ok", "missing"]
    said = coulis("featurize", "s3://pictures/nothing/", "-o", "none", code=1).stderr
    assert "no objects there" in said


def test_objects_are_chosen_as_files_are(coulis, root, tmp_path):
    """The same rows, labels and counts as from the folder that the server serves."""
    for options in (
        [],
        ["--all-files"],
        ["--label", "first"],
        ["--label", "-2"],
        ["--label", "1"],
        ["--include", "red/**", "--exclude", "*1*"],
    ):
        found = []
        for place, out in ((PLACE, "remote"), (root / "pictures" / "all", "local")):
            coulis("featurize", place, "-o", out, "--overwrite", "--rows-per-file", 1000, *options)
            rows = read(tmp_path / out).select(["path", "label", "sha256"]).to_pylist()
            counts = json.loads((tmp_path / out / "run.json").read_text())["counts"]
            found.append(
                (
                    [(row["path"].partition("/all/")[2], row["label"], row["sha256"]) for row in rows],
                    counts["left_out_system"],
                )
            )
        assert found[0] == found[1] and found[0][0], options


def test_faults_in_a_tenth_of_all_requests_change_nothing(coulis, server, expected, root, tmp_path):
    with Faults(server) as faults:
        # The signature covers the name of the server, which is the proxy's here and there.
        coulis("featurize", PLACE, "-o", "out", AWS_ENDPOINT_URL=faults.url)
        assert min(faults.made.values()) > 0, faults.made
    check(tmp_path / "out", expected, root)


def test_changed_objects_alone_are_made_again(coulis, server, root, tmp_path):
    """After a job that came to its end, and after one that did not."""
    folder = root / "pictures" / "changing"
    folder.mkdir()
    for number in range(6):
        draw_image(number, (50, 50)).save(folder / f"{number}.png")

    def run(out, code=0):
        with Faults(server, share=0) as between:
            coulis(
                "featurize",
                "s3://pictures/changing",
                "-o",
                out,
                "--rows-per-file",
                2,
                code=code,
                AWS_ENDPOINT_URL=between.url,
            )
        return sorted({path.rpartition("/")[2] for _, path, _ in between.asked if path.endswith(".png")})

    everything = [f"{number}.png" for number in range(6)]
    assert run("out") == everything and run("out") == []
    draw_image(7, (60, 50)).save(folder / "3.png")
    (folder / "5.png").unlink()
    draw_image(8, (50, 50)).save(folder / "6.png")
    assert run("out") == ["3.png", "6.png"]
    assert run("new") == ["0.png", "1.png", "2.png", "3.png", "4.png", "6.png"]
    for part in sorted((tmp_path / "new/features").iterdir()):
        assert part.read_bytes() == (tmp_path / "out/features" / part.name).read_bytes()

    (tmp_path / "new/features/part-00002.parquet").unlink()
    summary = tmp_path / "new/run.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "complete": False}))
    draw_image(9, (70, 50)).save(folder / "0.png")
    assert run("new") == ["0.png", "1.png", "4.png", "6.png"]  # the part of a changed object, and the one that is gone
    assert run("whole") == ["0.png", "1.png", "2.png", "3.png", "4.png", "6.png"]
    for part in sorted((tmp_path / "whole/features").iterdir()):
        assert part.read_bytes() == (tmp_path / "new/features" / part.name).read_bytes()


def test_pages(coulis, server, root, tmp_path):
    """More objects than S3 lists at a time."""
    folder = root / "many" / "x"
    folder.mkdir(parents=True)
    for number in range(2345):
        (folder / f"{number:05}.jpg").touch()
    coulis("list", "s3://many", "-o", "all.csv")
    rows = (tmp_path / "all.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [f"s3://many/x/{number:05}.jpg" for number in range(2345)]


def test_a_bucket_elsewhere_is_found(coulis, tmp_path):
    """S3 says in which region a bucket is; the request is made there."""
    regions = []

    def handle(handler):
        region = handler.headers.get("Authorization", "").split("/")[2:3]
        regions.extend(region)
        if region != ["ap-south-2"]:
            return send(
                handler, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-south-2</Region></Error>", 400
            )
        if "list-type" in handler.path:
            return send(
                handler,
                b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a.jpg</Key>"
                b"<Size>3</Size></Contents></ListBucketResult>",
            )
        return send(handler, b"abc")

    with Server(handle) as other:
        coulis("featurize", "s3://bucket", "-o", "out", code=3, AWS_ENDPOINT_URL_S3=other.url, AWS_ENDPOINT_URL="x")
    assert regions[0] == "eu-west-9" and set(regions[1:]) == {"ap-south-2"} and len(regions) == 3
    assert read(tmp_path / "out")["status"].to_pylist() == ["unsupported"]


def test_without_keys_and_paying(coulis, tmp_path):
    seen = []

    def handle(handler):
        seen.append((handler.headers.get("Authorization"), handler.headers.get("x-amz-request-payer")))
        return send(handler, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    with Server(handle) as other:
        coulis("featurize", "s3://bucket/", "-o", "out", "--no-sign-request", code=1, AWS_ENDPOINT_URL=other.url)
        coulis("featurize", "s3://bucket/", "-o", "out", "--requester-pays", code=1, AWS_ENDPOINT_URL=other.url)
    assert seen[0] == (None, None)
    assert seen[1][0].startswith("AWS4-HMAC-SHA256 ") and seen[1][1] == "requester"


def test_every_step_of_a_check(coulis, root):
    lines = coulis("check", PLACE).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("keys", "region", "list", "read", "write", "delete")
    ]
    assert lines[3].endswith("bytes") and f"{MANY + 1}" in lines[2] or "1000 or more" in lines[2]
    assert not list((root / "pictures" / "all").glob("coulis-check-*"))


@pytest.mark.parametrize(
    "place, changes, done, words",
    [
        (PLACE, {"AWS_ACCESS_KEY_ID": "wrong"}, 2, "the access key is not known"),
        (PLACE, {"AWS_SECRET_ACCESS_KEY": "wrong"}, 2, "the secret key does not belong to the access key"),
        (PLACE, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 0, "no credentials: set AWS_ACCESS_KEY_ID"),
        (PLACE, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, 2, "no answer"),
        ("s3://coulis-nowhere/pictures", {}, 2, "there is no bucket 'coulis-nowhere'"),
        ("s3://Not_A_Bucket/", {}, 2, "'Not_A_Bucket' cannot be the name of a bucket"),
        ("pictures", {}, 0, "is not an S3 address; it should look like s3://bucket/folder"),
    ],
)
def test_what_is_wrong_is_a_sentence(coulis, place, changes, done, words):
    said = coulis("check", place, code=1, **changes)
    assert len(said.stdout.splitlines()) == done, said.stdout
    assert said.stderr.startswith("coulis: ") and words in said.stderr and said.stderr.count("\n") == 1
    if done:
        assert words in coulis("featurize", place, "-o", "out", code=1, **changes).stderr


@pytest.mark.parametrize(
    "code, status, words",
    [
        ("RequestTimeTooSkewed", 403, "the clock of this machine is wrong"),
        ("ExpiredToken", 400, "the session has expired"),
        ("AccessDenied", 403, "can grant it in the policy"),
    ],
)
def test_what_other_servers_answer(coulis, code, status, words):
    def handle(handler):
        return send(handler, f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode(), status)

    with Server(handle) as other:
        assert words in coulis("check", PLACE, code=1, AWS_ENDPOINT_URL=other.url).stderr
