"""What the network sees of an image file: coulis against the transforms of torchvision, timm and transformers.

The network here is a 1x1 convolution that changes nothing, so that the vector is the prepared image.
"""

import json

import coulis
import numpy
import PIL.Image
import pytest
import timm
import torchvision
import transformers
from coulis.convert import config, graph, safetensors_file
from test_torch_proof import MEAN, STD, WAYS, real_files

IMAGES = 6
NEAR = 1e-6  # float32 numbers up to 3, from the same bytes


def network(said, path):
    """A model file that gives the image as it is prepared."""
    net = graph.Graph()
    net.conv("same", "image", 3, 1, bias=True)
    facts = {
        "name": "same",
        "source": {"title": "a test", "licence": "none"},
        "features": {"map": "same", "default": "map"},
        "input": {key: value for key, value in said.items() if key != "resize"},
        "resize": said["resize"],
    }
    tensors = {"same.weight": numpy.eye(3, dtype="<f4").reshape(3, 3, 1, 1), "same.bias": numpy.zeros(3, "<f4")}
    safetensors_file.write(path, tensors, graph.metadata(graph.describe(facts, net.nodes)))
    return path


def seen(said, files, folder):
    """(image, channel, height, width) of files, as a network sees them."""
    with coulis.Featurizer(network(said, folder / "same.safetensors"), threads=1) as featurizer:
        found = numpy.asarray(featurizer.featurize(files).values)
    return found.reshape(len(files), said["height"], said["width"], 3).transpose(0, 3, 1, 2)


def check(said, transform, tmp_path, near=NEAR):
    files = real_files(IMAGES, tmp_path)
    found = seen(said, files, tmp_path)
    wanted = numpy.stack([numpy.asarray(transform(PIL.Image.open(file).convert("RGB"))) for file in files])
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= near
    assert len({one.tobytes() for one in found}) == IMAGES


def written(tmp_path, name, content):
    (tmp_path / name).write_text(json.dumps(content))
    return config.read([tmp_path / name]).input


STEPS = torchvision.transforms
TORCHVISION = {  # size, filter, crop: height and width
    "shorter side": (256, "bilinear", (224, 224)),
    "shorter side, bicubic": (236, "bicubic", (224, 224)),
    "odd rest": (97, "bilinear", (64, 80)),
    "both": ((96, 130), "bicubic", (96, 130)),
    "both, and a crop": ((75, 75), "bilinear", (64, 64)),
    "nearest": (70, "nearest", (70, 70)),
    "lanczos": (120, "lanczos", (112, 112)),
    "enlarged": (500, "bicubic", (448, 448)),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name, tmp_path):
    size, filter, (height, width) = TORCHVISION[name]
    said = {
        "height": height,
        "width": width,
        "channels": "RGB",
        "mean": [255 * n for n in MEAN],
        "std": [255 * n for n in STD],
        "resize": {"size": list(size) if isinstance(size, tuple) else size, "filter": filter},
    }
    check(
        said,
        STEPS.Compose(
            [
                STEPS.Resize(size, WAYS(filter)),
                STEPS.CenterCrop((height, width)),
                STEPS.ToTensor(),
                STEPS.Normalize(MEAN, STD),
            ]
        ),
        tmp_path,
    )


def test_without_antialiasing(tmp_path):
    """PyTorch rounds float32 numbers, OpenCV (whose bytes are coulis's) calculates with 11 bits: one step apart."""
    said = {
        "height": 100,
        "width": 90,
        "channels": "RGB",
        "mean": [0.0] * 3,
        "std": [255.0] * 3,
        "resize": {"size": [100, 90], "filter": "plain"},
    }
    resize = STEPS.Resize((100, 90), WAYS("bilinear"), antialias=False)
    check(said, lambda image: resize(STEPS.PILToTensor()(image)).float() / 255, tmp_path, 1.01 / 255)


TIMM = {
    "crop of 0.875": {"crop_pct": 0.875, "interpolation": "bicubic"},
    "crop of 0.9": {"crop_pct": 0.9, "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3},
    "crop of 0.95, bilinear": {"crop_pct": 0.95, "interpolation": "bilinear"},
    "whole": {"crop_pct": 1.0, "interpolation": "bicubic", "input_size": (3, 96, 96)},
    "squashed": {"crop_pct": 1.0, "interpolation": "bicubic", "crop_mode": "squash"},
    "lanczos": {"crop_pct": 0.9, "interpolation": "lanczos", "input_size": (3, 160, 160)},
}


@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tmp_path):
    given = {"input_size": (3, 224, 224), "mean": MEAN, "std": STD, **TIMM[name]}
    said = written(tmp_path, "config.json", {"architecture": "any", "pretrained_cfg": given})
    check(said, timm.data.create_transform(**given), tmp_path)


TRANSFORMERS = {
    "clip": transformers.CLIPImageProcessor(),
    "clip of 336": transformers.CLIPImageProcessor(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
    ),
    "siglip": transformers.SiglipImageProcessor(size={"height": 224, "width": 224}),
    "vit": transformers.ViTImageProcessor(),
    "vit of bicubic": transformers.ViTImageProcessor(size={"height": 96, "width": 80}, resample=3),
    "deit": transformers.DeiTImageProcessor(),
    "dinov2": transformers.BitImageProcessor(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, image_mean=list(MEAN), image_std=list(STD)
    ),
    "convnext": transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875),
    "convnext of 384": transformers.ConvNextImageProcessor(size={"shortest_edge": 384}),
    "not normalised": transformers.ViTImageProcessor(do_normalize=False),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name, tmp_path):
    own = TRANSFORMERS[name]
    own.save_pretrained(tmp_path)
    said = config.read(config.beside(tmp_path / "model.safetensors")).input
    check(said, lambda image: own(image, return_tensors="np").pixel_values[0], tmp_path)


def test_open_clip(tmp_path):
    """open_clip's own transform is torchvision's: Resize to the shorter side, bicubic, and CenterCrop."""
    said = written(
        tmp_path,
        "open_clip_config.json",
        {"model_cfg": {"vision_cfg": {"image_size": 224}}, "preprocess_cfg": {"mean": MEAN, "std": STD}},
    )
    check(
        said,
        STEPS.Compose(
            [STEPS.Resize(224, WAYS("bicubic")), STEPS.CenterCrop(224), STEPS.ToTensor(), STEPS.Normalize(MEAN, STD)]
        ),
        tmp_path,
    )
