"""`coulis s3-check`, and what a Spark job says, when a key, a bucket or a region is wrong."""

import os
import re
import subprocess
import sys

import pytest
from conftest import BUCKET, REPOSITORY

PLACE = f"s3://{BUCKET}/pictures"


def check(place, environment):
    """Exit code, lines and sentence of `coulis s3-check`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS")}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from coulis._command import main; sys.argv[0] = 'coulis'; main()",
         "s3-check", place], capture_output=True, text=True,
        env={**plain, "HOME": "/nonexistent", "PYTHONPATH": str(REPOSITORY / "python"), **environment})
    return done.returncode, done.stdout.splitlines(), done.stderr.strip()


def test_every_step(s3, pictures):
    code, lines, error = check(PLACE, s3.environment())
    assert (code, error) == (0, "")
    assert [line.split()[1] for line in lines] == ["keys", "region", "list", "read", "write", "delete"]
    assert all(line.startswith("ok ") for line in lines)
    assert re.search(r"\d+( or more)? objects", lines[2]) and lines[3].endswith("bytes")
    left = s3.client().list_objects_v2(Bucket=BUCKET, Prefix="pictures/coulis-s3-check")
    assert left["KeyCount"] == 0  # what it wrote is gone


@pytest.mark.parametrize("place, changes, done, words", [
    (PLACE, {"AWS_ACCESS_KEY_ID": "wrong"}, 2, "the access key is not known at http"),
    (PLACE, {"AWS_SECRET_ACCESS_KEY": "wrong"}, 2, "the secret key does not belong to the access key"),
    (PLACE, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 0, "there are no keys: set AWS_ACCESS_KEY_ID"),
    (PLACE, {"AWS_SECRET_ACCESS_KEY": None}, 0, "there are no keys: set AWS_ACCESS_KEY_ID"),
    (PLACE, {"AWS_REGION": None}, 1, "there is no region: set AWS_REGION"),
    (PLACE, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, 2, "nobody answers at http://127.0.0.1:1"),
    ("s3://coulis-nowhere/pictures", {}, 2, "there is no bucket 'coulis-nowhere' at http"),
    ("s3://Not_A_Bucket/", {}, 2, "'Not_A_Bucket' cannot be the name of a bucket"),
    ("pictures", {}, 0, "'pictures' is no address in S3: it should look like s3://bucket/folder"),
])
def test_what_is_wrong_is_a_sentence(s3, pictures, place, changes, done, words):
    code, lines, error = check(place, s3.environment(**changes))
    assert code == 1
    assert len(lines) == done
    assert error.startswith("coulis s3-check: ") and words in error
    assert "\n" not in error and "Traceback" not in error


@pytest.mark.parametrize("option, value, place, words", [
    ("fs.s3a.secret.key", "wrong", BUCKET, "AccessDenied.*Forbidden"),
    (None, None, "coulis-nowhere", "coulis-nowhere"),
])
def test_spark_fails_soon_and_names_the_place(spark, pictures, option, value, place, words):
    """Without the cache, the next file system is opened with the settings of the moment."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.setBoolean("fs.s3a.impl.disable.cache", True)
    if option:
        kept = hadoop.get(option)
        hadoop.set(option, value)
    try:
        with pytest.raises(Exception, match=words):
            spark.read.format("binaryFile").load(f"s3a://{place}/pictures/bad/").count()
    finally:
        hadoop.unset("fs.s3a.impl.disable.cache")
        if option:
            hadoop.set(option, kept)
