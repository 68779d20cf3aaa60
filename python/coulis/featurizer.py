"""Pictures to feature vectors, in memory."""

import ctypes
import json
import os
from dataclasses import dataclass
from typing import Optional

import numpy

from . import _library, images
from ._lock import Lock
from .error import InputError

# Pictures handed to the library at once: enough to keep every core busy, few enough that Ctrl-C is
# heard every few seconds. Results do not depend on it.
_CHUNK = 256


@dataclass
class Result:
    """What :meth:`Featurizer.featurize` returns; entry i belongs to picture i.

    Attributes
    ----------
    values : float32 (n, d)
        One vector per picture; zeros for a picture that failed.
    status : list of str
        ``"ok"``, ``"unreadable"``, ``"unsupported"``, ``"too_large"``, ``"empty"`` or ``"missing"``.
    error : list of (str or None)
        One sentence for a picture that failed, None when ok.
    width, height : int32 (n,)
        Of the picture as stored, in pixels; 0 when unknown.
    recipe : dict or None
        What decides the vectors: network and its SHA-256, features, preprocessing, precision, instruction set and
        version. :class:`coulis.PCA` takes a result in place of a matrix, and compares.
    """

    values: numpy.ndarray
    status: list[str]
    error: list[Optional[str]]
    width: numpy.ndarray
    height: numpy.ndarray
    recipe: Optional[dict] = None

    def __len__(self):
        return len(self.status)

    @property
    def ok(self):
        """bool (n,): whether the picture has a vector."""
        return numpy.array([word == "ok" for word in self.status], dtype=bool)


