"""What reading images warns of: collected while a command runs, and said at its end."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from mmap import mmap
from typing import Any
from zlib import crc32

import typer

from softjpeg.common.image_warning import ImageWarning


def say_remarks(remarks: Mapping[str, Iterable[object]]) -> None:
    """A line for each reason, with the images' number and the first of their names."""
    for reason, paths in remarks.items():
        typer.echo(f"softjpeg: {ImageWarning(reason, *paths)}", err=True)


@contextmanager
def remarks_said() -> Iterator[None]:
    """Say at the end what was warned of images while inside."""
    found: dict[str, dict[object, None]] = {}
    # Shared with processes that are forked to read images, which do not come to this end.
    here, told = os.getpid(), mmap(-1, 256)

    def collect(message: Any, *_rest: Any, **_more: Any) -> None:
        if not isinstance(message, ImageWarning):
            sys.stderr.write(f"softjpeg: {' '.join(str(message).split())}\n")
            return
        place = crc32(message.reason.encode()) % len(told)
        if os.getpid() != here and not told[place]:
            told[place] = 1
            sys.stderr.write(f"softjpeg: {message}, and maybe others\n")
        found.setdefault(message.reason, {}).update(dict.fromkeys(message.paths))

    with warnings.catch_warnings():
        warnings.simplefilter("always", ImageWarning)
        warnings.showwarning = collect
        try:
            yield
        finally:
            say_remarks(found)
