"""What the tests of networks share: images, a comparison, and networks under construction."""

import coulis
import numpy
from coulis.convert import graph, safetensors_file
from net_oracle import Oracle
from random_weights import random_tensors

KINDS = ("pooled", "map", "logits")
# Two float32 implementations that add in different orders: each of some 50 layers adds rounding of about
# sqrt(1152) * 2**-24 = 2e-6 of its values, and these errors are independent: sqrt(50) * 2e-6 = 1.4e-5.
# The limit leaves a factor of 7 for layers whose sums nearly cancel.
RELATIVE = 1e-4
COSINE = 0.999999


def generated_images(count, height=224, width=224, seed=5):
    """Noise, flat colours, gradients and patterns, uint8 (count, height, width, 3)."""
    generator = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    images = []
    for index in range(count):
        kind = index % 6
        colour, other = generator.integers(0, 256, (2, 3))
        if kind == 0:
            image = generator.integers(0, 256, (height, width, 3))
        elif kind == 1:
            image = numpy.broadcast_to((0 if index == 1 else 255) if index < 12 else colour, (height, width, 3))
        elif kind == 2:
            angle = generator.uniform(0, 2 * numpy.pi)
            way = (x * numpy.cos(angle) + y * numpy.sin(angle)) / (height + width) + 0.5
            image = way[..., None] * colour + (1 - way[..., None]) * other
        elif kind == 3:
            square = generator.integers(1, 40)
            image = numpy.where(((x // square + y // square) % 2 == 0)[..., None], colour, other)
        elif kind == 4:
            cx, cy, radius = generator.uniform(0, width), generator.uniform(0, height), generator.uniform(10, 120)
            image = numpy.where((numpy.hypot(x - cx, y - cy) < radius)[..., None], colour, other)
        else:
            small = generator.integers(0, 256, (-(-height // 16), -(-width // 16), 3))
            image = small.repeat(16, 0).repeat(16, 1)[:height, :width]
        images.append(numpy.clip(image, 0, 255).astype(numpy.uint8))
    return numpy.stack(images)


def assert_close(found, wanted, names=None):
    """Each row: cosine at least COSINE, and relative distance at most RELATIVE."""
    assert found.shape == wanted.shape and found.dtype == numpy.float32
    found, wanted = found.astype(float), wanted.astype(float)
    for row in range(len(found)):
        a, b = found[row], wanted[row]
        size = numpy.linalg.norm(b)
        name = names[row] if names else row
        if size == 0:
            assert not a.any(), name
            continue
        cosine = a @ b / (numpy.linalg.norm(a) * size)
        assert cosine >= COSINE, f"{name}: cosine {cosine:.9f}"
        distance = numpy.linalg.norm(a - b) / size
        assert distance <= RELATIVE, f"{name}: relative distance {distance:.2e}"


def features(path, kind, pixels, threads=None):
    with coulis.Featurizer(path, kind, threads) as featurizer:
        return featurizer.featurize_pixels(pixels)


def write_model(path, description, tensors=None, seed=1):
    tensors = random_tensors(description, seed) if tensors is None else tensors
    safetensors_file.write(path, tensors, graph.metadata(description))
    return tensors


def write_tiny(path):
    """The model file of a network of one convolution, for tests of other things."""
    net = Tiny()
    write_model(path, net.end(net.conv_norm("image", 8, 3)))


def check_network(description, tmp_path, seed=1):
    """Every kind of features against ONNX Runtime; on several threads, and an image alone, to the byte."""
    path = tmp_path / "tiny.safetensors"
    tensors = write_model(path, description, seed=seed)
    pixels = generated_images(6, description["input"]["height"], description["input"]["width"], seed)
    wanted = Oracle(description, tensors).run(pixels)
    for kind, values in wanted.items():
        found = features(path, kind, pixels, 2)
        assert_close(found, values)
        assert features(path, kind, pixels[4:5], 1).tobytes() == found[4].tobytes()


def builders(names, prefix):
    """The functions of a module whose name begins with `prefix`, by the rest of their name."""
    return {name[len(prefix) :]: build for name, build in list(names.items()) if name.startswith(prefix)}


class Tiny:
    """A small network under construction."""

    def __init__(self, width=19, height=14, channels="RGB", mean=(120, 110, 100), std=(60, 50, 70)):
        self.graph = graph.Graph()
        self.input = {"width": width, "height": height, "channels": channels, "mean": list(mean), "std": list(std)}
        self.count = 0

    def __call__(self, op, *inputs, **fields):
        self.count += 1
        name = f"n{self.count}.{op}"
        if op != "add" and hasattr(self.graph, op):
            return getattr(self.graph, op)(name, *inputs, **fields)
        return self.graph.add(name, op, inputs, **fields)

    def norm(self, source, epsilon=1e-3):
        return self("batch_norm", source, epsilon=epsilon)

    def conv_norm(self, source, channels, kernel, activation="relu", **fields):
        """Convolution, normalisation and activation, as most networks have them in a row."""
        node = self.norm(self("conv", source, channels=channels, kernel=kernel, **fields))
        return self(activation, node) if activation else node

    def pool(self, op, source, kernel, stride, padding, **fields):
        return self(op, source, kernel=list(kernel), stride=list(stride), padding=padding, **fields)

    def window(self, source, channels, kernel, stride=(1, 1), padding="same", dilation=(1, 1), groups=1):
        """A convolution with a window that need not be square."""
        name = self("conv", source, channels=channels, kernel=1, padding=padding, groups=groups, bias=True)
        self.graph.nodes[-1].update(kernel=list(kernel), stride=list(stride), dilation=list(dilation))
        return name

    def end(self, feature_map, pooled=None, logits=None):
        features = {"map": feature_map, "pooled": pooled or self("global_average_pool", feature_map)}
        if logits:
            features["logits"] = logits
        recipe_like = {"name": "tiny", "source": {"title": "a test", "licence": "none"}, "input": self.input}
        return graph.describe({**recipe_like, "features": features}, self.graph.nodes)
