"""coulis.TextFeaturizer against the towers of texts of transformers: tokens, vectors, and the files they come in."""

import collections
import json
import os
import subprocess
import sys

import coulis
import numpy
import pytest
import safetensors.torch
import tokenizers
import torch
import torchvision
import transformers
from coulis.convert import add, onnx_import, recipe, texts
from test_torch_layouts import compare as compare_vectors, seeded

WORDS = "a photo of the cat and dog on red green apple banana fruit photograph two birds sitting under trees".split()
TEXTS = ["a photo of a cat", "two RED birds,  sitting on an apple!", "", "don't: 37 fruits & Bäume 🍎", "cat " * 200]
VISION = {"patch_size": 32, "num_hidden_layers": 12}  # a layout that is known
SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 1}


def clip_vocabulary(folder):
    """vocab.json and merges.txt as CLIP has them: bytes, bytes that end a word, what is merged, and two marks."""
    letters = list(transformers.models.clip.tokenization_clip.bytes_to_unicode().values())
    vocabulary, merges = letters + [letter + "</w>" for letter in letters], []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            if (pair := tuple(parts[:2])) not in merges:
                merges.append(pair)
                vocabulary.append("".join(pair))
            parts[:2] = ["".join(pair)]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    numbers = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
    return len(numbers)


def clip_model(vocabulary, act="quick_gelu", vision=VISION):
    end = vocabulary - 1
    text = transformers.CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=512,
        hidden_act=act,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=512,
        eos_token_id=end,
        bos_token_id=end - 1,
    )
    vision = transformers.CLIPVisionConfig(hidden_act=act, **vision)
    net = seeded(transformers.CLIPModel(transformers.CLIPConfig.from_text_vision_configs(text, vision)))
    net.text_model.half().float()  # as what is published in float16
    net.text_projection.half().float()
    return net


def compare(found, wanted):
    wanted = wanted.detach().double().numpy()
    compare_vectors(found, wanted)
    assert abs(wanted[0] - wanted[1]).max() > 0.01 * abs(wanted).max()  # the texts make a difference


def test_clip_as_transformers_saves_it(tmp_path, monkeypatch):
    net = clip_model(clip_vocabulary(tmp_path))
    slow = transformers.CLIPTokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt", model_max_length=40)
    published = tmp_path / "published"
    net.save_pretrained(published, safe_serialization=True)
    transformers.CLIPTokenizerFast(tmp_path / "vocab.json", tmp_path / "merges.txt").save_pretrained(published)
    transformers.CLIPImageProcessor().save_pretrained(published)
    monkeypatch.setenv("COULIS_MODELS", str(tmp_path / "models"))
    command = [
        sys.executable,
        "-m",
        "coulis.convert",
        "add",
        str(published / "model.safetensors"),
        "--name",
        "mine",
        "--from",
        "torch",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    with coulis.TextFeaturizer("mine", threads=2) as featurizer:
        wanted = slow(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
        tokens = featurizer.tokens(TEXTS)
        ends = wanted.attention_mask.sum(1)  # what fills a row up makes no difference
        for row, own, end in zip(tokens, wanted.input_ids.numpy(), ends):
            assert row[:end].tolist() == own[:end].tolist()
        found = featurizer.featurize(TEXTS)
        compare(found, net.get_text_features(**wanted))
        alone = numpy.concatenate([featurizer.featurize(text) for text in TEXTS])
        assert alone.tobytes() == found.tobytes()
        assert featurizer.length == coulis.Featurizer("mine").length == 512
        with pytest.raises(ValueError, match="from 0 to"):
            featurizer.featurize_tokens(numpy.full((1, 40), featurizer.vocabulary))
        with pytest.raises(TypeError, match="must be a str, not int"):
            featurizer.featurize([3])
    for threads in (1, 3):
        assert coulis.TextFeaturizer("mine", threads).featurize(TEXTS).tobytes() == found.tobytes()
    with pytest.raises(ValueError, match="closed"):
        featurizer.featurize("a cat")
    assert list(coulis.list_models()).count("mine") == 1
    # A network of the same name without texts does not keep these.
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "other.pth")
    add.put("mine", lambda: add.convert(tmp_path / "other.pth", "mine", "torch"), tmp_path / "models", True)
    with pytest.raises(coulis.Error, match="'mine' has no texts"):
        coulis.TextFeaturizer("mine")


def as_published(state):
    """CLIP's own names for the tensors of transformers' tower of texts, in float16 as in its files."""
    made = collections.OrderedDict()
    for name, values in state.items():
        if name == "text_projection.weight":
            made["text_projection"] = values.T
        if not name.startswith("text_model.") or "position_ids" in name:
            continue
        name = name.removeprefix("text_model.")
        for old, new in (
            ("embeddings.token_embedding", "token_embedding"),
            ("final_layer_norm", "ln_final"),
            ("embeddings.position_embedding.weight", "positional_embedding"),
            ("encoder.layers", "transformer.resblocks"),
            ("self_attn.out_proj", "attn.out_proj"),
            ("layer_norm", "ln_"),
            ("mlp.fc1", "mlp.c_fc"),
            ("mlp.fc2", "mlp.c_proj"),
        ):
            name = name.replace(old, new)
        made[name] = values
    for name in [name for name in made if ".self_attn.q_proj." in name]:
        parts = [made.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        made[name.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(parts)
    return {name: values.half().contiguous() for name, values in made.items()}


def test_clip_as_its_publisher_saves_it(tmp_path):
    # Only its texts
    net = clip_model(clip_vocabulary(tmp_path), "gelu", SMALL)
    fast = transformers.CLIPTokenizerFast(tmp_path / "vocab.json", tmp_path / "merges.txt", model_max_length=40)
    fast.save_pretrained(tmp_path)
    state = {name: values.numpy() for name, values in as_published(net.state_dict()).items()}
    for prefix in ("", "text."):
        inside = {prefix + name: values for name, values in state.items()}
        made = texts.tower(recipe.read("clip-vit-b-32-laion2b"), inside)
        (tmp_path / "texts").mkdir(exist_ok=True)
        texts.store(tmp_path / "n.safetensors", *made, texts.tokenizer(tmp_path / "tokenizer.json"), True)
        with coulis.TextFeaturizer(tmp_path / "texts" / "n.safetensors") as featurizer:
            wanted = fast(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
            compare(featurizer.featurize(TEXTS), net.get_text_features(**wanted))
            # In the highest number of all, padding is found behind the end: the first one counts.
            filled = wanted.input_ids.numpy().copy()
            filled[wanted.attention_mask.numpy() == 0] = featurizer.vocabulary - 1
            compare(featurizer.featurize_tokens(filled), net.get_text_features(**wanted))


def siglip_tokenizer(folder, gemma=False):
    """A tokenizer of pieces, as SentencePiece has them, with SigLIP's marks or with those of Gemma."""
    marks = ["<pad>", "<eos>", "<bos>", "<unk>"] if gemma else ["<pad>", "</s>", "<unk>"]
    end = marks[1]
    pieces = [(mark, 0.0) for mark in marks] + [("▁" + word, -3.0) for word in WORDS]
    pieces += [(letter, -9.0) for letter in "▁abcdefghijklmnopqrstuvwxyz,.!'&0123456789"]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, marks.index("<unk>")))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.post_processor = tokenizers.processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, 1)])
    made.save(str(folder / "tokenizer.json"))
    return made, 0 if gemma else 1, len(pieces)


