"""Vision transformers: the graph, and where its tensors lie in the files of five projects.

Dosovitskiy et al., An Image is Worth 16x16 Words, 2020; Touvron et al., Training data-efficient image transformers,
2020 (DeiT); Oquab et al., DINOv2, 2023; Darcet et al., Vision Transformers Need Registers, 2023; Radford et al.,
Learning Transferable Visual Models From Natural Language Supervision, 2021 (CLIP); Zhai et al., Sigmoid Loss for
Language Image Pre-Training, 2023 (SigLIP).
"""

from collections import namedtuple

import numpy

from . import positions
from .graph import Graph
from .made import Made

SIZED = True  # position embeddings follow from the size of the image
Net = namedtuple("Net", "kind patch channels depth heads registers activation", defaults=(0, "erf"))

_S, _B, _L = (384, 12, 6), (768, 12, 12), (1024, 24, 16)
VARIANTS = {
    "s16": Net("plain", 16, *_S),
    "b16": Net("plain", 16, *_B),
    "b32": Net("plain", 32, *_B),
    "l16": Net("plain", 16, *_L),
    "s14-dino": Net("dino", 14, *_S),
    "b14-dino": Net("dino", 14, *_B),
    "l14-dino": Net("dino", 14, *_L),
    "s14-dino-registers": Net("dino", 14, *_S, 4),
    "b14-dino-registers": Net("dino", 14, *_B, 4),
    "l14-dino-registers": Net("dino", 14, *_L, 4),
    "b32-clip-quick": Net("clip", 32, *_B, 0, "quick"),
    "b16-clip-quick": Net("clip", 16, *_B, 0, "quick"),
    "l14-clip-quick": Net("clip", 14, *_L, 0, "quick"),
    "b32-clip": Net("clip", 32, *_B),
    "b16-clip": Net("clip", 16, *_B),
    "l14-clip": Net("clip", 14, *_L),
    "b16-siglip": Net("siglip", 16, *_B),
}
PROJECTED = {768: 512, 1024: 768}  # CLIP's width to the length of what images and texts share
STYLES = ("timm", "transformers", "original", "torchvision")
# What may lie beside the tower in the same file: the tower of texts, and what training needs.
BESIDE = (
    "text_model.",
    "text_projection.",
    "logit_scale",
    "logit_bias",
    "mask_token",
    "embeddings.mask_token",
    "pooler.",
    "embeddings.position_ids",
    "vision_model.embeddings.position_ids",
    "text.",
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
)

# Every part of a network under the name that timm, transformers and the others have for it. A tuple: q, k and v apart.
_TIMM = {
    "patch": "patch_embed.proj",
    "cls": "cls_token",
    "registers": "reg_token",
    "position": "pos_embed",
    "pre": "norm_pre",
    "n1": "blocks.{}.norm1",
    "qkv": "blocks.{}.attn.qkv",
    "proj": "blocks.{}.attn.proj",
    "ls1": "blocks.{}.ls1.gamma",
    "n2": "blocks.{}.norm2",
    "fc1": "blocks.{}.mlp.fc1",
    "fc2": "blocks.{}.mlp.fc2",
    "ls2": "blocks.{}.ls2.gamma",
    "norm": "norm",
    "head": "head",
    "probe": "attn_pool.latent",
    "pool_q": "attn_pool.q",
    "pool_kv": "attn_pool.kv",
    "pool_proj": "attn_pool.proj",
    "pool_norm": "attn_pool.norm",
    "pool_fc1": "attn_pool.mlp.fc1",
    "pool_fc2": "attn_pool.mlp.fc2",
}
_TRANSFORMERS = {
    "patch": "embeddings.patch_embeddings.projection",
    "cls": "embeddings.cls_token",
    "registers": "embeddings.register_tokens",
    "position": "embeddings.position_embeddings",
    "n1": "encoder.layer.{}.layernorm_before",
    "qkv": tuple(f"encoder.layer.{{}}.attention.attention.{part}" for part in ("query", "key", "value")),
    "proj": "encoder.layer.{}.attention.output.dense",
    "n2": "encoder.layer.{}.layernorm_after",
    "fc1": "encoder.layer.{}.intermediate.dense",
    "fc2": "encoder.layer.{}.output.dense",
    "norm": "layernorm",
    "head": "classifier",
}
_TRANSFORMERS_DINO = {
    **_TRANSFORMERS,
    "n1": "encoder.layer.{}.norm1",
    "n2": "encoder.layer.{}.norm2",
    "ls1": "encoder.layer.{}.layer_scale1.lambda1",
    "ls2": "encoder.layer.{}.layer_scale2.lambda1",
    "fc1": "encoder.layer.{}.mlp.fc1",
    "fc2": "encoder.layer.{}.mlp.fc2",
}


