"""Operators beyond convolutions and sums, and blocks of well-known networks, against ONNX Runtime."""

import numpy
import pytest
from coulis.convert import graph
from net_helpers import Tiny, builders, check_network
from net_oracle import operator


def stem(net, channels=17):
    return net.conv_norm("image", channels, 3, None)


def gated(net, source, inner, channels, gate="sigmoid", **fields):
    """Squeeze-excite: each channel times a number from 0 to 1 that all pixels decide."""
    node = net("global_average_pool", source)
    node = net("relu", net("conv", node, channels=inner, kernel=1, bias=True))
    node = net(gate, net("conv", node, channels=channels, kernel=1, bias=True), **fields)
    return net("multiply", source, node)


# ---- activations, joined to a convolution and alone ----


def activation(op, **fields):
    def build(net):
        node = net(op, net("conv", "image", channels=17, kernel=3, bias=True), **fields)
        other = net(op, net.pool("max_pool", node, (2, 2), (1, 1), "same"), **fields)
        total = net("add", node, other)  # has two readers: an activation of its own
        node = net("relu", net(op, net("add", net(op, total, **fields), total), **fields))
        return net.end(node)

    return build


net_leaky_relu = activation("leaky_relu", slope=0.1)
net_leaky_relu_turned_round = activation("leaky_relu", slope=-2)
net_sigmoid = activation("sigmoid")
net_hard_sigmoid = activation("hard_sigmoid", alpha=0.2, beta=0.5)
net_swish = activation("swish")
net_hard_swish = activation("hard_swish")
net_clip = activation("clip", low=-0.5, high=0.75)
net_clip_from_below = activation("clip", low=-0.25)
net_clip_from_above = activation("clip", high=0.25)


def net_clamps_and_activations_in_turns(net):
    node = net("swish", net("relu6", stem(net)))
    node = net("clip", net("leaky_relu", net("clip", node, low=0.5), slope=0.5), low=-1, high=2)
    return net.end(net("hard_swish", net("sigmoid", node)))


def net_softmax(net):
    node = net("softmax", stem(net))
    pooled = net("global_average_pool", node)
    return net.end(node, pooled, net("softmax", net("dense", net("relu", pooled), units=37)))


# ---- arithmetic ----


def arithmetic(op):
    def build(net):
        left = stem(net)
        right = net("clip", net("conv", left, channels=17, kernel=1, bias=True), low=0.5, high=4)
        node = net("relu6", net(op, left, right))
        vector = net("clip", net("global_max_pool", node), low=0.5)
        node = net(op, node, vector)
        node = net(op, net("global_max_pool", node), net("clip", node, low=1))
        pooled = net("global_average_pool", node)
        return net.end(net(op, node, right), net(op, pooled, vector))

    return build


net_add = arithmetic("add")
net_subtract = arithmetic("subtract")
net_multiply = arithmetic("multiply")
net_divide = arithmetic("divide")


def net_vector_added_behind_a_convolution(net):
    node = net("conv", "image", channels=9, kernel=3, bias=True)
    vector = net("conv", net("global_average_pool", node), channels=9, kernel=1, bias=True)
    return net.end(net("relu", net("add", net("conv", node, channels=9, kernel=1), vector)))


# ---- what moves numbers ----


def net_concat(net):
    node = stem(net, 5)
    parts = [node] + [net("conv", node, channels=channels, kernel=1, bias=True) for channels in (16, 3, 1, 20)]
    return net.end(net("relu", net("concat", *parts, node)))


def net_concat_of_64(net):
    node = stem(net, 3)
    return net.end(net("concat", *[net("clip", node, low=index / 64) for index in range(64)]))


def net_concat_of_vectors_and_images(net):
    node = net("concat", "image", net("relu", "image"), "image")
    vector = net("concat", net("global_average_pool", node), net("global_max_pool", "image"))
    return net.end(node, net("batch_norm", vector, epsilon=0.1), net("dense", vector, units=4))


def net_slice(net):
    node = stem(net, 21)
    return net.end(net("concat", net("slice", node, first=16, channels=5), net("slice", node, first=3, channels=17)))


@operator
def onnx_shuffle(node, size, emit, constant):
    name = node["name"]
    table = constant(name + "/shape", numpy.int64([0, node["groups"], -1, *size]))
    value = emit("Reshape", name + "/table", [node["inputs"][0], table])
    value = emit("Transpose", name + "/turned", [value], perm=[0, 2, 1, 3, 4])
    emit("Reshape", name, [value, constant(name + "/back", numpy.int64([0, -1, *size]))])
    return size


def net_shuffle(net):
    return net.end(net("shuffle", net("shuffle", stem(net, 30), groups=3), groups=10))


