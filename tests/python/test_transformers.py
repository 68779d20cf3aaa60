"""Operators of transformers and ConvNeXt, and blocks of such networks, against float64 in NumPy."""

import coulis
import net_numpy as oracle
import pytest
from coulis.convert import graph
from net_helpers import Tiny, assert_close, builders, features, generated_images, write_model


def end(net, **kinds):
    """The description; `kinds` name nodes, with _ for -."""
    facts = {"name": "tiny", "source": {"title": "a test", "licence": "none"}, "input": net.input}
    named = {kind.replace("_", "-"): node for kind, node in kinds.items()}
    return graph.describe({**facts, "features": named}, net.graph.nodes)


def patches(net, size=4, channels=24):
    return net.window("image", channels, (size, size), (size, size), [0, 0, 0, 0])


def dense(net, source, units, **fields):
    return net("dense", source, units=units, **fields)


def norm(net, source, epsilon=1e-6):
    return net("layer_norm", source, epsilon=epsilon)


def layer_scale(net, source):
    name = net("scale", source)
    net.graph.nodes[-1]["scale"] = f"{name}.scale"
    return name


def block(net, x, channels, heads, form="erf", scaled=False, **attention):
    """A transformer's block with normalisation before each half."""
    inner = net("attention", dense(net, norm(net, x), 3 * channels), heads=heads, **attention)
    inner = dense(net, inner, channels)
    x = net("add", x, layer_scale(net, inner) if scaled else inner)
    inner = net("gelu", dense(net, norm(net, x), 4 * channels), form=form)
    inner = dense(net, inner, channels)
    return net("add", x, layer_scale(net, inner) if scaled else inner)


def mean(net, x):
    return net("global_average_pool", x)


def net_like_vit(net):
    """Class token and position embeddings: 13 tokens, which fill no register."""
    x = net("tokens", patches(net), before=1)
    for _ in range(2):
        x = block(net, x, 24, 3)
    x = norm(net, x)
    cls, rest = net("take", x, first=0, count=1), net("take", x, first=1, count=12)
    return end(net, cls=cls, tokens=x, map=rest, tokens_mean=mean(net, rest), default="cls")


def net_like_dinov2(net):
    """Register tokens, LayerScale, and more tokens than images are worked on together for."""
    net.input.update(width=72, height=68)
    x = net("tokens", patches(net), before=5)
    x = block(net, x, 24, 2, scaled=True)
    x = norm(net, block(net, x, 24, 2, scaled=True))
    rest = net("take", x, first=5, count=18 * 17)
    return end(net, cls=net("take", x, first=0, count=1), tokens=x, tokens_mean=mean(net, rest), default="cls")


def net_like_clip(net):
    """Normalisation before the first block, quick GELU, and a projection without bias."""
    x = norm(net, net("tokens", patches(net, 5, 40), before=1), 1e-5)
    for _ in range(2):
        x = block(net, x, 40, 4, "quick")
    cls = norm(net, net("take", x, first=0, count=1), 1e-5)
    return end(net, cls=cls, projected=dense(net, cls, 17, bias=False), tokens=x, default="projected")


def net_like_siglip(net):
    """No class token; a query of the network's own pools all tokens."""
    x = net("tokens", patches(net))
    x = norm(net, block(net, x, 24, 2, "tanh"))
    pooled = dense(net, net("attention_pool", dense(net, x, 48), heads=2), 24)
    inner = dense(net, net("gelu", dense(net, norm(net, pooled), 50), form="tanh"), 24)
    return end(net, pooled=net("add", pooled, inner), tokens=x, tokens_mean=mean(net, x))


def net_swiglu(net):
    x = net("tokens", patches(net), before=1)
    inner = dense(net, norm(net, x), 66)
    inner = [net("slice", inner, first=first, channels=33) for first in (0, 33)]
    x = net("add", x, dense(net, net("multiply", net("swish", inner[0]), inner[1]), 24))
    return end(net, tokens=x, default="tokens")


def net_distilled(net):
    """Two tokens before the patches; tokens without positions; a map as tokens twice over."""
    x = net("tokens", patches(net), before=2, position=False)
    x = net("tokens", block(net, x, 24, 1), position=True)
    return end(net, tokens=x, cls=net("take", x, first=1, count=1), default="tokens")


def net_attention(net):
    """Of pixels, of two inputs, causal, with scales; heads of 1, 5 and 30 channels."""
    x = patches(net, 2, 30)
    kv = dense(net, x, 60)
    few = net("take", dense(net, x, 30), first=3, count=9)
    one = net("attention", dense(net, x, 90), heads=30)
    two = net("attention", few, kv, heads=6, scale=0.7)
    three = net("attention", dense(net, two, 90), heads=1, causal=True)
    four = net("attention", net("take", two, first=4, count=1), dense(net, three, 60), heads=2)
    return end(net, map=one, tokens=net("gelu", three, form="erf"), cls=four, default="map")


