"""A folder of images as the smallest .jpg files that keep what networks say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from softjpeg.codec.closed_loop.candidates import Candidate, preset_candidates
from softjpeg.codec.closed_loop.judge import Judge
from softjpeg.codec.image import Mode
from softjpeg.corpus.digests import preset_sha256
from softjpeg.corpus.engine import pool_of
from softjpeg.corpus.folders import begun
from softjpeg.corpus.loop_engine import Family, Search, loop_engine
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.targets import plan_files
from softjpeg.corpus.watch import Watching
from softjpeg.corpus.writing import Bookkeeping, EncodeSummary, write_files, written_alone
from softjpeg.jpeg.subsampling import SubsamplingOrGray
from softjpeg.models.network import Network
from softjpeg.presets.preset import Preset


def encode_in_the_loop(
    source: Path,
    out: Path,
    family: Family,
    judge: Judge,
    *,
    settings: Mapping[str, Any],
    effort: int = 0,
    passes: int = 0,
    by_size: bool = False,
    seed: int = 0,
    rules: SourceRules | None = None,
    retry: str = "",
    verify: bool = False,
    list_files: bool = False,
    watching: Watching | None = None,
    jobs: int = 1,
    batch_size: int = 32,
) -> EncodeSummary:
    """Write for every image the smallest file found that keeps the networks' answers.

    The files keep their images' sizes. The manifest in `out` says of each file which candidate
    wrote it and what the networks made of it; what it says is done by these settings is left alone.

    Args:
        source: a folder, an image, or a text file listing images.
        out: folder for the files, made when it is missing.
        family: the candidates of an image.
        judge: networks and fidelity.
        settings: what the family was made from, for the manifest.
        effort: 0 halves an image's candidates; m > 0 then tries smaller ones until m in a row were
            not kept; `EXHAUSTIVE` goes up from the smallest file.
        by_size: order an image's candidates by their real files' sizes.
        passes: of a repair after it, see `repaired_choices`; 0 for none.
        seed: of encoders that draw; an image's own seed depends on it and on the image's name.
        rules: what of the source is read, and how.
        retry, verify, list_files, watching: as in `Bookkeeping`.
        jobs: images encoded at a time; the files do not depend on it.
        batch_size: images of a folder in a round of the search. A batch that was begun before a run
            was killed is searched again as a whole: a network's last digits depend on what it reads
            at once.

    Raises:
        ValueError: no images, one that would be written over an input, or another process writes
            to `out`.
        KeyboardInterrupt: its words say what is kept.
    """
    rules = rules or SourceRules()
    plans = begun(plan_files(source, out, rules))
    all_settings = {
        **settings,
        "networks": [[n.name, weights_sha256(n)] for n in judge.networks],
        "keep": judge.fidelity.name,
        "average": judge.average,
        "effort": effort,
        "by_size": by_size,
        "seed": seed,
    }
    all_settings |= {"passes": passes} if passes else {}
    all_settings |= rules.settings
    with pool_of(jobs) as pool, written_alone(out), rules.applied():
        search = Search(family, judge, effort, passes, by_size, seed, rules)
        engine = loop_engine(search, pool, batch_size)
        books = Bookkeeping(all_settings, retry, verify, list_files, watching or Watching())
        return write_files(plans, out, engine, books)


def encode_presets_in_the_loop(
    source: Path,
    out: Path,
    presets: Mapping[str, Preset],
    judge: Judge,
    *,
    subsamplings: Sequence[SubsamplingOrGray] = (),
    mode: Mode = "hard",
    effort: int = 0,
    passes: int = 0,
    by_size: bool = False,
    seed: int = 0,
    rules: SourceRules | None = None,
    retry: str = "",
    verify: bool = False,
    list_files: bool = False,
    watching: Watching | None = None,
    jobs: int = 1,
    batch_size: int = 32,
    **options: Any,
) -> EncodeSummary:
    """`encode_in_the_loop` with presets as every image's candidates.

    Args:
        source, out, judge, effort, passes, by_size, seed, rules, retry, verify, list_files,
            watching, jobs, batch_size: of `encode_in_the_loop`.
        presets: by name, from the smallest files to the largest.
        subsamplings: of "4:4:4", "4:2:2", "4:2:0" and "gray"; default: each preset's own.
        mode, options: of `softjpeg.encode`.

    Raises:
        ValueError: options that no image can be encoded with, or what `encode_in_the_loop` raises.
    """

    def family(image: Image.Image, seed: int) -> list[Candidate]:
        return preset_candidates(presets, subsamplings, mode=mode, seed=seed, **options)

    # Refused before anything is written.
    small = Image.new("L", (8, 8))
    for candidate in family(small, seed):
        candidate.encode(small)
    return encode_in_the_loop(
        source,
        out,
        family,
        judge,
        settings={
            "presets": {name: preset_sha256(preset) for name, preset in presets.items()},
            "subsamplings": list(subsamplings),
            "mode": mode,
            **options,
        },
        effort=effort,
        passes=passes,
        by_size=by_size,
        seed=seed,
        rules=rules,
        retry=retry,
        verify=verify,
        list_files=list_files,
        watching=watching,
        jobs=jobs,
        batch_size=batch_size,
    )


def weights_sha256(network: Network) -> str:
    """The digest of a network's parameters and buffers, in their order."""
    digest = hashlib.sha256()
    for name, tensor in network.module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
