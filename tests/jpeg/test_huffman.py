"""Huffman tables against Pillow's and jpeglib's libjpeg, and against the definition."""

import io
import itertools

import jpeglib
import numpy as np
import pytest
from PIL import Image

from softjpeg.jpeg.entropy.huffman import (
    STANDARD_TABLES,
    HuffmanTable,
    code_lengths,
    codes,
    optimal_table,
)
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.jpeg.writer import write_coefficients


def huffman_segments(data):
    return [piece.payload for piece in segments(data) if piece.name == "DHT"]


def random_counts(seed):
    rng = np.random.default_rng(seed)
    counts = np.zeros(256, dtype=np.int64)
    used = rng.permutation(256)[: rng.integers(1, 257)]
    counts[used] = rng.integers(1, [2, 10, 1000, 10**6][seed % 4], len(used))
    return counts


def plain_huffman_cost(counts):
    """Bits of the unlimited Huffman code of these counts and one reserved symbol."""
    weights = sorted([*counts[counts > 0].tolist(), 1])
    cost = 0
    while len(weights) > 1:
        merged = weights.pop(0) + weights.pop(0)
        cost += merged
        weights = sorted([*weights, merged])
    return cost


def test_standard_tables_are_those_that_libjpeg_writes():
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", optimize=False)
    written = huffman_segments(file.getvalue())
    ours = [bytes(table.bits) + bytes(table.values) for table in STANDARD_TABLES]
    assert [payload[1:] for payload in written] == ours


@pytest.mark.parametrize("seed", range(40))
def test_codes_are_prefix_free_and_none_is_all_ones(seed):
    table = STANDARD_TABLES[seed] if seed < 4 else optimal_table(random_counts(seed))
    length, code = code_lengths(table), codes(table)
    words = sorted(f"{code[s]:0{length[s]}b}" for s in table.values)
    assert all("0" in word and 1 <= len(word) <= 16 for word in words)
    assert not any(after.startswith(word) for word, after in itertools.pairwise(words))
    # Canonical: along HUFFVAL both the length and the code, left-aligned, increase.
    aligned = [code[s] << (16 - length[s]) for s in table.values]
    assert aligned == sorted(aligned)
    assert np.bincount(length[length > 0], minlength=17)[1:].tolist() == list(table.bits)


@pytest.mark.parametrize("seed", range(40))
def test_optimal_table_is_optimal(seed):
    counts = random_counts(seed)
    table = optimal_table(counts)
    length = code_lengths(table)
    assert set(table.values) == set(np.flatnonzero(counts).tolist())
    if max(length) < 16:
        # The reserved code costs what is left over.
        assert 0 <= plain_huffman_cost(counts) - counts @ length <= 16
    share = counts[counts > 0] / counts.sum()
    entropy = -(share * np.log2(share)).sum()
    assert entropy <= counts @ length / counts.sum() < entropy + 1.01


def test_optimal_table_of_few_symbols():
    counts = np.zeros(256, dtype=np.int64)
    assert optimal_table(counts) == HuffmanTable((0,) * 16, ())
    counts[7] = 5
    assert optimal_table(counts) == HuffmanTable((1,) + (0,) * 15, (7,))


@pytest.mark.parametrize(("symbols", "ratio"), [(4, 1.0), (12, 1.4), (19, 1.8), (20, 1.6)])
def test_skewed_counts_give_libjpegs_table_and_scan(tmp_path, symbols, ratio):
    """With 19 symbols the tree is 20 levels deep, so that codes must be shortened."""
    rng = np.random.default_rng(symbols)
    counts = (8 * ratio ** np.arange(symbols)).astype(int)[::-1]
    index = rng.permutation(np.repeat(np.arange(symbols), counts))
    runs, sizes = index // 10, index % 10 + 1
    places = np.cumsum(runs + 1) - 1
    rows = 1 + places[-1] // 63 // 64
    ac = np.zeros(rows * 64 * 63, dtype=np.int16)
    ac[places] = 1 << (sizes - 1)
    blocks = np.zeros((rows * 64, 64), dtype=np.int16)
    blocks[:, ZIGZAG[1:]] = ac.reshape(-1, 63)
    luma, table = blocks.reshape(rows, 64, 8, 8), np.full((1, 8, 8), 7, dtype=np.uint16)

    path = tmp_path / "theirs.jpg"
    jpeglib.from_dct(luma, qt=table).write_dct(str(path), flags=["+OPTIMIZE_CODING"])
    ours = write_coefficients([luma], table[0], size=(rows * 8, 512))
    for name in ("DHT", "scan"):
        assert [p.payload for p in segments(ours) if p.name == name] == [
            p.payload for p in segments(path) if p.name == name
        ]
