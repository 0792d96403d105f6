"""The network in the loop of the encoder: per image the smallest file that keeps its answer."""

from __future__ import annotations

from softjpeg.loop.candidates import (
    Candidate,
    default_presets,
    named_presets,
    preset_candidates,
)
from softjpeg.loop.fidelity import Fidelity, parse_fidelity
from softjpeg.loop.judge import Judge
from softjpeg.loop.refine import refined_choices
from softjpeg.loop.repair import Repaired, repair_files
from softjpeg.loop.saliency import saliency_maps, salient_candidates
from softjpeg.loop.search import EXHAUSTIVE, Choice, smallest_files

__all__ = [
    "EXHAUSTIVE",
    "Candidate",
    "Choice",
    "Fidelity",
    "Judge",
    "Repaired",
    "default_presets",
    "named_presets",
    "parse_fidelity",
    "preset_candidates",
    "refined_choices",
    "repair_files",
    "saliency_maps",
    "salient_candidates",
    "smallest_files",
]
