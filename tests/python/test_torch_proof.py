"""Fourteen networks as people have them, from file to vector: weights, ONNX and images in, the publisher's vectors out.

The weights are random, of a seed; the rest is real: the publisher's own network, file, export, configuration and
preparation of images. `COULIS_TEST_LONG=1` takes all of them and 20 images, which takes half an hour.
"""

import json
import os
import shutil

import coulis
import PIL.Image
import pytest
import safetensors.torch
import timm
import torch
import torchvision
import transformers
from conftest import DATA, fruit_images
from coulis.convert import add, onnx_import
from test_torch_layouts import NETS, blocks, compare as compare_vectors, settle
from test_torch_onnx import export

LONG = os.environ.get("COULIS_TEST_LONG")
IMAGES = 20 if LONG else 3
WAYS = torchvision.transforms.InterpolationMode


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def real_files(count, folder):
    """Photographs and fruits; where the test data are not, coloured squares of different sizes and shapes."""
    photos, fruits = sorted((DATA / "fruits-360" / "photos").glob("*.jpg")), fruit_images()
    found = photos[: count // 2] + fruits[:: max(1, len(fruits) // count)][: count - count // 2]
    if len(found) == count:
        return found
    for place in range(count):
        found.append(folder / f"{place}.png")
        PIL.Image.fromarray(blocks(1, place)[0][: 224 - 5 * place, : 150 + 3 * place]).save(found[-1])
    return found[-count:]


def published(size, filter="bicubic"):
    """What torchvision, DINOv2 and DeiT evaluate with."""
    steps = torchvision.transforms

    def prepare(net, folder):
        # The weights' layout knows it; for ONNX it is said as timm would.
        given = {"input_size": [3, 224, 224], "mean": MEAN, "std": STD, "crop_pct": 224 / size, "interpolation": filter}
        (folder / "onnx").mkdir()
        (folder / "onnx" / "config.json").write_text(json.dumps({"architecture": "none", "pretrained_cfg": given}))
        return steps.Compose(
            [steps.Resize(size, WAYS(filter)), steps.CenterCrop(224), steps.ToTensor(), steps.Normalize(MEAN, STD)]
        )

    return prepare


def processor(made):
    """A processor of transformers, and its preprocessor_config.json beside the weights."""

    def prepare(net, folder):
        own = made()
        own.save_pretrained(folder)
        return lambda image: own(image, return_tensors="pt").pixel_values[0]

    return prepare


def configured(net, folder):
    """timm's evaluation transform of the network's own configuration, with the config.json that timm writes."""
    timm.models._hub.save_config_for_hf(net, folder / "config.json")
    given = timm.data.resolve_data_config({"input_size": (3, 224, 224)}, model=net)
    return timm.data.create_transform(**given)


# name: (entry of NETS, how images are prepared, how the weights are kept)
PROOF = {
    "dinov2 s/14": ("dinov2 224", published(256), "pth"),
    "dinov2 s/14 with registers": ("dinov2 registers 224", published(256), "safetensors"),
    "dinov2 s/14, 518 -> 224": ("dinov2 518 -> 224", published(256), "safetensors"),
    "dinov2 s/14 with registers, 518 -> 224": ("dinov2 registers 518 -> 224", published(256), "pth"),
    "clip b/32": ("clip b/32", processor(transformers.CLIPImageProcessor), "safetensors"),
    "clip b/16": ("clip b/16 with its texts", processor(transformers.CLIPImageProcessor), "pth"),
    "siglip b/16": (
        "siglip",
        processor(lambda: transformers.SiglipImageProcessor(size={"height": 224, "width": 224})),
        "safetensors",
    ),
    "vit-s/16": ("vit s/16", configured, "safetensors"),
    "deit-s": ("deit", published(256), "pth"),
    "convnext-t": ("convnext of torchvision", published(236, "bilinear"), "pth"),
    "resnet50 of timm": ("resnet50 of timm", configured, "safetensors"),
    "resnet50 of transformers": (
        "resnet50 of transformers",
        processor(lambda: transformers.ConvNextImageProcessor(crop_pct=0.875, size={"shortest_edge": 224})),
        "safetensors",
    ),
    "mobilenet v2": ("mobilenet v2", published(256, "bilinear"), "pth"),
    "efficientnet b0": ("efficientnet b0", published(256), "pth"),
    "squeezenet": ("squeezenet", published(256, "bilinear"), "pth"),
}
ORDINARY = ("mobilenet v2", "squeezenet")


def compare(stored, files, wanted):
    with coulis.Featurizer(stored, resize="published", threads=2) as featurizer:
        return compare_vectors(featurizer.featurize(files).values, wanted)


@pytest.mark.parametrize("name", PROOF if LONG else ORDINARY)
def test_from_file_to_vector(name, tmp_path):
    entry, prepare, kind = PROOF[name]
    layout, make, run = NETS[entry]
    torch.manual_seed(3)
    net, state = make()
    settle(net, run)
    folder = tmp_path / "published"
    folder.mkdir()
    transform = prepare(net, folder)
    files = real_files(IMAGES, tmp_path)
    with torch.no_grad():
        pixels = [transform(PIL.Image.open(file).convert("RGB")) for file in files]
        wanted = torch.cat([run(net, one[None]).flatten(1) for one in pixels]).double().numpy()
    assert abs(wanted - wanted.mean(0)).max() > 0.01 * abs(wanted).max()  # the images make a difference
    state, weights = state or net.state_dict(), folder / f"model.{kind}"
    if kind == "pth":
        torch.save(state, weights)
    else:
        safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, weights)
    stored = add.put("n", lambda: add.convert(weights, "n", "torch", layout), tmp_path)
    print(f"{name}, {kind}: cosine and largest difference", *compare(stored, files, wanted))
    export(net, run, folder / "net.onnx", 17 if kind == "pth" else 14, 224)
    given = onnx_import.Options(config=sorted(folder.rglob("*.json")))
    stored = add.put("o", lambda: add.convert(folder / "net.onnx", "o", "onnx", None, given), tmp_path)
    print(f"{name}, ONNX: cosine and largest difference", *compare(stored, files, wanted))
    shutil.rmtree(folder)  # a gigabyte for some