def clip_layers(tower):
    """The names in the layers of a tower of CLIP or SigLIP, "vision_model" or "text_model", in transformers' files."""
    layer = f"{tower}.encoder.layers.{{}}"
    return {
        "n1": f"{layer}.layer_norm1",
        "qkv": tuple(f"{layer}.self_attn.{part}_proj" for part in "qkv"),
        "proj": f"{layer}.self_attn.out_proj",
        "n2": f"{layer}.layer_norm2",
        "fc1": f"{layer}.mlp.fc1",
        "fc2": f"{layer}.mlp.fc2",
    }


_TRANSFORMERS_CLIP = {
    "patch": "vision_model.embeddings.patch_embedding",
    "cls": "vision_model.embeddings.class_embedding",
    "position": "vision_model.embeddings.position_embedding.weight",
    "pre": "vision_model.pre_layrnorm",
    **clip_layers("vision_model"),
    "norm": "vision_model.post_layernorm",
    "projection": "visual_projection.weight",
    "probe": "vision_model.head.probe",
    "pool_in": "vision_model.head.attention.in_proj_",
    "pool_proj": "vision_model.head.attention.out_proj",
    "pool_norm": "vision_model.head.layernorm",
    "pool_fc1": "vision_model.head.mlp.fc1",
    "pool_fc2": "vision_model.head.mlp.fc2",
}
_BLOCK = "transformer.resblocks.{}"
ORIGINAL_LAYERS = {  # in either tower of CLIP as OpenAI and open_clip write it
    "n1": f"{_BLOCK}.ln_1",
    "qkv": f"{_BLOCK}.attn.in_proj_",
    "proj": f"{_BLOCK}.attn.out_proj",
    "n2": f"{_BLOCK}.ln_2",
    "fc1": f"{_BLOCK}.mlp.c_fc",
    "fc2": f"{_BLOCK}.mlp.c_proj",
}
_ORIGINAL_CLIP = {
    "patch": "conv1",
    "cls": "class_embedding",
    "position": "positional_embedding",
    "pre": "ln_pre",
    **ORIGINAL_LAYERS,
    "norm": "ln_post",
    "projection": "proj",
}
_ENCODER = "encoder.layers.encoder_layer_{}"
_TORCHVISION = {
    "patch": "conv_proj",
    "cls": "class_token",
    "position": "encoder.pos_embedding",
    "n1": f"{_ENCODER}.ln_1",
    "qkv": f"{_ENCODER}.self_attention.in_proj_",
    "proj": f"{_ENCODER}.self_attention.out_proj",
    "n2": f"{_ENCODER}.ln_2",
    "fc1": f"{_ENCODER}.mlp.0",
    "fc2": f"{_ENCODER}.mlp.3",
    "norm": "encoder.ln",
    "head": "heads.head",
}
NAMES = {
    ("plain", "timm"): _TIMM,
    ("dino", "timm"): _TIMM,
    ("siglip", "timm"): _TIMM,
    ("clip", "timm"): _TIMM,
    ("plain", "transformers"): _TRANSFORMERS,
    ("dino", "transformers"): _TRANSFORMERS_DINO,
    ("clip", "transformers"): _TRANSFORMERS_CLIP,
    ("siglip", "transformers"): _TRANSFORMERS_CLIP,
    ("dino", "original"): {**_TIMM, "registers": "register_tokens"},
    ("clip", "original"): _ORIGINAL_CLIP,
    ("plain", "torchvision"): _TORCHVISION,
}


