"""Checkpoints as training programs leave them: what surrounds the weights, and the types they are in."""

import argparse
import collections
import datetime
import pathlib

import numpy
import pytest
from coulis.convert import add, layouts, onnx_import, safetensors_file, torch_zip
from weight_makers import torch_state, torch_zip_object

STATE, OURS, _ = torch_state("resnet18", seed=5, classes=10)
STATE = {name: numpy.asarray(values) for name, values in STATE.items()}
OPTIMIZER = {
    "state": {0: {"momentum_buffer": STATE["conv1.weight"], "step": 3}},
    "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1]}],
}
BFLOAT16 = {
    name: (values.view("<u4") >> 16).astype("<u2") if values.dtype == "<f4" else values
    for name, values in STATE.items()
}


class Settings(dict):
    """As libraries of settings make them: a dictionary with another name."""


def under(prefix, state=None):
    return collections.OrderedDict((prefix + name, values) for name, values in (state or STATE).items())


def cast(kind):
    return {name: values.astype(kind) if values.dtype == "<f4" else values for name, values in STATE.items()}


CHECKPOINTS = {
    "data parallel": under("module."),
    "imagenet example": {
        "epoch": 90,
        "arch": "resnet18",
        "state_dict": under("module."),
        "best_acc1": numpy.float64(71),
        "optimizer": OPTIMIZER,
    },
    "nested": {"model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER, "epoch": 3, "loss": 0.5},
    "lightning": {
        "epoch": 1,
        "state_dict": {**under("model."), "criterion.weight": STATE["fc.bias"]},
        "optimizer_states": [OPTIMIZER],
        "hyper_parameters": Settings(lr=0.1),
        "callbacks": {"best": pathlib.PurePosixPath("a/b"), "at": datetime.datetime(2020, 1, 1)},
    },
    "timm": {
        "epoch": 2,
        "arch": "resnet18",
        "args": argparse.Namespace(lr=1, sets={1, 2}),
        "model": OPTIMIZER["state"],
        "state_dict": cast("<f2"),
        "state_dict_ema": STATE,
    },
    "mmpretrain": {
        "meta": {"config": "x = 1", "version": (1, 2)},
        "state_dict": {
            **under("backbone.", {name: values for name, values in STATE.items() if not name.startswith("fc.")}),
            "head.fc.weight": STATE["fc.weight"],
        },
    },
    "unknown entry": {"my_weights": {"inner": under("encoder.q.")}, "seed": 3},
    "subclass of a dictionary": Settings(state_dict=Settings(STATE)),
    "dropout before the classifier": {
        **{name: values for name, values in STATE.items() if not name.startswith("fc.")},
        "fc.1.weight": STATE["fc.weight"],
        "fc.1.bias": STATE["fc.bias"],
    },
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_weights_are_found(name, protocol, tmp_path):
    source = tmp_path / "a.ckpt"
    source.write_bytes(torch_zip_object(CHECKPOINTS[name], protocol))
    notes = []
    description, tensors = add.convert(source, "n", "torch", notes=notes)
    assert any("taken for resnet18" in note for note in notes)
    wanted = {key: values for key, values in OURS.items() if key in tensors}
    assert set(OURS) - set(tensors) in (set(), {"fc.weight", "fc.bias"})
    assert ("logits" in description["features"]) == ("fc.weight" in tensors) == (name != "mmpretrain")
    assert all((tensors[key] == wanted[key]).all() for key in tensors)


@pytest.mark.parametrize(("state", "bits"), [(cast("<f2"), 11), (cast("<f8"), 24), (BFLOAT16, 8)])
def test_other_types_become_float32(state, bits, tmp_path):
    source = tmp_path / "a.pth"
    source.write_bytes(torch_zip_object(state))
    _, tensors = add.convert(source, "n", "torch")
    for key, values in OURS.items():
        assert tensors[key].dtype == "<f4"
        # One rounding, or for bfloat16 what is cut off: at most one unit in the last of `bits` binary digits.
        assert (abs(tensors[key] - values) <= abs(values) * 2.0 ** (1 - bits) + 2.0**-24).all()
    assert (tensors["fc.weight"] == OURS["fc.weight"]).all() == (bits == 24)


def test_safetensors_of_bfloat16(tmp_path):
    header, data = {}, b""
    for name, values in BFLOAT16.items():
        kind = {"<u2": "BF16", "<i8": "I64"}[values.dtype.str]
        end = len(data) + values.nbytes
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(data), end]}
        data += values.tobytes()
    text = str(header).replace("'", '"').encode()
    found, _ = safetensors_file.parse(len(text).to_bytes(8, "little") + text + data, "it")
    for name, values in STATE.items():
        if values.dtype == "<f4":
            assert (found[name].view("<u4") == values.view("<u4") & 0xFFFF0000).all()
    unknown = text.replace(b'"BF16"', b'"F8_E4M3"', 1)
    with pytest.raises(ValueError, match="the tensor 'conv1.weight' is 'F8_E4M3'; what can be read is F64"):
        safetensors_file.parse(len(unknown).to_bytes(8, "little") + unknown + data, "it")


def test_a_person_can_name_the_entry(tmp_path):
    source = tmp_path / "a.pth"
    source.write_bytes(torch_zip_object({"ema": cast("<f2"), "model": STATE, "epoch": 1}))
    averaged = add.convert(source, "n", "torch")[1]["fc.weight"]
    own = add.convert(source, "n", "torch", given=onnx_import.Options(entry="model"))[1]["fc.weight"]
    assert (own == OURS["fc.weight"]).all() and (averaged == OURS["fc.weight"].astype("<f2")).all()
    assert (averaged != own).any()
    with pytest.raises(ValueError, match="no entry 'raw': it has ema, model, epoch"):
        add.convert(source, "n", "torch", given=onnx_import.Options(entry="raw"))


def test_more_layers_in_the_classifier_are_left_out(tmp_path):
    state = {name: values for name, values in STATE.items() if not name.startswith("fc.")}
    state.update(
        {
            "fc.0.weight": numpy.zeros((64, 512), "<f4"),
            "fc.0.bias": numpy.zeros(64, "<f4"),
            "fc.2.weight": numpy.zeros((5, 64), "<f4"),
            "fc.2.bias": numpy.zeros(5, "<f4"),
        }
    )
    notes = []
    place = layouts.choose(state, "torch")
    description, _ = layouts.fit(place.chosen, state, place.style, place.prefix, notes)
    assert "logits" not in description["features"] and "classifier" in notes[0]


class _Harm:
    def __reduce__(self):
        return (getattr, ("text", "upper"))


def test_what_would_act_is_refused_though_the_weights_are_there():
    data = torch_zip_object({"state_dict": STATE, "x": _Harm()})
    with pytest.raises(ValueError, match="asks for '(__builtin__|builtins).getattr', which is not allowed"):
        torch_zip.read(data)


def test_no_weights_at_all():
    with pytest.raises(ValueError, match="no tensors by name, but epoch, note"):
        torch_zip.read(torch_zip_object({"epoch": 3, "note": "text"}))
