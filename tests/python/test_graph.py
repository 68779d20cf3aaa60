"""Every operator in small networks against ONNX Runtime: odd sizes, groups, dilation, padding, joined operators."""

import coulis
import numpy
import pytest
from coulis.convert import graph
from net_helpers import Tiny, builders, check_network


def plain(net, *sizes, **conv):
    node = "image"
    for size in sizes:
        node = net("relu", net("batch_norm", net("conv", node, channels=size, kernel=3, **conv), epsilon=1e-3))
    return node


def net_odd_channels(net):
    return net.end(plain(net, 3, 5, 17))


def net_many_channels(net):
    node = plain(net, 33)
    node = net("relu6", net("conv", node, channels=257, kernel=1))
    return net.end(net("conv", node, channels=65, kernel=1, bias=True))


def net_one_channel(net):
    return net.end(net("conv", net("conv", "image", channels=1, kernel=3), channels=1, kernel=1, bias=True))


def net_strides(net):
    return net.end(plain(net, 5, 17, stride=2))


def net_stride_larger_than_kernel(net):
    return net.end(net("conv", net("conv", "image", channels=9, kernel=1, stride=3), channels=4, kernel=2, stride=3))


def net_asymmetric_padding(net):
    node = net("conv", "image", channels=6, kernel=4, padding=[0, 1, 2, 3], bias=True)
    return net.end(net("conv", node, channels=7, kernel=3, stride=2, padding=[2, 0, 0, 1]))


def net_no_padding(net):
    return net.end(plain(net, 8, 8, padding=[0, 0, 0, 0]))


def net_dilation(net):
    node = net("conv", "image", channels=11, kernel=3, dilation=2)
    return net.end(net("conv", node, channels=5, kernel=3, dilation=3, padding=[3, 1, 2, 4]))


def net_dilated_depthwise(net):
    node = plain(net, 10)
    return net.end(net("conv", node, channels=10, kernel=3, dilation=2, groups=10, bias=True))


def net_groups(net):
    node = net("conv", "image", channels=15, kernel=3, groups=3)
    node = net("relu", net("conv", node, channels=20, kernel=3, groups=5, stride=2, bias=True))
    return net.end(net("conv", node, channels=34, kernel=1, groups=2))


def net_depthwise(net):
    node = plain(net, 17)
    node = net("relu6", net("batch_norm", net("conv", node, channels=17, kernel=3, groups=17), epsilon=1e-3))
    node = net("conv", node, channels=17, kernel=5, groups=17, stride=2, bias=True)
    return net.end(net("conv", node, channels=17, kernel=7, groups=17, padding=[3, 2, 1, 4]))


def net_depthwise_of_the_image(net):
    return net.end(net("relu", net("conv", "image", channels=3, kernel=3, groups=3)))


def net_depthwise_multiplier(net):
    node = plain(net, 6)
    return net.end(net("conv", node, channels=18, kernel=3, groups=6, bias=True))


def net_windows_not_square(net):
    node = net.window("image", 6, (1, 5), (2, 1))
    node = net.window(node, 9, (3, 1), (1, 3), [1, 0, 0, 0], (2, 1))
    return net.end(net.window(node, 9, (2, 4), (1, 2), groups=9))


def net_kernel_wider_than_the_image(net):
    net.input.update(width=3, height=2)
    return net.end(net("conv", "image", channels=5, kernel=7, bias=True))


def net_one_pixel(net):
    net.input.update(width=1, height=1)
    return net.end(plain(net, 5, 3))


def net_average_pool(net):
    node = net("conv", "image", channels=5, kernel=3)
    node = net.pool("average_pool", node, (3, 3), (2, 2), "same", count_include_pad=False)
    return net.end(net.pool("average_pool", node, (2, 3), (1, 2), [1, 2, 0, 1], count_include_pad=False))


def net_average_pool_counting_padding(net):
    node = net("conv", "image", channels=6, kernel=3)
    node = net.pool("average_pool", node, (3, 3), (2, 2), [1, 1, 1, 1], count_include_pad=True)
    return net.end(net.pool("average_pool", node, (2, 3), (1, 2), [1, 2, 0, 1], count_include_pad=True))


