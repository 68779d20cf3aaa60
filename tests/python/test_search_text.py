"""Words looked for among images, in Python and by the command."""

import json
import subprocess

import coulis
import numpy as np
import pytest
import test_texts
from conftest import draw_image, draw_images
from net_helpers import Tiny, write_model
from random_weights import random_tensors

pytest.importorskip("pyarrow")

WORDS = ["apple", "pear", "plum"]
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "WordLevel",
        "unk_token": "?",
        "vocab": {"?": 0, **{word: place + 1 for place, word in enumerate(WORDS)}},
    },
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Images by a network of 17 dimensions, beside which is one of texts with as many; one image cannot be read."""
    folder = tmp_path_factory.mktemp("words")
    net = Tiny()
    write_model(folder / "tiny.safetensors", net.end(net.conv_norm("image", 17, 3)))
    (folder / "texts").mkdir()
    description = test_texts.network(causal=False)
    tensors = random_tensors(description, 1)
    tokenizer = np.frombuffer(json.dumps(TOKENIZER).encode(), np.uint8)
    test_texts.safetensors_file.write(
        folder / "texts" / "tiny.safetensors",
        {**tensors, "tokenizer": tokenizer},
        test_texts.graph.metadata(description),
    )
    draw_images(folder / "images", 12)
    (folder / "images" / "03.png").write_bytes(b"no image")
    coulis.featurize(folder / "images", folder / "out", model=str(folder / "tiny.safetensors"))
    return folder


@pytest.fixture(autouse=True)
def found_by_name(result, monkeypatch):
    monkeypatch.setenv("COULIS_MODELS", str(result))  # a result names its network, not the file


def nearest(result, tokens, k):
    """What NumPy finds, in float64."""
    table = coulis.read_table(result / "out").to_pylist()
    rows = [i for i, row in enumerate(table) if row["features"] is not None]
    x = np.array([table[i]["features"] for i in rows])
    with coulis.TextFeaturizer(result / "tiny.safetensors") as texts:
        wanted = texts.featurize_tokens([tokens])[0].astype(float)
    similarity = x @ wanted / np.linalg.norm(x, axis=1) / np.linalg.norm(wanted)
    best = np.argsort(-similarity, kind="stable")[:k]
    return [table[rows[i]]["path"] for i in best], similarity[best], [rows[i] for i in best]


def test_words_find_their_images(result, monkeypatch):
    # Cutting into tokens is the package tokenizers', and tested where that is installed.
    monkeypatch.setattr(
        coulis.TextFeaturizer, "tokens", lambda self, text: np.array([[1 + WORDS.index(text)] + [0] * 10])
    )
    for number, word in enumerate(WORDS):
        found = coulis.search(result / "out", text=word, k=5)
        paths, similarity, rows = nearest(result, [number + 1] + [0] * 10, 5)
        assert [match["path"] for match in found] == paths and [match["row"] for match in found] == rows
        assert np.allclose([match["similarity"] for match in found], similarity, atol=1e-6)
        assert {match["label"] for match in found} == {"images"}
    assert len(coulis.search(result / "out", text="apple", k=100)) == 11
    with pytest.raises(TypeError, match="not for both"):
        coulis.search(result / "out", 1, text="apple")


def test_a_network_without_texts(tmp_path, lite0_path):
    (tmp_path / "images").mkdir()
    draw_image(1).save(tmp_path / "images" / "1.png")
    coulis.featurize(tmp_path / "images", tmp_path / "out")
    with pytest.raises(coulis.Error, match="has no texts"):
        coulis.search(tmp_path / "out", text="apple")


def test_the_command(result, command, monkeypatch):
    def search(*words):
        return subprocess.run([command, "search", result / "out", *words], capture_output=True, text=True, check=False)

    assert search("1", "--text", "pear").returncode == 2 and search().returncode == 2
    done = search("--text", "pear", "-k", "3", "--json")
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        assert done.returncode == 1 and "needs the package tokenizers" in done.stderr
        return
    paths, _, _ = nearest(result, [2] + [0] * 10, 3)
    assert [match["path"] for match in json.loads(done.stdout)] == paths
    assert [line.split("  ")[-1] for line in search("--text", "pear", "-k", "3").stdout.splitlines()] == paths
    assert search("--text=--help", "-k", "1").returncode == 0
