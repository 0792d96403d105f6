"""Variants of a recipe: the paper's comparisons and the controls its reviewers asked for."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from softjpeg.training.recipe_file import override

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "jpeg-dl": {},
    "baseline": {"jpeg.quantizer": "none", "jpeg.zero_dc": False},
    "hard": {"jpeg.quantizer": "hard"},
    "noise": {"jpeg.quantizer": "noise"},
    "cubic": {"jpeg.quantizer": "cubic"},
    "lsq": {"jpeg.quantizer": "lsq", "jpeg.init": "magnitude"},
    "clip": {"jpeg.quantizer": "clip"},
    "zero-dc": {"jpeg.quantizer": "none", "jpeg.zero_dc": True},
    "fixed-tables": {"jpeg.train_tables": False},
    "random-tables": {"jpeg.init": "random"},
    "jpeg-augmentation": {"jpeg.quantizer": "none", "data.jpeg_quality": [10, 100]},
    "conv1": {"jpeg.at": "conv1", "jpeg.init": "magnitude"},
    "rounds-5": {"jpeg.rounds": 5},
}
"""Name → settings on top of the recipe, which itself is the variant "jpeg-dl".

* hard: straight-through gradient; noise, cubic, lsq: the paper's other quantizers.
* clip: the bound ±levels·q without quantization. zero-dc: no layer but for the missing DC.
* fixed-tables: the network trains, the tables stay. random-tables: where they start is random.
* jpeg-augmentation: no layer; training images compressed by libjpeg at random qualities.
* conv1: the layer after the module conv1 instead of in front; another module by --jpeg-at.
"""


def with_variant(tree: Mapping[str, Any], name: str, jpeg_at: str | None = None) -> dict[str, Any]:
    """A recipe's keys with a variant's settings on top.

    Args:
        tree: nested dictionaries; they stay as they are.
        name: one of `VARIANTS`.
        jpeg_at: put the layer after this module, by dotted path, whatever the recipe says.

    Raises:
        ValueError: an unknown variant, with the nearest known one.

    >>> with_variant({"jpeg": {"rounds": 2}}, "lsq")["jpeg"]
    {'rounds': 2, 'quantizer': 'lsq', 'init': 'magnitude'}
    """
    if name not in VARIANTS:
        near = difflib.get_close_matches(name, VARIANTS, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown variant {name!r}; the nearest known one is {near}")
    varied = override(copy.deepcopy(dict(tree)), VARIANTS[name])
    return varied if jpeg_at is None else override(varied, {"jpeg.at": jpeg_at})


def check_settings(settings: Iterable[str], names: Iterable[str]) -> None:
    """Refuse settings that a variant would silently override; the baseline has no layer to set.

    Raises:
        ValueError: ``key=value`` of a key that one of the variants decides.

    >>> check_settings(["jpeg.init=ones"], ["lsq"])
    Traceback (most recent call last):
    ValueError: --set jpeg.init is what the variant lsq decides: leave one of them out
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        for name in names:
            if name != "baseline" and key in VARIANTS.get(name, {}):
                raise ValueError(
                    f"--set {key} is what the variant {name} decides: leave one of them out"
                )
