"""Stanford Dogs in its own layout: 12,000 training and 8580 test images of 120 breeds."""

from __future__ import annotations

from pathlib import Path

from softjpeg.training.data.split import FileSplit

_URL = "http://vision.stanford.edu/aditya86/ImageNetDogs/"


def open_dogs(root: Path, train: bool) -> FileSplit:
    """``Images/`` and ``train_list.mat`` or ``test_list.mat`` in ``root/stanford-dogs``.

    Raises:
        ValueError: a file or folder that is absent, or a list that is damaged.
    """
    from scipy.io import loadmat

    folder = root / "stanford-dogs"
    listing = folder / ("train_list.mat" if train else "test_list.mat")
    for needed in (listing, folder / "Images"):
        if not needed.exists():
            raise ValueError(
                f"Stanford Dogs is absent from {folder} ({needed.name} is missing): download "
                f"images.tar and lists.tar from {_URL} and unpack both in {folder}"
            )
    try:
        table = loadmat(listing, squeeze_me=True)
        files = tuple(str(name) for name in table["file_list"].reshape(-1))
        labels = tuple(int(label) - 1 for label in table["labels"].reshape(-1))
    # A damaged file makes scipy raise nearly anything.
    except Exception as error:
        raise ValueError(f"{listing} cannot be read: {error}") from error
    # n02085620-Chihuahua/n02085620_10074.jpg
    breeds = {
        label: file.split("/")[0].partition("-")[2]
        for file, label in zip(files, labels, strict=True)
    }
    classes = tuple(breeds.get(i, str(i)) for i in range(max(breeds, default=-1) + 1))
    return FileSplit(classes, folder / "Images", files, labels)
