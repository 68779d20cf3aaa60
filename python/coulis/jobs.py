"""The command's verbs as functions: whole folders, too large for memory, resumable."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from typing import TYPE_CHECKING, Any

from . import _library, images, listing, source
from ._progress import Progress, watcher
from .error import error_of
from .options import DEFAULTS, IMAGE, SOURCE, RunOptions, SourceOptions, complete, takes
from .pca import components_number

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._progress import Watching
    from .source import Path, Paths


@takes(RunOptions)
def run(
    paths: Paths,
    output: Path,
    *,
    components: float | None = 0.99,
    threads: int | None = None,
    rows_per_file: int = 10000,
    drop_features: bool = False,
    keep_pca: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    shard: tuple[int, int] | None = None,
    work: Path | None = None,
    progress: Watching = None,
    **options: Unpack[RunOptions],
) -> dict[str, Any]:
    """The whole job: list, featurize, fit PCA, transform, write.

    Where `output` holds an earlier result of the same recipe, only images that are new or changed, or had no vector,
    are computed; the vectors of the others are carried over, and the result is that of a run from nothing, byte for
    byte.

    Parameters
    ----------
    paths : str, os.PathLike, or a list of these; or a source
        What the command takes: an image, a folder (searched recursively), ``@list.txt``, an archive, a table; see
        docs/sources.md. Or any iterable of items, or a :class:`coulis.Source`, which says what an item may be.
    output : str or os.PathLike
        Folder for ``features/``, ``reduced/``, ``pca.safetensors`` and ``run.json``; here or ``s3://BUCKET/PREFIX``.
    components : int, float or None
        A count, a share 0 < F < 1 of the total variance to reach, or None for as many as there are.
    threads : int or None
        None for all cores. The result does not depend on it.
    rows_per_file : int
        Rows in a Parquet file.
    drop_features : bool
        Keep only the reduced vectors.
    keep_pca : bool
        Reduce by the PCA of the existing result in `output`, instead of fitting a new one.
    overwrite : bool
        Start again; otherwise an unfinished `output` of the same recipe is resumed.
    strict : bool
        Raise when any image failed, after the result is written.
    dry_run : bool
        Compute and write nothing: return what would be read, by kind and label, and, where `output` holds an earlier
        result, under ``plan`` how many images are ``new``, ``changed``, ``gone``, ``moved``, ``touched`` (only the time
        of modification is another), ``failed`` (tried again), and of how many the vectors are ``carried`` over. Of
        paths only.
    shard : (int, int) or None
        ``(2, 8)`` makes the vectors of the second of eight shares, file by file; :func:`merge` puts shards together.
    work : str, os.PathLike or None
        Where a job works whose `output` is in S3: a folder here with room for the result. None: ``coulis/work`` in the
        user's cache.
    progress : callable, True or None
        Called with a :class:`Progress`, in a thread of its own; returning True stops the job. True: a bar in a terminal
        or a notebook, tqdm's where that is installed. Otherwise the logger ``coulis`` hears of it, at level INFO.
    **options
        The network and the preparation of images, :class:`coulis.VectorOptions`; which files are taken, and their
        labels, :class:`coulis.SourceOptions`, of paths only.

    Returns
    -------
    dict
        The content of ``run.json``.

    Raises
    ------
    Error
        ``conflict`` when `output` holds the result of another recipe; ``interrupted`` when `progress`
        stopped it; ``bad_data`` with `strict`; ``io``, ``bad_model``, ... otherwise.
    KeyboardInterrupt
        Ctrl-C; what is done is kept, and the same call resumes.
    """
    chosen = complete(run, options)
    given = _Given(paths, chosen)
    native = _options(components, threads, overwrite, work)
    _vector_options(native, chosen, rows_per_file)
    native.drop_features = int(bool(drop_features))
    native.keep_pca = int(bool(keep_pca))
    native.shard, native.shards = shard or (0, 0)
    if dry_run:
        return given.plan("coulis_job_run", output, native)
    return given.job("coulis_job_run", [_library.path_bytes(output)], native, progress, strict)


@takes(SourceOptions)
def apply(
    paths: Paths,
    pca: Path,
    output: Path,
    *,
    threads: int | None = None,
    rows_per_file: int = 10000,
    drop_features: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    work: Path | None = None,
    progress: Watching = None,
    **options: Unpack[SourceOptions],
) -> dict[str, Any]:
    """New images through the network, preprocessing and components of an earlier run.

    `pca` is a folder that :func:`run` wrote, or the file of a PCA; its recipe names the network, which must be found
    here, and how images are prepared. Writes what :func:`run` writes. The other parameters are those of :func:`run`.

    Returns
    -------
    dict
        The content of ``run.json``. ``["pca"]["explained_variance_share"]`` is the share of these images' variance that
        the components keep, ``["pca"]["fitted_variance_share"]`` that of the images they were fitted to.

    Raises
    ------
    Error
        ``bad_data`` when the PCA has no recipe, ``conflict`` when the network of that name is another one here, and
        what :func:`run` raises.
    """
    given = _Given(paths, complete(apply, options))
    native = _options(None, threads, overwrite, work)
    native.drop_features = int(bool(drop_features))
    native.rows_per_file = _rows_number(rows_per_file)
    arguments = [_library.path_bytes(pca), _library.path_bytes(output)]
    return given.job("coulis_job_apply", arguments, native, progress, strict)


@takes(RunOptions)
def featurize(
    paths: Paths,
    output: Path,
    *,
    threads: int | None = None,
    rows_per_file: int = 10000,
    overwrite: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    shard: tuple[int, int] | None = None,
    work: Path | None = None,
    progress: Watching = None,
    **options: Unpack[RunOptions],
) -> dict[str, Any]:
    """Vectors only: writes ``features/`` and ``run.json`` in `output`.

    Parameters, result and errors are those of :func:`run`.
    """
    chosen = complete(featurize, options)
    given = _Given(paths, chosen)
    native = _options(0.99, threads, overwrite, work)
    _vector_options(native, chosen, rows_per_file)
    native.shard, native.shards = shard or (0, 0)
    if dry_run:
        return given.plan("coulis_job_featurize", output, native)
    return given.job("coulis_job_featurize", [_library.path_bytes(output)], native, progress, strict)


def fit(
    input: Path,
    output: Path,
    *,
    components: float | None = 0.99,
    threads: int | None = None,
    overwrite: bool = False,
    progress: Watching = None,
) -> dict[str, Any]:
    """PCA of the vectors that :func:`featurize` or :func:`run` wrote in the folder `input`.

    `output` is the file to save, which :meth:`coulis.PCA.load` reads. Returns the summary as a dict;
    raises as :func:`run` does.
    """
    options = _options(components, threads, overwrite)
    return _job("coulis_job_fit", [_library.path_bytes(input), _library.path_bytes(output)], options, progress)


def transform(
    input: Path,
    pca: Path,
    output: Path,
    *,
    threads: int | None = None,
    overwrite: bool = False,
    allow_other_recipe: bool = False,
    work: Path | None = None,
    progress: Watching = None,
) -> dict[str, Any]:
    """Scores of the vectors in the folder `input` by the PCA in the file `pca`, in ``output/reduced``.

    Vectors of another recipe than those the PCA was fitted to (another network, preprocessing, ...) are refused
    with a sentence that names the difference, unless `allow_other_recipe`. Returns the summary as a dict, in which
    ``explained_variance_share`` is that of these rows; raises as :func:`run` does.
    """
    options = _options(0.99, threads, overwrite, work)
    options.allow_other_recipe = int(bool(allow_other_recipe))
    paths = [_library.path_bytes(path) for path in (input, pca, output)]
    return _job("coulis_job_transform", paths, options, progress)


def check(address: str, *, no_sign_request: bool = False, requester_pays: bool = False) -> dict[str, str]:
    """Tries what a job does in a place of S3: lists, reads, writes and deletes one object.

    Parameters
    ----------
    address : str
        ``"s3://BUCKET/PREFIX"``.
    no_sign_request, requester_pays : bool
        As for :func:`run`.

    Returns
    -------
    dict
        What each step found: ``keys``, ``region``, ``list``, ``read``, ``write``, ``delete``.

    Raises
    ------
    coulis.Error
        With a sentence that says what is wrong: key, clock, region, bucket or policy.
    """
    options = _library.new(_library.SourceOptions)
    options.no_sign_request, options.requester_pays = int(no_sign_request), int(requester_pays)
    steps: dict[str, str] = {}

    def step(_: Any, name: bytes, text: bytes) -> None:
        steps[name.decode()] = text.decode(errors="replace")

    each = _library.StepFunction(step)
    _library.call("coulis_check", _library.path_bytes(address), ctypes.byref(options), each, None)
    return steps


# ---- between Python and the library ---------------------------------------------------


class _Given:
    """The images of a job: paths and how they are chosen, or a source of the caller's."""

    def __init__(self, paths: Paths, chosen: dict[str, Any]) -> None:
        choice = {name: chosen[name] for name in SOURCE}
        given = source.native(paths)
        self.source = given if isinstance(given, source.Native) else None
        self.paths = [] if isinstance(given, source.Native) else given
        self.choice = listing.choice(**choice)
        if self.source and any(choice[name] != DEFAULTS[name] for name in SOURCE):
            raise ValueError("label, include, exclude, all_files and null go with paths, not with a source")

    def plan(self, name: str, output: Path, options: Any) -> dict[str, Any]:
        if self.source:
            raise ValueError("dry_run goes with paths, not with a source")
        found = listing.plan(self.paths, self.choice, output)
        there = os.path.exists(os.path.join(os.fsdecode(output), "run.json")) or "://" in os.fsdecode(output)
        earlier = there and not options.overwrite
        if earlier or options.keep_pca:
            options.choose, options.dry_run = ctypes.pointer(self.choice), 1
            array = listing.path_array(self.paths)
            found["plan"] = _job(name, [*array, _library.path_bytes(output)], options, None)
        return found

    def job(self, name: str, arguments: list[bytes], options: Any, progress: Watching, strict: bool) -> dict[str, Any]:
        options.choose = ctypes.pointer(self.choice)
        if self.source:
            options.source = ctypes.addressof(self.source.struct)
        try:
            summary = _job(name, [*listing.path_array(self.paths), *arguments], options, progress)
        except BaseException:
            if self.source and self.source.raised is not None:
                raise self.source.raised from None
            raise
        counts = summary["counts"]
        failed = counts["pictures"] - counts["ok"]
        if strict and failed:
            raise error_of(
                f"{failed} of {counts['pictures']} images have no vector; see the column 'error' of the "
                f"result in {os.fsdecode(arguments[-1])}",
                "bad_data",
                14,
            )
        return summary


