"""Every held picture's file in one archive, with its tables and what a network answers."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import PurePosixPath

from softjpeg.app.held import Held
from softjpeg.app.looking import Tables, preset_of
from softjpeg.app.readers import Readers, reading
from softjpeg.codec.image import decode, encode
from softjpeg.common.image_set import from_image

_COLUMNS = "picture", "file", "source bytes", "bytes", "answer", "answer from the file", "kept"


def archive(held: Held, readers: Readers, network: str, tables: Tables) -> bytes:
    """A .zip of jpg/NAME.jpg, tables/NAME.json and answers.csv.

    Args:
        held: the pictures.
        readers: the networks.
        network: the name of the one that is asked.
        tables: of the files.

    Raises:
        ValueError: no picture is held.
    """
    numbers = held.numbers()
    if not numbers:
        raise ValueError("there must be at least one picture, got none")
    rows: list[tuple[object, ...]] = []
    buffer, taken = io.BytesIO(), set[str]()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for number in numbers:
            picture, image = held[number], held.image(number)
            preset = preset_of(tables, image)
            data = encode(image, preset, metadata=False)
            scores = readers.scores(network, [from_image(image), decode(data)])
            before, after = (reading(each, 0).answers[0][0] for each in scores)
            stem = free_name(picture.name, taken)
            file.writestr(f"jpg/{stem}.jpg", data)
            file.writestr(f"tables/{stem}.json", preset.to_json())
            kept = bool(scores[0].argmax() == scores[1].argmax())
            sizes = len(picture.data), len(data)
            rows.append((picture.name, f"{stem}.jpg", *sizes, before, after, kept))
        text = io.StringIO()
        csv.writer(text).writerows([_COLUMNS, *rows])
        file.writestr("answers.csv", text.getvalue())
    return buffer.getvalue()


def free_name(name: str, taken: set[str]) -> str:
    """A picture's name without folder and suffix, numbered where another has it already.

    Args:
        name: of the picture, whatever a browser calls it.
        taken: names that are given; this one is added.

    >>> taken = set()
    >>> [free_name(name, taken) for name in ("a/cat.png", "cat.jpg", "..")]
    ['cat', 'cat-2', 'picture']
    """
    stem = PurePosixPath(name.replace("\\", "/")).stem.strip(". ") or "picture"
    free, count = stem, 1
    while free.lower() in taken:
        count += 1
        free = f"{stem}-{count}"
    taken.add(free.lower())
    return free
