"""What PyTorch itself writes: every way to save a network."""

import numpy
import pytest
import torch
import torchvision
from coulis.convert import add, safetensors_file
from coulis.convert.pickles import STORAGES
from safetensors.torch import save_file

torch.manual_seed(3)
NET = torchvision.models.resnet18(num_classes=7).eval()
SCRIPT = torch.jit.trace(NET, torch.zeros(1, 3, 64, 64))
OPTIMIZER = torch.optim.Adam(NET.parameters())
NET(torch.randn(2, 3, 64, 64)).sum().backward()
OPTIMIZER.step()


def half(kind):
    return {
        name: values.to(kind) if values.is_floating_point() else values for name, values in NET.state_dict().items()
    }


WAYS = {
    "state dict": lambda path: torch.save(NET.state_dict(), path),
    "legacy": lambda path: torch.save(NET.state_dict(), path, _use_new_zipfile_serialization=False),
    "checkpoint": lambda path: torch.save(
        {"model": torch.nn.DataParallel(NET).state_dict(), "epoch": 3, "optimizer": OPTIMIZER.state_dict()}, path
    ),
    "legacy checkpoint": lambda path: torch.save(
        {"optimizer": OPTIMIZER.state_dict(), "state_dict": NET.state_dict()},
        path,
        _use_new_zipfile_serialization=False,
    ),
    "module": lambda path: torch.save(NET, path),
    "legacy module": lambda path: torch.save({"net": NET}, path, _use_new_zipfile_serialization=False),
    "protocol 5": lambda path: torch.save(NET, path, pickle_protocol=5),
    "script": lambda path: torch.jit.save(SCRIPT, str(path)),
    "parameters": lambda path: torch.save(dict(NET.named_parameters()) | dict(NET.named_buffers()), path),
    "safetensors": lambda path: save_file(NET.state_dict(), path),
    "bfloat16": lambda path: torch.save(half(torch.bfloat16), path),
    "half": lambda path: save_file(half(torch.float16), path),
    "bfloat16 safetensors": lambda path: save_file(half(torch.bfloat16), path),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_save(way, tmp_path):
    path = tmp_path / "net.pt"
    WAYS[way](path)
    _, tensors = add.convert(path, "n", "torch")
    kind = torch.bfloat16 if "bfloat16" in way else torch.float16 if way == "half" else torch.float32
    own = NET.state_dict() if way != "script" else SCRIPT.state_dict()
    for ours, theirs in (
        ("stem.conv.weight", "conv1.weight"),
        ("layer4.1.2.norm.variance", "layer4.1.bn2.running_var"),
        ("fc.bias", "fc.bias"),
        ("layer2.0.downsample.conv.weight", "layer2.0.downsample.0.weight"),
    ):
        assert (tensors[ours] == own[theirs].detach().to(kind).float().numpy()).all(), ours


def test_every_element_type(tmp_path):
    values = torch.tensor([0.0, 1.0, -2.5, 3e-3])
    kinds = {
        "DoubleStorage": torch.float64,
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
    }
    assert set(kinds) == set(STORAGES)
    from coulis.convert import torch_zip

    torch.save({name: values.abs().to(kind) for name, kind in kinds.items()}, tmp_path / "all.pt")
    found = torch_zip.read((tmp_path / "all.pt").read_bytes())
    for name, kind in kinds.items():
        wanted = values.abs().to(kind)
        assert (found[name] == (wanted.float() if kind == torch.bfloat16 else wanted).numpy()).all(), name
    save_file({"x": values.to(torch.bfloat16)}, tmp_path / "x.safetensors")
    assert (safetensors_file.read(tmp_path / "x.safetensors")[0]["x"] == values.bfloat16().float().numpy()).all()
    assert numpy.isfinite(found["HalfStorage"]).all()