def _options(components: float | None, threads: int | None, overwrite: bool, work: Path | None = None) -> Any:
    options = _library.new(_library.JobOptions)
    options.components = components_number(components)
    options.threads = _library.threads_number(threads)
    options.overwrite = int(bool(overwrite))
    options.work = None if work is None else _library.path_bytes(work)
    return options


def _vector_options(native: Any, chosen: dict[str, Any], rows_per_file: int) -> None:
    image = images.image_options(**{name: chosen[name] for name in IMAGE})
    native.model = _library.path_bytes(chosen["model"])
    native.featurizer = ctypes.pointer(_library.featurizer_options(chosen["features"], chosen["precision"], image))
    native.rows_per_file = _rows_number(rows_per_file)


def _rows_number(rows_per_file: int) -> int:
    if not 1 <= int(rows_per_file) <= 2**62:
        raise ValueError(f"rows_per_file must be at least 1, not {rows_per_file!r}")
    return int(rows_per_file)


def _job(name: str, arguments: list[Any], options: Any, progress: Watching) -> dict[str, Any]:
    """Calls a job in a thread of its own, so that this one hears Ctrl-C while the library works."""
    stop = threading.Event()
    finished = threading.Event()
    outcome: dict[str, Any] = {}
    watch, end = watcher(progress)

    def report(_context: Any, entry: Any) -> int:
        try:
            if watch is not None and "raised" not in outcome:
                entry = entry.contents
                stage = _library.words("stage")[entry.stage]
                state = Progress(stage, entry.done, entry.total, entry.resumed, entry.failed, entry.seconds)
                if watch(state):
                    stop.set()
        except BaseException as error:  # may not pass through C; raised again below
            outcome["raised"] = error
            stop.set()
        return int(stop.is_set())

    def work() -> None:
        summary = ctypes.c_char_p()
        try:
            _library.call(name, *arguments, ctypes.byref(options), None, ctypes.byref(summary))
            outcome["summary"] = summary.value
        except BaseException as error:
            outcome["failed"] = error
        finally:
            if summary:
                _library.library().coulis_string_free(summary)
            finished.set()

    options.progress = _library.ProgressFunction(report)
    threading.Thread(target=work, name=name).start()
    interrupted: BaseException | None = None
    while not finished.is_set():
        try:
            finished.wait()
        except KeyboardInterrupt as error:
            interrupted = error
            stop.set()
    end()
    for problem in (interrupted, outcome.get("raised"), outcome.get("failed")):
        if problem is not None:
            raise problem
    return _summary(outcome["summary"])


def _summary(text: Any) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(text.decode("utf-8"))
    return summary
