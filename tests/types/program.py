"""Uses each public name as a person would; checked by mypy --strict, not run."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import coulis
import numpy
import PIL.Image


def options() -> coulis.RunOptions:
    image: coulis.ImageOptions = {"resize": "crop", "orient": "ignore"}
    network: coulis.VectorOptions = {"model": "resnet50", "precision": "bf16"}
    choice: coulis.SourceOptions = {"include": ["*.jpg"], "label": "first"}
    coulis.featurize("photos", "vectors", **network)
    coulis.apply("photos", "out", "new-out", **choice)
    coulis.load_image("a.png", **image)
    return {"model": "resnet50", "alpha": "white", "exclude": "*.gif"}


def watch(state: coulis.Progress) -> bool:
    return state.done > 10 and state.stage == "featurize"


def jobs(folder: pathlib.Path, out: pathlib.Path) -> float:
    summary: dict[str, Any] = coulis.run(folder, out, components=0.9, progress=True, **options())
    coulis.run([folder, "more"], out, like="pillow", precision="bf16", threads=2, progress=watch)
    coulis.featurize(folder, "vectors", all_files=True, strict=True)
    coulis.fit("vectors", "pca.safetensors", components=3)
    coulis.transform("vectors", "pca.safetensors", "reduced")
    coulis.apply("new", out, "new-out", drop_features=True)
    coulis.featurize(folder, "first-half", shard=(1, 2))
    coulis.merge(["first-half", "second-half"], "merged")
    steps: dict[str, str] = coulis.check("s3://bucket/prefix", no_sign_request=True)
    print(steps["read"])
    checked: dict[str, Any] = coulis.verify(out)
    return float(summary["total_seconds"]) + float(checked["rows"])


def sources() -> Iterator[coulis.Item]:
    with coulis.open_source("photos", exclude="*.gif") as listing:
        for item in listing:
            yield coulis.Item(item.name, item.data, item.label)
    coulis.list_images("photos", "list.csv", label="none")
    coulis.run(coulis.Source(sources(), identity="1", columns=["a"]), "out")


def vectors(image: PIL.Image.Image, pixels: numpy.ndarray[Any, Any]) -> coulis.Result:
    with coulis.Featurizer("resnet50", "map", resize="crop", on_error="nan") as featurizer:
        result = featurizer.featurize([image, pixels, "a.png", b"bytes", pathlib.Path("b.png")])
        for part in featurizer.featurize_iter(open(path, "rb") for path in ("a", "b")):
            result = part
        featurizer.set_params(features="pooled").fit().transform(["a.png"])
    row: coulis.Row = result[0]
    good: coulis.Result = result[result.ok]
    names = [entry.path or "" for entry in good]
    result.to_pandas().to_csv(names[0])
    result.to_arrow()
    print(row.status, len(result), coulis.Featurizer.from_pca("out").length)
    return good


def analysis(result: coulis.Result) -> tuple[int, float]:
    pca = coulis.PCA(n_components=0.99, solver="full").fit(result)
    scores = pca.fit_transform(result.values)
    pca.save("pca.safetensors")
    shares: numpy.ndarray[Any, Any] = coulis.PCA.load("pca.safetensors").explained_variance_ratio_
    sums = coulis.Moments(20).update(scores).merge(coulis.Moments.from_bytes(b""))
    with coulis.TextFeaturizer("clip-vit-b-32", threads=2) as texts:
        words: numpy.ndarray[Any, Any] = texts.featurize(["a cat", "a dog"])
    assert words.shape == (2, texts.length) and len(texts.tokens("a cat")) == 1
    similarity, rows = coulis.Index(result.values).search(result.values[:3], k=5)
    return int(rows[0, 0]) + sums.finish(2).n_components_, float(similarity[0, 0]) + float(shares.sum())


def collections() -> list[dict[str, Any]]:
    coulis.dedup("out", threshold=0.95)
    coulis.cluster("out", 20, seed=3)
    coulis.export("out", "vectors.npy", what="pca", dtype="float16")
    coulis.view("out", "report.html")
    coulis.read_table("out", "features")
    return coulis.search("out", ["a.png", 3], k=5)


def main() -> None:
    try:
        pixels = coulis.load_image("a.jpg", (320, 240), resize="published", filter="lanczos", like="pillow")
        print(pixels.shape, coulis.find_model("resnet50"), list(coulis.list_models()), coulis.__version__)
    except coulis.Error as error:
        print(error.status, error.code)
