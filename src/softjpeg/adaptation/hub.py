"""The folder with which an adapter goes to the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from softjpeg.adaptation.adapter import HUB_FILE, Adapter
from softjpeg.common.extras import installing
from softjpeg.common.files import write_text
from softjpeg.common.hub import base_model_of, card_header

_CARD = """{header}---
# How {network} reads small JPEG files

{weights:,} weights of the network ({train}), trained so that it answers on JPEG files as it does on
the originals. They act by a *strength* from 0, the network as it was, to 1; softjpeg reads it from
each file's quantization tables, and originals get 0. They fit the network whose weights have the
fingerprint `{fingerprint}`, and no other.

    {installing}
    softjpeg evaluate {network}+hub:ORG/NAME photos/ --reader {network}
{figures}
```json
{provenance}
```
"""


def save_for_hub(adapter: Adapter, folder: str | os.PathLike[str]) -> None:
    """Write the folder that ``hf upload ORG/NAME FOLDER`` takes: the adapter and its card.

    Args:
        adapter: of `softjpeg.adapt`; the card says what its provenance says.
        folder: made where it does not exist.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    adapter.save(Path(folder) / HUB_FILE)
    write_text(Path(folder) / "README.md", card(adapter))


def card(adapter: Adapter) -> str:
    """The model card of an adapter, with all that its provenance says."""
    facts: dict[str, Any] = dict(adapter.provenance)
    network = str(facts.get("network", "NETWORK"))
    return _CARD.format(
        header=card_header(base_model_of(network)),
        installing=installing("hub,models"),
        network=network,
        weights=sum(weight.numel() for weight in adapter.base.values()),
        train=adapter.train,
        fingerprint=adapter.fingerprint,
        figures=_figures(facts),
        provenance=json.dumps(facts, indent=2, sort_keys=True),
    )


def _figures(facts: dict[str, Any]) -> str:
    if "gain" not in facts:
        return ""
    loss, (gone, error) = facts["loss"], facts["gain"]
    drops = facts["clean_drop"]
    lost = ", ".join(f"{x:.2f}" for x in drops) if drops else "not measured"
    rows = [
        f"| {f['bpp']:.3f} | {f['frozen']:.4g} | {f['adapted']:.4g} | {f['strength']:.2f} |"
        for f in facts["figures"]
    ]
    return "\n".join(
        [
            f"\nOn {facts['judged_on']} images that did not train:\n",
            f"| bits per pixel | {loss}, frozen | {loss}, adapted | strength |",
            "|---|---|---|---|",
            *rows,
            f"\nOf the loss {100 * gone:.1f} % is gone, with a standard error of "
            f"{100 * error:.1f}, on images that did not choose the strengths. Points of answers "
            "that originals would lose, read at strength 0, 0.25, 0.5, 0.75, 1 instead of 0: "
            f"{lost}.\n",
        ]
    )