def net_pad(net):
    node = net("pad", stem(net), padding=[1, 2, 0, 2], value=-1.5)
    node = net("conv", node, channels=6, kernel=3, padding=[0, 0, 1, 0], bias=True)
    return net.end(net("pad", net("relu", node), padding=[0, 0, 2, 0]))


def net_pad_before_convolutions(net):
    """Zeros that can become padding of the convolution, and some that cannot."""
    node = net("conv", net("pad", "image", padding=[1, 2, 3, 1]), channels=8, kernel=4, stride=2, padding=[1, 0, 0, 1])
    node = net("pad", net("pad", net("relu", node), padding=[1, 0, 0, 0]), padding=[0, 1, 1, 0])
    node = net("relu", net("conv", node, channels=8, kernel=3, padding=[0, 0, 0, 0], bias=True))
    twice = net("pad", node, padding=[1, 1, 1, 1])
    node = net("conv", twice, channels=8, kernel=3, padding=[0, 0, 0, 0])
    node = net("add", node, net("conv", twice, channels=8, kernel=3, padding=[0, 0, 0, 0], groups=8))
    node = net("conv", net("pad", node, padding=[1, 0, 0, 1]), channels=5, kernel=1, padding=[0, 0, 0, 0])
    return net.end(net("pad", node, padding=[2, 2, 2, 2]))


def net_pad_that_is_a_feature(net):
    node = net("pad", stem(net), padding=[1, 1, 1, 1])
    return net.end(node, net("global_max_pool", net("conv", node, channels=4, kernel=3, padding=[0, 0, 0, 0])))


def net_flatten(net):
    node = net.pool("average_pool", stem(net), (3, 3), (3, 3), "same", count_include_pad=False)
    flat = net("flatten", net("swish", node))
    hidden = net("relu", net("dense", flat, units=20))
    return net.end(node, flat, net("dense", net("flatten", hidden), units=7))


def net_global_pools_of_large_maps(net):
    net.input.update(width=83, height=71)
    node = net("conv", "image", channels=5, kernel=3, bias=True)
    return net.end(net("global_max_pool", node), net("global_average_pool", node), net("global_average_pool", "image"))


def net_image_pooled_scaled_and_padded(net):
    node = net("pad", net.norm(net.pool("max_pool", "image", (2, 2), (2, 2), "same")), padding=[1, 1, 0, 0], value=2)
    node = net("add", net("conv", node, channels=3, kernel=1, bias=True), node)
    return net.end(net("subtract", net("conv", "image", channels=3, kernel=3), "image"), net("flatten", node))


# ---- convolutions ----


def net_convolutions_of_one_direction(net):
    node = stem(net, 20)
    node = net("relu", net.window(net("relu", net.window(node, 24, (1, 7))), 28, (7, 1)))
    return net.end(net.window(net.window(node, 9, (1, 1), (2, 2)), 5, (1, 3), (2, 1), [0, 1, 0, 1]))


def net_groups_of_few_channels(net):
    node = net.conv_norm("image", 32, 3)
    for groups, channels, stride in ((16, 64, 1), (32, 64, 2), (8, 24, 1), (4, 64, 1)):
        node = net.conv_norm(node, channels, 3, "relu", groups=groups, stride=stride)
    other = net("conv", node, channels=64, kernel=3, groups=8, dilation=2, bias=True)
    return net.end(net("add", node, other))


def net_depthwise_of_different_strides(net):
    node = net.window(stem(net), 17, (3, 3), (2, 1), groups=17)
    return net.end(net.window(node, 17, (3, 2), (1, 1), "same", (1, 2), 17))


# ---- blocks of networks, large enough to be streamed and split ----


def net_like_densenet(net):
    net.input.update(width=41, height=37)
    node = net.pool("max_pool", net.conv_norm("image", 16, 7, stride=2), (3, 3), (2, 2), [1, 1, 1, 1])
    for block in (3, 2):
        for _ in range(block):
            inner = net("conv", net("relu", net.norm(node)), channels=32, kernel=1)
            inner = net("conv", net("relu", net.norm(inner)), channels=12, kernel=3)
            node = net("concat", node, inner)
        node = net("conv", net("relu", net.norm(node)), channels=20, kernel=1)
        node = net.pool("average_pool", node, (2, 2), (2, 2), [0, 0, 0, 0], count_include_pad=False)
    node = net("relu", net.norm(node))
    pooled = net("global_average_pool", node)
    return net.end(node, pooled, net("softmax", net("dense", pooled, units=10)))


