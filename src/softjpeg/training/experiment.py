"""An experiment: variants of a recipe, each parsed once, and the folder their runs go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from softjpeg.training.recipe import Expected, Recipe
from softjpeg.training.recipe_file import load_recipe, parse_recipe
from softjpeg.training.variants import check_settings, with_variant


@dataclass(frozen=True)
class Experiment:
    """What is trained, and where to.

    Attributes:
        folder: of all runs.
        variants: those to train, in their order.
        recipes: of each variant, and of the baseline that one of them may start from.
    """

    folder: Path
    variants: tuple[str, ...]
    recipes: Mapping[str, Recipe]

    @property
    def expected(self) -> Mapping[str, Expected]:
        """What the variants should reach: every variant's recipe says the same."""
        return self.recipes[self.variants[0]].expected

    def run_folder(self, variant: str, seed: int) -> Path:
        """Where a run's checkpoints and log go.

        >>> Experiment(Path("out"), (), {}).run_folder("jpeg-dl", 0).as_posix()
        'out/jpeg-dl/seed-0'
        """
        return self.folder / variant / f"seed-{seed}"


def load_experiment(
    path: str | Path,
    folder: Path,
    *,
    variants: Sequence[str],
    settings: Sequence[str] = (),
    jpeg_at: str | None = None,
) -> Experiment:
    """Variants of the recipe in a TOML file.

    Args:
        path: of the recipe.
        folder: of the experiment.
        variants: names in `softjpeg.training.variants.VARIANTS`.
        settings: ``section.key=value`` each, on top of the file; not what a variant decides.
        jpeg_at: put the layer after this module, by dotted path, whatever the recipe says.

    Raises:
        ValueError: a file, a setting, a variant or a key that is wrong; the sentence names it.
    """
    tree = load_recipe(path, settings)
    check_settings(settings, variants)
    return parse_experiment(tree, folder, variants=variants, jpeg_at=jpeg_at, source=str(path))


def parse_experiment(
    tree: Mapping[str, Any],
    folder: Path,
    *,
    variants: Sequence[str] = ("jpeg-dl",),
    jpeg_at: str | None = None,
    source: str = "recipe",
) -> Experiment:
    """Variants of a recipe.

    Args:
        tree: the recipe's keys, as `load_recipe` returns them.
        folder: of the experiment.
        variants: names in `softjpeg.training.variants.VARIANTS`.
        jpeg_at: put the layer after this module, by dotted path, whatever the recipe says.
        source: what errors call the recipe.

    Raises:
        ValueError: an unknown or repeated variant, an unknown key or a wrong value.
    """
    if not variants or len(set(variants)) < len(variants):
        raise ValueError(f"variants must be given once each, got {', '.join(variants)}")
    recipes = {name: parse_recipe(with_variant(tree, name, jpeg_at), source) for name in variants}
    if "baseline" not in recipes and any(recipe.needs_baseline for recipe in recipes.values()):
        recipes["baseline"] = parse_recipe(with_variant(tree, "baseline"), source)
    return Experiment(folder, tuple(variants), MappingProxyType(recipes))
