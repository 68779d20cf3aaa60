"""coulis models add and get take files of strangers: bounded time and memory, ordinary files alone, no way to http."""

import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path

import numpy
import pytest
from coulis.convert import add, checkpoint, config, fetch, legacy_pickle, pickles, recipe
from coulis.convert import weight_files
from coulis.convert.__main__ import main
from weight_makers import Server, torch_state, torch_zip_bytes

SECONDS = 30  # far above what any of these takes; a bomb takes hours


@pytest.fixture
def added(capfd, tmp_path, monkeypatch):
    """A function that does what `models add` does; gives exit code and sentence. It may not take long."""

    def add_file(path, *more, kind="torch"):
        monkeypatch.setenv("COULIS_MODELS", str(tmp_path / "models"))
        before = signal.getsignal(signal.SIGTERM)
        signal.alarm(SECONDS)
        try:
            code = main(["add", str(path), "--name", "n", "--from", kind, *more])
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGTERM, before)
        said = capfd.readouterr().err
        assert said.startswith("coulis: ") and said.count("\n") == 1, said
        return code, said

    return add_file


# ---- what is not a file --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["torch", "keras", "onnx"])
def test_a_fifo_a_device_and_a_folder_are_refused(added, tmp_path, kind):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        code, said = added(path, kind=kind)
        assert code == 1 and str(path) in said and "file" in said


def test_a_configuration_that_is_a_fifo_is_refused(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ValueError, match="not an ordinary file"):
        config.read([tmp_path / "config.json"])


# ---- bombs ------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_much_more_is_refused(added, tmp_path):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("n/w.pth", "w") as member:
        for _ in range(256):
            member.write(bytes(1 << 20))
    (tmp_path / "bomb.whl").write_bytes(packed.getvalue())
    assert len(packed.getvalue()) < 1 << 20
    code, said = added(tmp_path / "bomb.whl")
    assert code == 1 and "unpacked to 268435456 bytes" in said


def pickle_of(*opcodes):
    return b"\x80\x02" + b"".join(opcodes) + b"."


def shared_dictionaries(levels, width):
    """Dictionaries in dictionaries: `levels` deep, each with the one below under `width` names."""
    made = b"}q\x00"  # the innermost, memorised as 0
    for level in range(levels):
        keys = [b"X" + struct.pack("<I", 4) + b"%04d" % name for name in range(width)]
        shared = b"".join(key + b"h" + bytes([level]) for key in keys[1:])
        made = b"}(" + keys[0] + made + shared + b"uq" + bytes([level + 1])
    return pickle_of(made)


def test_shared_dictionaries_are_not_searched_again_and_again():
    # 200 to the 6th ways; the file has 15 KB.
    loaded = pickles.load(BytesIO(shared_dictionaries(7, 200)))
    with pytest.raises(ValueError, match="holds no tensors"):
        checkpoint.tensors(loaded)


def test_shared_modules_are_counted():
    module = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    for _ in range(60):  # two to the 60th
        module = {"_parameters": {}, "_buffers": {}, "_modules": {"a": module, "b": module}}
    with pytest.raises(ValueError, match="more than 100000 modules"):
        checkpoint.tensors(module)


def test_a_dictionary_that_is_copied_again_and_again_is_refused():
    # 5,000 entries, put into an object 10,000 times.
    entries = b"".join(b"M" + struct.pack("<H", n) + b"N" for n in range(5000))
    text = b"cx\ny\n)R" + b"}(" + entries + b"uq\x00" + b"b" + b"h\x00b" * 10_000
    with pytest.raises(ValueError, match="too long"):
        pickles.load(BytesIO(pickle_of(text)))


def test_tensors_that_share_one_storage_without_end_are_refused():
    storage = pickles.Storage("0", "bfloat16", 1000)
    arrays = {"0": numpy.zeros(1000, "<u2")}
    tensors = {str(n): pickles.Tensor(storage, 0, (1000,), (1,)) for n in range(4)}
    assert len(legacy_pickle.views(tensors, arrays)) == 4
    tensors["more"] = tensors["0"]
    with pytest.raises(ValueError, match="share their storages"):
        legacy_pickle.views(tensors, arrays)


def test_a_shape_of_a_million_numbers_is_refused_at_once(added, tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**11] * 500_000, "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    code, said = added(path)
    assert code == 1 and "impossible shape" in said


# ---- what fuzz/fuzz_weights.py found -----------------------------------------------------------


def test_a_damaged_stream_in_a_wheel_is_a_sentence(added, tmp_path):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("n/w.pth", b"weights " * 100)
    data = bytearray(packed.getvalue())
    data[30 + len("n/w.pth")] ^= 0x07  # the kind of the first block: none that there is
    (tmp_path / "n.whl").write_bytes(data)
    code, said = added(tmp_path / "n.whl")
    assert code == 1 and "is a damaged archive" in said


@pytest.mark.parametrize("offsets", [[0], [], [0, 4, 8], "04", {"0": 4}, 4, None])
def test_offsets_that_are_no_pair_are_a_sentence(added, tmp_path, offsets):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": offsets}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    code, said = added(tmp_path / "a.safetensors")
    assert code == 1 and "is damaged" in said


