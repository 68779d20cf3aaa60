"""Layers of a Keras file that stand before the network: honoured or refused, never passed over."""

import io
import json

import h5py
import numpy
import pytest
from coulis.convert import h5_file


def file_of(layers):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.create_dataset("a/kernel", data=numpy.zeros((2, 2), "<f4"))
        if layers is not None:
            model = {"class_name": "Functional", "config": {"layers": layers}}
            file.attrs["model_config"] = layers if isinstance(layers, str) else json.dumps(model)
    return data.getvalue()


def rescaling(data, name="the file"):
    return h5_file.rescaling(h5_file.description(data, name), name)


def layer(kind, **config):
    return {"class_name": kind, "config": config}


def test_rescaling_is_found():
    assert rescaling(file_of(None)) is None
    assert rescaling(file_of([layer("InputLayer"), layer("Conv2D")])) is None
    assert rescaling(file_of([layer("Rescaling", scale=1 / 255, offset=-1)])) == (1 / 255, -1)
    assert rescaling(file_of([layer("RandomFlip"), layer("Conv2D"), layer("BatchNormalization")])) is None
    within = {"class_name": "Sequential", "config": {"layers": [layer("Rescaling", scale=2.0)]}}
    assert rescaling(file_of([within])) == (2, 0)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([layer("Normalization")], "a layer Normalization"),
        ([layer("Lambda")], "a layer Lambda"),
        ([layer("InputLayer"), layer("BatchNormalization"), layer("Conv2D")], "a layer BatchNormalization"),
        ([layer("Rescaling"), layer("Rescaling")], "more than once"),
        ([layer("Rescaling", scale=[1, 2, 3])], "factors for each channel"),
        ([layer("Rescaling", scale=0)], "factors for each channel"),
        ("no JSON", "damaged"),
        ([3], "damaged"),
    ],
)
def test_what_would_be_lost_is_refused(layers, reason):
    with pytest.raises(ValueError, match=f"it.h5: .*{reason}"):
        rescaling(file_of(layers), "it.h5")
