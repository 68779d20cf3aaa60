"""The network alone, on decoded images: coulis, ONNX Runtime, OpenVINO."""

import tempfile

import coulis
import engines
import numpy
from bench import rate, rounds, table

# Each engine gets the batch at which it is fastest here: it is tried with one image and with eight a thread.
BATCHES = (1, 8)


def resnet50_file(folder):
    """A model file with ResNet50's graph and seeded random weights, which leave its ReLUs about half zeros."""
    from coulis.convert import graph, recipe, resnet50, safetensors_file
    from random_weights import random_tensors

    description = graph.describe(recipe.read("resnet50"), resnet50.build()[0])
    path = f"{folder}/resnet50.safetensors"
    safetensors_file.write(path, random_tensors(description, 1), graph.metadata(description))
    return path


def best_batch(run, ready, pixels, threads, seconds):
    """The function that works on the faster batch, with the number of its images."""
    candidates = []
    for batch in BATCHES:
        x = ready(pixels[: batch * threads if batch > 1 else 1])
        run(x)
        candidates.append((rate(lambda: run(x), len(x), seconds / 3), x))
    x = max(candidates, key=lambda pair: pair[0])[1]
    return lambda: rate(lambda: run(x), len(x), seconds)


def one_network(name, path, threads, arguments):
    with coulis.Featurizer(path, threads=threads) as featurizer:
        height, width = featurizer.model_info["input_height"], featurizer.model_info["input_width"]
        pixels = numpy.random.default_rng(0).integers(0, 256, (8 * threads, height, width, 3), dtype=numpy.uint8)
        ours = featurizer.featurize_pixels(pixels)
        theirs = engines.vectors_of(engines.onnx_runtime(path, threads), pixels)
        cosine = (ours * theirs).sum(1) / numpy.linalg.norm(ours, axis=1) / numpy.linalg.norm(theirs, axis=1)
        assert cosine.min() > 0.999999, f"{name}: not the same network: cosine {cosine.min()}"
        programs = {"coulis": lambda: rate(lambda: featurizer.featurize_pixels(pixels), len(pixels), arguments.seconds)}
        for peer in ("onnx_runtime", "openvino"):
            run, ready = getattr(engines, peer)(path, threads)
            programs[peer] = best_batch(run, ready, pixels, threads, arguments.seconds)
        figures = rounds(programs, arguments.rounds)
    return table(f"{name}, float32, {threads} thread{'s' if threads > 1 else ''}", figures, "images/s")


def run(arguments):
    with tempfile.TemporaryDirectory() as folder:
        networks = {"EfficientNet-Lite0": coulis.find_model("efficientnet-lite0"), "ResNet50": resnet50_file(folder)}
        return [
            one_network(name, path, threads, arguments)
            for name, path in networks.items()
            for threads in arguments.threads
        ]
