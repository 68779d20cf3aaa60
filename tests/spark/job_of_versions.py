"""A job for the Pythons and Sparks of test_versions.py: job_of_versions.py IMAGES OUT"""

import sys

import numpy
from pyspark.sql import SparkSession

import coulis
from coulis.spark import PCA, ImageFeaturizer, PCAModel, read_pictures, register_functions
from coulis.spark import pca as stage

source, out = sys.argv[1:]
settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4"}
spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()

images = read_pictures(spark, source)
ImageFeaturizer().transform(images).drop("content").write.parquet(f"{out}/features")
vectors = spark.read.parquet(f"{out}/features")
model = PCA(k=0.99).fit(vectors)
model.save(f"{out}/model")
PCAModel.load(f"{out}/model").transform(vectors).write.parquet(f"{out}/reduced")

register_functions(spark)
images.createOrReplaceTempView("images")
spark.sql("SELECT path, coulis_features(content) AS features FROM images").write.parquet(f"{out}/sql")


def check(found, wanted):
    for name in ("components_", "mean_", "explained_variance_ratio_"):
        assert getattr(found, name).tobytes() == getattr(wanted, name).tobytes(), name


# Spark ML's vectors, in and out.
as_vectors = ImageFeaturizer(outputType="vector").transform(images).drop("content")
again = PCA(k=0.99, outputType="vector").fit(as_vectors)
check(again.pca, model.pca)
scores = {row.path: row.pca for row in model.transform(vectors).collect()}
for row in again.transform(as_vectors).collect():
    assert row.pca is None and scores[row.path] is None or row.pca.toArray().tolist() == scores[row.path]

# Many rows, as moments and as spans.
rows = spark.range(0, 5000, 1, 5).selectExpr(
    "format_string('%06d', id) AS path", "transform(sequence(1, 12), i -> float(sin(id * i) / i)) AS features"
)
x = numpy.array([row.features for row in rows.orderBy("path").collect()], numpy.float32)
stage.FEW_BYTES = 0
check(PCA(k=3).fit(rows).pca, coulis.PCA(3).fit(x))
stage.MOMENTS_COLUMNS = stage.EXACT_SIDE = 0
check(PCA(k=3).fit(rows).pca, coulis.PCA(3, solver="randomized").fit(x))
spark.stop()
