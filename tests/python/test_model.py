"""Model files that do not fit their own description are refused with a sentence."""

import contextlib
import json
import resource
import struct

import coulis
import numpy
import pytest
from net_helpers import Tiny, generated_images
from random_weights import random_tensors


def raw_file(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def good_parts():
    """Header (with the description as a dict under "coulis") and data of a small good file."""
    net = Tiny()
    node = net("relu", net("batch_norm", net("conv", "image", channels=4, kernel=3, bias=True), epsilon=1e-3))
    node = net.pool("max_pool", node, (2, 2), (2, 2), "same")
    pooled = net("global_average_pool", node)
    description = net.end(node, pooled, net("dense", pooled, units=5))
    header, data = {"__metadata__": {"coulis": description}}, b""
    for name, values in random_tensors(description, 1).items():
        block = values.tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(block)],
        }
        data += block
    return header, data


def assemble(header, data):
    header = dict(header)
    description = header["__metadata__"].get("coulis")
    if isinstance(description, dict):
        header["__metadata__"] = {**header["__metadata__"], "coulis": json.dumps(description)}
    return raw_file(header, data)


CONV, NORM, RELU, POOL, GLOBAL, DENSE = range(6)
WEIGHT = "n1.conv.weight"


def changed(change):
    """A good file after `change(description, header)`, which may return other data."""

    def build():
        header, data = good_parts()
        description = header["__metadata__"]["coulis"]
        result = change(description, header)
        return assemble(header, data if result is None else result)

    return build


def node(index, **fields):
    return changed(lambda description, header: description["nodes"][index].update(fields))


def without(index, field):
    return changed(lambda description, header: description["nodes"][index].pop(field) and None)


def top(**fields):
    return changed(lambda description, header: description.update(fields))


def size(**fields):
    return changed(lambda description, header: description["input"].update(fields))


def entry(**fields):
    return changed(lambda description, header: header[WEIGHT].update(fields))


def with_number(name, value):
    def change(description, header):
        data = bytearray(good_parts()[1])
        struct.pack_into("<f", data, header[name]["data_offsets"][0], value)
        return bytes(data)

    return changed(change)


def text(value):
    return changed(lambda description, header: header["__metadata__"].update(coulis=value))


def cut(share):
    return lambda: (lambda data: data[: int(len(data) * share)])(assemble(*good_parts()))


def claim(length):
    return lambda: struct.pack("<Q", length) + assemble(*good_parts())[8:]


def swap_nodes(description, header):
    nodes = description["nodes"]
    nodes[CONV], nodes[NORM] = nodes[NORM], nodes[CONV]


def overlap(description, header):
    header["n2.batch_norm.scale"]["data_offsets"] = header["n2.batch_norm.shift"]["data_offsets"]


def overlap_in_part(description, header):
    offsets = header["n2.batch_norm.scale"]["data_offsets"]
    offsets[:] = [offsets[0] - 4, offsets[1] - 4]


def many_nodes(description, header):
    relu = {"op": "relu", "inputs": ["image"]}
    description["nodes"] += [{"name": f"extra{index}", **relu} for index in range(50000)]


def many_inputs(description, header):
    inputs = ["n3.relu"] * 64
    description["nodes"] += [{"name": f"extra{index}", "op": "concat", "inputs": inputs} for index in range(1100)]


def long_vector(description, header):
    nodes, last = description["nodes"], "n3.relu"  # 8 times as many channels with each: 4 * 8**5 * 14 * 19 numbers
    for index in range(5):
        nodes.append({"name": f"extra{index}", "op": "concat", "inputs": [last] * 8})
        last = f"extra{index}"
    nodes.append({"name": "flat", "op": "flatten", "inputs": [last]})


