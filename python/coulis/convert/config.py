"""What a config.json or preprocessor_config.json beside a file of weights says: of Hugging Face, timm and open_clip.

They are read as data, name the network where its tensors do not tell, and say how images are prepared.
"""

import json
import math
from collections import namedtuple
from pathlib import Path

from . import regular

SIZE_MAX = 1 << 20  # bytes; a config.json with 1,000 labels has 70,000
BESIDE = ("config.json", "preprocessor_config.json", "open_clip_config.json")
SIDE_MAX = 8192
_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers of filters

_ACTIVATION = {"clip": "quick_gelu"}  # transformers leaves out what is its own default

Found = namedtuple("Found", "facts input")
Found.__doc__ = """What the files say.

Attributes
----------
facts : dict of str to str
    "architecture" (timm's name), "model_type" and "activation" (Hugging Face): as in a recipe's [config].
input : dict
    As "input" in a model file: width, height, channels, mean, std, resize; empty when nothing is said.
"""


def beside(path):
    """The configuration files in the folder of a file of weights."""
    return [file for file in (Path(path).parent / name for name in BESIDE) if file.is_file()]


def read(paths):
    """What configuration files say together.

    Raises
    ------
    ValueError
        When one is damaged, or prepares images in a way that is not supported; names the file.
    OSError
    """
    facts, prepared = {}, {}
    for path in map(Path, paths):
        data = regular.read(path, SIZE_MAX)
        try:
            given = json.loads(data.decode())
            if not isinstance(given, dict):
                raise ValueError("it holds no object")
            if "preprocess_cfg" in given:
                prepared.update(_open_clip(given))
            elif "pretrained_cfg" in given or "architecture" in given:
                facts["architecture"] = str(given.get("architecture", "")).split(".")[0]
                prepared.update(_timm(given.get("pretrained_cfg") or given))
            elif "image_mean" in given or "do_resize" in given or "do_normalize" in given:
                prepared.update(_hugging_face(given))
            elif "model_type" in given:
                vision = given.get("vision_config") or given
                facts["model_type"] = str(given["model_type"]).replace("_vision_model", "")
                act = vision.get("hidden_act", _ACTIVATION.get(facts["model_type"]))
                if isinstance(act, str):
                    facts["activation"] = act
            else:
                raise ValueError("it is none of Hugging Face, timm or open_clip")
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError):
            raise ValueError(f"{path} is not a configuration that can be read") from None
        except UnicodeError:
            raise ValueError(f"{path} is not UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{path}: {str(error)[:200]}") from None
    return Found(facts, prepared)


def _pair(value):
    """[height, width] of a number or of Hugging Face's ways to write them."""
    if isinstance(value, dict):
        value = [value["height"], value["width"]]
    sides = [value, value] if isinstance(value, int) else list(value)
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= SIDE_MAX for side in sides):
        raise ValueError(f"the size {value!r:.60} is none that can be had")
    return sides


def _described(sides, mean, std, resize, factor=255.0):
    numbers = [float(number) for number in (*mean, *std)]
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)) or not all(numbers[3:]):
        raise ValueError("mean and std are not three numbers each")
    return {
        "width": sides[1],
        "height": sides[0],
        "channels": "RGB",
        "mean": [n * factor for n in numbers[:3]],
        "std": [n * factor for n in numbers[3:]],
        "resize": resize,
    }


def _hugging_face(given):
    kind = str(given.get("image_processor_type") or given.get("feature_extractor_type") or "")
    if not given.get("do_resize", True):
        raise ValueError("it does not resize images")
    if given.get("do_pad") or given.get("do_thumbnail") or given.get("rescale_offset"):
        raise ValueError("it pads images, or brings them to a range of its own, which is not done here")
    if given.get("resample", 3) not in _PILLOW:
        raise ValueError(f"its filter {given['resample']!r:.20} is not known")
    resize = {"filter": _PILLOW[given.get("resample", 2 if "ViT" in kind or "DeiT" in kind else 3)], "center": "down"}
    size, crop = given.get("size", 224), given.get("crop_size", 224)
    whole_sides = isinstance(size, dict) and "height" in size
    shorter = size.get("shortest_edge") if isinstance(size, dict) else None
    if "ConvNext" in kind or "crop_pct" in given:
        side = shorter or size
        sides = _pair(side)
        resize["size"] = int(side / given.get("crop_pct", 224 / 256)) if side < 384 else sides
    elif whole_sides or (isinstance(size, int) and ("ViT" in kind or "DeiT" in kind or "Siglip" in kind)):
        resize["size"] = _pair(size)
        sides = _pair(crop) if given.get("do_center_crop") else resize["size"]
    else:
        resize["size"] = shorter or size
        if type(resize["size"]) is not int or not given.get("do_center_crop", "CLIP" in kind or "Bit" in kind):
            raise ValueError("images keep their shape and are not cut to one size")
        sides = _pair(crop)
    mean, std = given.get("image_mean", [0.5] * 3), given.get("image_std", [0.5] * 3)
    if not given.get("do_normalize", True):
        mean, std = [0.0] * 3, [1.0] * 3
    factor = 1 / given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 1.0
    return _described(sides, mean, std, resize, factor)


def _timm(given):
    sides = _pair(given["input_size"][1:])
    share, mode = given.get("crop_pct", 0.875), given.get("crop_mode", "center")
    filter = given.get("interpolation", "bicubic")
    if mode not in ("center", "squash") or filter not in _PILLOW.values():
        raise ValueError(f"its crop_mode {mode!r:.20} or interpolation {filter!r:.20} is not done here")
    size = [math.floor(side / share) for side in sides]
    if mode == "center" and size[0] != size[1]:
        raise ValueError("images keep their shape and become no square, which is not done here")
    resize = {"size": size if mode == "squash" else size[0], "filter": filter}
    return _described(sides, given["mean"], given["std"], resize)


def _open_clip(given):
    model, how = given["model_cfg"]["vision_cfg"], given["preprocess_cfg"]
    sides, mode = _pair(model.get("image_size", 224)), how.get("resize_mode") or "shortest"
    filter = how.get("interpolation") or "bicubic"
    if mode not in ("shortest", "squash") or filter not in ("bicubic", "bilinear"):
        raise ValueError(f"its resize_mode {mode!r:.20} or interpolation {filter!r:.20} is not done here")
    return _described(
        sides, how["mean"], how["std"], {"size": sides if mode == "squash" else min(sides), "filter": filter}
    )