def net_max_pool_of_negative_numbers(net):
    node = net("batch_norm", net("conv", "image", channels=17, kernel=1, bias=True), epsilon=1e-5)
    node = net.pool("max_pool", node, (3, 3), (2, 2), [1, 1, 1, 1])
    return net.end(net.pool("max_pool", node, (2, 2), (1, 1), "same"))


def net_norm_of_the_image(net):
    return net.end(net("relu", net("batch_norm", "image", epsilon=0.01)))


def net_norm_before_convolution(net):
    node = plain(net, 7)
    node = net("relu", net("batch_norm", net("batch_norm", node, epsilon=1e-3), epsilon=1e-3))
    node = net("conv", node, channels=6, kernel=3, padding=[1, 1, 1, 1])
    return net.end(net("batch_norm", net("relu", node), epsilon=1e-3))


def net_residual(net):
    node = plain(net, 8)
    other = net("batch_norm", net("conv", node, channels=8, kernel=1), epsilon=1e-3)
    node = net("relu", net("add", node, other))
    return net.end(net("relu6", net("add", net("conv", node, channels=8, kernel=3), node)))


def net_both_sides_of_a_sum_are_convolutions(net):
    left = net("conv", "image", channels=8, kernel=3, bias=True)
    right = net("conv", "image", channels=8, kernel=1, bias=True)
    total = net("add", left, right)
    return net.end(net("add", total, left))


def net_sum_with_itself(net):
    node = plain(net, 5)
    return net.end(net("add", net("add", node, node), net("relu", node)))


def net_norm_of_a_sum(net):
    node = plain(net, 5)
    return net.end(
        net("relu6", net("batch_norm", net("add", node, net("conv", node, channels=5, kernel=1)), epsilon=0.1))
    )


def net_convolution_used_twice(net):
    node = net("conv", "image", channels=6, kernel=3)
    normed = net("batch_norm", node, epsilon=1e-3)
    return net.end(net("add", net("relu", node), net("relu6", normed)))


def net_image_plus_image(net):
    return net.end(net("conv", net("add", "image", net("relu", "image")), channels=4, kernel=3))


def net_image_as_map(net):
    net("relu", "image")
    return net.end(net("relu6", "image"))


def net_map_in_the_middle(net):
    node = net("conv", "image", channels=6, kernel=3, bias=True)
    rest = net("relu", net("batch_norm", node, epsilon=1e-3))
    pooled = net("global_average_pool", net("conv", rest, channels=9, kernel=1))
    return net.end(node, pooled, net("dense", pooled, units=3))


def net_map_before_activation(net):
    node = net("batch_norm", net("conv", "image", channels=6, kernel=3), epsilon=1e-3)
    pooled = net("global_average_pool", net("relu", node))
    return net.end(node, pooled, net("dense", net("relu", net("dense", pooled, units=17)), units=5))


def net_classifier(net):
    node = net("global_average_pool", plain(net, 17))
    hidden = net("relu6", net("batch_norm", net("dense", node, units=33), epsilon=1e-3))
    return net.end(net.graph.nodes[-5]["name"], node, net("dense", hidden, units=1))


def net_bgr(net):
    net.input.update(channels="BGR", mean=[103.939, 116.779, 123.68], std=[1, 2, 3])
    return net.end(plain(net, 8, padding=[1, 1, 1, 1]))


def net_deep(net):
    node = plain(net, 8)
    for _ in range(12):
        inner = net("relu6", net("batch_norm", net("conv", node, channels=24, kernel=1), epsilon=1e-3))
        inner = net("relu6", net("batch_norm", net("conv", inner, channels=24, kernel=3, groups=24), epsilon=1e-3))
        node = net("add", net("batch_norm", net("conv", inner, channels=8, kernel=1), epsilon=1e-3), node)
    return net.end(node)


def net_winograd(net):
    """3x3 convolutions wide enough for Winograd's domain, on several tiles and odd sizes, with paddings and a sum."""
    net.input.update(width=31, height=26)
    node = plain(net, 20, 16, 40)
    other = net("conv", node, channels=40, kernel=3, bias=True)
    node = net("relu", net("add", node, other))
    node = net("conv", node, channels=24, kernel=3, padding=[0, 0, 0, 0])
    node = net("relu6", net("conv", node, channels=33, kernel=3, padding=[2, 1, 0, 2]))
    node = net("conv", node, channels=48, kernel=3, stride=2)
    return net.end(net("add", node, net("conv", node, channels=48, kernel=3)))


