"""Every network that has a recipe, with random weights, on decoded images: coulis and ONNX Runtime on one thread.

Seconds are the process's own (user and system), so that other work on the machine changes them little; each figure is
the best of several.
"""

import os
import tempfile
import time

import coulis
import engines
import numpy
import transformer_onnx
from net_oracle import onnx_model

TRANSFORMERS = ("vit", "convnext")
IMAGES = 2


def write(chosen, folder):
    """A model file with the recipe's graph and seeded random weights."""
    from coulis.convert import graph, layouts, safetensors_file
    from random_weights import random_tensors

    nodes = layouts.build(chosen, 0 if chosen["family"] in TRANSFORMERS else 1000, layouts.styles(chosen)[-1])[0]
    description = graph.describe(chosen, nodes)
    made = {node["name"] for node in nodes}
    features = {kind: node for kind, node in description["features"].items() if kind == "default" or node in made}
    if features.get("default", "pooled") not in features:
        features["default"] = next(iter(features))
    description["features"] = features
    path = f"{folder}/{chosen['name']}.safetensors"
    safetensors_file.write(path, random_tensors(description, 1), graph.metadata(description))
    return path


def onnx_bytes(path):
    """The model file as ONNX with its default features as the only output."""
    description, tensors = engines.read_model(path)
    output = description["features"][description["features"].get("default", "pooled")]
    if any(node["op"] in ("tokens", "layer_norm") for node in description["nodes"]):
        return description, transformer_onnx.model(description, tensors, output).SerializeToString()
    return description, onnx_model(description, tensors, [output]).SerializeToString()


def rate(run, count, seconds):
    """Images a second of CPU time: the best of as many calls as there is time for, two at least."""
    run()
    best, until = 0.0, time.process_time() + seconds
    for number in range(1000):
        began = time.process_time()
        run()
        best = max(best, count / (time.process_time() - began))
        if number and time.process_time() > until:
            return best


def measure(chosen, seconds):
    """(dimensions, coulis, ONNX Runtime)"""
    with tempfile.TemporaryDirectory() as folder:
        path = write(chosen, folder)
        with coulis.Featurizer(path, threads=1) as featurizer:
            info = featurizer.model_info
            size = (IMAGES, info["input_height"], info["input_width"], 3)
            pixels = numpy.random.default_rng(0).integers(0, 256, size, dtype=numpy.uint8)
            call, ready = engines.onnx_runtime(path, 1)
            x = ready(pixels)
            ours, theirs = featurizer.featurize_pixels(pixels), numpy.asarray(call(x)).reshape(IMAGES, -1)
            cosine = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
            assert cosine.min() > 0.99999, f"{chosen['name']}: not the same network: cosine {cosine.min()}"
            return (
                featurizer.length,
                rate(lambda: featurizer.featurize_pixels(pixels), IMAGES, seconds),
                max(rate(lambda: call(x), IMAGES, seconds), rate(lambda: call(x[:1]), 1, seconds)),
            )


def run(arguments):
    from coulis.convert import recipe

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    engines.onnx_bytes = onnx_bytes
    print("\n| recipe | dimensions | coulis | ONNX Runtime | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    rows, known = {}, {}
    for name in arguments.model or recipe.names():
        chosen = recipe.read(name)
        graph = (chosen["family"], chosen["variant"], chosen["input"]["width"])
        if graph not in known:
            known[graph] = measure(chosen, arguments.seconds)
        length, ours, theirs = known[graph]
        rows[name] = {"dimensions": length, "coulis": ours, "onnx_runtime": theirs, "coulis_ratio": ours / theirs}
        print(f"| {name} | {length} | {ours:.3g} | {theirs:.3g} | {ours / theirs:.2f} |", flush=True)
    return [{"title": "recipes, float32, 1 thread, images/s of CPU time", "unit": "images/s", "rows": rows}]
