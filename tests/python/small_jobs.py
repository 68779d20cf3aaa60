"""Jobs of every verb and every kind of source, each over a few images of a few pixels, so that thousands of faults can
be tried; see test_fault_sites.py."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import draw_image
from fault_jobs import LONG, Job, all_bytes, write_model

COMMON = "--model tiny.safetensors --rows-per-file 2 --threads 1 --quiet"
# How many calls of a stack tell one call site from another.
FRAMES = int(os.environ.get("COULIS_TEST_FRAMES", 64 if LONG else 3))


def encode(number, kind, mode="RGB", size=(8, 8), **options):
    out = io.BytesIO()
    draw_image(number, size).convert(mode).save(out, kind, **options)
    return out.getvalue()


def write_formats(folder):
    """One image of each format and of each way through its decoder that Pillow can write."""
    folder.mkdir()
    exif = draw_image(0).getexif()
    exif[0x0112] = 6  # turned
    sound = encode(1, "JPEG")
    contents = {
        "cmyk.jpg": encode(2, "JPEG", "CMYK"),
        "grey.jpg": encode(3, "JPEG", "L"),
        "turned.jpg": encode(4, "JPEG", exif=exif),
        "progressive.jpg": encode(5, "JPEG", progressive=True),
        "large.jpg": encode(6, "JPEG", size=(90, 70)),
        "cut.jpg": sound[:200],
        "alpha.png": encode(7, "PNG", "RGBA"),
        "palette.png": encode(8, "PNG", "P"),
        "deep.png": encode(9, "PNG", "I;16"),
        "cut.png": encode(10, "PNG")[:100],
        "alpha.webp": encode(11, "WEBP", "RGBA"),
        "lossless.webp": encode(12, "WEBP", lossless=True),
        "cut.webp": encode(13, "WEBP")[:60],
        "a.gif": encode(14, "GIF", "P"),
        "interlaced.gif": encode(15, "GIF", "P", interlace=1),
        "a.bmp": encode(16, "BMP"),
        "palette.bmp": encode(17, "BMP", "P"),
        "plain.tif": encode(18, "TIFF"),
        "lzw.tif": encode(19, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encode(20, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": encode(21, "TIFF", compression="jpeg"),
        "a.jp2": encode(22, "JPEG2000"),
        "a.avif": encode(23, "AVIF"),
        "a.ppm": encode(24, "PPM"),
        "empty.jpg": b"",
        "text.png": b"no image at all",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def write_sources(ground):
    """The images as archives, tables and lists."""
    import pyarrow
    import pyarrow.parquet

    images = sorted((ground / "images").rglob("*.*"))
    names = [str(path.relative_to(ground)) for path in images]
    for ending, mode in (("tar", "w"), ("tar.gz", "w:gz")):
        with tarfile.open(ground / f"images.{ending}", mode) as archive:
            archive.add(ground / "images", "images")
    with zipfile.ZipFile(ground / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in zip(images, names):
            archive.write(path, name)
    labels = pyarrow.array(["a", "b", "a"])
    pyarrow.parquet.write_table(
        pyarrow.table({"image": [path.read_bytes() for path in images], "label": labels}), ground / "contents.parquet"
    )
    pyarrow.parquet.write_table(
        pyarrow.table({"path": names, "label": labels, "price": [1.5, None, 2.0]}), ground / "paths.parquet"
    )
    rows = [f"{name},a,{number}\n" for number, name in enumerate(names)]
    (ground / "paths.csv").write_text('path,label,"a ""number"""\n' + "".join(rows))
    (ground / "paths.tsv").write_text("path\tlabel\n" + "".join(f"{name}\ta\n" for name in names))
    (ground / "paths.jsonl").write_text(
        "".join(f'{{"path": "{name}", "label": "a", "number": {number}}}\n' for number, name in enumerate(names))
    )
    (ground / "list.txt").write_text("".join(f"{name}\n" for name in names))
    (ground / "list.null").write_text("\0".join(names))


