"""Vision transformers with random weights, on decoded images: coulis, ONNX Runtime, OpenVINO."""

import tempfile
import time

import coulis
import engines
import numpy
import transformer_onnx

from bench_net import one_network

NETWORKS = {"ViT-S/14 (DINOv2)": "dinov2-vits14", "ViT-B/32 (CLIP)": "clip-vit-b-32"}


def write(name, folder):
    """A model file with the recipe's graph and seeded random weights, without its largest features."""
    from coulis.convert import graph, layouts, recipe, safetensors_file
    from random_weights import random_tensors

    chosen = recipe.read(name)
    description = graph.describe(chosen, layouts.build(chosen, 0, "transformers" if "clip" in name else "timm")[0])
    path = f"{folder}/{name}.safetensors"
    safetensors_file.write(path, random_tensors(description, 1), graph.metadata(description))
    return path


def onnx_bytes(path):
    """The model file as ONNX with its default features as the only output."""
    description, tensors = engines.read_model(path)
    output = description["features"][description["features"]["default"]]
    return description, transformer_onnx.model(description, tensors, output).SerializeToString()


def cpu_seconds(programs):
    """Seconds of all cores for one call of each: a figure that other work on the machine changes little."""
    found = {}
    for name, (run, images) in programs.items():
        run()
        began = time.process_time()
        run()
        found[name] = (time.process_time() - began) / images
        print(f"  {name}: {found[name]:.4f} s of CPU an image", flush=True)
    return found


def run(arguments):
    engines.onnx_bytes = onnx_bytes
    with tempfile.TemporaryDirectory() as folder:
        paths = {title: write(name, folder) for title, name in NETWORKS.items()}
        return [
            one_network(title, path, threads, arguments)
            for title, path in paths.items()
            for threads in arguments.threads
        ]


def orientation():
    """CPU time of one thread, for a machine that is not idle: `python bench/bench_transformers.py`."""
    engines.onnx_bytes = onnx_bytes
    with tempfile.TemporaryDirectory() as folder:
        for title, name in NETWORKS.items():
            path, pixels = write(name, folder), numpy.zeros((8, 224, 224, 3), numpy.uint8)
            print(title)
            with coulis.Featurizer(path, threads=1) as featurizer:
                programs = {"coulis": (lambda: featurizer.featurize_pixels(pixels), 8)}
                for peer in ("onnx_runtime", "openvino"):
                    try:
                        call, ready = getattr(engines, peer)(path, 1)
                    except ImportError:
                        continue
                    x = ready(pixels[:1])
                    programs[peer] = (lambda call=call, x=x: [call(x) for _ in range(8)], 8)
                cpu_seconds(programs)


if __name__ == "__main__":
    orientation()