DAMAGED = {
    "empty": lambda: b"",
    "seven bytes": lambda: b"\0" * 7,
    "length alone": lambda: struct.pack("<Q", 0),
    "text": lambda: b"this is not a model" * 10,
    "cut in the header": cut(0.1),
    "cut in the data": cut(0.99),
    "last byte gone": lambda: assemble(*good_parts())[:-1],
    "header of 2^63": claim(2**63),
    "header of all bits": claim(2**64 - 1),
    "header of 2^40": claim(2**40),
    "header of 1": claim(1),
    "header is not JSON": lambda: raw_file(b"{" * 64, b""),
    "header is a list": lambda: raw_file([], b""),
    "header nested deep": lambda: raw_file(b"[" * 200000, b""),
    "header holds a NUL": lambda: raw_file(b'{"__metadata__"\0:{}}', b""),
    "header is invalid UTF-8": lambda: raw_file(
        b'{"\xff\xfe":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', b"\0" * 4
    ),
    "no metadata": changed(
        lambda description, header: header.pop("__metadata__") and header.update(__metadata__={"a": "b"})
    ),
    "metadata is a number": text(3),
    "description is not JSON": text("{"),
    "description is a list": text("[]"),
    "description is empty": text(""),
    "description nested deep": text("[" * 200000),
    "description with rubbish after": text("{} x"),
    "format 2": top(format=2),
    "format missing": changed(lambda description, header: description.pop("format") and None),
    "name missing": changed(lambda description, header: description.pop("name") and None),
    "name is a number": top(name=5),
    "no input": top(input=None),
    "input of 0 pixels": size(width=0),
    "input too wide": size(width=2**31),
    "input of half a pixel": size(height=3.5),
    "channels unknown": size(channels="GBR"),
    "mean of two": size(mean=[1, 2]),
    "mean is text": size(mean=["a", "b", "c"]),
    "std of 0": size(std=[1, 0, 1]),
    "no nodes": top(nodes=[]),
    "nodes is an object": top(nodes={}),
    "node is a number": changed(lambda description, header: description["nodes"].insert(0, 5)),
    "too many nodes": changed(many_nodes),
    "node without name": without(CONV, "name"),
    "node without op": without(CONV, "op"),
    "name twice": node(NORM, name="n1.conv"),
    "node named image": node(RELU, name="image"),
    "unknown op": node(RELU, op="mish"),
    "op image": node(RELU, op="image", inputs=[]),
    "input unknown": node(RELU, inputs=["nothing"]),
    "input of its own": node(NORM, inputs=["n2.batch_norm"]),
    "cycle": node(CONV, inputs=["n3.relu"]),
    "order turned round": changed(swap_nodes),
    "two inputs": node(RELU, inputs=["n1.conv", "n2.batch_norm"]),
    "no inputs": node(RELU, inputs=[]),
    "input is a number": node(RELU, inputs=[0]),
    "add of different sizes": node(RELU, op="add", inputs=["image", "n1.conv"]),
    "tensor missing": changed(lambda description, header: description["nodes"][CONV].update(weight="nothing")),
    "tensor not named": without(CONV, "weight"),
    "tensor not in the header": changed(lambda description, header: header.pop("n6.dense.bias") and None),
    "scale not named": without(NORM, "scale"),
    "channels other than the weights": node(CONV, channels=5),
    "channels negative": node(CONV, channels=-4),
    "channels huge": node(CONV, channels=2**40),
    "kernel other than the weights": node(CONV, kernel=[3, 5]),
    "kernel of 0": node(CONV, kernel=[0, 3]),
    "kernel huge": node(POOL, kernel=[2**31, 1]),
    "kernel of one number": node(CONV, kernel=[3]),
    "kernel missing": without(CONV, "kernel"),
    "kernel larger than the image": node(POOL, kernel=[40, 40], padding=[0, 0, 0, 0]),
    "stride of 0": node(CONV, stride=[0, 1]),
    "stride negative": node(CONV, stride=[-1, 1]),
    "dilation of 0": node(CONV, dilation=[1, 0]),
    "padding unknown": node(CONV, padding="valid"),
    "padding negative": node(CONV, padding=[-1, 0, 0, 0]),
    "padding huge": node(CONV, padding=[2**31 - 1, 0, 0, 0]),
    "padding as wide as the window": node(POOL, padding=[2, 0, 0, 0]),
    "groups of 0": node(CONV, groups=0),
    "groups that do not divide": node(CONV, groups=2),
    "epsilon is text": node(NORM, epsilon="0.1"),
    "epsilon negative": node(NORM, epsilon=-1),
    "epsilon missing": without(NORM, "epsilon"),
    "units of 0": node(DENSE, units=0),
    "units other than the weights": node(DENSE, units=6),
    "slope missing": node(RELU, op="leaky_relu"),
    "slope is text": node(RELU, op="leaky_relu", slope="0.1"),
    "slope out of range": node(RELU, op="leaky_relu", slope=1e31),
    "beta missing": node(RELU, op="hard_sigmoid", alpha=0.2),
    "bounds turned round": node(RELU, op="clip", low=2, high=1),
    "bound is a list": node(RELU, op="clip", low=[0]),
    "concat of one": node(RELU, op="concat"),
    "concat of 65": node(RELU, op="concat", inputs=["n2.batch_norm"] * 65),
    "concat of different areas": node(DENSE, op="concat", inputs=["n4.max_pool", "n3.relu"]),
    "too many inputs": changed(many_inputs),
    "slice that begins after the last": node(RELU, op="slice", first=4, channels=1),
    "slice that ends after the last": node(RELU, op="slice", first=1, channels=4),
    "slice of nothing": node(RELU, op="slice", first=0, channels=0),
    "shuffle in groups that do not divide": node(RELU, op="shuffle", groups=3),
    "shuffle without groups": node(RELU, op="shuffle"),
    "pad without padding": node(RELU, op="pad"),
    "pad by less than nothing": node(RELU, op="pad", padding=[0, -1, 0, 0]),
    "pad by too much": node(RELU, op="pad", padding=[0, 65, 0, 0]),
    "pad with text": node(RELU, op="pad", padding=[0, 1, 0, 0], value="zero"),
    "vector of other channels": node(DENSE, op="multiply", inputs=["n5.global_average_pool", "image"]),
    "maps of different sizes": node(DENSE, op="divide", inputs=["n4.max_pool", "n3.relu"]),
    "vector too long": changed(long_vector),
    "dense on an image of other channels": node(DENSE, inputs=["image"]),
    "count_include_pad is text": node(POOL, op="average_pool", count_include_pad="no"),
    "no features": top(features={}),
    "features unknown": top(features={"map": "nothing", "pooled": "n5.global_average_pool"}),
    "feature is the image": top(features={"map": "image", "pooled": "n5.global_average_pool"}),
    "tensor type unknown": entry(dtype="F33"),
    "tensor type of half the size": entry(dtype="F16"),
    "tensor of integers": entry(dtype="I32"),
    "tensor type missing": changed(lambda description, header: header[WEIGHT].pop("dtype") and None),
    "shape with another rank": entry(shape=[108]),
    "shape turned round": entry(shape=[3, 4, 3, 3]),
    "shape of huge product": entry(shape=[2**32, 2**32, 1, 1]),
    "shape negative": entry(shape=[-4, -3, 3, 3]),
    "shape of rank 9": entry(shape=[4, 3, 3, 3, 1, 1, 1, 1, 1]),
    "shape of fractions": entry(shape=[4.5, 3, 3, 3]),
    "shape is text": entry(shape="4"),
    "offsets behind the end": entry(data_offsets=[2**40, 2**40 + 432]),
    "offsets past 64 bits": entry(data_offsets=[0, 1e30]),
    "offsets negative": entry(data_offsets=[-432, 0]),
    "offsets turned round": entry(data_offsets=[432, 0]),
    "offsets too short": entry(data_offsets=[0, 428]),
    "offsets not aligned": entry(data_offsets=[2, 434]),
    "offsets of one number": entry(data_offsets=[0]),
    "offsets missing": changed(lambda description, header: header[WEIGHT].pop("data_offsets") and None),
    "tensors overlap": changed(overlap),
    "tensors overlap in part": changed(overlap_in_part),
    "entry is a number": changed(lambda description, header: header.update({WEIGHT: 3})),
    "weight is NaN": with_number(WEIGHT, float("nan")),
    "weight is infinite": with_number("n6.dense.weight", float("inf")),
    "variance is negative": with_number("n2.batch_norm.variance", -1.0),
}


