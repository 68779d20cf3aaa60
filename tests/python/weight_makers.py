"""Files of weights as other projects write them, and a server that serves them, for the tests of the converter."""

import contextlib
import http.server
import io
import pickle
import sys
import threading
import time
import types
import zipfile
from collections import OrderedDict

import numpy
from coulis.convert import graph, layouts, recipe
from random_weights import random_tensors

TORCH_TYPES = {
    "<f4": "FloatStorage",
    "<f2": "HalfStorage",
    "<f8": "DoubleStorage",
    "<i8": "LongStorage",
    "<u2": "BFloat16Storage",
}  # NumPy has no bfloat16: its bits, as whole numbers


def random_state(name, seed=1, classes=1000):
    """Seeded tensors under the names that a recipe's file has, and the same under ours."""
    chosen = recipe.read(name)
    nodes, names = layouts.build(chosen, classes)
    description = graph.describe(chosen, nodes)
    ours = random_tensors(description, seed)
    for key in ours:  # a block adds to its shortcut less than that holds, as in a trained network
        if key.endswith("project.norm.scale"):
            ours[key] *= numpy.float32(0.4)
    return {names[key]: values for key, values in ours.items()}, ours, description


def torch_state(name, seed=1, classes=1000):
    """As :func:`random_state` of a PyTorch recipe, with the counters that PyTorch writes beside batch norms."""
    state, ours, description = random_state(name, seed, classes)
    for key in [key for key in state if key.endswith("running_mean")]:
        state[key.replace("running_mean", "num_batches_tracked")] = numpy.int64(7)
    for key in [key for key in state if ".fc1.weight" in key or ".fc2.weight" in key]:
        state[key] = state[key][:, :, None, None]  # squeeze-and-excite is a 1x1 convolution in torchvision
    return state, ours, description


class _Pickler(pickle.Pickler):
    """Writes arrays as torch.save writes tensors: the same pickler, protocol and globals, without torch."""

    def __init__(self, file, modules, protocol):
        super().__init__(file, protocol)
        self.modules, self.storages = modules, []

    def persistent_id(self, item):
        return item if isinstance(item, tuple) and item and item[0] == "storage" else None

    def reducer_override(self, item):
        if not isinstance(item, numpy.ndarray):
            return NotImplemented
        item = numpy.asarray(item)
        storage = getattr(self.modules["torch"], TORCH_TYPES[item.dtype.str])
        identity = ("storage", storage, str(len(self.storages)), "cpu", item.size)
        self.storages.append(numpy.ascontiguousarray(item).tobytes())
        strides, size = [], 1
        for length in item.shape[::-1]:
            strides.insert(0, size)
            size *= length
        return self.modules["torch._utils"]._rebuild_tensor_v2, (
            identity,
            0,
            item.shape,
            tuple(strides),
            False,
            OrderedDict(),
        )


@contextlib.contextmanager
def _torch_modules():
    """Modules called torch and torch._utils, that globals of their names can be pickled."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in TORCH_TYPES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch._utils, utils._rebuild_tensor_v2 = utils, _rebuild_tensor_v2
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield {"torch": torch, "torch._utils": utils}
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def torch_zip_bytes(state, root="archive", compression=zipfile.ZIP_STORED, **members):
    """A .pth file as PyTorch 2 writes it; `members` replace or, when None, leave out parts of the archive."""
    state = OrderedDict((name, numpy.asarray(values)) for name, values in state.items())
    return torch_zip_object(state, 2, root, compression, **members)


def torch_zip_object(item, protocol=2, root="archive", compression=zipfile.ZIP_STORED, **members):
    """The same of anything, in which arrays stand for tensors."""
    with _torch_modules() as modules:
        text = io.BytesIO()
        pickler = _Pickler(text, modules, protocol)
        pickler.dump(item)
    parts = {"data.pkl": text.getvalue(), "byteorder": b"little"}
    parts.update({f"data/{index}": data for index, data in enumerate(pickler.storages)})
    parts.update({"version": b"3\n", ".data/serialization_id": b"0" * 40})
    parts.update({name.replace("__", "/").replace("_pkl", ".pkl"): data for name, data in members.items()})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(zipfile.ZipInfo(f"{root}/{name}"), data, compression)
    return file.getvalue()


class Server:
    """Serves `files` under /NAME from this machine, and notes each request with the range it asks for.

    `cut`: after how many bytes the next answers break off; `status`: paths that fail, with the number; `ranges`:
    whether a file can be had from the middle; `slow`: seconds between pieces of 256 KiB.
    """

    def __init__(self):
        self.files, self.requests, self.cut, self.status, self.ranges, self.slow = {}, [], {}, {}, True, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.http.server_address[1]}/{name}"

    def answer(self, request):
        name, asked = request.path[1:], request.headers.get("Range")
        self.requests.append((name, asked))
        if name in self.status or name not in self.files:
            request.send_error(self.status.get(name, 404))
            return
        data, start = self.files[name], 0
        if asked and self.ranges:
            start = int(asked[len("bytes=") :].rstrip("-"))
            if start >= len(data):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        rest = data[start:]
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        cuts = self.cut.get(name, [])
        rest = rest[: cuts.pop(0)] if cuts else rest
        with contextlib.suppress(ConnectionError):
            for first in range(0, len(rest), 1 << 18):
                request.wfile.write(rest[first : first + (1 << 18)])
                time.sleep(self.slow)
        request.close_connection = True

    def close(self):
        self.http.shutdown()
        self.http.server_close()
