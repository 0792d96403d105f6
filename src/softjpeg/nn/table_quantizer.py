"""`TableQuantizer`: trainable quantization tables, their hardness, and the quantizer they drive."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.functional.jpeg_layer import Layout, jpeg_layer, quantize_rounds
from softjpeg.functional.quantizers import QUANTIZERS, Quantizer
from softjpeg.functional.soft_quantizer import check_index_set
from softjpeg.functional.straight_through import clamp


class TableQuantizer(nn.Module):
    """Quantize and dequantize 8×8 coefficients by tables that train.

    Args:
        tables: (rounds, kinds, 8, 8) initial steps > 0; a kind is luma, chroma or a channel.
        hardness: initial h = αq² of every entry; the sharpness follows the table, α = h/q².
        alpha: fixed sharpness α instead of a hardness (JPEG-DL's CIFAR setting: 5).
        quantizer: one of `softjpeg.functional.quantizers.QUANTIZERS`; "noise" rounds in eval mode.
        levels: L of the index set {-L..L}; None for all integers.
        window: odd number of indices the soft sum runs over; None for all of the index set.
        zero_dc: set every block's DC coefficient to 0 first.
        train_tables, train_hardness: which parameters take gradients.
        table_range: steps are clamped to it, straight-through, before each use.

    Raises:
        ValueError: an unknown quantizer, or a value out of its range.

    >>> quantizer = TableQuantizer(torch.full((1, 2, 8, 8), 16.0), quantizer="hard")
    >>> quantizer.quantize_plane(torch.full((1, 1, 8, 8), 17.0), kind=0).unique().item()
    16.0
    """

    def __init__(
        self,
        tables: Tensor,
        *,
        hardness: float = 20.0,
        alpha: float | None = None,
        quantizer: Quantizer = "soft",
        levels: int | None = None,
        window: int | None = None,
        zero_dc: bool = False,
        train_tables: bool = True,
        train_hardness: bool = False,
        table_range: tuple[float, float] = (1e-5, 255.0),
    ) -> None:
        super().__init__()
        if quantizer not in QUANTIZERS:
            raise ValueError(f"quantizer must be one of {', '.join(QUANTIZERS)}, got {quantizer!r}")
        for name, value in (("hardness", hardness), ("alpha", 1.0 if alpha is None else alpha)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if not 0 < table_range[0] <= table_range[1]:
            raise ValueError(f"table_range must be positive and ascending, got {table_range}")
        if alpha is not None and train_hardness:
            raise ValueError(f"train_hardness needs a hardness, but alpha is fixed at {alpha}")
        if quantizer == "clip" and levels is None:
            raise ValueError("levels must be given for the quantizer 'clip', got None")
        check_index_set(levels, window)
        self.quantizer, self.levels, self.window = quantizer, levels, window
        self.alpha, self.zero_dc = alpha, zero_dc
        self.table_range = (table_range[0], table_range[1])
        self.tables = nn.Parameter(tables.clone(), requires_grad=train_tables)
        log_hardness = torch.full_like(tables, hardness).log()
        if train_hardness:
            self.log_hardness: Tensor = nn.Parameter(log_hardness)
        else:
            self.register_buffer("log_hardness", log_hardness)

    @property
    def rounds(self) -> int:
        """How many quantizers in a row."""
        return len(self.tables)

    def steps(self) -> Tensor:
        """q as (rounds, kinds, 8, 8), within the table range."""
        return clamp(self.tables, *self.table_range)

    def sharpness(self) -> Tensor:
        """α as (rounds, kinds, 8, 8)."""
        if self.alpha is not None:
            return torch.full_like(self.tables, self.alpha)
        return self.log_hardness.exp() / self.steps() ** 2

    def hardness(self) -> Tensor:
        """h = αq² as (rounds, kinds, 8, 8)."""
        return self.sharpness() * self.steps() ** 2

    def quantize_plane(self, z: Tensor, kind: int) -> Tensor:
        """All rounds of the coefficients (..., 8, 8) of one plane, by the tables of one kind."""
        return quantize_rounds(
            z, self.steps()[:, kind], self.sharpness()[:, kind], **self._settings()
        )

    def before_last_round(self, z: Tensor, kind: int) -> Tensor:
        """The coefficients (..., 8, 8) of one plane that the last quantizer in a row is given."""
        steps, alphas = self.steps()[:-1, kind], self.sharpness()[:-1, kind]
        return quantize_rounds(z, steps, alphas, **self._settings())

    def through(self, x: Tensor, layout: Layout, *, rounding: bool = False) -> Tensor:
        """Samples (B, C, H, W) through `softjpeg.functional.jpeg_layer`.

        Args:
            x: (B, C, H, W) samples.
            layout: what the channels are.
            rounding: round and clamp as a codec does.
        """
        return jpeg_layer(
            x, self.steps(), self.sharpness(), layout=layout, rounding=rounding, **self._settings()
        )

    def _settings(self) -> dict[str, Any]:
        quantizer, levels = self.quantizer, self.levels
        if quantizer == "noise" and not self.training:
            # Noise stands for rounding while training, and knows no bound (Ballé et al. 2016).
            quantizer, levels = "hard", None
        return {
            "quantizer": quantizer,
            "levels": levels,
            "window": self.window,
            "zero_dc": self.zero_dc,
        }

    def hub_config(self) -> dict[str, Any]:
        """The settings with which the class makes a module for the same state dict."""
        return {
            "rounds": self.rounds,
            "alpha": self.alpha,
            "quantizer": self.quantizer,
            "levels": self.levels,
            "window": self.window,
            "zero_dc": self.zero_dc,
            "train_tables": self.tables.requires_grad,
            "train_hardness": isinstance(self.log_hardness, nn.Parameter),
            "table_range": list(self.table_range),
        }

    @torch.no_grad()
    def clamp_tables_(self) -> None:
        """Move the tables into their range, for an optimizer to call after its step."""
        self.tables.clamp_(*self.table_range)

    def extra_repr(self) -> str:
        """The settings that are not parameters."""
        return (
            f"quantizer={self.quantizer!r}, rounds={self.rounds}, levels={self.levels}, "
            f"window={self.window}, zero_dc={self.zero_dc}"
        )


def stack_tables(rounds: int, **tables: Any) -> Tensor:
    """Tables given by name, (8, 8) or (rounds, 8, 8) each or None for ones, side by side.

    Returns:
        (rounds, number of tables, 8, 8).

    Raises:
        ValueError: `rounds` < 1, a wrong shape, or a step that is not positive.

    >>> tuple(stack_tables(2, luma=None, chroma=torch.ones(8, 8)).shape)
    (2, 2, 8, 8)
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    return torch.stack([_table(name, table, rounds) for name, table in tables.items()], 1)


def _table(name: str, table: Any, rounds: int) -> Tensor:
    if table is None:
        return torch.ones(rounds, 8, 8)
    steps = torch.as_tensor(table, dtype=torch.get_default_dtype()).detach()
    if steps.shape not in ((8, 8), (rounds, 8, 8)):
        wanted = f"(8, 8) or ({rounds}, 8, 8)"
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(steps.shape)}")
    if not (steps > 0).all():
        raise ValueError(f"{name} must be positive, got {steps.min().item()}")
    return steps.expand(rounds, 8, 8)
