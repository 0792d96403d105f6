"""`FeatureJPEGLayer`: JPEG's quantizer on feature maps (JPEG-DL, table 7)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softjpeg.nn.hub import OnHub
from softjpeg.nn.table_quantizer import TableQuantizer, stack_tables


class FeatureJPEGLayer(TableQuantizer, OnHub):
    """Every channel of a feature map through 8×8 DCT, quantizer and inverse, as a plane of its own.

    Args:
        channels: C of the feature map.
        table: initial table, (8, 8) or one per round (rounds, 8, 8); default all ones. With
            `per_channel`, also (rounds, C, 8, 8).
        per_channel: a table for every channel instead of one for all, the luma table.
        rounds: how many quantizers in a row, each with its own tables.
        settings: as for `TableQuantizer`. Steps are on the features' own scale.

    Shape:
        (B, C, H, W) float → the same; any H, W ≥ 1: planes are padded by their last samples.

    Raises:
        ValueError: a value out of its range, or a feature map of other than C channels.

    >>> layer = FeatureJPEGLayer(16, torch.full((8, 8), 0.1), hardness=3.0)
    >>> tuple(layer(torch.randn(2, 16, 15, 15)).shape), layer.tables.numel()
    ((2, 16, 15, 15), 64)
    """

    def __init__(
        self,
        channels: int,
        table: Any = None,
        *,
        per_channel: bool = False,
        rounds: int = 1,
        **settings: Any,
    ) -> None:
        kinds = channels if per_channel else 1
        initial = None if table is None else torch.as_tensor(table)
        if initial is not None and initial.ndim == 4:
            if initial.shape != (rounds, kinds, 8, 8):
                wanted = (rounds, kinds, 8, 8)
                raise ValueError(f"table must have shape {wanted}, got {tuple(initial.shape)}")
            tables = torch.cat([stack_tables(rounds, table=t) for t in initial.unbind(1)], 1)
        else:
            tables = stack_tables(rounds, table=table).repeat(1, kinds, 1, 1)
        super().__init__(tables, **settings)
        self.channels, self.per_channel = channels, per_channel

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to what the quantizer leaves of it."""
        if features.ndim != 4 or features.shape[1] != self.channels:
            shape = tuple(features.shape)
            raise ValueError(f"features must have shape (B, {self.channels}, H, W), got {shape}")
        return self.through(features, "planes")

    def hub_config(self) -> dict[str, Any]:
        """As of `TableQuantizer`, and those of this class."""
        settings = {"channels": self.channels, "per_channel": self.per_channel}
        return settings | super().hub_config()

    def extra_repr(self) -> str:
        """The settings that are not parameters."""
        return f"{self.channels}, per_channel={self.per_channel}, {super().extra_repr()}"
