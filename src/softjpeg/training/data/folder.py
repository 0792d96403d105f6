"""A folder of classes, each a folder of images: anyone's own data."""

from __future__ import annotations

from pathlib import Path

from softjpeg.common.image_files import SUFFIXES
from softjpeg.common.image_search import find_images
from softjpeg.training.data.split import FileSplit


def open_folder(root: Path, train: bool) -> FileSplit:
    """``root/train/CLASS/...``, or ``root/val/CLASS/...`` (``root/test`` where there is no val).

    The class indices are those of the sorted names of the training folder's subfolders. Hidden
    files and folders are left out; images may lie in subfolders of their class, and links are
    followed: each real folder once.

    Raises:
        ValueError: a folder that is absent or empty, an image outside the class folders, or a test
            class that has no training folder.
    """
    training = root / "train"
    if not training.is_dir():
        raise ValueError(
            f"{training} does not exist: put the images in {training}/CLASS/ and {root}/val/CLASS/"
        )
    classes = _class_folders(training)
    if train:
        return _images(training, classes, classes)
    folder = next((root / n for n in ("val", "test") if (root / n).is_dir()), None)
    if folder is None:
        raise ValueError(f"{root} has neither a folder val nor a folder test")
    present = _class_folders(folder)
    for name in present:
        if name not in classes:
            raise ValueError(f"{folder / name} is a class that {training} does not have")
    return _images(folder, present, classes)


def _class_folders(folder: Path) -> tuple[str, ...]:
    visible = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    for path in visible:
        if path.suffix.lower() in SUFFIXES and path.is_file():
            raise ValueError(f"{path} is in no class folder, but labels are the folders' names")
    names = tuple(path.name for path in visible if path.is_dir())
    if not names:
        raise ValueError(f"{folder} has no class folders")
    return names


def _images(folder: Path, present: tuple[str, ...], classes: tuple[str, ...]) -> FileSplit:
    files: list[str] = []
    labels: list[int] = []
    for name in present:
        paths = find_images(folder / name, follow_links=True)
        files += [path.relative_to(folder).as_posix() for path in paths]
        labels += [classes.index(name)] * len(paths)
    return FileSplit(classes, folder, tuple(files), tuple(labels))