def net_like_inception(net):
    net.input.update(width=35, height=35)
    node = net.conv_norm("image", 24, 3, stride=2, padding=[0, 0, 0, 0])
    for _ in range(2):
        left = net.conv_norm(node, 16, 1)
        seven = net.conv_norm(net.conv_norm(net.conv_norm(node, 12, 1), 12, (1, 7)), 20, (7, 1))
        twice = net.conv_norm(net.conv_norm(net.conv_norm(node, 10, 1), 12, (7, 1)), 16, (1, 7))
        pooled = net.pool("average_pool", node, (3, 3), (1, 1), "same", count_include_pad=False)
        node = net("concat", left, seven, twice, net.conv_norm(pooled, 12, 1))
    small = net.conv_norm(node, 18, 3, stride=2, padding=[0, 0, 0, 0])
    pooled = net.pool("max_pool", node, (3, 3), (2, 2), [0, 0, 0, 0])
    node = net("concat", small, pooled)
    three = [net.conv_norm(node, 11, kernel) for kernel in ((1, 3), (3, 1))]
    return net.end(net("concat", *three, node))


def net_like_mobilenet_v3(net):
    net.input.update(width=67, height=61)
    node = net.conv_norm("image", 16, 3, "hard_swish", stride=2)
    for kernel, wide, channels, op, gate, stride in (
        (3, 16, 16, "relu", True, 2),
        (3, 72, 24, "relu", False, 1),
        (5, 96, 24, "hard_swish", True, 1),
        (5, 120, 40, "hard_swish", True, 2),
        (5, 120, 40, "hard_swish", True, 1),
    ):
        inner = net.conv_norm(node, wide, 1, op)
        inner = net.conv_norm(inner, wide, kernel, op, stride=stride, groups=wide)
        if gate:
            inner = gated(net, inner, 8, wide, "hard_sigmoid", alpha=1 / 6, beta=0.5)
        inner = net.conv_norm(inner, channels, 1, None)
        known = {name["name"]: name for name in net.graph.nodes}
        same = stride == 1 and known[known[node]["inputs"][0]].get("channels", channels) == channels
        node = net("add", inner, node) if same and channels in (24, 40) and wide != 72 else inner
    node = net.conv_norm(node, 96, 1, "hard_swish")
    pooled = net("global_average_pool", node)
    hidden = net("hard_swish", net("conv", pooled, channels=64, kernel=1, bias=True))
    return net.end(node, pooled, net("dense", net("flatten", hidden), units=10))


def net_like_efficientnet(net):
    """Streamed in several parts: a gate needs a whole map before the next part begins."""
    net.input.update(width=70, height=74)
    node = net.conv_norm("image", 16, 3, "swish", stride=2)
    for kernel, channels, stride, again in ((3, 12, 1, 1), (3, 20, 2, 2), (5, 28, 2, 2)):
        for index in range(again):
            inner = net.conv_norm(node, 64, 1, "swish")
            inner = net.conv_norm(inner, 64, kernel, "swish", stride=stride if index == 0 else 1, groups=64)
            inner = net.conv_norm(gated(net, inner, 6, 64), channels, 1, None)
            node = net("add", inner, node) if index > 0 else inner
    return net.end(net.conv_norm(node, 50, 1, "swish"))


def net_like_resnext(net):
    net.input.update(width=39, height=43)
    node = net.conv_norm("image", 32, 3, stride=2)
    for stride in (1, 2):
        inner = net.conv_norm(net.conv_norm(node, 64, 1), 64, 3, groups=16, stride=stride)
        inner = net.conv_norm(inner, 80, 1, None)
        node = net("relu", net("add", inner, net.conv_norm(node, 80, 1, None, stride=stride)))
    return net.end(node)


def net_like_resnet_v2(net):
    net.input.update(width=39, height=43)
    node = net("conv", net("pad", "image", padding=[3, 3, 3, 3]), channels=24, kernel=7, stride=2, padding=[0] * 4)
    node = net.pool("max_pool", net("pad", node, padding=[1, 1, 1, 1]), (3, 3), (2, 2), [0, 0, 0, 0])
    for _ in range(2):
        ahead = net("relu", net.norm(node))
        inner = net.conv_norm(net.conv_norm(ahead, 16, 1), 16, 3)
        node = net(
            "add",
            net("conv", ahead, channels=48, kernel=1, bias=True),
            net("conv", inner, channels=48, kernel=1, bias=True),
        )
    return net.end(net("relu", net.norm(node)))


def net_like_shufflenet(net):
    net.input.update(width=51, height=47)
    node = net.conv_norm("image", 24, 3, stride=2)
    for _ in range(2):
        inner = net.conv_norm(net("slice", node, first=12, channels=12), 12, 1)
        inner = net.conv_norm(net.conv_norm(inner, 12, 3, None, groups=12), 12, 1)
        node = net("shuffle", net("concat", net("slice", node, first=0, channels=12), inner), groups=2)
    inner = net("shuffle", net.conv_norm(node, 30, 1, groups=3), groups=3)
    inner = net.conv_norm(net.conv_norm(inner, 30, 3, None, stride=2, groups=30), 36, 1, None, groups=3)
    pooled = net.pool("average_pool", node, (3, 3), (2, 2), [1, 1, 1, 1], count_include_pad=True)
    return net.end(net("relu", net("concat", pooled, inner)))


