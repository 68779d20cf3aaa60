"""What a Spark job says when a key or a bucket is wrong."""

import pytest
from conftest import BUCKET


@pytest.mark.parametrize(
    "option, value, place, words",
    [
        ("fs.s3a.secret.key", "wrong", BUCKET, "AccessDenied.*Forbidden"),
        (None, None, "coulis-nowhere", "coulis-nowhere"),
    ],
)
def test_spark_fails_soon_and_names_the_place(spark, image_folder, option, value, place, words):
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
