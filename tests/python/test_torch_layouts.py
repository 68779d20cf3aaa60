"""The known networks, in the files of every project that has them, against these projects' own networks."""

import json
import os

import coulis
import numpy
import pytest
import timm
import torch
import torchvision
import transformers
from coulis.convert import add, onnx_import, recipe
from timm.models.vision_transformer import checkpoint_filter_fn

IMAGES = 2
COSINE, LARGEST = 0.999999, 1e-4  # of the largest number


def compare(found, wanted):
    """Vectors against the publisher's; the least cosine, and the largest difference in parts of the largest number."""
    found = numpy.asarray(found, numpy.float64)
    assert found.shape == wanted.shape
    cosine = (found * wanted).sum(1) / numpy.linalg.norm(found, axis=1) / numpy.linalg.norm(wanted, axis=1)
    assert cosine.min() >= COSINE, cosine
    assert abs(found - wanted).max() <= LARGEST * abs(wanted).max()
    return cosine.min(), abs(found - wanted).max() / abs(wanted).max()


def agrees(stored, kind, pixels, wanted):
    with coulis.Featurizer(stored, kind, threads=2) as featurizer:
        compare(featurizer.featurize_pixels(pixels), wanted)
    assert abs(wanted[0] - wanted[1]).max() > 0.01 * abs(wanted).max()  # the images make a difference


def seeded(net, seed=3):
    """Random weights that keep numbers of the order of 1, with norms and scales that are not what they begin as."""
    generator = torch.Generator().manual_seed(seed)

    def draw(values, mean, deviation):
        values.copy_(mean + deviation * torch.randn(values.shape, generator=generator))

    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                draw(module.running_mean, 0, 0.1)
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
                draw(module.weight, 0.7, 0.1)
                draw(module.bias, 0, 0.1)
            elif isinstance(module, torch.nn.LayerNorm):
                draw(module.weight, 1, 0.1)
                draw(module.bias, 0, 0.1)
        for name, values in net.named_parameters():
            if name.endswith(("gamma", "lambda1", "layer_scale", "layer_scale_parameter")):
                draw(values, 0.5, 0.1)
            elif name.endswith(
                ("_embed", "embeddings", "token", "class_embedding", "position_embedding.weight", "probe")
            ):
                draw(values, 0, 0.5)
            elif values.ndim == 1 and name.endswith("bias") and values.abs().max() == 0:
                draw(values, 0, 0.1)
    return net.eval()


