"""NETWORK+ADAPTER.safetensors or +hub:ORG/NAME: a network, and what it learned about files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from softjpeg.common.hub import is_on_hub

if TYPE_CHECKING:
    from torch import nn


def split_adapter(name: str) -> tuple[str, str | None]:
    """The network and the adapter in NETWORK+ADAPTER; None where there is none.

    >>> split_adapter("timm:resnet18+archive.safetensors"), split_adapter("timm:resnet18")
    (('timm:resnet18', 'archive.safetensors'), ('timm:resnet18', None))
    >>> split_adapter("hub:org/run+hub:org/adapter@v1")
    ('hub:org/run', 'hub:org/adapter@v1')
    """
    network, _, adapter = name.rpartition("+")
    # A file's own name may hold a plus.
    is_file = Path(name.rpartition("@")[2]).exists()
    if network and (adapter.endswith(".safetensors") or is_on_hub(adapter)) and not is_file:
        return network, adapter
    return name, None


def with_adapter(reader: nn.Module, name: str) -> nn.Module:
    """A network, reading files at the strength that their tables ask for where it has an adapter.

    Args:
        reader: the network, behind its preprocessing where it has one.
        name: it was loaded by, with the adapter's.

    Raises:
        ValueError: no such adapter, or another network's.
    """
    network, file = split_adapter(name)
    if file is None:
        return reader
    from softjpeg.adaptation.adapted_network import AdaptedNetwork
    from softjpeg.adaptation.adapter import Adapter

    adapter = Adapter.load(file)
    try:
        return AdaptedNetwork(reader, adapter)
    except ValueError as error:
        raise ValueError(f"{file} does not fit {network}: {error}") from error
