"""What the classes of a network are called."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

_IMAGENET = 1000


def class_name(index: int, count: int) -> str:
    """Of a class among `count`; ImageNet's first word where there are as many as it has.

    >>> class_name(3, 10)
    'class 3'
    """
    if count != _IMAGENET or find_spec("timm") is None:
        return f"class {index}"
    return _imagenet()[index]


@cache
def _imagenet() -> tuple[str, ...]:
    from timm.data import ImageNetInfo  # type: ignore[attr-defined]

    describe = ImageNetInfo().index_to_description
    return tuple(str(describe(i)).split(",")[0] for i in range(_IMAGENET))
