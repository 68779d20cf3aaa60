"""Finds the weights of a network in what PyTorch saved: a state dict, a checkpoint of training, a whole module."""

from .pickles import Opaque, Tensor

# Where training programs keep the weights; of a run that keeps an average of them, too, that one comes first, as in
# timm: it is what is evaluated.
ENTRIES = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "params_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "teacher",
    "student",
)
NESTED_MAX = 6  # a checkpoint in a checkpoint has 3
MODULES_MAX = 100  # modules within modules
VISITS_MAX = 100_000  # of modules; one that is shared is visited under each of its names
SCRIPT = "__torch__."  # classes of torch.jit


def tensors(loaded, entry=None):
    """The dictionary of tensors in an object that PyTorch saved.

    Parameters
    ----------
    loaded : object
        As :func:`coulis.convert.pickles.load` gives it.
    entry : str, optional
        The entry to take, such as "model" or "ema".

    Returns
    -------
    (dict of str to Tensor, str)
        And the entries it was under, "" for none, such as "state_dict".

    Raises
    ------
    ValueError
        When there is none; one sentence.
    """
    if entry is not None:
        entries = _entries(loaded)
        if entry not in entries:
            raise ValueError(f"it has no entry {entry!r:.60}: it has {_listed(entries)}")
        found, path = _find(entries[entry], (entry,), NESTED_MAX, set())
    else:
        found, path = _find(loaded, (), NESTED_MAX, set())
    if not found:
        entries = _entries(loaded)
        raise ValueError(
            f"it holds no tensors by name, but {_listed(entries)}; write them with torch.save(model.state_dict(), FILE)"
            if entries
            else "it does not hold a dictionary of tensors; write one with torch.save(model.state_dict(), FILE)"
        )
    return found, ".".join(path)


def _listed(entries):
    keys = [str(key)[:40] for key in entries]
    return ", ".join(keys[:8]) + (" and others" if len(keys) > 8 else "") if keys else "none"


def _entries(item):
    return item if type(item) is dict else item.entries if isinstance(item, Opaque) else {}


def _find(item, path, depth, seen):
    """The tensors in `item`, and the entries that lead to them; none where an object is in `seen` at this depth."""
    if (id(item), depth) in seen:
        return {}, path
    seen.add((id(item), depth))
    entries = _entries(item)
    if "_modules" in entries and "_parameters" in entries:
        return _of_module(entries, [VISITS_MAX]), path
    if isinstance(item, Opaque) and item.name.startswith(SCRIPT):
        return _of_script(entries, [VISITS_MAX]), path
    for key in ENTRIES if depth else ():
        if _entries(entries.get(key)):
            found, where = _find(entries[key], (*path, key), depth - 1, seen)
            if found:
                return found, where
    own = {key: value for key, value in entries.items() if isinstance(value, Tensor) and type(key) is str}
    if own or not depth:
        return own, path
    best = ({}, path)
    for key, value in entries.items():
        if type(key) is str and "optim" not in key and _entries(value):
            found, where = _find(value, (*path, key), depth - 1, seen)
            if len(found) > len(best[0]):
                best = found, where
    return best


def _visit(left):
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"it has more than {VISITS_MAX} modules")


def _of_module(entries, left, prefix="", depth=MODULES_MAX):
    """The state dict of a module that was pickled as an object (torch.save(model, FILE))."""
    _visit(left)
    found = {}
    for part in ("_parameters", "_buffers"):
        for key, value in _entries(entries.get(part)).items():
            if isinstance(value, Tensor):
                found[f"{prefix}{key}"] = value
    for key, module in _entries(entries.get("_modules")).items() if depth else ():
        found.update(_of_module(_entries(module), left, f"{prefix}{key}.", depth - 1))
    return found


def _of_script(entries, left, prefix="", depth=MODULES_MAX):
    """The same of a module that torch.jit.save wrote, whose attributes are modules and tensors."""
    _visit(left)
    found = {}
    for key, value in entries.items():
        if isinstance(value, Tensor):
            found[f"{prefix}{key}"] = value
        elif isinstance(value, Opaque) and value.name.startswith(SCRIPT) and depth:
            found.update(_of_script(value.entries, left, f"{prefix}{key}.", depth - 1))
    return found