def net_taken(net):
    """Few rows from the middle, behind causal attention, queries apart from keys, and a vector of all rows."""
    x = block(net, net("tokens", patches(net), before=1), 24, 3, causal=True)
    x = net("add", x, net("attention", dense(net, norm(net, x), 24), dense(net, x, 48), heads=4))
    x = block(net, net("multiply", x, mean(net, x)), 24, 2, causal=True)
    x = norm(net, net("prelu", x))
    net.graph.nodes[-2]["slope"] = f"{net.graph.nodes[-2]['name']}.slope"
    return end(net, tokens=x, map=net("take", x, first=4, count=2), default="map")


def net_shared(net):
    """What makes queries, keys and values is read by something else, too."""
    x = net("tokens", patches(net), before=1)
    tall = dense(net, norm(net, x), 72)
    x = net("add", net("attention", tall, heads=2), dense(net, net("gelu", tall, form="erf"), 24))
    return end(net, tokens=x, map=net("take", x, first=3, count=4), default="map")


def net_sharp_attention(net):
    """Scores far apart: of most rows one key alone counts."""
    x = dense(net, net("tokens", patches(net, 2, 16), before=1), 48)
    return end(net, tokens=net("attention", x, heads=2, scale=40.0), default="tokens")


def net_like_convnext(net):
    """Depthwise 7x7, normalised channels, widened: on maps large enough to be streamed."""
    net.input.update(width=80, height=76)
    x = norm(net, patches(net, 4, 12))
    for stage, channels in enumerate((12, 20)):
        if stage:
            x = net.window(norm(net, x), channels, (2, 2), (2, 2), [0, 0, 0, 0])
        for _ in range(2):
            inner = net.window(x, channels, (7, 7), (1, 1), [3, 3, 3, 3], groups=channels)
            inner = net("gelu", dense(net, norm(net, inner), 4 * channels), form="erf")
            x = net("add", x, layer_scale(net, dense(net, inner, channels)))
    return end(net, map=x, pooled=norm(net, mean(net, x)))


def net_like_convnext_v2(net):
    x = norm(net, patches(net, 2, 18))
    inner = net.window(x, 18, (7, 7), (1, 1), [3, 3, 3, 3], groups=18)
    inner = net("gelu", dense(net, norm(net, inner), 70), form="erf")
    inner = net("grn", inner, epsilon=1e-6)
    name = net.graph.nodes[-1]["name"]
    net.graph.nodes[-1].update(scale=f"{name}.scale", shift=f"{name}.shift")
    x = net("add", x, dense(net, inner, 18))
    return end(net, map=x, pooled=norm(net, mean(net, x)))


def net_rows(net):
    """What works on a row alone, fused and not."""
    x = patches(net, 2, 19)
    x = net("layer_norm", x, epsilon=1e-3)
    del net.graph.nodes[-1]["scale"], net.graph.nodes[-1]["shift"]
    x = net("prelu", x)
    net.graph.nodes[-1]["slope"] = f"{x}.slope"
    x = net("local_response_norm", net("tanh", x), size=4, alpha=0.5, beta=0.75, bias=2.0)
    x = net("power", net("add", x, net("gelu", x, form="tanh")), exponent=1.7)
    pooled = net("power", mean(net, net("power", x, exponent=3.0)), exponent=1 / 3)
    return end(net, map=net("l2_norm", x, epsilon=1e-6), pooled=pooled)


NETS = builders(globals(), "net_")


def check(description, tmp_path, seed=1):
    """All features against float64; on several threads, together and alone, to the byte."""
    path = tmp_path / "tiny.safetensors"
    tensors = write_model(path, description, seed=seed)
    pixels = generated_images(6, description["input"]["height"], description["input"]["width"], seed)
    wanted = oracle.run(description, tensors, pixels)
    for kind, values in wanted.items():
        found = features(path, kind, pixels, 2)
        assert_close(found, values)
        assert features(path, kind, pixels[4:5], 1).tobytes() == found[4].tobytes()
    return path


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", NETS)
def test_network_agrees_with_float64(name, tmp_path):
    description = NETS[name](Tiny())
    path = check(description, tmp_path)
    pixels = generated_images(2, description["input"]["height"], description["input"]["width"], 7)
    kind = description["features"].get("default", "pooled")
    with coulis.Featurizer(path) as featurizer:
        assert featurizer.featurize_pixels(pixels).tobytes() == features(path, kind, pixels).tobytes()


@pytest.mark.quick(0)
@pytest.mark.parametrize(
    "name, kind, first", [("like_vit", "cls", 0), ("distilled", "cls", 1), ("taken", "map", 4), ("shared", "map", 3)]
)
def test_rows_alone_have_the_bytes_they_have_among_all(name, kind, first, tmp_path):
    """Where a network ends in some rows, the last steps compute no others."""
    description = NETS[name](Tiny())
    path = tmp_path / "tiny.safetensors"
    write_model(path, description)
    pixels = generated_images(5, description["input"]["height"], description["input"]["width"], 7)
    found, tokens = features(path, kind, pixels), features(path, "tokens", pixels)
    assert found.tobytes() == tokens[:, first * 24 :][:, : found.shape[1]].tobytes()


def test_features_that_a_network_does_not_have(tmp_path):
    write_model(tmp_path / "tiny.safetensors", net_like_clip(Tiny()))
    with pytest.raises(coulis.Error, match="has no pooled; it has: cls, tokens, projected"):
        coulis.Featurizer(tmp_path / "tiny.safetensors", "pooled")
