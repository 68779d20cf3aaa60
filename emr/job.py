"""The job of a cluster: images in S3 to feature vectors to principal components to Parquet.

    spark-submit job.py s3://BUCKET/images s3://BUCKET/out --components 0.99

Writes OUT/features, OUT/reduced and OUT/pca, as `coulis run` does in a folder.
"""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from coulis.spark import PCA, ImageFeaturizer


def components(text):
    """A number of components (7), or the share of the variance to keep (0.99)."""
    return float(text) if "." in text else int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("images")
    parser.add_argument("out")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--components", type=components, default=0.99)
    given = parser.parse_args()

    spark = SparkSession.builder.appName("coulis").getOrCreate()
    images = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .load(given.images)
        .select("path", F.element_at(F.split("path", "/"), -2).alias("label"), "content")
    )
    featurizer = ImageFeaturizer(inputCol="content", outputCol="features", model=given.model)
    featurizer.transform(images).drop("content").write.parquet(f"{given.out}/features")

    # Read back, so that no image goes through the network twice.
    features = spark.read.parquet(f"{given.out}/features")
    model = PCA(k=given.components, inputCol="features", outputCol="pca").fit(features)
    model.save(f"{given.out}/pca")
    model.transform(features).drop("features").write.parquet(f"{given.out}/reduced")
    spark.stop()


if __name__ == "__main__":
    main()