def make_ground(ground, command):
    """The folder in which all jobs run: images, a network, archives, and results of earlier jobs. Returns the command
    that they run, a copy that has no networks beside it."""

    def run(line):
        done = subprocess.run([command, *line.split()], cwd=ground, capture_output=True, text=True)
        assert done.returncode in (0, 3), done.stderr

    (ground / "bin").mkdir(parents=True)
    for name in (command.name, "libcoulis.so.1"):
        shutil.copy(command.with_name(name), ground / "bin" / name)
    command = ground / "bin" / command.name
    write_model(ground / "tiny.safetensors")
    for number, name in enumerate(("red/a.jpg", "red/b.png", "blue/c.webp")):
        path = ground / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_image(number, (8, 8)).save(path)
    write_formats(ground / "formats")
    write_sources(ground)
    run(f"run images -o whole -k 2 {COMMON}")
    run(f"run images -o other -k 1 {COMMON}")
    for share in (1, 2):
        run(f"run images -o share{share} --shard {share}/2 -k 2 {COMMON}")
    run("transform whole --pca other/pca.safetensors -o scores --quiet")
    shutil.copytree(ground / "whole", ground / "damaged")
    for part in sorted(ground.glob("damaged/*/part-*"))[::2]:
        part.unlink()
    # Images that are the same in two folders, and some that cannot be read.
    shutil.copytree(ground / "formats", ground / "odd" / "one")
    for name in ("a.bmp", "grey.jpg", "cut.png", "plain.tif"):
        (ground / "odd" / 'two, "2"').mkdir(exist_ok=True)
        shutil.copy(ground / "formats" / name, ground / "odd" / 'two, "2"' / name)
    run(f"run odd -o doubles -k 2 {COMMON}")
    # A result of other images: one is changed, one gone, one moved.
    shutil.copytree(ground / "images", ground / "grown")
    run(f"run grown -o ungrown -k 2 {COMMON}")
    draw_image(7, (8, 8)).save(ground / "grown" / "red" / "a.jpg")
    draw_image(8, (8, 8)).save(ground / "grown" / "red" / "d.jpg")
    (ground / "grown" / "red" / "b.png").rename(ground / "grown" / "e.png")
    return command


# libavif aborts where memory is short; libwebp, with transparency, and openjpeg write to the memory that they did not
# get; dav1d tells stderr.
OF_FORMATS = {"good": 3, "loud": True, "may_end": True}

