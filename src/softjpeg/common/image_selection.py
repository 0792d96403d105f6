"""Which images a source names, and the label of each."""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Sequence
from pathlib import Path

from softjpeg.common.image_search import find_images, relative_name

_MOST_DIGITS = 18
"""Of a class index: all of them fit into 64 bits."""


def selected_images(
    source: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None,
    limit: int | None,
    seed: int,
    *,
    follow_links: bool = False,
) -> tuple[list[Path], list[str], list[int] | None, tuple[str, ...] | None]:
    """The images of a source, or a random subset of them.

    Args:
        source: as for `find_images`.
        labels: "folders", a CSV file with the columns file and label, or None.
        limit: a subset of so many images; None for all.
        seed: which subset.
        follow_links: as for `find_images`.

    Returns:
        Paths, names relative to the source, class indices and class names; the last two None where
        they are unknown.

    Raises:
        ValueError: no images, or one without a label; it is named.
    """
    paths = find_images(source, follow_links=follow_links)
    names = [relative_name(path, source) for path in paths]
    indices, class_names = _labels(names, labels) if labels is not None else (None, None)
    if limit is not None and limit < len(paths):
        chosen = sorted(random.Random(seed).sample(range(len(paths)), limit))
        paths, names = [paths[i] for i in chosen], [names[i] for i in chosen]
        indices = None if indices is None else [indices[i] for i in chosen]
    return paths, names, indices, class_names


def _labels(
    names: Sequence[str], labels: str | os.PathLike[str]
) -> tuple[list[int], tuple[str, ...] | None]:
    """The class index of each name, and the classes' names where they have any."""
    if labels == "folders":
        for name in names:
            if "/" not in name:
                raise ValueError(f"{name} is in no class folder, but labels are the folders' names")
        words = [name.split("/")[0] for name in names]
    else:
        table = _read_labels(Path(labels))
        for name in names:
            if not table.get(name):
                raise ValueError(f"{labels} has no label for {name}")
        words = [table[name] for name in names]
        if all(word.removeprefix("-").isdecimal() for word in words):
            if huge := [word for word in words if len(word) > _MOST_DIGITS]:
                raise ValueError(f"{labels} has a label that is no class index: {huge[0]}")
            return [int(word) for word in words], None
    class_names = tuple(sorted(set(words)))
    index = {name: i for i, name in enumerate(class_names)}
    return [index[word] for word in words], class_names


def _read_labels(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            for column in ("file", "label"):
                if column not in columns:
                    raise ValueError(f"{path} has no column {column!r}, only {', '.join(columns)}")
            return {row["file"]: (row["label"] or "").strip() for row in reader}
    except OSError as error:
        raise ValueError(f"labels {path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"labels {path} cannot be read: it is not CSV text") from None
