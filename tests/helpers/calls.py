"""What code calls, and what functions are called with when nothing is said."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path

import torch

from helpers.commands import call
from softjpeg.cli.app import commands


def spy(monkeypatch, place, stand_in=None):
    """The calls of MODULE:NAME, which does what it does or what a stand-in does."""
    module, _, name = place.partition(":")
    module, calls = importlib.import_module(module), []
    plain = stand_in or getattr(module, name)

    def called(*words, **options):
        calls.append((words, options))
        return plain(*words, **options)

    monkeypatch.setattr(module, name, called)
    return calls


def defaults(room):
    """Of every public function, class and method of a room that has some: its defaults, as text.

    Commands are left out: what a person may leave out is what typer makes of them.
    """
    package, found = importlib.import_module(f"softjpeg.{room}"), {}
    left_out = {info.callback for info in commands.registered_commands}
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # Triton is where a GPU is.
        if ".triton" not in info.name:
            place = info.name.removeprefix(f"{package.__name__}.")
            for name, item in vars(importlib.import_module(info.name)).items():
                own = getattr(item, "__module__", None) == info.name and item not in left_out
                if own and callable(item) and not name.startswith("_"):
                    found |= _of(f"{place}.{name}", item)
    return found


def _of(place, item):
    methods = {}
    if inspect.isclass(item):
        for name, method in vars(item).items():
            function = getattr(method, "__func__", method)
            if inspect.isfunction(function) and not name.startswith("_"):
                methods |= _of(f"{place}.{name}", function)
        if "__init__" not in vars(item):
            return methods
    parameters = inspect.signature(item).parameters.values()
    given = [f"{p.name}={_shown(p.default)}" for p in parameters if p.default is not p.empty]
    return ({place: ", ".join(given)} if given else {}) | methods


def _shown(value):
    return getattr(value, "__name__", None) or repr(value)


class ReachedError(ValueError):
    """Where a test stops a command: what comes after does not matter."""


def reached(monkeypatch, place, *words):
    """What a command calls MODULE:NAME with first, as `plain` shows it."""

    def stop(*_words, **_options):
        raise ReachedError("reached")

    with monkeypatch.context() as patch:
        calls = spy(patch, place, stop)
        result = call(*words)
    assert result.stderr == "softjpeg: reached\n", (result.output, result.exception)
    given, options = calls[0]
    return [plain(each) for each in given], {name: plain(each) for name, each in options.items()}


def plain(value):
    """A value that can be compared: tensors' shapes, labels, functions' and networks' names."""
    if isinstance(value, torch.Tensor):
        return value.tolist() if value.ndim == 1 else tuple(value.shape)
    if isinstance(value, torch.nn.Module):
        return type(value).__name__
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "__name__", value)
