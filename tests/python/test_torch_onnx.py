"""ONNX as torch.onnx.export writes it for every kind of network, made small: checked against the network itself."""

import os

import numpy
import pytest
import torch
import torchvision
import transformers
from coulis.convert import add, onnx_import
from test_torch_layouts import agrees, blocks, headless, seeded, settle
from timm.models.convnext import ConvNeXt
from timm.models.vision_transformer import VisionTransformer

SIDE = 64
SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "image_size": SIDE,
    "patch_size": 16,
}


class Whole(torch.nn.Module):
    """A network and what is wanted of it as one module."""

    def __init__(self, net, run):
        super().__init__()
        self.net, self.run = net, run

    def forward(self, x):
        return self.run(self.net, x)


def plain_padding(net):
    """Debian's PyTorch does not export `padding="valid"`."""
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d) and module.padding == "valid":
            module.padding = (0, 0)
    return net


def export(net, run, path, opset=17, side=SIDE, open_batch=True):
    names = {"input_names": ["image"], "output_names": ["vector"]}
    if open_batch:
        names["dynamic_axes"] = {"image": {0: "images"}, "vector": {0: "images"}}
    torch.onnx.export(
        Whole(plain_padding(net), run).eval(), torch.zeros(1, 3, side, side), str(path), opset_version=opset, **names
    )


def vit(**more):
    return VisionTransformer(
        **{"img_size": SIDE, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 0, **more}
    )


def larger_places(net):
    """Embeddings of places for another size of image, which the network interpolates."""
    net.embeddings.position_embeddings = torch.nn.Parameter(torch.randn(1, 26, 48))
    return net


def responding(net):
    """Response norms that do something: they begin as zeros."""
    for name, values in net.named_parameters():
        if ".grn." in name:
            torch.nn.init.normal_(values)
    return net


def normalised(net, x):
    return torch.nn.functional.normalize(net(x).image_embeds, dim=-1)


def sdpa(net, x):
    """Written as later versions of PyTorch export scaled_dot_product_attention: both factors are roots of the scale."""
    q, k, v = (part.reshape(x.shape[0], 16, 3, 16).transpose(1, 2) for part in net(x).chunk(3, dim=-1))
    weights = torch.softmax((q * 0.5) @ (k * 0.5).transpose(-2, -1), dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2).mean(1)


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.dense = torch.nn.Conv2d(3, 48, 16, 16), torch.nn.Linear(48, 144)

    def forward(self, x):
        return self.dense(self.patch(x).flatten(2).transpose(1, 2))


class Formulas(torch.nn.Module):
    """Formulas that frameworks have operators for, written out otherwise than PyTorch does."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 24), torch.nn.Linear(24, 30)
        self.scale, self.shift = torch.nn.Parameter(torch.randn(24)), torch.nn.Parameter(torch.randn(24))

    def forward(self, x):
        x = self.first(torch.nn.functional.avg_pool2d(x, 8).permute(0, 2, 3, 1))
        mean = x.mean(-1, keepdim=True)
        factor = torch.rsqrt(((x - mean) ** 2).mean(-1, keepdim=True) + 1e-3) * self.scale
        x = x * factor + (self.shift - mean * factor)  # as TensorFlow has it
        x = 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
        x = self.second(x)
        x = x * (torch.erf(x / 2**0.5) + 1) * 0.5 + x * torch.sigmoid(1.3 * x)
        x = x.clamp(min=1e-6).pow(3).mean((1, 2)).pow(1 / 3)
        return x / x.pow(2).sum(-1, keepdim=True).sqrt()


def wide(net):
    """Weights with which a network as small as this distinguishes images."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                deviation = module.weight[0].numel() ** -0.5
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * deviation)
    return net


def of(net, run=lambda net, x: net(x)):
    return lambda: wide(seeded(net())), run


