"""The file that each image becomes: decided for all of them before the first is written."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from softjpeg.common.image_search import UNREADABLE, identity, relative_name, search_images
from softjpeg.corpus.sources import SourceRules


@dataclass(frozen=True)
class Job:
    """An image to be written.

    Attributes:
        path: of the image.
        name: its path below its source, with forward slashes.
        file: the name of its .jpg below the output folder.
        target: the file to write.
    """

    path: Path
    name: str
    file: str
    target: Path


@dataclass(frozen=True)
class Plan:
    """What is to be written.

    Attributes:
        jobs: one for each file.
        failures: images and folders that cannot be among them, each with its error.
        left_out: by the reason, what is not read of a folder.
    """

    jobs: Sequence[Job]
    failures: Sequence[tuple[Path, Exception]] = ()
    left_out: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def plan_files(source: Path, out: Path, rules: SourceRules | None = None) -> Plan:
    """The images of a source, and the file that each becomes.

    Args:
        source: as for `search_images`.
        out: folder for the files; what is in it is not read.
        rules: what of the source is read.

    Raises:
        ValueError: no images, one that would be written over an input, or `out` is no folder.
    """
    rules = rules or SourceRules()
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: this is not a folder")
    there = Path(os.path.abspath(out))
    # What an earlier run wrote there is not to be encoded again.
    found = search_images(source, follow_links=rules.follow_links, besides=out)
    failures: list[tuple[Path, Exception]] = [
        (path, ValueError(f"{path}: {UNREADABLE}")) for path in found.left_out.pop(UNREADABLE, [])
    ]
    paths = {relative_name(path, source): Path(os.path.abspath(path)) for path in found.paths}
    if len(paths) < len(found.paths):
        failures += _of_one_name(found.paths, source, paths)
    files = {name: Path(name).with_suffix(".jpg").as_posix() for name in paths}
    same = str.casefold if _has_case_collisions(files.values(), there) else str
    colliding = _colliding(files, same)
    if rules.name_collision == "suffix":
        files |= {name: f"{name}.jpg" for name in colliding if files[name] != name}
        colliding = _colliding(files, same)
    for name, group in colliding.items():
        other = paths[group[group[0] == name]]
        collision = ValueError(
            f"{paths[name]} would be written to {there / files[name]}, and so would {other}: "
            "rename one, or say --name-collision suffix"
        )
        failures.append((paths[name], collision))
    jobs = [
        Job(paths[name], name, file, there / file)
        for name, file in files.items()
        if name not in colliding
    ]
    _refuse_overwriting(jobs, paths.values())
    return Plan(jobs, failures, found.left_out)


def _of_one_name(
    paths: Sequence[Path], source: Path, kept: dict[str, Path]
) -> list[tuple[Path, Exception]]:
    """Images of a list that lie outside its folder and have one name; none of them is kept."""
    named: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        named[relative_name(path, source)].append(path)
    failures: list[tuple[Path, Exception]] = []
    for name, same in named.items():
        different = {identity(path) for path in same}
        if len(different) > 1:
            del kept[name]
            rest = ", ".join(map(str, same))
            failures += [(p, ValueError(f"{p}: {rest} have the same name")) for p in same]
    return failures


def _colliding(files: Mapping[str, str], same: Callable[[str], str]) -> dict[str, list[str]]:
    """The names of images that have another's file, each with all of that file."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, file in files.items():
        names[same(file)].append(name)
    return {name: group for group in names.values() if len(group) > 1 for name in group}


def _has_case_collisions(files: Iterable[str], out: Path) -> bool:
    """Whether some differ in upper and lower case alone, and are one file where they go."""
    files = set(files)
    return len({file.casefold() for file in files}) < len(files) and ignores_case(out)


def ignores_case(folder: Path) -> bool:
    """Whether "a" and "A" are one file in a folder, or in the one that it will be made in."""
    while not folder.is_dir():
        folder = folder.parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".softjpeg-", suffix=".tmp") as probe:
        return Path(probe.name.replace("softjpeg", "SOFTJPEG")).exists()


def _refuse_overwriting(jobs: Sequence[Job], inputs: Iterable[Path]) -> None:
    # The same file may have many names: links, hard links, other cases.
    known = {identity(path): path for path in inputs}
    for job in jobs:
        here = identity(job.target)
        if here is not None and here in known:
            raise ValueError(
                f"{job.path} would be written over the image {known[here]}: choose another --out"
            )
