"""What it costs in bits to change one AC index by one, with every other one as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.codec.trellis import run_size_bits
from softjpeg.jpeg.entropy.symbols import EOB

_END = 64


def symbol_bits(zigzag: Tensor) -> Tensor:
    """Bits of every run/size symbol by its frequency in these blocks, those unseen included.

    Args:
        zigzag: (N, 64) indices, DC first.

    Returns:
        (256,) of an ideal code, for `bit_changes`; what a Huffman code rounds up is left out.

    >>> bits = symbol_bits(torch.zeros(766, 64, dtype=torch.long))  # blocks of EOB alone
    >>> round(bits[0].item(), 2), round(bits[1].item(), 2)
    (0.41, 10.0)
    """
    nonzero = zigzag != 0
    before = _before(nonzero)
    rows, places = torch.nonzero(nonzero[:, 1:], as_tuple=True)
    places = places + 1
    runs = places - 1 - before[rows, places]
    symbols = ((runs % 16) << 4) + _size(zigzag[rows, places].abs())
    counts = torch.bincount(symbols, minlength=256)
    counts[0xF0] += (runs // 16).sum()
    counts[EOB] += int((zigzag[:, -1] == 0).sum())
    # Every symbol once more than it was seen: one that is new costs bits too, but not for ever.
    return -torch.log2((counts + 1) / (counts.sum() + 256))


def bit_changes(zigzag: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Bits added by each AC index's step of one away from zero, or towards it.

    Args:
        zigzag: (N, 64) integers, DC first.
        lengths: (256,) bits of every run/size symbol.

    Returns:
        (away, nearer): (N, 64) each; nearer is 0 where an index is 0, both are 0 at the DC.

    >>> block = torch.zeros(1, 64, dtype=torch.long)
    >>> block[0, 1] = 1
    >>> away, nearer = bit_changes(block, torch.full((256,), 4))
    >>> away[0, :3].tolist(), nearer[0, :3].tolist()  # a symbol and its size are 5 bits
    ([0.0, 1.0, 5.0], [0.0, -5.0, 0.0])
    """
    table = run_size_bits(lengths)
    eob = float(lengths[EOB])
    size = zigzag.abs()
    nonzero = size > 0
    nonzero[:, 0] = True
    before, after = _before(nonzero), _after(nonzero)
    place = torch.arange(64).expand_as(before)
    run = (place - 1 - before).clamp(min=0)

    # A symbol here splits the run of the one after it.
    next_size = _size(size.gather(1, after.clamp(max=63)))
    split = table[(after - place - 1).clamp(0, 62), next_size]
    unsplit = table[(after - before - 1).clamp(0, 62), next_size]
    # After the last place there is no end of block.
    ends = torch.where(place == 63, -eob, 0.0).double()
    inserted = torch.where(after < _END, split - unsplit, ends)

    now, more, less = (_size((size + step).clamp(min=0)) for step in (0, 1, -1))
    present = table[run, now]
    away = table[run, more] - present
    away = torch.where(size == 0, table[run, 1] + inserted, away)
    nearer = torch.where(size == 1, -present - inserted, table[run, less] - present)
    nearer = torch.where(size == 0, 0.0, nearer)
    away[:, 0] = nearer[:, 0] = 0
    return away, nearer


def _size(magnitude: Tensor) -> Tensor:
    """JPEG's size category: how many bits a magnitude has."""
    return torch.frexp(magnitude.float())[1].long().clamp(max=11)


def _before(nonzero: Tensor) -> Tensor:
    """The place of the nearest marked one before each place; 0 at the first."""
    places = torch.where(nonzero, torch.arange(64), 0).cummax(1).values
    return torch.cat([places[:, :1] * 0, places[:, :-1]], 1)


def _after(nonzero: Tensor) -> Tensor:
    """The place of the nearest marked one after each place; 64 where there is none."""
    places = torch.where(nonzero, torch.arange(64), _END).flip(1).cummin(1).values.flip(1)
    return torch.cat([places[:, 1:], torch.full_like(places[:, :1], _END)], 1)
