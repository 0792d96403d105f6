"""Recipes as TOML files, with a base to inherit from and settings from the command line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from softjpeg.common.bounds import MAX_BASES, MAX_DEPTH, MAX_RECIPE_BYTES
from softjpeg.common.brief import brief
from softjpeg.common.versioned_json import depth_of
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
        if len(sections) > MAX_DEPTH:
            raise ValueError(f"{dotted[:40]}... cannot be set: it has {len(sections)} sections")
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
    value_text = "" if first["type"] == "value_error" else f", got {brief(first['input'])}"
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
    if len(seen) == MAX_BASES:
        raise ValueError(f"recipe {seen[0]} has more than {MAX_BASES} bases, one in another")
    try:
        tree = _parsed(_text(path))
    except OSError as error:
        raise ValueError(f"recipe {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"recipe {path} is not TOML: {error}") from None
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str) or "\0" in base:
        raise ValueError(f"recipe {path}: base must be the name of a file, got {base!r}")
    return _merged(_read(path.parent / base, (*seen, path.resolve())), tree)


def _text(path: Path) -> str:
    # A device or a pipe may have no end.
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        data = file.read(MAX_RECIPE_BYTES + 1)
    if len(data) > MAX_RECIPE_BYTES:
        raise ValueError(f"it is larger than {MAX_RECIPE_BYTES} bytes")
    return data.decode()


def _parsed(text: str) -> dict[str, Any]:
    """The tree of a text; ValueError for one that no program of ours could write again."""
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(tree)
    return tree


def _check_depth(tree: Mapping[str, Any]) -> None:
    if depth_of(tree) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _value(text: str) -> Any:
    try:
        return _parsed(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except ValueError as error:
        raise ValueError(f"--set: {text[:40]} is no value: {error}") from None
