"""What networks make of files already written, beside default JPEG of as many bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from softjpeg.codec.closed_loop.judge import Inputs, Outputs, network_input, network_outputs
from softjpeg.codec.file_sizes import equal_size_quality
from softjpeg.codec.image import decode, encode
from softjpeg.corpus.engine import pool_of
from softjpeg.corpus.sources import SourceRules
from softjpeg.models.fidelity import agree, check_direction, check_scores, cosine, kl
from softjpeg.models.network import Network
from softjpeg.presets.preset import Preset

if TYPE_CHECKING:
    from rich.table import Table

Pair = tuple[Path, Path]
"""An image and the .jpg file made of it."""

_BATCH = 32


@dataclass(frozen=True)
class Reading:
    """What one network makes of files and of default JPEG, against the images themselves.

    Attributes:
        network: its name.
        agreement: share of the files on which it gives its own answer for the image; NaN where
            its outputs are no class scores.
        distance: mean KL divergence in nats of the files; their cosine distance where the outputs
            are no class scores.
        default_agreement, default_distance: the same of default JPEG.
    """

    network: str
    agreement: float
    distance: float
    default_agreement: float
    default_distance: float


def read_files(
    networks: Sequence[Network],
    pairs: Sequence[Pair],
    *,
    rules: SourceRules | None = None,
    most: int = 500,
    jobs: int = 1,
) -> tuple[int, float, list[Reading]]:
    """Ask networks about files and about default JPEG of no fewer bytes.

    Args:
        networks: the readers.
        pairs: images and their files.
        rules: how the images were read.
        most: of more pairs, so many are read, evenly spread.
        jobs: images at a time.

    Returns:
        (quality, share, readings): the quality from which on default JPEG (Annex K, 4:2:0,
        optimized Huffman) has no fewer bytes in all, or 100; its bytes as a share of the files'.

    Raises:
        ValueError: no pairs, an image or file that cannot be read, or a network whose outputs are
            one number or already probabilities, of which neither measure tells anything.
    """
    if not pairs:
        raise ValueError("pairs must be one or more, got none")
    rules = rules or SourceRules()
    count = min(most, len(pairs))
    pairs = [pairs[i * len(pairs) // count] for i in range(count)]
    # Of each network: (agreement, distance) of the files, then of default JPEG.
    sums = torch.zeros(len(networks), 4, dtype=torch.float64)
    with pool_of(jobs) as pool, rules.applied():
        quality, share = equal_bytes_quality(pairs, pool, rules)
        tables = Preset.from_quality(quality)

        def inputs_of(pair: Pair) -> list[Inputs]:
            """Of the image, its file and its default JPEG."""
            image, data = rules.read(pair[0])[0], pair[1].read_bytes()
            shown = image, decode(data), decode(encode(image, tables))
            return [tuple(network_input(x, n, str(pair[0])) for n in networks) for x in shown]

        for start in range(0, count, _BATCH):
            triples = list(pool.map(inputs_of, pairs[start : start + _BATCH]))
            outputs = [network_outputs(networks, [t[i] for t in triples]) for i in range(3)]
            for original, file, default in zip(*outputs, strict=True):
                _check(networks, original)
                both = [_compare(file, original), _compare(default, original)]
                sums += torch.tensor(both, dtype=torch.float64).transpose(0, 1).flatten(1)
    means = (sums / count).tolist()
    readings = [Reading(n.name, *mean) for n, mean in zip(networks, means, strict=True)]
    return quality, share, readings


def equal_bytes_quality(
    pairs: Sequence[Pair], pool: Executor, rules: SourceRules | None = None
) -> tuple[int, float]:
    """The quality at which default JPEG has no fewer bytes than the files in all, one lower fewer.

    Args:
        pairs: images and their files.
        pool: threads to encode in.
        rules: how the images were read.

    Returns:
        (quality, its bytes as a share of the files'); 100 also when even its files are smaller.
    """
    read = (rules or SourceRules()).read
    wanted = sum(file.stat().st_size for _, file in pairs)

    @cache
    def total(quality: int) -> int:
        tables = Preset.from_quality(quality)
        return sum(pool.map(lambda pair: len(encode(read(pair[0])[0], tables)), pairs))

    quality = equal_size_quality(wanted, total)
    return quality, total(quality) / wanted


def readings_table(readings: Sequence[Reading]) -> Table:
    """The readings as a rich table, one a row."""
    from rich.table import Table

    table = Table()
    table.add_column("read by")
    for column in ("agree %", "default agree %", "KL", "default KL"):
        table.add_column(column, justify="right")
    for r in readings:
        classes = not math.isnan(r.agreement)
        table.add_row(
            r.network,
            *(f"{100 * x:.1f}" if classes else "" for x in (r.agreement, r.default_agreement)),
            *(f"{x:.4f}" + " (cosine)" * (not classes) for x in (r.distance, r.default_distance)),
        )
    return table


def _check(networks: Sequence[Network], originals: Outputs) -> None:
    """Refuse outputs that would seem to be kept whatever the file."""
    for network, output in zip(networks, originals, strict=True):
        try:
            if output.ndim == 1:
                check_scores(output[None], "agreement", "read with another network")
            else:
                check_direction(output[None], "read with another network")
        except ValueError as error:
            raise ValueError(f"{network.name}: {error}") from error


def _compare(outputs: Outputs, originals: Outputs) -> list[tuple[float, float]]:
    """(agreement, distance) of each network's output from its output on the image."""
    return [
        (float(agree(a[None], b[None])), float(kl(a[None], b[None])))
        if b.ndim == 1
        else (math.nan, float(cosine(a[None], b[None])))
        for a, b in zip(outputs, originals, strict=True)
    ]