def net_row_by_row(net):
    """Widened blocks on maps large enough to be worked through by rows, with sums over rows that lag behind."""
    net.input.update(width=45, height=38)
    node = net("relu6", net("conv", "image", channels=12, kernel=3))
    for size, stride, channels in ((3, 1, 12), (5, 1, 12), (3, 2, 20), (5, 1, 20), (3, 1, 20), (5, 2, 9)):
        inner = net("relu6", net("conv", node, channels=36, kernel=1, bias=True))
        inner = net("relu6", net("conv", inner, channels=36, kernel=size, stride=stride, groups=36))
        inner = net("conv", inner, channels=channels, kernel=1)
        node = net("add", inner, node) if stride == 1 else inner
    return net.end(node)


NETS = builders(globals(), "net_")


@pytest.mark.parametrize("name", NETS)
def test_small_network_agrees_with_onnx_runtime(name, tmp_path):
    description = NETS[name](Tiny())
    check_network(description, tmp_path)
    if "logits" not in description["features"]:
        with pytest.raises(coulis.Error, match="(?i)classifier|logits"):
            coulis.Featurizer(tmp_path / "tiny.safetensors", "logits")


def random_network(seed):
    """A network of random layers, each on one or two earlier ones; the first is a convolution of the image."""
    generator = numpy.random.default_rng(seed)

    def pick(*values):
        return values[generator.integers(len(values))]

    net = Tiny(int(generator.integers(1, 30)), int(generator.integers(1, 30)), pick("RGB", "BGR"))
    first = net.window("image", int(generator.integers(1, 20)), (int(pick(1, 2, 3, 4)), int(pick(2, 3, 7))))
    known = {first: (net.input["height"], net.input["width"], net.graph.nodes[0]["channels"])}
    for _ in range(generator.integers(3, 14)):
        source = list(known)[-1] if generator.random() < 0.7 else pick(*known)
        height, width, channels = known[source]
        op = pick(
            "conv", "conv", "conv", "batch_norm", "batch_norm", "relu", "relu6", "add", "max_pool", "average_pool"
        )
        if op == "conv":
            groups = pick(1, 1, channels, *[g for g in (2, 3, 4) if channels % g == 0])
            out = groups * int(pick(1, 2, 3)) if groups > 1 else int(generator.integers(1, 40))
            kernel = (int(pick(1, 1, 2, 3, 3, 5)), int(pick(1, 2, 3, 3)))
            dilation = (int(pick(1, 1, 2)), int(pick(1, 1, 3)))
            node = net.window(source, out, kernel, (int(pick(1, 1, 2)), int(pick(1, 1, 3))), "same", dilation, groups)
            if generator.random() < 0.5:  # explicit padding, less wide than the window
                reach = [1 + (kernel[i] - 1) * dilation[i] for i in (0, 1)]
                net.graph.nodes[-1]["padding"] = [int(generator.integers(0, reach[i % 2])) for i in range(4)]
        elif op in ("max_pool", "average_pool"):
            fields = {"count_include_pad": bool(pick(True, False))} if op == "average_pool" else {}
            node = net.pool(
                op, source, (int(pick(1, 2, 3)), int(pick(2, 3))), (int(pick(1, 2)), int(pick(1, 2))), "same", **fields
            )
        elif op == "batch_norm":
            node = net(op, source, epsilon=1e-3)
        elif op == "add":
            node = net(op, source, pick(*[other for other in known if known[other] == known[source]]))
        else:
            node = net(op, source)
        size = known[source]
        last = net.graph.nodes[-1]
        if "kernel" in last:
            rows, columns, _ = graph.windows(last, height, width)
            if rows < 1 or columns < 1:
                last["padding"] = "same"
                rows, columns, _ = graph.windows(last, height, width)
            size = (rows, columns, last.get("channels", channels))
        known[node] = size
    feature_map = pick(*known)
    pooled = net("global_average_pool", pick(*known))
    return net.end(feature_map, pooled, net("dense", pooled, units=int(generator.integers(1, 20))))


@pytest.mark.quick(40)
@pytest.mark.parametrize("seed", range(120))
def test_random_network_agrees_with_onnx_runtime(seed, tmp_path):
    check_network(random_network(seed), tmp_path, seed)
