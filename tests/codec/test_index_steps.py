"""Bits of single steps of an index, counted by hand."""

import math
from collections import Counter

import numpy as np
import torch

from softjpeg.codec.closed_loop.index_steps import bit_changes, symbol_bits


def random_blocks(n, seed=0):
    """Sparse blocks of every kind: empty ones, long runs, a last coefficient that is not zero."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(-9, 10, (n, 64)) * (rng.random((n, 64)) < rng.random((n, 1)) ** 3)
    blocks[0], blocks[1, 1:] = 0, 0
    blocks[2, 1:], blocks[2, 63] = 0, -3
    return torch.from_numpy(blocks)


def symbols_of(block):
    """(symbol, extra bits) of a block's AC coefficients, as T.81 F.1.2.2 describes them."""
    found, run = [], 0
    last = max((i for i in range(1, 64) if block[i]), default=0)
    for value in block[1 : last + 1]:
        if value == 0:
            run += 1
            continue
        found += [(0xF0, 0)] * (run // 16)
        size = abs(int(value)).bit_length()
        found.append(((run % 16) * 16 + size, size))
        run = 0
    return found + [(0x00, 0)] * (last < 63)


def test_bits_of_every_step():
    blocks = random_blocks(40)
    lengths = torch.randint(2, 17, (256,), generator=torch.Generator().manual_seed(1))

    def bits(block):
        return sum(int(lengths[symbol]) + extra for symbol, extra in symbols_of(block))

    away, nearer = bit_changes(blocks, lengths)
    for row, block in enumerate(blocks.numpy()):
        before = bits(block)
        for place in range(1, 64):
            sign = -1 if block[place] < 0 else 1
            moved = block.copy()
            moved[place] += sign
            assert away[row, place] == bits(moved) - before
            if block[place]:
                moved[place] -= 2 * sign
                assert nearer[row, place] == bits(moved) - before
    assert not away[:, 0].any()
    assert not nearer[:, 0].any()


def test_bits_of_symbols():
    blocks = random_blocks(60, seed=3)
    counts = Counter(symbol for block in blocks.numpy() for symbol, _ in symbols_of(block))
    total = sum(counts.values()) + 256
    expected = [-math.log2((counts[symbol] + 1) / total) for symbol in range(256)]
    np.testing.assert_allclose(symbol_bits(blocks), expected, rtol=1e-5)