def styles_of(variant):
    """The styles in which files of a variant are known."""
    return [style for style in STYLES if (VARIANTS[variant].kind, style) in NAMES]


def classifier(variant, style):
    """What the file calls the classifier."""
    return NAMES[VARIANTS[variant].kind, style].get("head", "head")


def _epsilon(net, style):
    if net.kind == "clip":
        return 1e-5
    return 1e-12 if (net.kind, style) == ("plain", "transformers") else 1e-6


def _activation(net, style):
    # Google trained SigLIP with the tanh form, which transformers has; timm's network of that name has the exact one.
    return "tanh" if (net.kind, style) == ("siglip", "transformers") else net.activation


class Writer:
    """Graph and names of one transformer: `parts` has the file's names, `form` is that of GELU."""

    def __init__(self, net, parts, epsilon, form):
        self.net, self.parts, self.epsilon, self.form = net, parts, epsilon, form
        self.graph, self.names = Graph(), {}

    def norm(self, name, source, part, *block):
        node, place = self.graph.layer_norm(name, source, self.epsilon), self.parts[part].format(*block)
        self.names.update({f"{node}.scale": f"{place}.weight", f"{node}.shift": f"{place}.bias"})
        return node

    def dense(self, name, source, part, units, *block):
        node, place = self.graph.dense(name, source, units), self.parts[part]
        for tensor in ("weight", "bias"):
            if isinstance(place, tuple):
                apart = tuple(f"{one.format(*block)}.{tensor}" for one in place)
                self.names[f"{node}.{tensor}"] = Made(apart, lambda *parts: numpy.concatenate(parts))
            else:
                place = place.format(*block)
                self.names[f"{node}.{tensor}"] = f"{place}{'' if place.endswith('_') else '.'}{tensor}"
        return node

    def layer_scale(self, name, source, part, block):
        if part not in self.parts or self.net.kind != "dino":
            return source
        node = self.graph.add(name, "scale", [source], scale=f"{name}.scale")
        self.names[f"{name}.scale"] = self.parts[part].format(block)
        return node

    def block(self, index, node, **attention):
        net, start = self.net, node
        name = f"block{index}"
        node = self.norm(f"{name}.norm1", node, "n1", index)
        node = self.dense(f"{name}.qkv", node, "qkv", 3 * net.channels, index)
        node = self.graph.attention(f"{name}.attention", node, heads=net.heads, **attention)
        node = self.dense(f"{name}.proj", node, "proj", net.channels, index)
        node = self.layer_scale(f"{name}.scale1", node, "ls1", index)
        node = start = self.graph.add(f"{name}.add1", "add", [node, start])
        node = self.norm(f"{name}.norm2", node, "n2", index)
        node = self.dense(f"{name}.fc1", node, "fc1", 4 * net.channels, index)
        node = self.graph.add(f"{name}.gelu", "gelu", [node], form=self.form)
        node = self.dense(f"{name}.fc2", node, "fc2", net.channels, index)
        node = self.layer_scale(f"{name}.scale2", node, "ls2", index)
        return self.graph.add(f"{name}.add2", "add", [node, start])