NETS = {
    "vit": of(vit),
    "vit with a classifier": (lambda: wide(seeded(vit(num_classes=9))), None),
    "vit with registers": of(lambda: vit(reg_tokens=3, no_embed_class=True, init_values=0.1)),
    "vit, mean of tokens": of(lambda: vit(global_pool="avg", class_token=False)),
    "vit, pooled by attention": of(lambda: vit(global_pool="map", class_token=False)),
    "vit with norms of q and k": of(lambda: vit(qk_norm=False, pre_norm=True)),
    "vit of torchvision": of(
        lambda: torchvision.models.VisionTransformer(SIDE, 16, 2, 3, 48, 96, num_classes=5),
        lambda net, x: net.encoder(torch.cat([net.class_token.expand(x.shape[0], -1, -1), net._process_input(x)], 1))[
            :, 0
        ],
    ),
    "vit of transformers": of(
        lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL)), lambda net, x: net(x).last_hidden_state[:, 0]
    ),
    "dinov2": of(
        lambda: larger_places(transformers.Dinov2Model(transformers.Dinov2Config(**SMALL))),
        lambda net, x: net(x).pooler_output,
    ),
    "dinov2 with SwiGLU": of(
        lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, use_swiglu_ffn=True)),
        lambda net, x: net(x).pooler_output,
    ),
    "clip": of(
        lambda: transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**SMALL)),
        lambda net, x: net(x).image_embeds,
    ),
    "clip of length 1": of(
        lambda: transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**SMALL)), normalised
    ),
    "siglip": of(
        lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SMALL)),
        lambda net, x: net(x).pooler_output,
    ),
    "beit's pooling": of(
        lambda: transformers.DeiTModel(transformers.DeiTConfig(**SMALL)), lambda net, x: net(x).pooler_output
    ),
    "convnext": of(lambda: ConvNeXt(num_classes=0, depths=(1, 1, 2, 1), dims=(8, 12, 16, 24))),
    "convnext v2": of(
        lambda: responding(
            ConvNeXt(num_classes=0, depths=(1, 1, 2, 1), dims=(8, 12, 16, 24), use_grn=True, ls_init_value=None)
        )
    ),
    "convnext v2, convolutions": of(
        lambda: responding(
            ConvNeXt(
                num_classes=0,
                depths=(1, 1, 2, 1),
                use_grn=True,
                dims=(8, 12, 16, 24),
                ls_init_value=None,
                conv_mlp=True,
            )
        )
    ),
    "convnext v2 of transformers": of(
        lambda: responding(
            transformers.ConvNextV2Model(
                transformers.ConvNextV2Config(depths=[1, 1, 2, 1], hidden_sizes=[8, 12, 16, 24], image_size=SIDE)
            )
        ),
        lambda net, x: net(x).pooler_output,
    ),
    "convnext of transformers": of(
        lambda: transformers.ConvNextModel(
            transformers.ConvNextConfig(depths=[1, 1, 2, 1], hidden_sizes=[8, 12, 16, 24])
        ),
        lambda net, x: net(x).pooler_output,
    ),
    "shufflenet": of(
        lambda: torchvision.models.shufflenet_v2_x0_5(),
        lambda net, x: net.conv5(net.stage4(net.stage3(net.stage2(net.maxpool(net.conv1(x)))))).mean((2, 3)),
    ),
    "attention in later exports": of(Tokens, sdpa),
    "formulas": of(Formulas),
}


LONG = os.environ.get("COULIS_TEST_LONG")
# In the ordinary run one of the two for each network: 17 has LayerNormalization, 14 writes it out.
CASES = [(name, opset) for place, name in enumerate(NETS) for opset in (14, 17) if LONG or opset == (14, 17)[place % 2]]


@pytest.mark.parametrize("name, opset", CASES)
def test_small_networks_of_every_kind(name, opset, tmp_path):
    make, run = NETS[name]
    torch.manual_seed(3)
    net = make()
    settle(net, run or headless)
    pixels = blocks(3, 5)[:, :SIDE, :SIDE]
    mean, std = (numpy.array(onnx_import.PREPROCESSING["torch"][place]) for place in (1, 2))
    x = torch.tensor(((pixels - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.no_grad():
        wanted = (run or headless)(net.eval(), x).double().numpy()
    export(net, run or (lambda net, x: net(x)), tmp_path / "net.onnx", opset, open_batch=opset == 14)
    stored = add.put(
        "n", lambda: onnx_import.convert(tmp_path / "net.onnx", "n", onnx_import.Options("torch")), tmp_path
    )
    description, _ = onnx_import.convert(tmp_path / "net.onnx", "n", onnx_import.Options("torch"))
    expected = {"attention", "attention_pool", "layer_norm", "gelu"} if name == "vit, pooled by attention" else set()
    expected |= {"grn"} if name.startswith("convnext v2") else set()
    assert expected <= {node["op"] for node in description["nodes"]}
    agrees(stored, "default", pixels, wanted)


def test_what_attention_may_not_have(tmp_path):
    def masked(net, x):
        q, k, v = net(x).chunk(3, dim=-1)
        return (torch.softmax(q @ k.transpose(1, 2) + net.mask, dim=-1) @ v).mean(1)

    net = seeded(Tokens())
    net.register_buffer("mask", torch.eye(16))
    export(net, masked, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"Add.*adds to scores of attention"):
        onnx_import.convert(tmp_path / "net.onnx", "n", onnx_import.Options("torch"))
