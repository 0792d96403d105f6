"""A folder of images as the smallest .jpg files that keep what networks say of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from softjpeg.codec.closed_loop.candidates import Candidate, preset_candidates
from softjpeg.codec.closed_loop.judge import Inputs, Judge, network_input
from softjpeg.codec.closed_loop.repair import repaired_choices
from softjpeg.codec.closed_loop.search import Choice, smallest_files
from softjpeg.codec.image import Mode
from softjpeg.corpus.folders import IMAGE_ERRORS, image_seed, pool_of, preset_sha256, remarked
from softjpeg.corpus.manifest import Manifest
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.targets import Job, plan_files
from softjpeg.corpus.writing import EncodeSummary, FileAndFacts, write_files, written_alone
from softjpeg.jpeg.subsampling import SubsamplingOrGray
from softjpeg.models.network import Network
from softjpeg.presets.preset import Preset

Family = Callable[[Image.Image, int], Sequence[Candidate]]
"""From an image and its seed to its candidates, from the smallest files to the best."""


@dataclass(frozen=True)
class _Picture:
    image: Image.Image
    inputs: Inputs
    seed: int
    remarks: tuple[str, ...]


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
    jobs: int = 1,
    batch_size: int = 32,
    progress: bool = False,
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
        jobs: images encoded at a time; the files do not depend on it.
        batch_size: images in a round of the search. A batch that was begun before a run was killed
            is searched again as a whole: a network's last digits depend on what it reads at once.
        progress: show a progress bar on a terminal.

    Raises:
        ValueError: no images, one that would be written over an input, or another process writes
            to `out`.
        KeyboardInterrupt: its words say what is kept.
    """
    rules = rules or SourceRules()
    plan = plan_files(source, out, rules)
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

        def choose(pictures: Sequence[_Picture]) -> list[FileAndFacts | Exception]:
            images = [picture.image for picture in pictures]
            shared: dict[str, Any] = {
                "inputs": [picture.inputs for picture in pictures],
                "mapper": pool.map,
            }
            try:
                ladders = [family(picture.image, picture.seed) for picture in pictures]
                choices = smallest_files(
                    images, ladders, judge, effort=effort, by_size=by_size, **shared
                )
                if passes:
                    choices = repaired_choices(images, choices, judge, passes, **shared)
            except IMAGE_ERRORS as error:
                # One image must not cost the others their files.
                return [error] if len(pictures) == 1 else [choose([p])[0] for p in pictures]
            return [
                _file_and_facts(p, choice, judge)
                for p, choice in zip(pictures, choices, strict=True)
            ]

        def make(todo: Sequence[Job], batch: Sequence[Job]) -> list[FileAndFacts | Exception]:
            read = _read(todo, judge, seed, rules, pool)
            if all(isinstance(picture, Exception) for picture in read.values()):
                return [_failure(read[job]) for job in todo]
            read |= _read([job for job in batch if job not in read], judge, seed, rules, pool)
            pictures = {job: p for job in batch if isinstance(p := read[job], _Picture)}
            results = dict(zip(pictures, choose(list(pictures.values())), strict=True))
            return [results[job] if job in results else _failure(read[job]) for job in todo]

        manifest = Manifest(out, all_settings, plan.left_out)
        return write_files(plan, make, manifest, batch_size=batch_size, progress=progress)


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
    jobs: int = 1,
    batch_size: int = 32,
    progress: bool = False,
    **options: Any,
) -> EncodeSummary:
    """`encode_in_the_loop` with presets as every image's candidates.

    Args:
        source, out, judge, effort, passes, by_size, seed, rules, jobs, batch_size, progress: of
            `encode_in_the_loop`.
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
        jobs=jobs,
        batch_size=batch_size,
        progress=progress,
    )


def weights_sha256(network: Network) -> str:
    """The digest of a network's parameters and buffers, in their order."""
    digest = hashlib.sha256()
    for name, tensor in network.module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(
    jobs: Sequence[Job], judge: Judge, seed: int, rules: SourceRules, pool: Executor
) -> dict[Job, _Picture | Exception]:
    def read(job: Job) -> _Picture | Exception:
        try:
            image, remarks = rules.read(job.path)
            inputs = tuple(network_input(image, n, str(job.path)) for n in judge.networks)
        except IMAGE_ERRORS as error:
            return error
        return _Picture(image, inputs, image_seed(seed, job.name), remarks)

    return dict(zip(jobs, pool.map(read, jobs), strict=True))


def _file_and_facts(picture: _Picture, choice: Choice, judge: Judge) -> FileAndFacts:
    measures = zip((n.name for n in judge.networks), choice.measures, strict=True)
    return choice.data, {
        "seed": picture.seed,
        "encoder": choice.candidate,
        "kept": choice.kept,
        "measures": {name: float(f"{measure:.6g}") for name, measure in measures},
        "runs": choice.runs,
        **remarked(picture.remarks),
    }


def _failure(read: _Picture | Exception) -> Exception:
    assert isinstance(read, Exception)
    return read
