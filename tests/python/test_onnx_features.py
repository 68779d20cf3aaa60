"""Which tensors of an ONNX file give the features: found by themselves, or named."""

import numpy
import onnx
import pytest
from coulis.convert import onnx_import
from test_onnx import HEIGHT, WIDTH, Net, ops, pooled_gate


def found_features(net, tmp_path, end, **options):
    onnx.save(net.model(*([end] if isinstance(end, str) else end)), tmp_path / "small.onnx")
    options = onnx_import.Options(**{"preprocessing": "tf", **options})
    description, _ = onnx_import.convert(tmp_path / "small.onnx", "small", options)
    makers = {output: node.name for node in net.nodes for output in node.output}
    names = {maker: output for output, maker in makers.items()}
    return description, {kind: names.get(node, node) for kind, node in description["features"].items()}


def test_a_gate_is_not_the_last_pooling(tmp_path):
    net = Net()
    feature_map = pooled_gate(net)
    pooled = net("GlobalAveragePool", feature_map)
    logits = net("Gemm", net("Flatten", pooled), net.random_constant(8, 5))
    _, found = found_features(net, tmp_path, net("Softmax", logits))
    assert found == {"map": feature_map, "pooled": pooled, "logits": logits}


def test_without_a_pooling_the_last_map_is_averaged(tmp_path):
    net = Net()
    feature_map = net("MaxPool", net("Relu", net.x), kernel_shape=[3, 3], strides=[3, 3])
    x = net("Gemm", net("Flatten", feature_map), net.random_constant(8 * 5 * 7, 6))
    logits = net("Gemm", net("Relu", x), net.random_constant(6, 5))
    description, found = found_features(net, tmp_path, logits)
    assert found["map"] == feature_map and found["logits"] == logits
    assert description["nodes"][-1] == {
        "name": found["pooled"],
        "op": "global_average_pool",
        "inputs": [description["features"]["map"]],
    }


def test_a_gate_is_no_pooling_where_there_is_no_other(tmp_path):
    net = Net()
    feature_map = pooled_gate(net)
    x = net("Gemm", net("Flatten", feature_map), net.random_constant(8 * (HEIGHT - 2) * (WIDTH - 2), 4))
    description, found = found_features(net, tmp_path, x)
    assert found["map"] == feature_map and found["logits"] == x
    assert description["nodes"][-1]["inputs"] == [description["features"]["map"]]


def test_a_network_without_a_head_ends_with_its_map(tmp_path):
    net = Net()
    description, found = found_features(net, tmp_path, net.x)
    assert found["map"] == net.x and "logits" not in found
    assert ops(description) == ["conv"]


def test_named_tensors_end_the_network(tmp_path):
    net = Net()
    x = net("Relu", net.x)
    pooled = net("Flatten", net("GlobalMaxPool", x))
    strange = net("Einsum", net.x, equation="nchw->nc")
    description, found = found_features(net, tmp_path, strange, map=x, pooled=pooled)
    assert ops(description) == ["conv", "relu"] and found["map"] == x


def test_a_convolution_of_a_vector_gives_logits(tmp_path):
    net = Net()
    logits = net.conv(net("GlobalAveragePool", net.x), 5, 8, (1, 1))
    _, found = found_features(net, tmp_path, net("Flatten", logits))
    assert found["logits"] == logits


def test_what_lies_behind_one_named_tensor_need_not_be_known(tmp_path):
    """As the decoder behind a trunk: a map alone, or a vector alone."""
    for behind in ("Elu", "Selu"):
        net = Net()
        x = net("Relu", net.x)
        pooled = net("Flatten", net("GlobalMaxPool", x))
        end = net(behind, net("Add", pooled, pooled))
        description, found = found_features(net, tmp_path, end, map=x)
        assert found["map"] == x and ops(description) == ["conv", "relu"]
        description, found = found_features(net, tmp_path, end, pooled=pooled)
        assert found["map"] == x and ops(description) == ["conv", "relu"]
        with pytest.raises(ValueError, match=behind):
            found_features(net, tmp_path, end)
        with pytest.raises(ValueError, match=behind):
            found_features(net, tmp_path, end, map=end)


def test_several_heads_share_what_they_are_made_from(tmp_path):
    net = Net()
    x = net("Relu", net.x)
    pooled = net("GlobalAveragePool", x)
    vector = net("Flatten", pooled)
    heads = [net("Gemm", vector, net.random_constant(8, count)) for count in (5, 3)]
    description, found = found_features(net, tmp_path, heads)
    assert found == {"map": x, "pooled": pooled}
    # An embedding beside the scores that are made from it
    embedding = net("Gemm", vector, net.random_constant(8, 6), net.random_constant(6))
    scores = net("Gemm", net("Relu", embedding), net.random_constant(6, 4))
    for outputs in ((embedding, scores), (scores, embedding)):
        assert found_features(net, tmp_path, outputs)[1] == {"map": x, "pooled": embedding}
    # Two poolings: nothing says which
    other = net("Flatten", net("GlobalMaxPool", net("Relu", net.conv(x, 4, 8))))
    with pytest.raises(ValueError, match="it has 2 outputs"):
        found_features(net, tmp_path, [heads[0], other])
    with pytest.raises(ValueError, match="it has 2 outputs"):
        found_features(net, tmp_path, [heads[0], net("Identity", net.constant(numpy.ones((1, 2))))])
