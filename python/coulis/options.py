"""The options that several functions have, described once."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, TypedDict, TypeVar, Union

if TYPE_CHECKING:
    F = TypeVar("F", bound=Callable[..., Any])


class ImageOptions(TypedDict, total=False):
    """How an image is decoded and resized.

    resize : {"auto", "squash", "crop", "published"}
        ``"squash"``: stretch to the size wanted; ``"crop"``: bring the shorter side to it and cut the centre out;
        ``"published"``: as the publisher of the network does; ``"auto"``: that, or ``"squash"`` for the networks of
        version 0.1.
    orient : {"exif", "ignore"}
        Turn the image as its EXIF orientation says (the default), or not.
    alpha : {"white", "drop"}
        Paint what is transparent on white (the default), or ignore transparency, as Pillow does.
    decode : {"exact", "fast"}
        ``"fast"``: a JPEG far larger than wanted is decoded at a fraction of its size. Pixels change a little.
    like : {None, "pillow"}
        ``"pillow"``: `orient` is ``"ignore"`` and `alpha` is ``"drop"`` unless you say otherwise.
    truncated : {"refuse", "keep"}
        ``"keep"``: of an image cut short, keep the rows that are there.
    depth : {"pillow", "scale"}
        Grey samples of more than 8 bits: values above 255 become 255, or all are scaled to 8 bits.
    cmyk : {"plain", "profile"}
        CMYK with an embedded ICC profile: convert by formula, as Pillow does, or through the profile.
    max_pixels : int or None
        Width times height at most; None for 178,956,970.
    max_bytes : int or None
        Bytes of an image file at most; None for 1 GiB.
    """

    resize: Literal["auto", "squash", "crop", "published"]
    orient: Optional[Literal["exif", "ignore"]]
    alpha: Optional[Literal["white", "drop"]]
    decode: Literal["exact", "fast"]
    like: Optional[Literal["pillow"]]
    truncated: Literal["refuse", "keep"]
    depth: Literal["pillow", "scale"]
    cmyk: Literal["plain", "profile"]
    max_pixels: Optional[int]
    max_bytes: Optional[int]


class SourceOptions(TypedDict, total=False):
    """Which files of paths are images, and what their labels are; docs/sources.md.

    label : str
        Which folder is the label: ``"parent"``, ``"first"``, ``"none"`` or a level such as ``"2"`` or ``"-2"``.
    include, exclude : str or sequence of str
        Patterns of which one must match, or none may.
    all_files : bool
        Take hidden files and folders of the system, too.
    null : bool
        The paths of a list end with NUL.
    no_sign_request : bool
        Read ``s3://`` without keys, from buckets that are open to all.
    requester_pays : bool
        The owner of the keys pays for what is read from ``s3://``.
    """

    label: str
    include: Union[str, Sequence[str]]
    exclude: Union[str, Sequence[str]]
    all_files: bool
    null: bool
    no_sign_request: bool
    requester_pays: bool


class VectorOptions(ImageOptions, total=False):
    """What decides vectors: the network, and how images are prepared for it; see :class:`coulis.Featurizer`.

    model : str or os.PathLike
        Name or file of the network.
    features : {"default", "pooled", "map", "logits", "cls", "tokens-mean", "tokens", "projected"}
        What the network gives.
    precision : {"float32", "bf16", "int8"}
        Of products in the network.
    """

    model: Union[str, os.PathLike[str]]
    features: str
    precision: Literal["float32", "bf16", "int8"]


class RunOptions(VectorOptions, SourceOptions, total=False):
    """The options of a job that reads images and runs a network: :class:`VectorOptions` and :class:`SourceOptions`."""


DEFAULTS: dict[str, Any] = {
    "model": "efficientnet-lite0",
    "features": "default",
    "resize": "auto",
    "orient": None,
    "alpha": None,
    "decode": "exact",
    "like": None,
    "truncated": "refuse",
    "depth": "pillow",
    "cmyk": "plain",
    "max_pixels": None,
    "max_bytes": None,
    "precision": "float32",
    "label": "parent",
    "include": (),
    "exclude": (),
    "all_files": False,
    "null": False,
    "no_sign_request": False,
    "requester_pays": False,
}
# Names of each, in the order of DEFAULTS.
IMAGE = tuple(name for name in DEFAULTS if name in ImageOptions.__annotations__)
SOURCE = tuple(name for name in DEFAULTS if name in SourceOptions.__annotations__)


def takes(*kinds: Any, **changed: Any) -> Callable[[F], F]:
    """A decorator: the function's ``**options`` are the members of `kinds`, which is what ``help`` shows.

    `changed` are defaults that differ.
    """
    names = {name for kind in kinds for name in kind.__annotations__}
    defaults = {name: value for name, value in {**DEFAULTS, **changed}.items() if name in names}

    def described(function: F) -> F:
        signature = inspect.signature(function)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in defaults.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        function.__option_defaults__ = defaults  # type: ignore[attr-defined]
        return function

    return described


def complete(function: Callable[..., Any], given: Any) -> dict[str, Any]:
    """The options that a function was given, over its defaults; TypeError for one that it does not have."""
    defaults: dict[str, Any] = function.__option_defaults__  # type: ignore[attr-defined]
    for name in given:
        if name not in defaults:
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
    return {**defaults, **given}
