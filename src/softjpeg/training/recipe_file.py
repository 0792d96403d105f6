"""Recipes as TOML files, with a base to inherit from and settings from the command line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from softjpeg.training.recipe import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load_recipe(path: str | Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """A recipe's keys, unchecked, as `parse_recipe` takes them.

    Args:
        path: a TOML file; its key `base` names another, relative to it, whose keys it overrides.
        settings: ``section.key=value`` each, with a TOML value or a bare word.

    Raises:
        ValueError: a file that is missing or is no TOML, or a setting without "=".
    """
    tree = _read(Path(path), seen=())
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ValueError(f"--set must be key=value, got {setting!r}")
        override(tree, {key.strip(): _value(text.strip())})
    return tree


def override(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Set dotted keys in a nested dictionary, in place.

    >>> override({"train": {"epochs": 2}}, {"train.epochs": 3, "jpeg.rounds": 5})
    {'train': {'epochs': 3}, 'jpeg': {'rounds': 5}}
    """
    for dotted, value in values.items():
        *sections, key = dotted.split(".")
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise ValueError(f"{dotted} cannot be set: {section} is not a section")
        node[key] = value
    return tree


def parse_recipe(tree: Mapping[str, Any], source: str) -> Recipe:
    """Check a recipe's keys and values.

    Args:
        tree: nested dictionaries.
        source: what the error's sentence calls the recipe.

    Raises:
        ValueError: the first unknown key, with the nearest known one, or the first wrong value.
    """
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        # An unknown key explains a missing one: it comes first.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *sections, last = (str(part) for part in first["loc"])
        known = _keys(sections)
        near = difflib.get_close_matches(last, known, n=1, cutoff=0.0)[0]
        raise ValueError(f"{source}: unknown key {key}; the nearest known one is {near}")
    if first["type"] == "missing":
        raise ValueError(f"{source}: key {key} is missing")
    value_text = "" if first["type"] == "value_error" else f", got {first['input']!r}"
    reason = first["msg"].removeprefix("Value error, ")
    raise ValueError(f"{source}: {key}: {reason[0].lower()}{reason[1:]}{value_text}")


def _keys(sections: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for section in sections:
        annotation = (
            model.model_fields[section].annotation if section in model.model_fields else None
        )
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            # Only `expected` holds sections with names of their own.
            from softjpeg.training.recipe import Expected

            return list(Expected.model_fields)
        model = annotation
    return list(model.model_fields)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ValueError(f"recipe {path} has itself for a base")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"recipe {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {path} is not TOML: {error}") from None
    base = tree.pop("base", None)
    if base is None:
        return tree
    return _merged(_read(path.parent / str(base), (*seen, path.resolve())), tree)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
