"""Texts to vectors in the space of a network's images."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from . import _library
from ._handle import Handle
from ._lock import Lock
from .error import Error, InputError
from .model_files import find_model

if TYPE_CHECKING:
    from .estimator import Array

# Texts handed to the library at once, so that Ctrl-C is heard. Results do not depend on it.
_CHUNK = 64
_MISSING, _BAD_MODEL = ("missing", 5), ("bad_model", 13)


class TextFeaturizer:
    """The network of texts that belongs to one of images: CLIP's and SigLIP's.

    Its vectors are in the same space as those of ``coulis.Featurizer(model)``: the more a text says what an image
    shows, the larger the cosine of the angle between both. Cutting texts into tokens needs ``pip install tokenizers``.

    Parameters
    ----------
    model : str or os.PathLike
        Name of the network of images (``"clip-vit-b-32"``), or path of its file, or of that of the texts.
    threads : int or None
        None for all cores. The result does not depend on it.

    Attributes
    ----------
    length : int
        Dimensions of a vector.
    tokens_length : int
        Tokens of a text. What goes beyond is cut off, as by the network's publisher.
    vocabulary : int
        Tokens are numbers below it.

    Raises
    ------
    Error
        ``missing`` when the network, or its texts, cannot be had.
    ImportError
        When a text is given and tokenizers is not installed.

    Examples
    --------
    >>> with TextFeaturizer("clip-vit-b-32") as texts:                                # doctest: +SKIP
    ...     values = texts.featurize(["a photo of a cat", "a photo of a dog"])
    """

    def __init__(self, model: str | os.PathLike[str] = "clip-vit-b-32", threads: int | None = None) -> None:
        self.model = model
        self.threads = threads
        self._lock = Lock()  # the library wants one caller at a time
        self._path = _find(model)
        self._model, self._handle = Handle("coulis_model_close"), Handle("coulis_featurizer_free")
        _library.call("coulis_model_open", _library.path_bytes(self._path), None, self._model.out)
        options = _library.new(_library.FeaturizerOptions)
        options.threads = _library.threads_number(threads)
        _library.call("coulis_featurizer_create", self._model, ctypes.byref(options), self._handle.out)
        description, self._tokenizer_json = _contents(self._path)
        if "tokens" not in description["input"]:
            raise InputError(f"{self._path} reads images, not texts")
        self.tokens_length: int = description["input"]["tokens"]
        self.vocabulary: int = description["input"]["vocabulary"]
        numbers = _library.library().coulis_featurizer_length(self._handle)
        # CLIP's is that of a text's end, so the network gives one for each token.
        self._all = not any(node["op"] == "take" for node in description["nodes"])
        self.length: int = numbers // self.tokens_length if self._all else numbers
        self._tokenizer: Any = None
        self._pad, self._lower = 0, False

    def featurize(self, texts: str | Iterable[str]) -> Array:
        """Vectors of texts.

        Parameters
        ----------
        texts : str, or iterable of str

        Returns
        -------
        numpy.ndarray
            float32 (n, length), a row for each text.
        """
        return self.featurize_tokens(self.tokens(texts))

    def tokens(self, texts: str | Iterable[str]) -> Array:
        """The numbers of the texts' tokens: int32 (n, tokens_length)."""
        listed = [texts] if isinstance(texts, str) else list(texts)
        for text in listed:
            if not isinstance(text, str):
                raise TypeError(f"a text must be a str, not {type(text).__name__}")
        with self._lock:
            tokenizer = self._opened()
            given = [text.lower() for text in listed] if self._lower else listed
            found = numpy.full((len(listed), self.tokens_length), self._pad, numpy.int32)
            for row, encoded in zip(found, tokenizer.encode_batch(given)):
                row[: len(encoded.ids)] = encoded.ids
        return found

    def featurize_tokens(self, tokens: Any) -> Array:
        """Vectors of texts that are tokens already: whole numbers (n, tokens_length)."""
        given = numpy.asarray(tokens)
        if given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1] != self.tokens_length:
            raise ValueError(
                f"tokens must be whole numbers of shape (n, {self.tokens_length}), not {given.dtype} {given.shape}"
            )
        if given.size and not 0 <= int(given.min()) <= int(given.max()) < self.vocabulary:
            raise InputError(f"tokens must be from 0 to {self.vocabulary - 1}")
        rows = numpy.ascontiguousarray(given, numpy.int32)
        values = numpy.empty((len(rows), self.length), numpy.float32)
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            out = numpy.empty((len(part), self.tokens_length if self._all else 1, self.length), numpy.float32)
            with self._lock:
                if self._handle is None:
                    raise ValueError("this featurizer of texts is closed")
                _library.call(
                    "coulis_featurizer_run_tokens",
                    self._handle,
                    _library.pointer(part, ctypes.c_int32),
                    len(part),
                    _library.pointer(out, ctypes.c_float),
                )
            # The end has the highest number in CLIP's vocabulary; its padding may have the same one.
            at = part.argmax(1) if self._all else numpy.zeros(len(part), numpy.int64)
            values[first : first + _CHUNK] = out[numpy.arange(len(part)), at]
        return values

    def close(self) -> None:
        """Releases the network's memory; done too when the object goes away."""
        with self._lock:
            self._handle = self._model = None  # type: ignore[assignment]

    def __enter__(self) -> TextFeaturizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.model, self.threads)

    def __repr__(self) -> str:
        return f"TextFeaturizer({os.fspath(self.model)!r})"

    def _opened(self) -> Any:
        if self._tokenizer is None:
            try:
                import tokenizers
            except ImportError:
                raise ImportError(
                    "cutting texts into tokens needs the package tokenizers: pip install tokenizers"
                ) from None
            try:
                made = tokenizers.Tokenizer.from_str(self._tokenizer_json.decode())
            except Exception as error:  # it has no exceptions of its own
                raise Error(f"{self._path}: its tokenizer can't be read: {str(error)[:200]}", *_BAD_MODEL) from None
            made.no_padding()
            made.enable_truncation(self.tokens_length)
            if made.get_vocab_size() > self.vocabulary:
                raise Error(
                    f"{self._path}: its tokenizer has {made.get_vocab_size()} tokens, the network {self.vocabulary}",
                    *_BAD_MODEL,
                )
            # SigLIP was trained with texts that are filled up with their end; SigLIP 2, whose tokenizer is Gemma's,
            # with a token for it and in lower case. What comes behind the end of a text makes no difference to CLIP.
            self._lower = made.token_to_id("<eos>") is not None
            self._pad = made.token_to_id("<pad>" if self._lower else "</s>") or 0
            self._tokenizer = made
        return self._tokenizer


def _find(model: str | os.PathLike[str]) -> str:
    """The file of the texts that belong to a network."""
    path = Path(find_model(model))
    if path.parent.name == "texts":
        return str(path)
    beside = path.parent / "texts" / path.name
    if beside.is_file():
        return str(beside)
    # A file given by its path is that of texts, or of images alone.
    if "tokens" in _contents(str(path), tokenizer=False)[0]["input"]:
        return str(path)
    raise Error(
        f"model '{os.fspath(model)}' has no texts: there is no {beside}. 'coulis models get' brings those of "
        "CLIP and SigLIP, 'coulis models add' those in a file with a tokenizer.json beside it",
        *_MISSING,
    )


def _contents(path: str, tokenizer: bool = True) -> tuple[dict[str, Any], bytes]:
    """The description in a model file, and its tokenizer. The library has held the file's sizes against each other."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 100_000_000)).decode())
            description = json.loads(header["__metadata__"]["coulis"])
            if not tokenizer or "tokens" not in description["input"]:
                return description, b""
            first, last = header["tokenizer"]["data_offsets"]
            file.seek(8 + size + first)
            return description, file.read(last - first)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Error(f"{path}: it has no description of a network, or no tokenizer", *_BAD_MODEL) from None
