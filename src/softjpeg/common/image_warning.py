"""What reading images warns of."""

from __future__ import annotations

_SHOWN = 5
"""Names in a warning; the others are counted."""


class ImageWarning(UserWarning):
    """What was left out of a folder, or of an image, though nothing is wrong with it.

    Args:
        reason: what became of them.
        paths: of the images.

    >>> print(ImageWarning("left out, hidden", "a/.b.png", "a/.c.png"))
    left out, hidden (2): a/.b.png, a/.c.png
    """

    def __init__(self, reason: str, *paths: object) -> None:
        super().__init__(reason, *paths)
        self.reason, self.paths = reason, paths

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.paths[:_SHOWN]))
        more = len(self.paths) - _SHOWN
        return f"{self.reason} ({len(self.paths)}): {shown}" + f" and {more} more" * (more > 0)
