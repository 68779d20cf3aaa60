"""A client of Spark Connect: everything coulis.spark does, without SparkContext and without Java on this side. Its
answers go to a file for test_connect.py, which starts it.

    connect_program.py URL IMAGES X.npy OUT.npz MODEL
"""

import sys

import numpy
from pyspark.sql import SparkSession, functions

import coulis
from coulis.spark import PCA, ImageFeaturizer, PCAModel, read_pictures, register_functions
from coulis.spark import pca as stage


def main():
    url, images, x, out, saved = sys.argv[1:]
    spark = SparkSession.builder.remote(url).getOrCreate()
    answers = {}

    def keep(name, pca):
        for field in ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"):
            answers[f"{name}.{field}"] = getattr(pca, field)

    def vectors(name, frame, column):
        rows = sorted(tuple(row) for row in frame.select("path", column).collect())
        answers[f"{name}.paths"] = numpy.array([path for path, _ in rows])
        answers[f"{name}.null"] = numpy.array([vector is None for _, vector in rows])
        answers[name] = numpy.array([vector for _, vector in rows if vector is not None], numpy.float32)

    pictures = read_pictures(spark, images)
    features = ImageFeaturizer().transform(pictures).drop("content").persist()
    vectors("features", features, "features")
    model = PCA(k=3).fit(features)
    keep("of images", model.pca)
    answers["recipe"] = model.pca.recipe_["model"]
    vectors("scores", model.transform(features), "pca")
    register_functions(spark)
    pictures.createOrReplaceTempView("pictures")
    vectors("sql", spark.sql("SELECT path, coulis_features(content) AS features FROM pictures"), "features")

    rows = numpy.load(x)
    named = [(f"{number:06}", row) for number, row in enumerate(rows.tolist())]
    frame = spark.createDataFrame(named, "path string, features array<float>").repartition(5)
    keep("few", PCA(k=0.99).fit(frame).pca)
    stage.FEW_BYTES = 0  # as if there were more of them
    model = PCA(k=0.99).fit(frame)
    keep("many", model.pca)
    keep("wide", PCA(k=4).fit(frame.where(functions.col("path") < "000008")).pca)
    sides = stage.MOMENTS_COLUMNS, stage.EXACT_SIDE
    stage.MOMENTS_COLUMNS = stage.EXACT_SIDE = 0  # as if no matrix could be made of so few rows and columns
    keep("spans", PCA(k=4).fit(frame).pca)
    stage.MOMENTS_COLUMNS, stage.EXACT_SIDE = sides
    model.save(saved)
    again = PCAModel.load(saved)
    keep("again", again.pca)
    assert (again.uid, again.getK()) == (model.uid, model.getK())
    try:
        PCA(k=1).fit(spark.createDataFrame([("a", [1.0, float("nan")]), ("b", [1.0, 2.0])], frame.schema))
    except coulis.Error as error:
        answers["nan"] = str(error)
    numpy.savez(out, **answers)


main()
