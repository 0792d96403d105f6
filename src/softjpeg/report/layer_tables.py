"""The tables a JPEG layer learned, beside its initial ones, and the bound they set."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from softjpeg.functional.dct import block_idct
from softjpeg.report.heatmap import HeatMap, heat_map, log_share, short

_SHOWN_KINDS = 8
_DECADES = 3.0


def table_maps(
    tables: Tensor,
    initial: Tensor | None = None,
    levels: int | None = None,
    *,
    pixels: bool = True,
) -> list[tuple[str, list[HeatMap]]]:
    """Heat maps of every table, in rows: initial, learned, learned/initial, and the bound ±L·q.

    Args:
        tables: (rounds, kinds, 8, 8) steps > 0. One kind is shared by all planes, two are luma and
            chroma, and of more, one per channel, the first eight are shown.
        initial: the steps before training, of the same shape.
        levels: L of the index set; None for no bound.
        pixels: the coefficients are those of images, whose size is known: a bound is the darker the
            less of a frequency's range it lets through. Else it is dark where it is small.

    Returns:
        (name, heat maps) of every table, round by round.

    Raises:
        ValueError: a wrong shape, or a step that is not positive.

    >>> [(name, [m.caption for m in maps]) for name, maps in table_maps(torch.ones(1, 1, 8, 8))]
    [('shared', ['learned steps'])]
    """
    tables = _checked("tables", tables)
    if initial is not None:
        initial = _checked("initial", initial)
        if initial.shape != tables.shape:
            shapes = f"{tuple(tables.shape)}, got {tuple(initial.shape)}"
            raise ValueError(f"initial must have the tables' shape {shapes}")
    rounds, kinds = tables.shape[:2]
    every = tables if initial is None else torch.cat([tables, initial])
    high = every.max().item()
    low = max(every.min().item(), high * 10**-_DECADES)

    def steps(caption: str, table: Tensor) -> HeatMap:
        return heat_map(caption, table, log_share(table, low, high), short)

    rows = []
    for r in range(rounds):
        for k in range(min(kinds, _SHOWN_KINDS)):
            learned, maps = tables[r, k], []
            if initial is not None:
                maps.append(steps("initial steps", initial[r, k]))
            maps.append(steps("learned steps", learned))
            if initial is not None:
                maps.append(_change(learned / initial[r, k]))
            if levels is not None:
                maps.append(_bound(levels * learned, pixels))
            name = kind_name(k, kinds)
            rows.append((f"round {r + 1}, {name}" if rounds > 1 else name, maps))
    return rows


def kind_name(kind: int, kinds: int) -> str:
    """What the tables of a kind are for.

    >>> [kind_name(0, 1), kind_name(1, 2), kind_name(3, 16)]
    ['shared', 'chroma', 'channel 3']
    """
    if kinds > 2:
        return f"channel {kind}"
    return "shared" if kinds == 1 else ("luma", "chroma")[kind]


def largest_coefficients() -> Tensor:
    """The largest |z| of each frequency that samples of -128..128 can have, (8, 8).

    It is 128 times the sum of the basis function's magnitudes: 1024 for DC.

    >>> round(largest_coefficients()[0, 0].item(), 6)
    1024.0
    """
    basis = block_idct(torch.eye(64, dtype=torch.float64).view(64, 1, 1, 8, 8))
    return 128 * basis.flatten(1).abs().sum(1).view(8, 8)


def _change(ratio: Tensor) -> HeatMap:
    # At least a tenth either way is full colour: tiny changes should not look large.
    widest = max(ratio.log().abs().max().item(), math.log(1.1))
    return heat_map("learned / initial", ratio, ratio.log() / widest, short)


def _bound(bound: Tensor, pixels: bool) -> HeatMap:
    full = largest_coefficients() if pixels else bound.max()
    tightness = (full / bound).log10() / _DECADES
    return heat_map("bound ±L·q", bound, tightness.clamp(0, 1), short)


def _checked(name: str, tables: Tensor) -> Tensor:
    if tables.ndim != 4 or tables.shape[-2:] != (8, 8):
        raise ValueError(f"{name} must have shape (rounds, kinds, 8, 8), got {tuple(tables.shape)}")
    if not (tables > 0).all():
        raise ValueError(f"{name} must be positive, got {tables.min().item()}")
    return tables.detach().double().cpu()
