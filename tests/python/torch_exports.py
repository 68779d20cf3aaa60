"""Networks as torchvision names them and torch.onnx.export writes them, without PyTorch, whose wheel is gigabytes.

Two styles: "script", of the exporter that traces (batch norms folded into convolutions, Flatten, Gemm), and "dynamo",
of the one that came after (batch norms kept, ReduceMean for the last pooling, Reshape). Weights are random. Batch-norm
statistics are near those of real images, as after training: with others, the features of deep networks with ReLU6 or
gates come out the same for every image, and prove nothing.
"""

import zlib

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE = 224


def generator(name):
    return numpy.random.default_rng(zlib.crc32(name.encode()))


def session(model, optimise=True):
    options = onnxruntime.SessionOptions()
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Export:
    """One export: `state` is a state dict in torchvision's naming, filled with random weights as layers ask."""

    def __init__(self, state, style="script", opset=17, calibrate=False):
        self.state, self.style, self.opset, self.calibrate = state, style, opset, calibrate
        self.nodes, self.tensors, self.statistics = [], {}, []

    def parameter(self, name, shape, spread, centre=0.0):
        if name not in self.state:
            values = generator(name).normal(centre, spread, shape)
            self.state[name] = values.astype(numpy.float32)
        assert self.state[name].shape == tuple(shape)
        return self.state[name]

    def constant(self, name, values):
        self.tensors[name] = numpy.asarray(values)
        return name

    def node(self, op, inputs, name, **attributes):
        """Named as the tracing exporter names it, /layer1/layer1.0/conv1/Conv, and its output after it."""
        output = f"/{name}/{op}_output_0"
        self.nodes.append(helper.make_node(op, inputs, [output], f"/{name}/{op}", **attributes))
        return output

    def path(self, name):
        """layer1.0.conv1 as /layer1/layer1.0/conv1: modules in modules, and names of lists of modules in full."""
        parts, path = name.split("."), []
        for place, part in enumerate(parts):
            path.append(part if not part.isdigit() else ".".join(parts[: place + 1][-2:]))
        return "/".join(path)

    def conv(self, name, x, shape, stride=1, groups=1, norm=None, epsilon=1e-5, bias=False):
        fan = numpy.prod(shape[1:])
        weight = self.parameter(f"{name}.weight", shape, numpy.sqrt(2 / fan))
        more = [self.parameter(f"{name}.bias", shape[:1], 0.1)] if bias else []
        padding = [(shape[2] - 1) // 2] * 4
        attributes = {
            "dilations": [1, 1],
            "group": groups,
            "kernel_shape": shape[2:],
            "pads": padding,
            "strides": [stride] * 2,
        }
        path = self.path(name)
        if norm is None or self.calibrate or self.style == "dynamo":
            inputs = [self.constant(f"{name}.weight", weight)]
            inputs += [self.constant(f"{name}.bias", values) for values in more]
            x = self.node("Conv", [x, *inputs], path, **attributes)
            return x if norm is None else self.norm(norm, x, shape[0], epsilon)
        scale, shift, mean, variance = self.norm_parameters(norm, shape[0])
        factor = scale / numpy.sqrt(variance + epsilon)
        number = len(self.tensors)
        inputs = [
            self.constant(f"onnx::Conv_{number}", (weight * factor[:, None, None, None]).astype("<f4")),
            self.constant(f"onnx::Conv_{number + 1}", (shift - mean * factor).astype("<f4")),
        ]
        return self.node("Conv", [x, *inputs], path, **attributes)

    def norm_parameters(self, name, count):
        return (
            self.parameter(f"{name}.weight", (count,), 0.1, 1.0),
            self.parameter(f"{name}.bias", (count,), 0.1),
            self.state[f"{name}.running_mean"],
            self.state[f"{name}.running_var"],
        )

    def norm(self, name, x, count, epsilon):
        path = self.path(name)
        if not self.calibrate:
            parts = zip(("weight", "bias", "running_mean", "running_var"), self.norm_parameters(name, count))
            inputs = [self.constant(f"{name}.{part}", values) for part, values in parts]
            return self.node("BatchNormalization", [x, *inputs], path, epsilon=epsilon, momentum=0.9, training_mode=0)
        # The statistics of this batch of images, which become outputs of the graph.
        mean = self.node("ReduceMean", [x], path + "/mean", axes=[0, 2, 3])
        centred = self.node("Sub", [x, mean], path + "/centred")
        square = self.node("Mul", [centred, centred], path + "/square")
        variance = self.node("ReduceMean", [square], path + "/variance", axes=[0, 2, 3])
        self.statistics += [(name, mean, variance)]
        deviation = self.node("Sqrt", [variance], path + "/deviation")
        return self.node("Div", [centred, deviation], path)

    def hard_swish(self, name, x):
        if self.opset >= 14:
            return self.node("HardSwish", [x], name)
        gate = self.node("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)
        return self.node("Mul", [x, gate], name)

    def global_pool(self, name, x):
        if self.style == "dynamo":
            axes = self.constant("axes", numpy.array([-1, -2], numpy.int64))
            if self.opset < 18:
                return self.node("ReduceMean", [x], name, axes=[-1, -2], keepdims=1)
            return self.node("ReduceMean", [x, axes], name, keepdims=1)
        return self.node("GlobalAveragePool", [x], name)

    def flatten(self, x, count):
        if self.style == "dynamo":
            return self.node("Reshape", [x, self.constant("shape", numpy.array([-1, count], numpy.int64))], "view")
        return self.node("Flatten", [x], "Flatten", axis=1)

    def linear(self, name, x, count, units):
        weight = self.parameter(f"{name}.weight", (units, count), numpy.sqrt(1 / count))
        inputs = [self.constant(f"{name}.weight", weight)]
        inputs.append(self.constant(f"{name}.bias", self.parameter(f"{name}.bias", (units,), 0.1)))
        return self.node("Gemm", [x, *inputs], self.path(name), alpha=1.0, beta=1.0, transB=1)

    def model(self, outputs, ranks):
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
                for name, rank in zip(outputs, ranks)
            ],
            [numpy_helper.from_array(values, name) for name, values in self.tensors.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def resnet(export, blocks, bottleneck):
    """Gives the tensors of map, pooled and logits."""
    expansion = 4 if bottleneck else 1
    x = export.conv("conv1", "input.1", [64, 3, 7, 7], 2, norm="bn1")
    x = export.node("Relu", [x], "relu")
    window = {"ceil_mode": 0, "dilations": [1, 1], "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    x = export.node("MaxPool", [x], "maxpool", **window)
    channels = 64
    for stage, count in enumerate(blocks, 1):
        inner = 32 << stage
        for block in range(count):
            name, start = f"layer{stage}.{block}", x
            stride = 2 if stage > 1 and block == 0 else 1
            shapes = [[inner, channels, 3, 3], [inner, inner, 3, 3]]
            if bottleneck:
                shapes = [[inner, channels, 1, 1], [inner, inner, 3, 3], [inner * 4, inner, 1, 1]]
            strided = 1 if bottleneck else 0  # torchvision has the stride of a bottleneck in its 3x3 convolution
            for place, shape in enumerate(shapes):
                step = stride if place == strided else 1
                x = export.conv(f"{name}.conv{place + 1}", x, shape, step, norm=f"{name}.bn{place + 1}")
                if place < len(shapes) - 1:
                    x = export.node("Relu", [x], f"{export.path(name)}/relu" + (f"_{place}" if place else ""))
            if block == 0 and (stride > 1 or channels != inner * expansion):
                shape = [inner * expansion, channels, 1, 1]
                start = export.conv(f"{name}.downsample.0", start, shape, stride, norm=f"{name}.downsample.1")
            channels = inner * expansion
            x = export.node("Add", [x, start], export.path(name))
            x = export.node("Relu", [x], f"{export.path(name)}/relu_{len(shapes) - 1}")
    feature_map = x
    x = export.flatten(export.global_pool("avgpool", x), channels)
    return feature_map, x, export.linear("fc", x, channels, 1000)


# kernel, expanded, out, squeeze-excite, hard swish, stride: Howard et al., Searching for MobileNetV3, 2019, table 1
MOBILENET_V3_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)


def divisible(count):
    found = max(8, int(count + 4) // 8 * 8)
    return found + 8 if found < 0.9 * count else found


def mobilenet_v3_large(export):
    epsilon = 1e-3

    def layer(name, x, shape, hard, stride=1, groups=1):
        x = export.conv(f"{name}.0", x, shape, stride, groups, f"{name}.1", epsilon)
        if hard is None:
            return x
        path = f"{export.path(name)}/{name.split('.')[-1]}.2"
        return export.hard_swish(path, x) if hard else export.node("Relu", [x], path)

    x = layer("features.0", "input.1", [16, 3, 3, 3], True, 2)
    channels = 16
    for index, (kernel, inner, out, squeeze, hard, stride) in enumerate(MOBILENET_V3_LARGE, 1):
        name, start, place = f"features.{index}.block", x, 0
        if inner != channels:
            x = layer(f"{name}.0", x, [inner, channels, 1, 1], hard)
            place = 1
        x = layer(f"{name}.{place}", x, [inner, 1, kernel, kernel], hard, stride, inner)
        if squeeze:
            place += 1
            gate, few, path = f"{name}.{place}", divisible(inner // 4), export.path(f"{name}.{place}")
            y = export.global_pool(f"{path}/avgpool", x)
            y = export.node(
                "Relu", [export.conv(f"{gate}.fc1", y, [few, inner, 1, 1], bias=True)], f"{path}/activation"
            )
            y = export.conv(f"{gate}.fc2", y, [inner, few, 1, 1], bias=True)
            y = export.node("HardSigmoid", [y], f"{path}/scale_activation", alpha=0.1666666716337204, beta=0.5)
            x = export.node("Mul", [y, x], path)
        x = layer(f"{name}.{place + 1}", x, [out, inner, 1, 1], None)
        if stride == 1 and out == channels:
            x = export.node("Add", [x, start], export.path(f"features.{index}"))
        channels = out
    x = feature_map = layer("features.16", x, [960, channels, 1, 1], True)
    x = pooled = export.flatten(export.global_pool("avgpool", x), 960)
    x = export.hard_swish("classifier/classifier.1", export.linear("classifier.0", x, 960, 1280))
    return feature_map, pooled, export.linear("classifier.3", x, 1280, 1000)


NETWORKS = {
    "resnet18": lambda export: resnet(export, (2, 2, 2, 2), False),
    "resnet50": lambda export: resnet(export, (3, 4, 6, 3), True),
    "mobilenet_v3_large": mobilenet_v3_large,
}


def make(network, style, opset, images):
    """The model with its last output only, and one with map, pooled and logits, for ONNX Runtime.

    `images`: float32 (n, 3, SIDE, SIDE); the batch norms get the statistics of some of them, but for a random tenth.
    """
    state = {}
    trial = Export(state, calibrate=True)
    NETWORKS[network](trial)
    names = [name for _, *pair in trial.statistics for name in pair]
    some = images[:: max(1, len(images) // 6)]
    found = dict(zip(names, session(trial.model(names, [4] * len(names))).run(names, {"input.1": some})))
    for name, mean, variance in trial.statistics:
        mean, variance = found[mean].ravel(), found[variance].ravel()
        random = generator(f"{name} statistics")
        mean = mean + random.normal(0, 0.1, mean.shape) * numpy.sqrt(variance)
        state[f"{name}.running_mean"] = mean.astype("<f4")
        state[f"{name}.running_var"] = (variance * random.uniform(0.9, 1.1, variance.shape)).astype("<f4")
    export = Export(state, style, opset)
    outputs = NETWORKS[network](export)
    plain, full = export.model(outputs[-1:], [2]), export.model(outputs, [4, 2, 2])
    onnx.checker.check_model(full)
    return plain, full
