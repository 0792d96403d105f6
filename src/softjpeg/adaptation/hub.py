"""The folder with which an adapter goes to the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from softjpeg.adaptation.adapter import HUB_FILE, Adapter
from softjpeg.common.files import write_text
from softjpeg.common.hub import base_model_of, card_header

_CARD = """{header}---
# How {network} reads small JPEG files

An adapter: {weights:,} weights of the network ({train}), learned without labels, and how
strongly they act on which file. It fits the weights with fingerprint `{fingerprint}` alone.

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
            f"{100 * error:.1f}, cross-fitted. Points of answers that originals lose where they "
            f"too are read at strength 0, 0.25, 0.5, 0.75, 1: {lost}.\n",
        ]
    )