@pytest.mark.parametrize("name", ["siglip-vit-b-16", "siglip2-vit-b-16"])
def test_siglip(name, tmp_path):
    gemma = name.startswith("siglip2")
    made, pad, vocabulary = siglip_tokenizer(tmp_path, gemma)
    text = transformers.SiglipTextConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=16,
    )
    net = seeded(transformers.SiglipTextModel(text))
    safetensors.torch.save_file(net.state_dict(), tmp_path / "model.safetensors")
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    tower = texts.tower(recipe.read(name), {key: values.numpy() for key, values in state.items()})
    texts.store(tmp_path / "n.safetensors", *tower, texts.tokenizer(tmp_path / "tokenizer.json"), True)
    with coulis.TextFeaturizer(texts.path_of(tmp_path / "n.safetensors")) as featurizer:
        tokens = featurizer.tokens(TEXTS)
        for row, words in zip(tokens, TEXTS):
            own = made.encode(words.lower() if gemma else words).ids
            own = own if len(own) <= 16 else own[:15] + own[-1:]
            assert row.tolist() == own + [pad] * (16 - len(own))
        wanted = net(torch.tensor(tokens.astype(numpy.int64))).pooler_output
        compare(featurizer.featurize(TEXTS), wanted)


def test_damage_is_refused_with_a_sentence(tmp_path):
    clip_vocabulary(tmp_path)
    transformers.CLIPTokenizerFast(tmp_path / "vocab.json", tmp_path / "merges.txt").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="vocab.json is not a tokenizer.json"):
        texts.tokenizer(tmp_path / "vocab.json")
    net = clip_model(600, vision=SMALL).text_model
    state = {"text_model." + name: values.numpy() for name, values in net.state_dict().items()}
    chosen = recipe.read("clip-vit-b-32")
    with pytest.raises(ValueError, match="no tensor text_projection.weight"):
        texts.tower(chosen, state)
    state["text_projection.weight"] = numpy.zeros((512, 128), numpy.float32)
    for name, values in (("encoder.layers.1.mlp.fc2.bias", None), ("encoder.layers.0.layer_norm1.weight", 5)):
        damaged = dict(state)
        kept = damaged.pop(f"text_model.{name}")
        if values:
            damaged[f"text_model.{name}"] = kept[:values]
        with pytest.raises(ValueError, match=f"text_model.{name}"):
            texts.tower(chosen, damaged)
    notes = []
    assert add._tower(tmp_path / "empty" / "n.pth", chosen, state, onnx_import.Options(), notes) == []
    assert "no tokenizer.json beside the file" in notes[0]
    with pytest.raises(ValueError, match="no tower of texts"):
        add._tower("n.pth", chosen, {}, onnx_import.Options(tokenizer=tmp_path / "tokenizer.json"), notes)
    # A tokenizer with more tokens than the network knows
    made = texts.tower(chosen, {**state, "text_model.embeddings.token_embedding.weight": numpy.zeros((9, 128), "f4")})
    texts.store(tmp_path / "n.safetensors", *made, texts.tokenizer(tmp_path / "tokenizer.json"), True)
    with coulis.TextFeaturizer(texts.path_of(tmp_path / "n.safetensors")) as featurizer:
        with pytest.raises(coulis.Error, match="its tokenizer has [0-9]+ tokens, the network 9"):
            featurizer.featurize("a cat")
    with pytest.raises(coulis.Error, match="reads texts, not images"):
        coulis.Featurizer(texts.path_of(tmp_path / "n.safetensors")).featurize_pixels(
            numpy.zeros((1, 40, 1, 3), numpy.uint8)
        )