# What each job is: a command line in which OUT is the folder of its result, TOP the one above it, and HTTP a server of
# the folder of all; then what differs from other jobs. `before`: a result that OUT is at first. `steady` is False where
# each run prints something else. `loud` is True where more is said than a failure. `may_end` is True where a library
# ends the process: what is left must be what kill -9 leaves. `every`: how many of its new sites stand for one in the
# ordinary run.
JOBS = {
    "run": (f"run images -o OUT -k 2 {COMMON}", {}),
    "run_loud": ("run images -o OUT -k 2 --model tiny.safetensors --threads 1", {"loud": True}),
    "run_json": (f"run images -o OUT -k 2 --json {COMMON}", {"steady": False}),
    "run_again": (f"run images -o OUT -k 2 {COMMON}", {"before": "whole"}),
    "run_mended": (f"run images -o OUT -k 2 {COMMON}", {"before": "damaged"}),
    "run_less": (f"run images -o OUT -k 0.9 --drop-features --overwrite {COMMON}", {"before": "other"}),
    "run_grown": (f"run grown -o OUT -k 2 {COMMON}", {"before": "ungrown"}),
    "run_kept": (f"run grown -o OUT -k 2 --keep-pca {COMMON}", {"before": "ungrown"}),
    "run_two_threads": (f"run images -o OUT -k 2 {COMMON} --threads 2", {}),
    "formats": (f"featurize formats -o OUT --orient exif --cmyk profile --depth scale {COMMON}", OF_FORMATS),
    "formats_fast": (f"featurize formats -o OUT --decode fast --truncated keep --resize crop {COMMON}", OF_FORMATS),
    "formats_pillow": (f"featurize formats -o OUT --like pillow --truncated keep {COMMON}", OF_FORMATS),
    "bf16": (f"featurize images/red -o OUT --precision bf16 --features map {COMMON}", {}),
    "int8": (f"featurize images/red -o OUT --precision int8 {COMMON}", {}),
    "shard": (f"featurize images -o OUT --shard 1/2 {COMMON}", {}),
    "tar": (f"featurize images.tar -o OUT {COMMON}", {}),
    "tar_gz": (f"featurize images.tar.gz -o OUT {COMMON}", {}),
    "zip": (f"featurize images.zip -o OUT {COMMON}", {}),
    "parquet_contents": (f"featurize contents.parquet -o OUT {COMMON}", {}),
    "parquet_paths": (f"featurize paths.parquet -o OUT {COMMON}", {}),
    "csv": (f"featurize paths.csv -o OUT {COMMON}", {}),
    "tsv": (f"featurize paths.tsv -o OUT {COMMON}", {}),
    "json_lines": (f"featurize paths.jsonl -o OUT {COMMON}", {}),
    "list_of_paths": (f"featurize @list.txt -o OUT --label none {COMMON}", {}),
    "list_null": (f"featurize @list.null -0 -o OUT --label 1 {COMMON}", {}),
    "standard_input": (f"featurize @- -o OUT {COMMON}", {"input": "list.txt"}),
    "chosen": (f"featurize images images.tar -o OUT --include **/*.jpg --exclude blue --all-files {COMMON}", {}),
    "http": (f"featurize HTTP/images/red/a.jpg HTTP/images.tar -o OUT {COMMON}", {"every": 8}),
    "dry_run": (f"run grown -o OUT -k 2 --dry-run {COMMON}", {"before": "ungrown"}),
    "dry_run_json": (f"run grown -o OUT -k 2 --dry-run --json {COMMON}", {"before": "ungrown"}),
    "dry_run_new": (f"featurize images paths.csv -o OUT --dry-run --json {COMMON}", {}),
    "fit": ("fit whole -o TOP/pca.safetensors --overwrite -k 0.9 --threads 1 --quiet", {}),
    "transform": ("transform whole --pca whole/pca.safetensors -o OUT --threads 1 --quiet", {}),
    "apply": ("apply grown --pca whole -o OUT --rows-per-file 2 --threads 1 --quiet", {}),
    "merge": ("merge share1 share2 -o OUT --threads 1 --quiet", {}),
    "verify": ("verify whole --quiet", {}),
    "verify_scores": ("verify scores --quiet", {}),
    "list_csv": ("list images images.zip -o TOP/list.csv", {}),
    "list_parquet": ("list images paths.csv -o TOP/list.parquet", {}),
    "dedup": ("dedup whole --threshold 0.3 -o TOP/groups.parquet --threads 1 --quiet", {}),
    "dedup_against": ("dedup whole --against other --threshold 0.5 -o TOP/groups.csv --threads 1 --quiet", {}),
    "cluster": ("cluster whole -k 2 -o OUT --threads 1 --quiet", {}),
    "export_npy": ("export whole -o TOP/vectors.npy --dtype float16 --threads 1 --quiet", {}),
    "export_csv": ("export whole -o TOP/vectors.csv --normalize --threads 1 --quiet", {}),
    "export_parquet": ("export whole -o TOP/vectors.parquet --what pca --threads 1 --quiet", {}),
    "view": ("view whole -o TOP/report.html --threshold 0.3 --threads 1 --quiet", {"steady": False}),
    "search_row": ("search whole 0 2 -k 2 --threads 1 --quiet", {}),
    "search_image": ("search whole images/red/a.jpg formats/a.gif -k 2 --json --threads 1 --quiet", {}),
    "doubles": ("dedup doubles --threshold 0.9 -o TOP/groups.csv --threads 2", {"loud": True, "steady": False}),
    "doubles_json": ("dedup doubles --against whole --json -o TOP/groups.parquet", {"steady": False}),
    "doubles_view": ("view doubles -o TOP/report.html --threshold 0.9 --max-size 1", {"loud": True, "may_end": True}),
    "doubles_cluster": ("cluster doubles -k 3 --seed 5 -o OUT", {"loud": True}),
    "doubles_export": ("export doubles -o TOP/vectors.csv", {"loud": True}),
    "doubles_search": ("search doubles odd/one/a.bmp -k 40", {"loud": True}),
    "doubles_list": ("list odd -o TOP/list.csv", {}),
    "verify_loud": ("verify whole", {"loud": True}),
    "verify_json": ("verify whole --json", {"steady": False}),
    "transform_loud": ("transform whole --pca other/pca.safetensors -o OUT", {"loud": True}),
    "apply_loud": ("apply odd --pca whole -o OUT", {"good": 3, "loud": True, "may_end": True}),
    "bench_loud": ("bench --model tiny --random-weights --seconds 0.1", {"steady": False}),
    "models_list": ("models list", {}),
    "models_json": ("models list --json", {}),
    "models_show": ("models show tiny", {}),
    "models_show_json": ("models show tiny --json", {}),
    "models_path": ("models path tiny", {}),
    "bench": ("bench --model tiny --random-weights --seconds 0.1 --threads 1 --json", {"steady": False}),
    "version": ("version", {}),
    "help": ("help", {}),
    "help_man": ("help --man", {}),
    "help_json": ("help --json", {}),
    "help_verb": ("models get --help", {}),
    "bash": ("completion bash", {}),
    "zsh": ("completion zsh", {}),
    "fish": ("completion fish", {}),
}


