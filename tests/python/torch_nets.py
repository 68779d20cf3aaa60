"""torchvision's and timm's networks as ONNX graphs straight from the names of their files, for ONNX Runtime.

Written after the modules' own forward(), and apart from the converter: nothing of coulis is used.
"""

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Adds operators, with the tensors of `state` under their own names."""

    def __init__(self, state, epsilon):
        self.state, self.epsilon, self.nodes, self.used = state, epsilon, [], {}
        self.count = 0

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        output = f"v{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def tensor(self, name):
        self.used[name] = numpy.ascontiguousarray(self.state[name], numpy.float32)
        return name

    def constant(self, value):
        name = f"constant {value}"
        self.used[name] = numpy.array(value, numpy.float32)
        return name

    def conv(self, x, name, stride=1, same=False, groups=1):
        """nn.Conv2d with a padding of half the kernel, or timm's Conv2dSame."""
        kernel = self.state[f"{name}.weight"].shape[2]
        bias = [self.tensor(f"{name}.bias")] if f"{name}.bias" in self.state else []
        padding = {"auto_pad": "SAME_UPPER"} if same else {"pads": [kernel // 2] * 4}
        return self.op("Conv", x, self.tensor(f"{name}.weight"), *bias, strides=[stride] * 2, group=groups, **padding)

    def norm(self, x, name):
        parts = [self.tensor(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.op("BatchNormalization", x, *parts, epsilon=self.epsilon)

    def relu6(self, x):
        return self.op("Clip", x, self.constant(0.0), self.constant(6.0))

    def linear(self, x, name):
        return self.op("Gemm", x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"), transB=1)

    def pool(self, x):
        return self.op("Flatten", self.op("GlobalAveragePool", x))

    def run(self, outputs, pixels):
        """`pixels`: prepared float32 (n, 3, h, w); gives map (n, h, w, c), pooled and logits, each as rows."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *pixels.shape[1:]])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
                for name, rank in zip(outputs, (4, 2, 2))
            ],
            [numpy_helper.from_array(values, name) for name, values in self.used.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(list(outputs), {"image": pixels})
        found[0] = found[0].transpose(0, 2, 3, 1)
        return [values.reshape(len(pixels), -1) for values in found]


def resnet(state, blocks, bottleneck):
    """torchvision's ResNet._forward_impl with BasicBlock or Bottleneck."""
    net = Net(state, 1e-5)
    x = net.op("Relu", net.norm(net.conv("image", "conv1", 2), "bn1"))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, count in enumerate(blocks):
        for index in range(count):
            block, stride, identity = f"layer{stage + 1}.{index}", 2 if stage and not index else 1, x
            if bottleneck:
                x = net.op("Relu", net.norm(net.conv(x, f"{block}.conv1"), f"{block}.bn1"))
                x = net.op("Relu", net.norm(net.conv(x, f"{block}.conv2", stride), f"{block}.bn2"))
                x = net.norm(net.conv(x, f"{block}.conv3"), f"{block}.bn3")
            else:
                x = net.op("Relu", net.norm(net.conv(x, f"{block}.conv1", stride), f"{block}.bn1"))
                x = net.norm(net.conv(x, f"{block}.conv2"), f"{block}.bn2")
            if f"{block}.downsample.0.weight" in state:
                identity = net.norm(net.conv(identity, f"{block}.downsample.0", stride), f"{block}.downsample.1")
            x = net.op("Relu", net.op("Add", x, identity))
    pooled = net.pool(x)
    return net, [x, pooled, net.linear(pooled, "fc")]


# stride, hard swish, of torchvision's InvertedResidualConfig
MOBILE = [
    (1, 0),
    (2, 0),
    (1, 0),
    (2, 0),
    (1, 0),
    (1, 0),
    (2, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (1, 1),
    (2, 1),
    (1, 1),
    (1, 1),
]


def mobilenet_v3_large(state):
    """torchvision's MobileNetV3: which layers a block has is read off the names in the file."""
    net = Net(state, 1e-3)
    x = net.op("HardSwish", net.norm(net.conv("image", "features.0.0", 2), "features.0.1"))
    for index, (stride, swish) in enumerate(MOBILE, 1):
        block, start, activation = f"features.{index}.block", x, "HardSwish" if swish else "Relu"
        layers = sorted({key.split(".")[3] for key in state if key.startswith(block + ".")})
        for layer in layers:
            part = f"{block}.{layer}"
            if f"{part}.fc1.weight" in state:
                gate = net.op("GlobalAveragePool", x)
                gate = net.op("Relu", net.conv(gate, f"{part}.fc1"))
                gate = net.op("HardSigmoid", net.conv(gate, f"{part}.fc2"), alpha=1 / 6, beta=0.5)
                x = net.op("Mul", gate, x)
                continue
            shape = state[f"{part}.0.weight"].shape
            depthwise = shape[1] == 1
            x = net.conv(x, f"{part}.0", stride if depthwise else 1, groups=shape[0] if depthwise else 1)
            x = net.norm(x, f"{part}.1")
            x = x if layer == layers[-1] else net.op(activation, x)
        inner, out = state[f"{block}.0.0.weight"].shape, state[f"{block}.{layers[-1]}.0.weight"].shape[0]
        entering = inner[0] if inner[1] == 1 else inner[1]
        if stride == 1 and entering == out:
            x = net.op("Add", x, start)
    x = net.op("HardSwish", net.norm(net.conv(x, "features.16.0"), "features.16.1"))
    pooled = net.pool(x)
    hidden = net.op("HardSwish", net.linear(pooled, "classifier.0"))
    return net, [x, pooled, net.linear(hidden, "classifier.3")]


def timm_lite(state, tensorflow):
    """timm's EfficientNet: tf_efficientnet_lite* with TensorFlow's padding and epsilon, or efficientnet_lite*."""
    net = Net(state, 1e-3 if tensorflow else 1e-5)
    x = net.relu6(net.norm(net.conv("image", "conv_stem", 2, tensorflow), "bn1"))
    for stage, stride in enumerate((1, 2, 2, 2, 1, 2, 1)):
        index = 0
        while f"blocks.{stage}.{index}.conv_dw.weight" in state:
            block, start, step = f"blocks.{stage}.{index}", x, stride if index == 0 else 1
            groups = state[f"{block}.conv_dw.weight"].shape[0]
            if stage:
                x = net.relu6(net.norm(net.conv(x, f"{block}.conv_pw"), f"{block}.bn1"))
                x = net.relu6(net.norm(net.conv(x, f"{block}.conv_dw", step, tensorflow, groups), f"{block}.bn2"))
                x = net.norm(net.conv(x, f"{block}.conv_pwl"), f"{block}.bn3")
                entering, leaving = state[f"{block}.conv_pw.weight"].shape[1], state[f"{block}.bn3.weight"].shape[0]
                if step == 1 and entering == leaving:
                    x = net.op("Add", x, start)
            else:
                x = net.relu6(net.norm(net.conv(x, f"{block}.conv_dw", step, tensorflow, groups), f"{block}.bn1"))
                x = net.norm(net.conv(x, f"{block}.conv_pw"), f"{block}.bn2")
            index += 1
    x = net.relu6(net.norm(net.conv(x, "conv_head"), "bn2"))
    pooled = net.pool(x)
    return net, [x, pooled, net.linear(pooled, "classifier")]
