"""Networks of texts: tokens in, vectors out, against float64 in NumPy; and what is no such network.

Their own tokenizers and weights are checked against transformers in test_torch_texts.py.
"""

import functools
import http.server
import pickle
import threading

import coulis
import net_numpy as oracle
import numpy
import PIL.Image
import pytest
from coulis.convert import add, graph, recipe, safetensors_file, texts as towers
from net_helpers import assert_close
from random_weights import random_tensors

TOKENS, VOCABULARY, CHANNELS, HEAD = 11, 70000, 24, 2


def network(causal=True, tokens=TOKENS):
    """A block of attention and a projection of each token, as in CLIP, or of the last one, as in SigLIP."""
    net = graph.Graph()
    start = net.embed("tokens", CHANNELS)
    node = net.layer_norm("norm1", start, 1e-5)
    node = net.attention("attention", net.dense("qkv", node, 3 * CHANNELS), heads=HEAD, causal=causal)
    node = net.add("sum", "add", [start, net.dense("proj", node, CHANNELS)])
    node = net.layer_norm("norm2", node, 1e-5)
    if not causal:
        node = net.add("last", "take", [node], first=tokens - 1, count=1)
    net.dense("projected", node, 17)
    facts = {
        "name": "texts",
        "source": {"title": "a test", "licence": "none"},
        "input": {"tokens": tokens, "vocabulary": VOCABULARY},
        "features": {"projected": "projected", "default": "projected"},
    }
    return graph.describe(facts, net.nodes)


def write(path, description, tensors=None):
    tensors = random_tensors(description, 1) if tensors is None else tensors
    tokenizer = numpy.frombuffer(b"{}", numpy.uint8)
    safetensors_file.write(path, {**tensors, "tokenizer": tokenizer}, graph.metadata(description))
    return tensors


def wanted(description, tensors, texts):
    """The network in float64, with the tokens looked up here: (n, tokens or 1, 17)."""
    rows = []
    for text in texts:
        values = {"tokens": (tensors["tokens.weight"][text].astype(float) + tensors["tokens.position"])[:, None]}
        for node in description["nodes"][1:]:
            values[node["name"]] = oracle.apply(node, [values[name] for name in node["inputs"]], tensors)
        rows.append(values["projected"].reshape(-1, 17))
    return numpy.stack(rows)


@pytest.mark.parametrize("causal", [True, False])
def test_vectors_are_those_of_numpy(causal, tmp_path):
    description = network(causal)
    tensors = write(tmp_path / "t.safetensors", description)
    texts = numpy.random.default_rng(2).integers(0, VOCABULARY, (9, TOKENS))
    texts[3] = VOCABULARY - 1
    texts[4, 5:] = texts[4, 4] = texts[4].max() + 1  # the end, and what fills up behind it
    every = wanted(description, tensors, texts)
    own = every[numpy.arange(9), texts.argmax(1)] if causal else every[:, 0]
    found = {}
    for threads in (1, 2, 5):
        with coulis.TextFeaturizer(tmp_path / "t.safetensors", threads) as featurizer:
            assert (featurizer.length, featurizer.tokens_length, featurizer.vocabulary) == (17, TOKENS, VOCABULARY)
            found[threads] = featurizer.featurize_tokens(texts)
            assert featurizer.featurize_tokens(texts[:0]).shape == (0, 17)
            if threads == 1:
                backward = featurizer.featurize_tokens(texts[::-1])[::-1]
                assert backward.tobytes() == found[1].tobytes()
    assert found[1].tobytes() == found[2].tobytes() == found[5].tobytes()
    assert_close(found[1], own)
    again = pickle.loads(pickle.dumps(coulis.TextFeaturizer(tmp_path / "t.safetensors")))
    assert again.featurize_tokens(texts).tobytes() == found[1].tobytes()


def test_what_goes_beyond(tmp_path):
    write(tmp_path / "t.safetensors", network())
    featurizer = coulis.TextFeaturizer(tmp_path / "t.safetensors")
    for texts in (numpy.zeros((2, TOKENS + 1), int), numpy.zeros(TOKENS, int), numpy.zeros((2, TOKENS))):
        with pytest.raises(ValueError, match=r"whole numbers of shape \(n, 11\)"):
            featurizer.featurize_tokens(texts)
    for token in (-1, VOCABULARY, 2**40):
        with pytest.raises(coulis.Error, match="from 0 to 69999"):
            featurizer.featurize_tokens(numpy.full((1, TOKENS), token))


def test_images_and_texts_are_kept_apart(tmp_path):
    write(tmp_path / "t.safetensors", network())
    images = coulis.Featurizer(tmp_path / "t.safetensors")
    for call in (
        lambda: images.featurize([numpy.zeros((20, 20, 3), numpy.uint8)]),
        lambda: images.featurize_pixels(numpy.zeros((1, TOKENS, 1, 3), numpy.uint8)),
    ):
        with pytest.raises(coulis.Error, match="model 'texts' reads texts, not images"):
            call()
    (tmp_path / "photos").mkdir()
    PIL.Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "a.png")
    for job in (coulis.featurize, coulis.run):
        with pytest.raises(coulis.Error, match="reads texts, not images"):
            job(tmp_path / "photos", tmp_path / "out", model=str(tmp_path / "t.safetensors"))
    with pytest.raises(coulis.Error, match="'efficientnet-lite0' has no texts") as caught:
        coulis.TextFeaturizer("efficientnet-lite0")
    assert caught.value.status == "missing"
    # Beside the network of images, in texts/, it is found by that one's name.
    (tmp_path / "texts").mkdir()
    (tmp_path / "t.safetensors").rename(tmp_path / "texts" / "n.safetensors")
    (tmp_path / "n.safetensors").write_bytes(b"")
    assert coulis.TextFeaturizer(tmp_path / "n.safetensors").length == 17


def test_a_tokenizer_is_fetched_and_stays_the_same(tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "there")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/tokenizer.json"
        chosen = {"name": "n", "texts": {"tokenizer": url}}
        fetched = add._fetched_tokenizer(chosen, tmp_path, True)
        assert towers.tokenizer(fetched) == (tmp_path / "there" / "tokenizer.json").read_bytes()
        fetched.unlink()
        (tmp_path / "there" / "tokenizer.json").write_text("another")
        with pytest.raises(ValueError, match="another file than the one fetched first"):
            add._fetched_tokenizer(chosen, tmp_path, True)
        (tmp_path / ".n.tokenizer.part").unlink()
        (tmp_path / "there" / "tokenizer.json").unlink()
        assert add._fetched_tokenizer(chosen, tmp_path, True) is None
        assert "left out: the tower of texts" in capsys.readouterr().err
        server.shutdown()
    assert add._fetched_tokenizer({"name": "n"}, tmp_path, True) is None
    have = [name for name in recipe.names() if "texts" in recipe.read(name)]
    assert have == [name for name in recipe.names() if name.startswith(("clip", "siglip"))]
