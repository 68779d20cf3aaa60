"""Damaged model files of transformers: each is refused with a sentence that names file and node."""

import coulis
import numpy
import pytest
import test_texts
import test_transformers
from coulis.convert import graph, safetensors_file
from net_helpers import Tiny
from random_weights import random_tensors


def damaged(change, tmp_path):
    """Opens a file of which `change(nodes, tensors, description)` has altered parts."""
    description = test_transformers.net_like_siglip(Tiny())
    tensors = random_tensors(description, 1)
    nodes = {}  # the first of each operator
    for node in description["nodes"]:
        nodes.setdefault(node["op"], node)
    change(nodes, tensors, description)
    path = tmp_path / "damaged.safetensors"
    safetensors_file.write(path, tensors, graph.metadata(description))
    return coulis.Featurizer(path)


def field(which, **fields):
    return lambda nodes, tensors, description: nodes[which].update(fields)


def gone(op, key):
    return lambda nodes, tensors, description: nodes[op].pop(key)


def tensor(op, key, *shape):
    def change(nodes, tensors, description):
        name = nodes[op][key]
        tensors[name] = tensors[name].ravel()[:1].repeat(shape[0] * (shape[1] if shape[1:] else 1)).reshape(shape)

    return change


DAMAGED = {
    "heads that do not divide": field("attention", heads=5),
    "no heads": gone("attention", "heads"),
    "0 heads": field("attention", heads=0),
    "heads huge": field("attention", heads=2**31),
    "heads of a fraction": field("attention", heads=1.5),
    "heads is text": field("attention", heads="2"),
    "scale is 0": field("attention", scale=0),
    "scale is negative": field("attention", scale=-1),
    "scale is text": field("attention", scale="1"),
    "causal is a number": field("attention", causal=1),
    "three inputs": field("attention", inputs=["image"] * 3),
    "k and v that do not fit": field("attention", inputs=["n1.conv", "n1.conv"]),
    "causal attention of two inputs": field("attention", inputs=["n1.conv", "n14.dense"], causal=True),
    "channels that are not q, k and v": field("attention", inputs=["n12.layer_norm"], heads=1),
    "channels that are not k and v": field("attention_pool", inputs=["image"]),
    "a causal query": field("attention_pool", causal=False),
    "query not named": gone("attention_pool", "query"),
    "query of another length": tensor("attention_pool", "query", 25),
    "query missing": field("attention_pool", query="nothing"),
    "prefix without before": field("tokens", prefix="n2.tokens.position"),
    "before without prefix": field("tokens", before=1),
    "before negative": field("tokens", before=-1, prefix="n2.tokens.position"),
    "before huge": field("tokens", before=10**6, prefix="n2.tokens.position"),
    "prefix of another shape": field("tokens", before=1, prefix="n2.tokens.position"),
    "position of another shape": tensor("tokens", "position", 11, 24),
    "position turned round": tensor("tokens", "position", 24, 12),
    "position missing": field("tokens", position="nothing"),
    "form unknown": field("gelu", form="exact"),
    "form missing": gone("gelu", "form"),
    "form is a number": field("gelu", form=1),
    "epsilon missing": gone("layer_norm", "epsilon"),
    "epsilon negative": field("layer_norm", epsilon=-1e-6),
    "scale of another length": tensor("layer_norm", "scale", 23),
    "dense of other units": field("dense", units=71),
    "dense without weight": gone("dense", "weight"),
    "take before the first": field("gelu", op="take", first=-1, count=1),
    "take after the last": field("gelu", op="take", first=0, count=13),
    "take of nothing": field("gelu", op="take", first=0, count=0),
    "take without count": field("gelu", op="take", first=0),
    "grn without scale": field("gelu", op="grn", epsilon=1e-6),
    "prelu without slope": field("gelu", op="prelu"),
    "power without exponent": field("gelu", op="power"),
    "power of 0": field("gelu", op="power", exponent=0),
    "power of text": field("gelu", op="power", exponent="3"),
    "l2_norm without epsilon": field("gelu", op="l2_norm"),
    "local of 65 channels": field("gelu", op="local_response_norm", size=65, alpha=1, beta=1, bias=1),
    "local without bias": field("gelu", op="local_response_norm", size=5, alpha=1, beta=1),
    "local with negative alpha": field("gelu", op="local_response_norm", size=5, alpha=-1, beta=1, bias=1),
    "scale node without scale": field("gelu", op="scale"),
    "default that is not there": lambda nodes, tensors, d: d["features"].update(default="cls"),
    "default unknown": lambda nodes, tensors, d: d["features"].update(default="best"),
    "neither default nor pooled": lambda nodes, tensors, d: d["features"].pop("pooled"),
    "features of nothing": lambda nodes, tensors, d: d["features"].update(cls="nothing"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_file_is_refused_with_a_sentence(name, tmp_path):
    with pytest.raises(coulis.Error) as caught:
        damaged(DAMAGED[name], tmp_path)
    assert caught.value.status == "bad_model" and "damaged.safetensors" in str(caught.value)


def test_the_file_that_is_damaged_above_is_good(tmp_path):
    assert damaged(lambda nodes, tensors, description: None, tmp_path).length == 24


def with_input(**fields):
    return lambda nodes, tensors, description: description["input"].update(fields)


DAMAGED_TEXTS = {
    "no vocabulary": lambda nodes, tensors, description: description["input"].pop("vocabulary"),
    "vocabulary of 0": with_input(vocabulary=0),
    "vocabulary huge": with_input(vocabulary=2**24 + 1),
    "vocabulary of another table": with_input(vocabulary=71000),
    "tokens of 0": with_input(tokens=0),
    "tokens huge": with_input(tokens=8193),
    "tokens is text": with_input(tokens="11"),
    "another count of tokens": with_input(tokens=12),
    "an image for a text": lambda nodes, tensors, description: description["input"].pop("tokens"),
    "units missing": gone("embed", "units"),
    "units of another table": field("embed", units=25),
    "no table": gone("embed", "weight"),
    "a table that is not there": field("embed", weight="nothing"),
    "a table of another shape": tensor("embed", "weight", 69999, 24),
    "places of another shape": tensor("embed", "position", 24, 11),
    "tokens into a norm": field("layer_norm", inputs=["text"]),
    "embed of a map": field("attention", op="embed", units=24, weight="tokens.weight"),
    "an image": field("embed", inputs=["image"]),
}


def damaged_texts(change, path):
    description = test_texts.network()
    tensors = random_tensors(description, 1)
    nodes = {}
    for node in description["nodes"]:
        nodes.setdefault(node["op"], node)
    change(nodes, tensors, description)
    test_texts.write(path, description, tensors)


@pytest.mark.parametrize("name", DAMAGED_TEXTS)
def test_damaged_file_of_texts_is_refused_with_a_sentence(name, tmp_path):
    damaged_texts(DAMAGED_TEXTS[name], tmp_path / "damaged.safetensors")
    with pytest.raises(coulis.Error) as caught:
        coulis.Featurizer(tmp_path / "damaged.safetensors")
    assert caught.value.status == "bad_model" and "damaged.safetensors" in str(caught.value)
    with pytest.raises(coulis.Error, match="damaged.safetensors"):
        coulis.TextFeaturizer(tmp_path / "damaged.safetensors")


def test_two_hundred_files_with_other_bytes(tmp_path):
    """In the header, whose fields are many, and in the numbers."""
    damaged(lambda nodes, tensors, description: None, tmp_path)
    path = tmp_path / "damaged.safetensors"
    good, generator, refused = path.read_bytes(), numpy.random.default_rng(6), 0
    header = int.from_bytes(good[:8], "little")
    for number in range(200):
        data = bytearray(good)
        if number % 10 == 0:
            data = data[: generator.integers(len(data))]
        for _ in range(number % 10):
            place = generator.integers(header) + 8 if number % 3 else generator.integers(len(data))
            data[place] = data[place] ^ 1 << generator.integers(8) if number % 2 else generator.integers(256)
        path.write_bytes(bytes(data))
        try:
            coulis.Featurizer(path).close()
        except coulis.Error as error:
            assert error.status == "bad_model" and "damaged.safetensors" in str(error)
            refused += 1
    assert refused > 100
