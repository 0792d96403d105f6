"""The folder with which a preset or a ladder goes to the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softjpeg.common.extras import installing
from softjpeg.common.files import write_atomically
from softjpeg.common.hub import base_model_of, card_header
from softjpeg.presets.built_in import HUB_FILE

if TYPE_CHECKING:
    from softjpeg.presets.ladder import Ladder
    from softjpeg.presets.preset import Preset

_CARD = """{header}---
# {kind} of JPEG quantization tables

Tables for JPEG files that a neural network reads: small, and read nearly as the originals are. The
files are ordinary .jpg, and every decoder reads them. Learned by softjpeg for the objective of
[J4D](https://arxiv.org/abs/2606.16185).

    {installing}
    softjpeg encode photos/ --preset hub:ORG/NAME{quality} --out jpegs/

{learned_for}{curve}
```json
{provenance}
```
"""


def save_for_hub(preset: Preset | Ladder, folder: str | os.PathLike[str]) -> None:
    """Write the folder that ``hf upload ORG/NAME FOLDER`` takes: the preset and its card.

    Args:
        preset: a preset or a ladder; the card says what its provenance says.
        folder: made where it does not exist.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_atomically(Path(folder) / HUB_FILE, preset.to_json().encode())
    write_atomically(Path(folder) / "README.md", card(preset).encode())


def card(preset: Preset | Ladder) -> str:
    """The model card of a preset or a ladder, with all that its provenance says.

    >>> from softjpeg.presets.preset import Preset
    >>> card(Preset.from_quality(50)).splitlines()[1]
    'library_name: softjpeg'
    """
    ladder = hasattr(preset, "rungs")
    provenance: dict[str, Any] = dict(preset.provenance)
    rungs = preset.rungs if ladder else [preset]  # type: ignore[union-attr]
    return _CARD.format(
        header=card_header(base_model_of(str(provenance.get("network", "")))),
        installing=installing("hub"),
        kind="A ladder" if ladder else "A preset",
        quality=" --quality 30" if ladder else "",
        learned_for=_learned_for(provenance),
        curve=_curve([rung.provenance.get("learned", {}) for rung in rungs]),
        provenance=json.dumps(provenance, indent=2, sort_keys=True),
    )


def _learned_for(provenance: Mapping[str, Any]) -> str:
    """Networks, images and how these are read; and for whom nothing was learned."""
    networks = provenance.get("networks") or [provenance.get("network")]
    if networks == [None]:
        return ""
    lines = [f"* **Learned for** {', '.join(networks)}, and for no other network: whether the"]
    lines += ["  tables help another one, nobody has measured, unless it is said here."]
    facts = {
        "Its weights": provenance.get("weights") and f"digest `{provenance['weights']}`",
        "Images": provenance.get("images"),
        "How many": provenance.get("count"),
        "Size of the files": provenance.get("size"),
        "How they are read": provenance.get("preprocessing")
        and json.dumps(provenance["preprocessing"]),
        "Decoder": "libjpeg's, through Pillow",
    }
    lines += [f"* {name}: {value}" for name, value in facts.items() if value]
    return "\n".join(lines) + "\n"


def _curve(learned: list[Mapping[str, Any]]) -> str:
    """What was measured on the judging half of the learning images, a row for each preset."""
    rows = []
    for facts in learned:
        if not (judged := facts.get("judged")):
            continue
        saved = [
            f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
            for share, low, high in facts.get("saved", [])
        ]
        figures = (judged["loss"], judged["default_bpp"], judged["default_loss"])
        row = [f"{judged['bpp']:.3f}", *(f"{x:.4g}" for x in figures), ", ".join(saved) or "–"]
        rows.append("| " + " | ".join(row) + " |")
    if not rows:
        return ""
    kind = next(facts["loss_kind"] for facts in learned if facts.get("judged"))
    head = (
        f"| bits per pixel | {kind} | default JPEG: bits per pixel | default JPEG: {kind} "
        f"| bytes saved at equal {kind}, 95 % interval, each network |"
    )
    said = (
        "\nBeside default JPEG (the standard's own tables), on the half of the learning images "
        "that chose the tables, not on images of another source. "
        f"{kind} is what the network loses: 0 is nothing.\n"
    )
    return "\n".join([said, head, "|---|---|---|---|---|", *rows]) + "\n"
