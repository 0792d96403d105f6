"""What kind of failure an exception is: what a retry can be asked for."""

from __future__ import annotations

import errno
import re
from typing import Literal, cast, get_args

from PIL import Image

from softjpeg.codec.byte_limit import TooLargeError
from softjpeg.corpus.limits import LimitError

ErrorClass = Literal[
    "decode",
    "limit-pixels",
    "limit-side",
    "limit-bytes",
    "limit-frames",
    "limit-seconds",
    "limit-profile",
    "limit-output",
    "io",
    "network",
    "memory",
    "other",
]
"""Of what is no image or damaged, beyond a limit, not to be read or written, or short of memory.

Each limit has its own; `limit-output` is of a file that no quality makes small enough.
"""

ALL_LIMITS = "limit"
"""Of all of them, where classes are asked for."""

_PASSING = {"io", "network", "memory"}
"""What may be otherwise the next time, though the image is the same."""

_CLIENTS = ("aiohttp", "botocore", "google", "httpx", "requests", "s3fs", "urllib3")
_NO_MEMORY = re.compile("not enough memory|can't allocate memory|out of memory")
_NETWORK_ERRNOS = {
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
}


def tried_again(retry: str) -> set[str]:
    """The classes of failures that a run tries again: all, or one, beside those that may pass.

    Args:
        retry: a class, "limit" for those of all limits, "all", or nothing.

    Raises:
        ValueError: it is none of them.

    >>> sorted(tried_again("decode"))
    ['decode', 'io', 'memory', 'network']
    """
    classes = get_args(ErrorClass)
    if retry not in ("", "all", ALL_LIMITS, *classes):
        known = ", ".join(("all", *classes, ALL_LIMITS))
        raise ValueError(f"--retry must be one of {known}, got {retry}")
    if retry == "all":
        return set(classes)
    asked = {name for name in classes if retry in (name, name.partition("-")[0])}
    return _PASSING | asked


def error_class(error: BaseException) -> ErrorClass:
    """The class of an exception, by what it was raised from where that says more.

    >>> error_class(FileNotFoundError(2, "No such file or directory", "a.png"))
    'io'
    >>> error_class(ConnectionResetError())
    'network'
    >>> error_class(ValueError("a.png cannot be read as an image"))
    'decode'
    """
    cause: BaseException | None = error
    while cause is not None:
        found = _own_class(cause)
        if found is not None:
            return found
        cause = cause.__cause__
    # What reading and encoding an image raise is said of that image.
    return "decode" if isinstance(error, (ValueError, OSError, SyntaxError)) else "other"


def _own_class(error: BaseException) -> ErrorClass | None:
    if isinstance(error, LimitError):
        return cast("ErrorClass", f"limit-{error.limit}")
    if isinstance(error, Image.DecompressionBombError):
        return "limit-pixels"
    if isinstance(error, TooLargeError):
        return "limit-output"
    # PyTorch says it in words.
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return "memory"
    if type(error).__module__.partition(".")[0] in _CLIENTS:
        return "network"
    if isinstance(error, (ConnectionError, TimeoutError)):
        return "network"
    # Pillow raises OSError of damaged images, too: without a number.
    if isinstance(error, OSError) and error.errno is not None:
        named = type(error).__name__ in ("gaierror", "herror")
        return "network" if named or error.errno in _NETWORK_ERRNOS else "io"
    return None
