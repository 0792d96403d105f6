"""The file that each image becomes: decided for a folder before the first of it is written."""

from __future__ import annotations

import os
import stat
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softjpeg.common.image_search import (
    UNREADABLE,
    Search,
    identity,
    relative_name,
    walk_images,
)
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
    """What is to be written into one folder, its subfolders aside.

    Attributes:
        folder: to write into.
        jobs: one for each file, by their names.
        inputs: the images, also those that have no job.
        failures: images and folders that cannot be among the jobs, each with its error.
        left_out: by the reason, what is not read of the images' folder.
    """

    folder: Path
    jobs: Sequence[Job] = ()
    inputs: Sequence[Path] = ()
    failures: Sequence[tuple[Path, Exception]] = ()
    left_out: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def plan_files(source: Path, out: Path, rules: SourceRules | None = None) -> Iterator[Plan]:
    """The images of a source and the file that each becomes, a folder at a time.

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

    def plans() -> Iterator[Plan]:
        there = Path(os.path.abspath(out))
        # What an earlier run wrote there is not to be encoded again.
        for found in walk_images(source, follow_links=rules.follow_links, besides=out):
            yield from _plans_of(found, source, there, rules)

    if rules.follow_links or _in_one_another(source, out):
        return _none_overwritten(list(plans()))
    return _none_overwritten_here(plans(), plans)


def _plans_of(found: Search, source: Path, out: Path, rules: SourceRules) -> Iterator[Plan]:
    failures: list[tuple[Path, Exception]] = [
        (path, ValueError(f"{path}: {UNREADABLE}")) for path in found.left_out.pop(UNREADABLE, [])
    ]
    paths = {relative_name(path, source): Path(os.path.abspath(path)) for path in found.paths}
    inputs = list(paths.values())
    if len(paths) < len(found.paths):
        failures += _of_one_name(found.paths, source, paths)
    files = {name: Path(name).with_suffix(".jpg").as_posix() for name in paths}
    same = str.casefold if _has_case_collisions(files.values(), out) else str
    colliding = _colliding(files, same)
    if rules.name_collision == "suffix":
        files |= {name: f"{name}.jpg" for name in colliding if files[name] != name}
        colliding = _colliding(files, same)
    for name, group in colliding.items():
        other = paths[group[group[0] == name]]
        collision = ValueError(
            f"{paths[name]} would be written to {out / files[name]}, and so would {other}: "
            "rename one, or say --name-collision suffix"
        )
        failures.append((paths[name], collision))
    folders: dict[Path, list[Job]] = defaultdict(list)
    for name in sorted(files.keys() - colliding.keys()):
        target = out / files[name]
        folders[target.parent].append(Job(paths[name], name, files[name], target))
    if failures or found.left_out:
        yield Plan(out, (), inputs, failures, found.left_out)
    yield from (Plan(folder, jobs, inputs) for folder, jobs in folders.items())


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


def _in_one_another(source: Path, out: Path) -> bool:
    """Whether what is written may lie where images are read, under their own names."""
    read, written = Path(os.path.realpath(source)), Path(os.path.realpath(out))
    return read == written or read.is_relative_to(written)


def _none_overwritten(plans: Sequence[Plan]) -> Iterator[Plan]:
    """The plans, unless one of them would write over an image of any."""
    known = {identity(path): path for plan in plans for path in plan.inputs}
    for plan in plans:
        _refuse_overwriting(plan, known)
    return iter(plans)


def _none_overwritten_here(
    plans: Iterable[Plan], again: Callable[[], Iterable[Plan]]
) -> Iterator[Plan]:
    """The plans, each before it is carried out looked at for images that it would write over."""
    everywhere: dict[Any, Path] = {}
    for plan in plans:
        there = [job for job in plan.jobs if os.path.lexists(job.target)]
        if there:
            # Only under another name can it be an image of another folder.
            if not everywhere and any(_has_other_names(job.target) for job in there):
                everywhere = {identity(path): path for each in again() for path in each.inputs}
            _refuse_overwriting(plan, everywhere or {identity(p): p for p in plan.inputs})
        yield plan


def _has_other_names(path: Path) -> bool:
    found = os.lstat(path)
    return stat.S_ISLNK(found.st_mode) or found.st_nlink > 1


def _refuse_overwriting(plan: Plan, known: Mapping[Any, Path]) -> None:
    # The same file may have many names: links, hard links, other cases.
    for job in plan.jobs:
        here = identity(job.target)
        if here is not None and here in known:
            raise ValueError(
                f"{job.path} would be written over the image {known[here]}: choose another --out"
            )