# On a failing disk an image has no thumbnail, and counts as one that cannot be compared; a table of images has one row,
# which says so.
FAILING_DISK = ("openat", "EIO"), ("read", "EIO"), ("newfstatat", "EIO"), ("fstat", "EIO"), ("lseek", "EIO")
EXCUSED = {
    "view": FAILING_DISK,
    "parquet_contents": FAILING_DISK,
    "parquet_paths": FAILING_DISK,
    "doubles_view": FAILING_DISK,
    "dry_run": FAILING_DISK,
    "dry_run_json": FAILING_DISK,
}


class SmallJob(Job):
    """One of JOBS, in the folder that make_ground() made. What it prints is part of its result."""

    def __init__(self, name, folder, command, interposer, ground, server):
        line, special = JOBS[name]
        self.line = line.replace("HTTP", server)
        self.ground, self.good = ground, special.get("good", 0)
        self.before, self.input = special.get("before"), special.get("input")
        self.steady, self.loud = special.get("steady", True), special.get("loud", False)
        self.every = special.get("every", 1) if FRAMES < 64 else 1
        self.may_end = special.get("may_end", False)
        self.excused = EXCUSED.get(name, ())
        if self.before:
            self.old = {f"result/{path}": content for path, content in all_bytes(ground / self.before).items()}
        folder.mkdir()
        super().__init__(folder, command, interposer)

    def begin(self, out):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if self.before:
            shutil.copytree(self.ground / self.before, out / "result", copy_function=os.link)

    def run(self, out, **environment):
        own = {
            **os.environ,
            "COULIS_MODELS": str(self.ground),
            "HOME": str(self.ground),
            "COULIS_FAULT_FRAMES": str(FRAMES),
            **environment,
        }
        if environment:
            own["LD_PRELOAD"] = str(self.interposer)
        said, told = Path(f"{out}.said"), out / "told"
        words = [word.replace("OUT", f"{out}/result").replace("TOP", str(out)) for word in self.line.split()]
        with (
            open(said, "w") as error,
            open(told, "w") as output,
            open(self.ground / self.input if self.input else os.devnull) as given,
        ):
            code = subprocess.Popen(
                [self.command, *words],
                env=own,
                cwd=self.ground,
                stdin=given,
                stdout=output,
                stderr=error,
                close_fds=False,
            ).wait(timeout=120)
        error = said.read_text(errors="replace")
        said.unlink()
        if not self.steady:
            told.write_text("")
        elif told.exists():
            told.write_text(told.read_text().replace(str(out), "TOP"))
        if self.may_end and code in (-signal.SIGABRT, -signal.SIGSEGV):
            return 1, f"coulis: ended by signal {-code}\n"
        return code, error.splitlines(True)[-1] if self.loud and code == 1 else error

    def count(self):
        """Where the job makes its calls: {(kind, site): number of the first call}."""
        out, file = self.folder / "counted", self.folder / "sites"
        self.begin(out)
        code, error = self.run(out, COULIS_FAULT_SITES=str(file))
        if code == 99:
            pytest.skip(error)
        assert code == self.good and all_bytes(out) == self.expected, error
        lines = [line.split() for line in file.read_text().splitlines()]
        return {(kind, site): int(first) for kind, site, first, _ in lines}

    def blamed(self, out):
        grows = any((out / "result" / path).exists() for path in (".next", ".parts.jsonl")) and self.before
        return [] if grows or not (out / "result").exists() else super().blamed(out)

    def unfinished(self, out, error):
        for path, content in all_bytes(out).items():
            own = path.replace("/.next/", "/")
            hidden = own.rsplit("/", 1)[-1].startswith(".") or own == "told"  # of a job that is not finished
            if not hidden and content not in (self.expected.get(own), self.old.get(path)):
                return f"{path} is not what it should be after: {error}"
        return None

    def unchanged(self):
        """Whether what the job was given still has its bytes: its files are links to the same copy."""
        return not self.before or self.old == {
            f"result/{path}": content for path, content in all_bytes(self.ground / self.before).items()
        }