def test_the_file_that_is_damaged_below_is_good(tmp_path):
    path = tmp_path / "good.safetensors"
    path.write_bytes(assemble(*good_parts()))
    with coulis.Featurizer(path, "logits") as featurizer:
        assert featurizer.length == 5
        assert featurizer.featurize_pixels(generated_images(2, 14, 19)).any()


@contextlib.contextmanager
def address_space(more):
    """Lets this process have `more` bytes beyond what it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_model_is_refused_with_a_sentence(name, tmp_path):
    data = DAMAGED[name]()
    assert data != assemble(*good_parts())
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(data)
    # The largest of these files is 5 MiB; what it claims may not be asked for.
    with address_space(256 << 20), pytest.raises(coulis.Error) as caught:
        coulis.Featurizer(path)
    assert caught.value.status == "bad_model", caught.value
    assert "damaged.safetensors" in str(caught.value) and len(str(caught.value)) > 40


def test_a_model_that_is_not_there_or_no_file(tmp_path):
    with pytest.raises(coulis.Error) as caught:
        coulis.Featurizer(tmp_path / "none.safetensors")
    assert caught.value.status == "missing"
    with pytest.raises(coulis.Error, match="no-such-network"):
        coulis.Featurizer("no-such-network")
    with pytest.raises(coulis.Error):
        coulis.Featurizer(tmp_path)


def test_every_cut_of_a_model_is_refused(tmp_path):
    data = assemble(*good_parts())
    path = tmp_path / "cut.safetensors"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(coulis.Error):
            coulis.Featurizer(path)


@pytest.mark.quick(0)
def test_changed_bytes_give_a_network_or_a_sentence(tmp_path):
    data = assemble(*good_parts())
    header = 8 + struct.unpack_from("<Q", data)[0]
    generator = numpy.random.default_rng(4)
    path = tmp_path / "changed.safetensors"
    pixels = generated_images(1, 14, 19)
    refused = 0
    for _ in range(1000):
        changed_data = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            changed_data[generator.integers(header)] = generator.choice(list(b'0123456789-.,:[]{}"aenrF\\ \0\xff'))
        path.write_bytes(bytes(changed_data))
        try:
            with coulis.Featurizer(path, threads=1) as featurizer:
                if featurizer.model_info["input_height"] == 14 and featurizer.model_info["input_width"] == 19:
                    featurizer.featurize_pixels(pixels)
        except coulis.Error as error:
            refused += 1
            assert error.status == "bad_model" and len(str(error)) > 20, str(error)
    assert refused > 500
