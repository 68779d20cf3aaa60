"""The tokens of CLIP with its real vocabulary, against its publisher's own code, as open_clip ships both."""

import gzip
import html
import importlib.metadata
import importlib.util
import json
import random
import sys

import coulis
import ftfy
import pytest
import transformers
from coulis.convert import recipe, texts
from test_torch_texts import SMALL, clip_model

TEXTS = [
    "a photo of a cat",
    "two RED birds,  sitting on an apple!",
    "",
    "don't: 37 fruits & Bäume 🍎",
    "cafe\u0301, naïve, straße, İstanbul",
    "a\tb\nc \u200bzero\u00a0width",
    "日本語の猫",
    "🧑‍🌾 farmer x²",
    "doesn't I'LL rock'n'roll",
    "http://example.com/a_b-c.jpg?x=1 100% ...!!!",
    "cat " * 200,
]
# What the publisher's code repairs first, with ftfy and html: entities, curly quotes, ligatures, wide digits, text that
# was decoded as what it is not.
REPAIRED = ["a &amp; b &amp;lt;", "“smart quotes” it’s", "ﬁne ligature", "３７", "schÃ¶n", "\ufeffbom"]


def drawn(count):
    """Texts of letters, marks and signs of many scripts; of Greek only small letters, as Python alone knows that a
    sigma at the end of a word has a form of its own."""
    rng = random.Random(7)
    ranges = [(0xA1, 0x24F), (0x3B1, 0x3C9), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A), (0x900, 0x97F)]
    ranges += [(0x2010, 0x205E), (0x3041, 0x30FF), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F)]
    for _ in range(count):
        first, last = rng.choice(ranges)
        letters = [chr(rng.randint(*rng.choice([(first, last), (0x20, 0x7A)]))) for _ in range(rng.randint(1, 40))]
        yield "".join(letters)


@pytest.fixture(scope="module")
def publisher():
    """The class of the publisher's tokenizer and the folder of its vocabulary, without what else open_clip imports."""
    module = importlib.metadata.distribution("open_clip_torch").locate_file("open_clip/tokenizer.py")
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", module)
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made.SimpleTokenizer(), module.parent


@pytest.fixture(scope="module")
def featurizer(publisher, tmp_path_factory):
    """A network of texts with the tokenizer that transformers makes of CLIP's merges, as on Hugging Face."""
    folder = tmp_path_factory.mktemp("clip")
    merges = gzip.decompress((publisher[1] / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    # As many as the vocabulary has room for: 49,152, less the bytes, alone and at a word's end, and two marks.
    (folder / "merges.txt").write_text("\n".join(merges[: 49152 - 256 - 2 + 1]) + "\n", encoding="utf-8")
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {renamed.get(token, token): number for token, number in publisher[0].encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    fast = transformers.CLIPTokenizerFast(folder / "vocab.json", folder / "merges.txt", model_max_length=77)
    fast.save_pretrained(folder)
    net = clip_model(len(vocabulary), vision=SMALL)
    state = {name: values.numpy() for name, values in net.state_dict().items()}
    tower = texts.tower(recipe.read("clip-vit-b-32"), state)
    texts.store(folder / "n.safetensors", *tower, texts.tokenizer(folder / "tokenizer.json"), False)
    with coulis.TextFeaturizer(texts.path_of(folder / "n.safetensors")) as opened:
        yield opened


def wanted(publisher, text, length):
    """The publisher's tokens of a text: its beginning, its pieces, its end; cut off before the end."""
    encoder = publisher[0].encoder
    pieces = publisher[0].encode(text)[: length - 2]
    return [encoder["<start_of_text>"], *pieces, encoder["<end_of_text>"]]


def repaired(text):
    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def test_tokens_are_the_publishers(publisher, featurizer):
    assert featurizer.vocabulary == 49408
    given = TEXTS + REPAIRED + list(drawn(2000))
    as_given, as_repaired = featurizer.tokens(given), featurizer.tokens([repaired(text) for text in given])
    differ = []
    for text, raw, mended in zip(given, as_given, as_repaired):
        own = wanted(publisher, text, featurizer.tokens_length)
        assert mended[: len(own)].tolist() == own, ascii(text)
        if raw[: len(own)].tolist() != own:
            assert repaired(text) != text.strip(), ascii(text)
            differ.append(text)
    assert not set(TEXTS) & set(differ)
    assert set(REPAIRED) <= set(differ)
