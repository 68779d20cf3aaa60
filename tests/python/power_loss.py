"""What a loss of power leaves of a folder: runs a program under tests/c/flush_recorder.c and makes every state of the
disk that its flushes allow.

The model is that of POSIX: a file has the content of its last flush (none: it is empty), a folder has the names of its
last flush. A disk may have written more than it had to, so beside that state there are those with all names as programs
saw them, and with each name of either, drawn by a seed.
"""

import json
import os
import random
import shutil
import subprocess


def build_recorder(folder, source):
    """The library to load; None without a C compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return None
    library = folder / "flush_recorder.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", source, "-o", library, "-ldl"], check=True)
    return library


class Recording:
    """The events of `command` in the folder `root`, which exists; its state before the command counts as flushed."""

    def __init__(self, recorder, command, root, log, **more):
        self.root = str(root)
        log.mkdir()
        shutil.copytree(root, log / "before", symlinks=True)
        env = {
            **more.pop("env", os.environ),
            "LD_PRELOAD": str(recorder),
            "FLUSH_ROOT": self.root,
            "FLUSH_LOG": str(log),
        }
        # A line with nothing done: the names and identities of what is there before.
        subprocess.run(["rmdir", self.root + "/.none"], env=env, stderr=subprocess.DEVNULL)
        subprocess.run(["sh", "-c", f"mkdir '{self.root}/.none' && rmdir '{self.root}/.none'"], env=env, check=True)
        self.done = subprocess.run(command, env=env, capture_output=True, text=True, **more)
        self.events = [json.loads(line) for line in (log / "events").read_text().splitlines()]
        self.before = log / "before"

    def states(self):
        """For each event: the content of flushed files, the names of flushed folders, and the tree as it was seen."""
        first = self.events[1]["tree"]  # after the rmdir
        contents = {
            identity: str(self.before) + path[len(self.root) :]
            for path, identity in first.items()
            if identity[0] == "f"
        }
        folders = {identity: _names(first, path) for path, identity in first.items() if identity[0] == "d"}
        for event in self.events[2:]:
            flushed = event.get("flushed")
            if flushed and "content" in event:
                contents[flushed] = event["content"]
            elif flushed:
                path = next(path for path, identity in event["tree"].items() if identity == flushed)
                folders[flushed] = _names(event["tree"], path)
            yield dict(contents), {key: dict(names) for key, names in folders.items()}, event["tree"]

    def restore(self, state, kind, seed=0):
        """Makes the folder what a loss of power after the event would leave: kind "flushed", "names" or "drawn"."""
        contents, folders, tree = state
        rng = random.Random(seed)
        shutil.rmtree(self.root)
        self._make(self.root, tree[self.root], contents, folders, tree, kind, rng)

    def _make(self, path, identity, contents, folders, tree, kind, rng):
        os.mkdir(path)
        kept = folders.get(identity, {})
        seen = _names(tree, next((p for p, i in tree.items() if i == identity), None))
        if kind == "names":
            kept = seen
        elif kind == "drawn":
            kept = {
                name: entry
                for name in sorted({*kept, *seen})
                if (entry := rng.choice((kept.get(name), seen.get(name))))
            }
        for name, entry in kept.items():
            below = os.path.join(path, name)
            if entry[0] == "d":
                self._make(below, entry, contents, folders, tree, kind, rng)
            elif entry in contents:
                shutil.copy2(contents[entry], below)
            else:
                open(below, "w").close()


def _names(tree, folder):
    """Name -> identity of what is directly in a folder."""
    if folder is None:
        return {}
    start = folder + "/"
    return {
        path[len(start) :]: identity
        for path, identity in tree.items()
        if path.startswith(start) and "/" not in path[len(start) :]
    }
