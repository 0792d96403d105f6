"""Which images a folder or a list names, and what of a folder is left out."""

from __future__ import annotations

import os
import stat
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from softjpeg.common.image_files import SUFFIXES
from softjpeg.common.image_warning import ImageWarning

_OTHER_FORMATS = """
apng arw avif cr2 cr3 dib dng exr gif hdr heic heif ico j2k jfif jfi jif jp2 jpe jxl nef orf pbm
pcx pnm psd qoi raf rw2 svg tga xbm
"""
NOT_READ = tuple(f".{word}" for word in _OTHER_FORMATS.split())
"""Suffixes of images that are left out of folders."""

UNREADABLE = "left out, a folder that cannot be read"
_SUFFIX = "left out, of a suffix that is not read"
_HIDDEN = "left out, hidden"
_SPECIAL = "left out, no regular file"
_OUTSIDE = "left out, a link out of the folder (--follow-links follows it)"
_AGAIN = "left out, a link to a folder that is read already"

_Identity = tuple[int, int]
"""A file's or folder's device and inode: the same under all of its names."""


@dataclass
class Search:
    """What a source names.

    Attributes:
        paths: of the images, sorted.
        left_out: by the reason, what of a folder is not among them.
    """

    paths: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=dict)

    def leave_out(self, path: Path, reason: str) -> None:
        """Note what is left out."""
        self.left_out.setdefault(reason, []).append(path)


def find_images(source: str | os.PathLike[str], *, follow_links: bool = False) -> list[Path]:
    """The sorted paths of the images that `source` names; warns of what it leaves out.

    Args:
        source: as for `search_images`.
        follow_links: also those that leave the folder.

    Raises:
        ValueError: as `search_images`.
    """
    found = search_images(source, follow_links=follow_links)
    for reason, paths in found.left_out.items():
        warnings.warn(ImageWarning(reason, *paths), stacklevel=2)
    return found.paths


def search_images(
    source: str | os.PathLike[str], *, follow_links: bool = False, besides: Path | None = None
) -> Search:
    """The images that `source` names, and what of a folder is left out.

    Args:
        source: a folder (searched with its subfolders, each entered once; hidden files are left
            out), one image, or a text file with one path a line, relative to the text file's
            folder.
        follow_links: also those that leave the folder.
        besides: a folder in it that is not searched.

    Raises:
        ValueError: no such source, no images in it, or a listed file that does not exist.
    """
    found = Search()
    for part in walk_images(source, follow_links=follow_links, besides=besides):
        found.paths += part.paths
        for reason, paths in part.left_out.items():
            found.left_out.setdefault(reason, []).extend(paths)
    found.paths.sort()
    return found


def walk_images(
    source: str | os.PathLike[str], *, follow_links: bool = False, besides: Path | None = None
) -> Iterator[Search]:
    """What `search_images` finds, folder by folder: of a list or one image, all at once.

    Args:
        source: as for `search_images`.
        follow_links: also those that leave the folder.
        besides: a folder in it that is not searched.

    Raises:
        ValueError: as `search_images`; that there are no images is known at the end.
    """
    source = Path(source)
    if source.is_dir():
        parts = _in_folder(source, follow_links, besides)
    elif source.suffix.lower() in SUFFIXES and source.is_file():
        parts = iter([Search([source])])
    elif source.is_file():
        parts = iter([Search(_listed_images(source))])
    elif source.exists():
        raise ValueError(f"images must be a file or a folder, but {source} is neither")
    else:
        raise ValueError(f"images must be a file or a folder, but {source} does not exist")
    any_images, left_out = False, Search().left_out
    for part in parts:
        any_images = any_images or bool(part.paths)
        if not any_images:
            for reason, paths in part.left_out.items():
                left_out.setdefault(reason, []).extend(paths)
        yield part
    if not any_images:
        rest = "".join(f"; {ImageWarning(why, *paths)}" for why, paths in left_out.items())
        raise ValueError(f"{source} holds no images ({' '.join(SUFFIXES)}){rest}")


def relative_name(path: Path, source: str | os.PathLike[str]) -> str:
    """What an image of `find_images` is called: its path from the source's folder.

    >>> relative_name(Path("photos/cats/a.png"), "photos/list.txt")
    'cats/a.png'
    """
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    path, root = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def identity(path: str | os.PathLike[str]) -> _Identity | None:
    """Device and inode of what a path leads to; None where that is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_folder(root: Path, follow_links: bool, besides: Path | None) -> Iterator[Search]:
    """Of each folder what is in it, its subfolders aside."""
    real = os.path.realpath(root)
    entered: set[_Identity | None] = set()
    # What an earlier run wrote there is not to be read.
    if besides is not None and identity(besides) != identity(root):
        entered.add(identity(besides))
    folders, links = [root], deque[Path]()
    # Links last: then a folder goes by its own name, not by that of a link to it.
    while folders or links:
        found = Search()
        is_link = not folders
        folder = links.popleft() if is_link else folders.pop()
        if identity(folder) in entered:
            if is_link:
                found.leave_out(folder, _AGAIN)
                yield found
            continue
        if is_link and not follow_links and not _is_below(folder, real):
            found.leave_out(folder, _OUTSIDE)
            yield found
            continue
        entered.add(identity(folder))
        for entry in _entries(folder, found):
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif entry.is_symlink() and path.is_dir():
                links.append(path)
            elif reason := _reason_against(entry, real, follow_links):
                found.leave_out(path, reason)
            elif entry.name.lower().endswith(SUFFIXES):
                found.paths.append(path)
        if found.paths or found.left_out:
            yield found


def _entries(folder: Path, found: Search) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        found.leave_out(folder, UNREADABLE)


def _reason_against(entry: os.DirEntry[str], real: str, follow_links: bool) -> str:
    """Why what looks like an image is not read; empty where it is, or is no image."""
    name = entry.name.lower()
    if not name.endswith(SUFFIXES):
        return _SUFFIX if name.endswith(NOT_READ) else ""
    if name.startswith("."):
        return _HIDDEN
    if not entry.is_symlink():
        return "" if entry.is_file(follow_symlinks=False) else _SPECIAL
    if not follow_links and not _is_below(entry.path, real):
        return _OUTSIDE
    try:
        return "" if stat.S_ISREG(os.stat(entry.path).st_mode) else _SPECIAL
    except OSError:
        return ""  # Reading it will say what is wrong with it.


def _is_below(path: str | os.PathLike[str], real: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(real)


def _listed_images(file: Path) -> list[Path]:
    data = file.read_bytes()
    # Names are bytes, which need not be UTF-8; editors put a mark before the first line.
    lines = data.decode("utf-8-sig", errors="surrogateescape").split("\n")
    paths: list[Path] = []
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name:
            continue
        path = file.parent / name
        if "\0" in name or not path.exists():
            if not paths and not _is_text(data):
                raise ValueError(f"{file} is neither an image nor a text file that lists some")
            raise ValueError(f"{file}, line {number}: {name} does not exist")
        if not path.is_file():
            raise ValueError(f"{file}, line {number}: {name} is no regular file")
        paths.append(path)
    return paths


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