class _Images(Writer):
    """The network of images."""

    def __init__(self, net, style, size):
        super().__init__(net, NAMES[net.kind, style], _epsilon(net, style), _activation(net, style))
        self.style, self.grid = style, tuple(side // net.patch for side in size)

    def tokens(self, source):
        """Class token, register tokens and patches, with the embeddings of their places."""
        net, parts = self.net, self.parts
        before = (net.kind != "siglip") + net.registers
        node = self.graph.tokens("tokens", source, before)
        with_class = before and not (net.registers and self.style == "timm")
        how = {"timm": "antialias", "torchvision": "corners", "transformers": "offset"}.get(
            self.style, "antialias" if net.registers or net.kind == "clip" else "offset"
        )
        height, width = self.grid

        def place(values):
            values = values.reshape(-1, net.channels)
            return positions.resized(values[1:] if with_class else values, height, width, how)

        def prefix(*values):
            rows = [array.reshape(-1, net.channels) for array in values]
            if with_class:
                rows[0], rows[1:] = rows[0] + rows[1][:1], rows[2:]
            return numpy.concatenate(rows)

        self.names["tokens.position"] = Made((parts["position"],), place)
        if before:
            sources = [parts["cls"]] + ([parts["position"]] if with_class else [])
            sources += [parts["registers"]] if net.registers else []
            self.names["tokens.prefix"] = Made(tuple(sources), prefix)
        return node, before

    def attention_pool(self, node):
        """SigLIP's head: one query of its own looks at all tokens."""
        net, graph, parts = self.net, self.graph, self.parts
        channels = net.channels
        node = graph.dense("pool.kv", node, 2 * channels)

        def of_rest(values):
            return values[channels:]

        def asked(probe, weight, bias):
            return weight[:channels] @ probe.reshape(-1) + bias[:channels]

        if "pool_in" in parts:
            weight, bias = (parts["pool_in"] + part for part in ("weight", "bias"))
            self.names.update({"pool.kv.weight": Made((weight,), of_rest), "pool.kv.bias": Made((bias,), of_rest)})
        else:
            weight, bias = (f"{parts['pool_q']}.{part}" for part in ("weight", "bias"))
            self.names.update({f"pool.kv.{part}": f"{parts['pool_kv']}.{part}" for part in ("weight", "bias")})
        self.names["pool.query"] = Made((parts["probe"], weight, bias), asked)
        node = graph.attention_pool("pool", node, heads=net.heads)
        start = node = self.dense("pool.proj", node, "pool_proj", channels)
        node = self.norm("pool.norm", node, "pool_norm")
        node = self.dense("pool.fc1", node, "pool_fc1", 4 * channels)
        node = graph.add("pool.gelu", "gelu", [node], form=self.form)
        node = self.dense("pool.fc2", node, "pool_fc2", channels)
        return graph.add("pooled", "add", [node, start])


def build(variant, classes=0, style="timm", size=(224, 224)):
    """The nodes, and the file's name of every tensor: (list of dict, dict of str to str or Made)."""
    net = VARIANTS[variant]
    w = _Images(net, style, size)
    graph, names = w.graph, w.names
    # What is left of an image that is not a multiple of the patch is not looked at.
    node = graph.conv("patch", "image", net.channels, net.patch, net.patch, [0, 0, 0, 0], bias=net.kind != "clip")
    names["patch.weight"] = f"{w.parts['patch']}.weight"
    if net.kind != "clip":
        names["patch.bias"] = f"{w.parts['patch']}.bias"
    node, before = w.tokens(node)
    if net.kind == "clip":
        node = w.norm("norm_pre", node, "pre")
    for index in range(net.depth):
        node = w.block(index, node)
    node = w.norm("norm", node, "norm")
    count = w.grid[0] * w.grid[1]
    patches = graph.add("patches", "take", [node], first=before, count=count) if before else node
    graph.add("patches.mean", "global_average_pool", [patches])
    if net.kind == "siglip":
        w.attention_pool(node)
        return graph.nodes, names
    node = graph.add("cls", "take", [node], first=0, count=1)
    if net.kind == "clip" and style != "timm":
        graph.dense("projected", node, PROJECTED[net.channels], bias=False)
        place = w.parts["projection"]
        names["projected.weight"] = Made((place,), numpy.transpose) if place == "proj" else place
    elif classes:
        node = graph.dense("head", node, classes)
        names.update({f"head.{part}": f"{w.parts['head']}.{part}" for part in ("weight", "bias")})
    return graph.nodes, names
