"""Images to feature vectors, in memory."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy

from . import _library, images, inputs
from ._lock import Lock
from .error import InputError, error_of
from .estimator import Estimator
from .options import IMAGE
from .result import Result, joined

if TYPE_CHECKING:
    from .inputs import Entry, Image

# Images at once: enough for every core, few enough that Ctrl-C is heard. Results do not depend on it.
_CHUNK = 256


class Featurizer(Estimator):
    """A network, ready to turn images into vectors.

    A transformer of scikit-learn, which needs no fit: :meth:`transform` takes what :meth:`featurize` takes and returns
    the vectors. It can be cloned, and pickled without its weights: where it is used again, the network of that name is
    opened and must be the same one.

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
    orient, alpha, decode, like, truncated, depth, cmyk, max_pixels, max_bytes
        As in :func:`coulis.load_image`.
    precision : {"float32", "bf16", "int8"}
        In how many bits the products of 1x1 convolutions and dense layers are computed. Where the processor has
        no instruction for it, the vectors are float32's.
    random_weights : bool
        Read the graph alone and draw seeded weights; for measuring speed only.
    no_sign_request, requester_pays : bool
        How images in S3 are read, as in :func:`coulis.run`.
    on_error : {"raise", "nan"}
        What :meth:`transform` does with an image that cannot be read. :meth:`featurize` never raises for one.

    Attributes
    ----------
    model_info : dict
        The network: ``name``, ``source``, ``licence``, ``sha256``, ``input_width``, ``input_height``, ...

    Raises
    ------
    Error
        ``missing`` or ``bad_model`` when the network cannot be had; ``invalid_argument`` when it has no such features.

    Examples
    --------
    >>> with Featurizer() as featurizer:                        # doctest: +SKIP
    ...     result = featurizer.featurize(["apple.jpg", open("pear.png", "rb").read()])
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "efficientnet-lite0",
        features: str = "default",
        threads: int | None = None,
        *,
        resize: str = "auto",
        orient: str | None = None,
        alpha: str | None = None,
        decode: str = "exact",
        like: str | None = None,
        truncated: str = "refuse",
        depth: str = "pillow",
        cmyk: str = "plain",
        max_pixels: int | None = None,
        max_bytes: int | None = None,
        precision: str = "float32",
        random_weights: bool = False,
        no_sign_request: bool = False,
        requester_pays: bool = False,
        on_error: str = "raise",
    ) -> None:
        self.model = model
        self.features = features
        self.threads = threads
        self.resize = resize
        self.orient = orient
        self.alpha = alpha
        self.decode = decode
        self.like = like
        self.truncated = truncated
        self.depth = depth
        self.cmyk = cmyk
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes
        self.precision = precision
        self.random_weights = random_weights
        self.no_sign_request, self.requester_pays = no_sign_request, requester_pays
        self.on_error = on_error
        self._prepare()
        self._open()

    def _prepare(self) -> None:
        """What an object has that is not open yet."""
        self._model = ctypes.c_void_p()
        self._handle = ctypes.c_void_p()
        self._lock = Lock()  # the library wants one caller at a time
        self._opened: dict[str, Any] | None = None  # the parameters it was opened with
        self._closed = False
        self._length = 0
        self._recipe: dict[str, Any] | None = None
        self._expected: str | None = None  # SHA-256 of the network, of one that was pickled

    @classmethod
    def from_pca(cls, pca: str | os.PathLike[str], *, threads: int | None = None) -> Featurizer:
        """The featurizer whose vectors a PCA was fitted to: its network and preprocessing.

        `pca` is a folder that :func:`coulis.run` wrote, or the file of a PCA. ``bad_data`` when that does not say what
        its vectors come from, ``conflict`` when the network of that name is another one here.
        """
        from .pca import PCA

        path = os.path.join(pca, "pca.safetensors") if os.path.isdir(pca) else pca
        recipe = PCA.load(path).recipe_
        if not recipe or "model" not in recipe:
            raise InputError(f"{os.fspath(path)}: does not say which network its vectors come from", "bad_data", 14)
        words = ("resize", "orient", "alpha", "decode", "truncated", "depth", "cmyk", "precision", "max_pixels")
        chosen = {word: recipe[word] for word in words if word in recipe}
        featurizer = cls(recipe["model"], recipe["features"], threads, **chosen)
        featurizer._must_be(recipe["model_sha256"], f"{os.fspath(path)}: its vectors come from")
        for word in ("resize_width", "resize_height", "filter", "center"):  # which the network says
            if recipe.get(word) != featurizer.recipe.get(word):
                own = featurizer.recipe.get(word)
                raise InputError(
                    f"{os.fspath(path)}: its images were resized with {word} {recipe.get(word)}, where "
                    f"the network here has {own}",
                    "conflict",
                    16,
                )
        return featurizer

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides the vectors, a dict; see :class:`coulis.Result`."""
        with self._lock:
            self._open()
            return dict(self._recipe or {})

    @property
    def model_info(self) -> dict[str, Any]:
        """The network: its name, source, licence, SHA-256, sizes and counts."""
        with self._lock:
            self._open()
            info = _library.new(_library.ModelInfo)
            _library.call("coulis_model_describe", self._model, ctypes.byref(info))
        fields = {name: getattr(info, name) for name, _ in info._fields_ if name not in ("size", "reserved")}
        return {name: v.decode() if isinstance(v, bytes) else v for name, v in fields.items()}

    @property
    def length(self) -> int:
        """Dimensions of a vector."""
        with self._lock:
            if not self._closed:
                self._open()
            return self._length

    def featurize(self, images: Image | Iterable[Image]) -> Result:
        """Vectors of images.

        Parameters
        ----------
        images : one image, or any iterable of images
            An image is a path (str or os.PathLike); a whole file as bytes, bytearray or memoryview, or as a binary file
            object, which is read from where it stands; a PIL image; or a uint8 array of shape (height, width),
            (height, width, 3) or (height, width, 4). Mixed at will: lists, iterators, Series, columns of a data frame,
            a data frame of one column, arrays of shape (n, height, width, 3). A PIL image and an array give the vector
            of a PNG of their pixels.

        Returns
        -------
        Result
            One entry per image, in order; an image that cannot be read has a status and an error.

        Raises
        ------
        TypeError
            Names what is not an image.
        """
        items, count = inputs.items_of(images)
        return self._featurize(items, count, 0)

    def featurize_iter(self, images: Image | Iterable[Image], batch_size: int = 256) -> Iterator[Result]:
        """The same, a :class:`Result` of `batch_size` images at a time.

        No more images are taken from an iterator than the batch needs, so that memory does not grow with their number.
        """
        if int(batch_size) != batch_size or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number from 1, not {batch_size!r}")
        items, _ = inputs.items_of(images)
        firsts = range(0, 2**62, int(batch_size))
        return (
            self._featurize(batch, len(batch), first)
            for first, batch in zip(firsts, inputs.batches(items, int(batch_size)))
        )

    def featurize_pixels(self, pixels: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        """Vectors of images that are decoded and resized already.

        Parameters
        ----------
        pixels : uint8 (n, height, width, 3)
            RGB, of the size the network takes (``model_info["input_height"]``, ``model_info["input_width"]``).

        Returns
        -------
        numpy.ndarray
            float32 (n, length).
        """
        info = self.model_info
        pixels = numpy.asarray(pixels)
        wanted = (info["input_height"], info["input_width"], 3)
        if pixels.dtype != numpy.uint8 or pixels.ndim != 4 or pixels.shape[1:] != wanted:
            raise ValueError(
                f"pixels must be uint8 of shape (n, {wanted[0]}, {wanted[1]}, 3), not {pixels.dtype} {pixels.shape}"
            )
        pixels = numpy.ascontiguousarray(pixels)
        values = numpy.empty((len(pixels), self.length), numpy.float32)
        for first in range(0, len(pixels), _CHUNK):
            part, out = pixels[first : first + _CHUNK], values[first : first + _CHUNK]
            self._call(
                "coulis_featurizer_run_pixels",
                _library.pointer(part, ctypes.c_uint8),
                len(part),
                _library.pointer(out, ctypes.c_float),
            )
        return values

    # ---- scikit-learn ------------------------------------------------------------------

    def fit(self, X: Any = None, y: Any = None) -> Featurizer:
        """Learns nothing: there is nothing to learn. Returns this object."""
        return self

    def transform(self, X: Any) -> Any:
        """The vectors of images, one row for each; see :meth:`featurize` for what `X` may be.

        Returns
        -------
        float32 (n, d), or a data frame after :meth:`set_output`.

        Raises
        ------
        Error
            When an image cannot be read, unless `on_error` is ``"nan"``.
        """
        nan = _library.choice("on_error", self.on_error, ("raise", "nan"))
        result = self.featurize(X)
        failed = numpy.flatnonzero(~result.ok)
        if len(failed) and not nan:
            first = int(failed[0])
            status = result.status[first]
            raise error_of(
                f"{len(failed)} of {len(result)} images have no vector; image {first}: {result.error[first]} "
                "(on_error='nan' gives rows of NaN)",
                status,
                _library.status_number(status),
            )
        result.values[failed] = numpy.nan
        return self._contained(result.values, X)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """The same as :meth:`transform`."""
        return self.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> numpy.ndarray[Any, Any]:
        """Names of the columns that :meth:`transform` makes: ``featurizer0``, ``featurizer1``, ..."""
        return numpy.array([f"featurizer{i}" for i in range(self.length)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # the same before scikit-learn 1.6
        return {
            **super()._more_tags(),
            "requires_fit": False,
            "stateless": True,
            "no_validation": True,
            "X_types": ["string"],
        }

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            sha256 = self._recipe["model_sha256"] if self._recipe else self._expected
            config = getattr(self, "_sklearn_output_config", None)
            return {"params": self.get_params(), "model_sha256": sha256, "output": config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["params"])
        self._prepare()
        self._expected = state["model_sha256"]
        if state["output"] is not None:
            self._sklearn_output_config = state["output"]

    # ---- the library's objects ---------------------------------------------------------

    def close(self) -> None:
        """Releases the network's memory; done too when the object goes away."""
        with self._lock:
            self._closed = True
            self._release()

    def _release(self) -> None:
        if self._handle:
            _library.library().coulis_featurizer_free(self._handle)
            self._handle = ctypes.c_void_p()
        if self._model:
            _library.library().coulis_model_close(self._model)
            self._model = ctypes.c_void_p()

    def __enter__(self) -> Featurizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            try:
                self.close()
            except RuntimeError:
                pass  # lost in fork

    def _open(self) -> ctypes.c_void_p:
        """The handle, opened where it is not, or where parameters were set since."""
        if self._closed:
            raise ValueError("this featurizer is closed")
        params = self.get_params()
        del params["on_error"]
        if self._handle and params == self._opened:
            return self._handle
        options = _library.featurizer_options(
            self.features, self.precision, images.image_options(**{name: params[name] for name in IMAGE}), self.threads
        )
        options.no_sign_request, options.requester_pays = int(self.no_sign_request), int(self.requester_pays)
        self._release()
        how = _library.new(_library.ModelOptions)
        how.random_weights = int(bool(self.random_weights))
        name = _library.path_bytes(self.model)
        _library.call("coulis_model_open", name, ctypes.byref(how), ctypes.byref(self._model))
        _library.call("coulis_featurizer_create", self._model, ctypes.byref(options), ctypes.byref(self._handle))
        self._length = _library.library().coulis_featurizer_length(self._handle)
        self._recipe = json.loads(_library.library().coulis_featurizer_recipe(self._handle).decode("utf-8"))
        if self._expected is not None and self._opened is None:
            self._must_be(self._expected, "this featurizer was pickled with")
        self._opened = params
        return self._handle

    def _must_be(self, sha256: str, whose: str) -> None:
        """Refuses a network of the same name that is another one."""
        if not self._recipe or self._recipe["model_sha256"] != sha256:
            self._release()
            raise InputError(f"{whose} another network {os.fspath(self.model)!r} than the one here", "conflict", 16)

    def _call(self, name: str, *arguments: Any) -> None:
        with self._lock:
            _library.call(name, self._open(), *arguments)

    def _featurize(self, items: Iterable[Any], count: int | None, first: int) -> Result:
        """A result of `items`, whose `count` is None where it is not known; the first is called item `first`."""
        recipe, length = self.recipe, self.length
        values = None if count is None else numpy.zeros((count, length), numpy.float32)
        scale, max_bytes = self.depth == "scale", images.max_bytes()
        entries = (inputs.entry_of(item, number, max_bytes, scale) for number, item in enumerate(items, first))
        parts: list[Result] = []
        done = 0
        for together in inputs.chunks(entries, _CHUNK):
            space = None if values is None else values[done : done + len(together)]
            parts.append(
                self._run(
                    together,
                    numpy.zeros((len(together), length), numpy.float32)
                    if space is None or len(space) < len(together)
                    else space,
                )
            )
            done += len(together)
        if values is None or len(values) != done:
            values = numpy.concatenate([numpy.zeros((0, length), numpy.float32), *(part.values for part in parts)])
        return joined(parts, values, recipe)

    def _run(self, entries: list[Entry], values: numpy.ndarray[Any, Any]) -> Result:
        """A result of these entries, whose vectors go into `values`."""
        count = len(entries)
        nothing: list[str | None] = [None] * count
        sides = numpy.zeros((2, count), numpy.int32)
        result = Result(values, ["ok"] * count, nothing, sides[0], sides[1], path=[entry.path for entry in entries])
        files = [row for row, entry in enumerate(entries) if entry.pixels is None and not entry.failed]
        pixels = [row for row, entry in enumerate(entries) if entry.pixels is not None]
        for row, entry in enumerate(entries):
            if entry.failed:
                result.status[row], result.error[row] = entry.failed
        calls = (
            (files, "coulis_featurizer_run", _library.Input, inputs.fill_input),
            (pixels, "coulis_featurizer_run_images", _library.Pixels, inputs.fill_pixels),
        )
        for rows, name, kind, fill in calls:
            if not rows:
                continue
            keep: list[Any] = []
            given, found = (kind * len(rows))(), (_library.ResultStruct * len(rows))()
            for to, row in zip(given, rows):
                fill(to, entries[row], keep)
            own = values if len(rows) == count else numpy.empty((len(rows), values.shape[1]), numpy.float32)
            self._call(name, given, len(rows), _library.pointer(own, ctypes.c_float), found)
            if own is not values:
                values[rows] = own
            for row, entry in zip(rows, found):
                if entry.error.status != _library.STATUS_OK:
                    result.status[row] = _library.status_name(entry.error.status)
                    result.error[row] = entry.error.message.decode("utf-8", "replace")
                result.width[row], result.height[row] = entry.width, entry.height
        return result
