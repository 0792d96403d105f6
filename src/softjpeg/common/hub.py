"""Files from the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path

from softjpeg.common.extras import import_extra

_PREFIX = "hub:"
_PAPERS = ("2606.16185", "2410.07081")


def is_on_hub(spec: str | os.PathLike[str]) -> bool:
    """Whether a name is hub:ORG/NAME.

    >>> is_on_hub("hub:org/preset"), is_on_hub("preset.json")
    (True, False)
    """
    return str(spec).startswith(_PREFIX)


def card_header(base_model: str | None = None) -> str:
    """The first lines of a model card, which the Hub reads; without the line that ends them.

    >>> card_header("timm/resnet18").splitlines()[1:3]
    ['library_name: softjpeg', 'base_model: timm/resnet18']
    """
    papers = ", ".join(f'"arxiv:{number}"' for number in _PAPERS)
    base = f"base_model: {base_model}\n" if base_model else ""
    return f"---\nlibrary_name: softjpeg\n{base}tags: [softjpeg, jpeg, {papers}]\n"


def base_model_of(network: str) -> str | None:
    """What the Hub calls the network that softjpeg was given by a name; it knows timm's.

    >>> base_model_of("timm:resnet18"), base_model_of("timm:resnet18@mine.pth")
    ('timm/resnet18', None)
    """
    name = network.removeprefix("timm:")
    return f"timm/{name}" if name != network and "@" not in name else None


def hub_file(spec: str | os.PathLike[str], file: str) -> Path:
    """A file of a repository, downloaded when it is not in the Hub's cache.

    Args:
        spec: hub:ORG/NAME, or hub:ORG/NAME@REVISION. With HF_HUB_OFFLINE=1 only the cache is read.
        file: its name in the repository.

    Raises:
        ValueError: no such repository, revision or file, or the Hub is not reached.
        ImportError: huggingface_hub is not installed.
    """
    name, _, revision = str(spec).removeprefix(_PREFIX).partition("@")
    if name.count("/") != 1:
        raise ValueError(f"name must be hub:ORG/NAME or hub:ORG/NAME@REVISION, got {str(spec)!r}")
    hub = import_extra("huggingface_hub", extra="hub")
    try:
        return Path(hub.hf_hub_download(name, file, revision=revision or None))
    # The Hub's client and its transport each have errors of their own.
    except Exception as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{spec}: no {file} could be had from the Hub: {why}") from error