def settle(net, run):
    """Batch norms that fit what reaches them: with others, deep networks give every image nearly the same vector."""
    norms = [module for module in net.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0
    net.train()
    with torch.no_grad():
        run(net, torch.tensor((blocks(4, 4) - 127.5) / 64, dtype=torch.float32).permute(0, 3, 1, 2))
    net.eval()


def blocks(count, seed):
    """Images of 224 x 224 in 7 x 7 coloured squares."""
    return numpy.random.default_rng(seed).integers(0, 256, (count, 7, 7, 3), numpy.uint8).repeat(32, 1).repeat(32, 2)


def larger_dino(name):
    """timm's network at 224 with the embeddings of 518, and the weights as they were before."""
    large, small = seeded(timm.create_model(name, img_size=518)), timm.create_model(name, img_size=224)
    small.load_state_dict(checkpoint_filter_fn(dict(large.state_dict()), small))
    return small.eval(), large.state_dict()


def headless(net, x):
    return net.forward_head(net.forward_features(x), pre_logits=True)


def of(name, **more):
    return lambda: (seeded(timm.create_model(name, **more)), None)


NETS = {
    "dinov2 518 -> 224": ("dinov2-vits14", lambda: larger_dino("vit_small_patch14_dinov2"), headless),
    "dinov2 registers 518 -> 224": (
        "dinov2-vits14-reg",
        lambda: larger_dino("vit_small_patch14_reg4_dinov2"),
        headless,
    ),
    "dinov2 224": ("dinov2-vits14", of("vit_small_patch14_dinov2", img_size=224), headless),
    "dinov2 of transformers": (
        "dinov2-vits14",
        lambda: (
            seeded(
                transformers.Dinov2Model(
                    transformers.Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14)
                )
            ),
            None,
        ),
        lambda net, x: net(x).pooler_output,
    ),
    "clip b/32": (
        "clip-vit-b-32",
        lambda: (
            seeded(transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(patch_size=32))),
            None,
        ),
        lambda net, x: net(x).image_embeds,
    ),
    "clip b/16 with its texts": (
        "clip-vit-b-16",
        lambda: (seeded(transformers.CLIPModel(transformers.CLIPConfig(vision_config={"patch_size": 16}))), None),
        lambda net, x: net.get_image_features(x),
    ),
    "clip of timm": ("clip-vit-b-32-laion2b", of("vit_base_patch32_clip_224", num_classes=0), headless),
    "siglip": (
        "siglip-vit-b-16",
        lambda: (seeded(transformers.SiglipVisionModel(transformers.SiglipVisionConfig())), None),
        lambda net, x: net(x).pooler_output,
    ),
    "siglip of timm": ("siglip-vit-b-16", of("vit_base_patch16_siglip_224"), headless),
    "deit": ("deit-s", of("deit_small_patch16_224"), headless),
    "vit of transformers": (
        "vit-s-16-augreg",
        lambda: (
            seeded(
                transformers.ViTModel(
                    transformers.ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536)
                )
            ),
            None,
        ),
        lambda net, x: net(x).last_hidden_state[:, 0],
    ),
    "convnext": ("convnext-tiny", of("convnext_tiny"), headless),
    "convnext of torchvision": (
        "convnext-tiny",
        lambda: (seeded(torchvision.models.convnext_tiny()), None),
        lambda net, x: net.classifier[1](net.classifier[0](net.avgpool(net.features(x)))),
    ),
    "convnext of transformers": (
        "convnext-tiny",
        lambda: (seeded(transformers.ConvNextModel(transformers.ConvNextConfig())), None),
        lambda net, x: net(x).pooler_output,
    ),
    "resnet50 of timm": ("resnet50-torchvision", of("resnet50"), headless),
    "resnet50 of transformers": (
        "resnet50-torchvision",
        lambda: (seeded(transformers.ResNetForImageClassification(transformers.ResNetConfig())), None),
        lambda net, x: net.resnet(x).pooler_output.flatten(1),
    ),
    "dinov2 registers 224": ("dinov2-vits14-reg", of("vit_small_patch14_reg4_dinov2", img_size=224), headless),
    "vit s/16": ("vit-s-16-augreg", of("vit_small_patch16_224"), headless),
    "squeezenet": (
        "squeezenet1-1",
        lambda: (seeded(torchvision.models.squeezenet1_1()), None),
        lambda net, x: net.features(x).mean((2, 3)),
    ),
    "mobilenet v2": (
        "mobilenet-v2",
        lambda: (seeded(torchvision.models.mobilenet_v2()), None),
        lambda net, x: net.features(x).mean((2, 3)),
    ),
    "mobilenet v2 of timm": ("mobilenet-v2", of("mobilenetv2_100"), headless),
    "efficientnet b0": (
        "efficientnet-b0",
        lambda: (seeded(torchvision.models.efficientnet_b0()), None),
        lambda net, x: net.features(x).mean((2, 3)),
    ),
    "efficientnet b0 of timm": ("efficientnet-b0", of("efficientnet_b0"), headless),
}


# A sample in the ordinary run: each takes seconds to make and to convert.
SAMPLE = (
    "dinov2 registers 518 -> 224",
    "clip b/32",
    "siglip",
    "convnext",
    "resnet50 of transformers",
    "efficientnet b0",
)


@pytest.mark.parametrize("name", NETS if os.environ.get("COULIS_TEST_LONG") else SAMPLE)
def test_vectors_are_those_of_the_network_itself(name, tmp_path):
    layout, make, run = NETS[name]
    torch.manual_seed(3)
    net, state = make()
    settle(net, run)
    path = tmp_path / "net.pth"
    torch.save(state or net.state_dict(), path)
    stored = add.put("n", lambda: add.convert(path, "n", "torch", layout), tmp_path)
    description = json.loads(coulis.convert.safetensors_file.read(stored)[1]["coulis"])
    mean, std = (numpy.array(description["input"][key]) for key in ("mean", "std"))
    pixels = blocks(IMAGES, 5)
    with torch.no_grad():
        wanted = run(net, torch.tensor(((pixels - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32))
    wanted = wanted.flatten(1).double().numpy()
    kind = description["features"].get("default", "pooled")
    agrees(stored, kind, pixels, wanted)


def test_a_config_tells_what_tensors_do_not(tmp_path):
    net = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(patch_size=32, num_hidden_layers=12, hidden_act="quick_gelu")
    )
    path = tmp_path / "model.pth"
    torch.save(net.state_dict(), path)
    with pytest.raises(ValueError, match="several layouts.*clip-vit-b-32.*clip-vit-b-32-laion2b"):
        add.convert(path, "n", "torch")
    for activation, form in (("quick_gelu", "quick"), ("gelu", "erf")):
        net.config.hidden_act = activation
        net.config.save_pretrained(tmp_path)
        transformers.CLIPImageProcessor().save_pretrained(tmp_path)
        description, _ = add.convert(path, "n", "torch")
        assert {node["form"] for node in description["nodes"] if node["op"] == "gelu"} == {form}
        assert description["input"]["resize"] == {"filter": "bicubic", "center": "down", "size": 224}


def test_every_recipe_has_a_known_layout():
    for name in recipe.names():
        assert add.layouts.build(recipe.read(name))[0], name
    assert onnx_import.Options().config == ()