NETS = builders(globals(), "net_")


@pytest.mark.parametrize("name", NETS)
def test_operators_agree_with_onnx_runtime(name, tmp_path):
    check_network(NETS[name](Tiny()), tmp_path)


def random_operators(seed):
    """A network of random operators, each on any earlier values that fit, the image among them."""
    generator = numpy.random.default_rng(seed)

    def pick(*values):
        return values[generator.integers(len(values))]

    def number(low, high):
        return int(generator.integers(low, high + 1))

    net = Tiny(number(1, 40), number(1, 40), pick("RGB", "BGR"))
    known = {"image": (net.input["height"], net.input["width"], 3)}
    plain = ("relu", "relu6", "sigmoid", "swish", "hard_swish", "softmax", "global_max_pool", "global_average_pool")
    for _ in range(number(4, 20)):
        source = list(known)[-1] if generator.random() < 0.6 else pick(*known)
        rows, columns, channels = (*graph.area(known[source]), known[source][-1])
        op = pick(*plain, "conv", "conv", "conv", "depthwise", "depthwise", "batch_norm", "clip", "leaky_relu",
                  "hard_sigmoid", "arithmetic", "arithmetic", "arithmetic", "concat", "concat", "slice", "shuffle",
                  "pad", "pool", "flatten")  # fmt: skip
        divisors = [n for n in range(1, channels + 1) if channels % n == 0]
        if op in plain or op == "batch_norm":
            fields = {"epsilon": 0.01} if op == "batch_norm" else {}
            node = net(op, source, **fields)
        elif op == "conv":
            groups = pick(1, *divisors)
            wide = groups * number(1, 3) if groups > 1 else number(1, 40)
            kernel, stride = (number(1, 3), number(1, 3)), (number(1, 2), number(1, 2))
            node = net.window(source, wide, kernel, stride, "same", (number(1, 2), 1), groups)
        elif op == "depthwise":
            size = pick(3, 5)
            node = net.conv_norm(source, channels, size, pick("swish", "relu"), stride=pick(1, 2), groups=channels)
        elif op == "clip":
            node = net(op, source, low=-0.5, high=1.5)
        elif op == "leaky_relu":
            node = net(op, source, slope=0.25)
        elif op == "hard_sigmoid":
            node = net(op, source, alpha=0.25, beta=0.4)
        elif op == "arithmetic":
            area = (rows, columns)
            fitting = [n for n, shape in known.items() if shape[-1] == channels
                       and (graph.area(shape) in (area, (1, 1)) or area == (1, 1))]  # fmt: skip
            # No differences: of two numbers that are the same but for rounding, only the rounding would be left.
            node = net(pick("add", "multiply", "divide"), source, net("clip", pick(*fitting), low=0.5, high=3))
        elif op == "concat":
            fitting = [n for n, shape in known.items() if graph.area(shape) == (rows, columns)]
            node = net(op, source, *[pick(*fitting) for _ in range(number(1, 4))])
        elif op == "slice":
            first = number(0, channels - 1)
            node = net(op, source, first=first, channels=number(1, channels - first))
        elif op == "shuffle":
            node = net(op, source, groups=pick(*divisors))
        elif op == "pad":
            node = net(op, source, padding=[number(0, 2) for _ in range(4)], value=pick(0, 0, 0.5))
        elif op == "pool":
            node = net.pool("max_pool", source, (number(1, 3), 2), (number(1, 2), 2), "same")
        else:
            node = net.pool("average_pool", source, (6, 6), (6, 6), "same", count_include_pad=False)
            node = net("flatten", node)
        description = {"input": net.input, "nodes": net.graph.nodes}
        outputs = graph.shapes(description)[0]
        if outputs[node][-1] <= 600:  # others stay unused
            known[node] = outputs[node]
    nodes = list(known)[1:]
    wide = net("conv", pick(*known), channels=number(1, 30), kernel=3, bias=True)
    pooled = net("global_average_pool", pick(*nodes, wide))
    return net.end(pick(*nodes, wide), pooled, net("dense", net("flatten", pooled), units=number(1, 20)))


@pytest.mark.quick(40)
@pytest.mark.parametrize("seed", range(150))
def test_random_operators_agree_with_onnx_runtime(seed, tmp_path):
    check_network(random_operators(seed), tmp_path, seed)
