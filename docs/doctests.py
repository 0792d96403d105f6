"""Docstrings' examples as code blocks, for the pages of the API."""

import re
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Puts a fence around each paragraph that begins with a prompt."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for everything that it has read."""
        if obj.docstring:
            paragraph = r"^(>>>.*(?:\n.+)*)"
            obj.docstring.value = re.sub(
                paragraph, r"```pycon\n\1\n```", obj.docstring.value, flags=re.MULTILINE
            )