@pytest.mark.parametrize("name", ["a" * 5000, "two\nlines", "bell\a"])
def test_names_of_tensors_do_not_spoil_the_sentence(added, tmp_path, name):
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    code, said = added(tmp_path / "a.safetensors")
    assert code == 1 and "have none of the names" in said and "comes in as ONNX" in said
    assert len(said) < 1500 and said.rstrip("\n").isprintable()


def test_the_fuzzer_finds_nothing_more(repository, tmp_path):
    """A part of what `./run fuzz` does, with a seed of its own."""
    cases = "30" if os.environ.get("COULIS_TEST_QUICK") else "120"
    fuzzer = [sys.executable, repository / "fuzz" / "fuzz_weights.py", "60", "--seed", "1"]
    fuzzer += ["--folder", tmp_path, "--cases", cases]
    done = subprocess.run(fuzzer, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"^(\d+) files tried, 0 kept$", done.stdout, re.M).group(1)) >= 2 * int(cases)


# ---- text -------------------------------------------------------------------------------------


def test_text_that_is_not_utf8_is_told_in_a_sentence(added, tmp_path):
    import coulis

    metadata = json.dumps({"__metadata__": {"coulis": "caf\xe9"}}, ensure_ascii=False).encode("latin-1")
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(metadata)) + metadata)
    code, said = added(path)
    assert code == 1 and "header" in said and "damaged" in said
    with pytest.raises(coulis.Error, match="not UTF-8"):
        coulis.Featurizer(path)
    with pytest.raises(coulis.Error, match="not UTF-8"):
        coulis.PCA.load(path)
    (tmp_path / "config.json").write_bytes(b'{"model_type": "caf\xe9"}')
    with pytest.raises(ValueError, match="config.json is not UTF-8"):
        config.read([tmp_path / "config.json"])


# ---- downloads --------------------------------------------------------------------------------


@pytest.fixture
def redirecting(tmp_path):
    """A server of https that redirects every path to what `to` says; its certificate is the one that is trusted."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        tmp_path / "key.pem",
        "-out",
        tmp_path / "cert.pem",
    ]
    subprocess.run(made, check=True, capture_output=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        to = ""

        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", self.to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield Handler, f"https://127.0.0.1:{running.server_address[1]}/w.pth", tmp_path / "cert.pem"
    running.shutdown()
    running.server_close()


def test_no_way_from_https_to_http(redirecting, tmp_path, monkeypatch):
    handler, url, certificate = redirecting
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    plain = Server()
    plain.files["w.pth"] = b"weights"
    for handler.to in (plain.url("w.pth"), "ftp://127.0.0.1/w.pth"):
        with pytest.raises(fetch.Unreachable, match="is not https: not followed"):
            fetch.download(url, tmp_path / "part", {}, quiet=True)
    assert plain.requests == [] and not (tmp_path / "part").exists()
    plain.close()


def test_a_transfer_that_hardly_moves_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "SLOW_SECONDS", 0.5)
    monkeypatch.setattr(fetch, "SLOW_BYTES", 1 << 30)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    server.files["w.pth"], server.slow = bytes(8 << 20), 0.3
    with pytest.raises(fetch.Unreachable, match="what is here is kept"):
        fetch.download(server.url("w.pth"), tmp_path / "part", {}, quiet=True)
    assert 0 < (tmp_path / "part").stat().st_size < 8 << 20
    server.close()


def test_recipes_that_hold_no_whole_hash():
    """Each other recipe is held to what its server states, and to what was fetched first."""
    loose = [name for name in recipe.names() if not weight_files.is_pinned(recipe.read(name)["source"])]
    assert loose == [
        "clip-vit-b-16-laion2b",
        "clip-vit-b-32-laion2b",
        "dinov2-vitb14-reg",
        "resnet50",
        "siglip-vit-b-16",
        "siglip2-vit-b-16",
        "squeezenet1-1",
        "tf-efficientnet-lite1",
        "tf-efficientnet-lite2",
        "timm-efficientnet-lite0",
        "vit-s-16-augreg",
    ]


def test_a_file_with_the_right_beginning_of_a_hash_is_held_to_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    data = torch_zip_bytes(torch_state("tf-efficientnet-lite1")[0])
    server.files["w.pth"] = data
    chosen = recipe.read("tf-efficientnet-lite1")
    chosen["source"].update(url=server.url("w.pth"), sha256=hashlib.sha256(data).hexdigest()[:1])
    monkeypatch.setattr(recipe, "read", lambda name: chosen)
    add.get("tf-efficientnet-lite1", where=tmp_path, quiet=True)
    first = (tmp_path / ".tf-efficientnet-lite1.sha256").read_text().strip()
    assert first == hashlib.sha256(data).hexdigest()
    (tmp_path / ".tf-efficientnet-lite1.sha256").write_text("0" * 64 + "\n")
    with pytest.raises(ValueError, match="another file than the one fetched first"):
        add.get("tf-efficientnet-lite1", where=tmp_path, overwrite=True, quiet=True)
    server.close()