class Featurizer:
    """A network, ready to turn pictures into vectors.

    Parameters
    ----------
    model : str or os.PathLike
        Name (``"efficientnet-lite0"``) or path of a model file; see :func:`coulis.find_model`.
    features : {"default", "pooled", "map", "logits", "cls", "tokens-mean", "tokens", "projected"}
        ``"default"``: what the network's publisher calls the embedding. ``"pooled"``: the last feature map averaged
        over its area. ``"map"``: that map flattened height, width, channel. ``"logits"``: the classifier's scores
        before softmax. Of transformers: ``"cls"``, the class token; ``"tokens-mean"``, the mean of the patches;
        ``"tokens"``, all tokens; ``"projected"``, the vector in the space that images share with texts.
    threads : int or None
        None for all cores. The result does not depend on it.
    resize : {"auto", "squash", "crop", "published"}
        As in :func:`coulis.load_image`; "published": as the publisher of the network does, "auto": that, or "squash"
        for the networks of version 0.1.
    orient, alpha, decode, like, truncated, depth, cmyk, max_pixels
        As in :func:`coulis.load_image`.
    precision : {"float32", "bf16", "int8"}
        In how many bits the products of 1x1 convolutions and dense layers are computed. Where the processor has
        no instruction for it, the vectors are float32's.
    random_weights : bool
        Read the graph alone and draw seeded weights; for measuring speed only.

    Raises
    ------
    Error
        ``missing`` or ``bad_model`` when the network cannot be had; ``invalid_argument`` when it has
        no such features.

    Examples
    --------
    >>> with Featurizer() as featurizer:                        # doctest: +SKIP
    ...     result = featurizer.featurize(["apple.jpg", open("pear.png", "rb").read()])
    """

    def __init__(
        self,
        model="efficientnet-lite0",
        features="default",
        threads=None,
        *,
        resize="auto",
        orient=None,
        alpha=None,
        decode="exact",
        like=None,
        truncated="refuse",
        depth="pillow",
        cmyk="plain",
        max_pixels=None,
        precision="float32",
        random_weights=False,
    ):
        self._model = ctypes.c_void_p()
        self._handle = ctypes.c_void_p()
        self._lock = Lock()  # the library wants one caller at a time
        image = images.image_options(
            resize,
            orient,
            alpha,
            decode,
            like=like,
            truncated=truncated,
            depth=depth,
            cmyk=cmyk,
            max_pixels=max_pixels,
        )
        options = _library.featurizer_options(features, precision, image, threads)
        how = _library.new(_library.ModelOptions)
        how.random_weights = int(bool(random_weights))
        _library.call("coulis_model_open", _library.path_bytes(model), ctypes.byref(how), ctypes.byref(self._model))
        _library.call("coulis_featurizer_create", self._model, ctypes.byref(options), ctypes.byref(self._handle))
        self.features = features
        self._length = _library.library().coulis_featurizer_length(self._handle)
        info = _library.new(_library.ModelInfo)
        _library.call("coulis_model_describe", self._model, ctypes.byref(info))
        fields = {name: getattr(info, name) for name, _ in info._fields_ if name != "size"}
        self.model = {name: v.decode() if isinstance(v, bytes) else v for name, v in fields.items()}

    @classmethod
    def from_pca(cls, pca, *, threads=None):
        """The featurizer whose vectors a PCA was fitted to: its network and preprocessing.

        `pca` is a folder that :func:`coulis.run` wrote, or the file of a PCA. ``bad_data`` when that does not say what
        its vectors come from, ``conflict`` when the network of that name is another one here.
        """
        from .pca import PCA

        path = os.path.join(pca, "pca.safetensors") if os.path.isdir(pca) else pca
        recipe = PCA.load(path).recipe_
        if not recipe or "model" not in recipe:
            raise InputError(f"{os.fspath(path)}: does not say which network its vectors come from", "bad_data", 14)
        words = ("resize", "orient", "alpha", "decode", "truncated", "depth", "cmyk", "precision")
        chosen = {word: recipe[word] for word in words if word in recipe}
        featurizer = cls(recipe["model"], recipe["features"], threads, **chosen)
        if featurizer.recipe["model_sha256"] != recipe["model_sha256"]:
            raise InputError(
                f"{os.fspath(path)}: its vectors come from another network {recipe['model']!r} than the one here",
                "conflict",
                16,
            )
        return featurizer

    @property
    def recipe(self):
        """What decides the vectors, a dict; see :class:`coulis.Result`."""
        with self._lock:
            return json.loads(_library.library().coulis_featurizer_recipe(self._open()).decode("utf-8"))

    @property
    def length(self):
        """Numbers in a vector."""
        return self._length

    def featurize(self, pictures):
        """Vectors of pictures.

        Parameters
        ----------
        pictures : iterable of (str, os.PathLike, bytes, bytearray or memoryview), or one of these
            Paths, or whole files in memory, mixed at will.

        Returns
        -------
        Result
            One entry per picture, in order; a picture that cannot be read has a status and an error.
        """
        if _library.is_bytes(pictures) or isinstance(pictures, (str, os.PathLike)):
            pictures = [pictures]
        pictures = list(pictures)
        count = len(pictures)
        values = numpy.zeros((count, self._length), numpy.float32)
        sides = numpy.zeros(count, numpy.int32), numpy.zeros(count, numpy.int32)
        result = Result(values, [], [], *sides, self.recipe)
        for first in range(0, count, _CHUNK):
            self._chunk(pictures[first : first + _CHUNK], first, result)
        return result

    def featurize_pixels(self, pixels):
        """Vectors of pictures already decoded and resized.

        Parameters
        ----------
        pixels : uint8 (n, height, width, 3)
            RGB, of the size the network takes (``model["input_height"]``, ``model["input_width"]``).

        Returns
        -------
        numpy.ndarray
            float32 (n, length).
        """
        pixels = numpy.asarray(pixels)
        wanted = (self.model["input_height"], self.model["input_width"], 3)
        if pixels.dtype != numpy.uint8 or pixels.ndim != 4 or pixels.shape[1:] != wanted:
            raise ValueError(
                f"pixels must be uint8 of shape (n, {wanted[0]}, {wanted[1]}, 3), not {pixels.dtype} {pixels.shape}"
            )
        pixels = numpy.ascontiguousarray(pixels)
        values = numpy.empty((len(pixels), self._length), numpy.float32)
        for first in range(0, len(pixels), _CHUNK):
            part, out = pixels[first : first + _CHUNK], values[first : first + _CHUNK]
            with self._lock:
                _library.call(
                    "coulis_featurizer_run_pixels",
                    self._open(),
                    _library.pointer(part, ctypes.c_uint8),
                    len(part),
                    _library.pointer(out, ctypes.c_float),
                )
        return values

    def close(self):
        """Give the network's memory back; done too when the object goes away."""
        with self._lock:
            if self._handle:
                _library.library().coulis_featurizer_free(self._handle)
                self._handle = ctypes.c_void_p()
            if self._model:
                _library.library().coulis_model_close(self._model)
                self._model = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_lock"):
            try:
                self.close()
            except RuntimeError:
                pass  # lost in fork

    def _open(self):
        if not self._handle:
            raise ValueError("this featurizer is closed")
        return self._handle

    def _chunk(self, pictures, first, result):
        keep = []
        inputs = (_library.Input * len(pictures))()
        for entry, picture in zip(inputs, pictures):
            if _library.is_bytes(picture):
                entry.bytes, entry.byte_count = _library.buffer_address(picture, keep)
            else:
                entry.path = _library.path_bytes(picture)
        results = (_library.ResultStruct * len(pictures))()
        values = result.values[first : first + len(pictures)]
        with self._lock:
            _library.call(
                "coulis_featurizer_run",
                self._open(),
                inputs,
                len(pictures),
                _library.pointer(values, ctypes.c_float),
                results,
            )
        for row, entry in enumerate(results, first):
            failed = entry.error.status != _library.STATUS_OK
            result.status.append(_library.status_name(entry.error.status))
            result.error.append(entry.error.message.decode("utf-8", "replace") if failed else None)
            result.width[row], result.height[row] = entry.width, entry.height
