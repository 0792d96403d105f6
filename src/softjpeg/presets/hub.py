"""The folder with which a preset or a ladder goes to the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softjpeg.common.files import write_atomically
from softjpeg.presets.built_in import HUB_FILE

if TYPE_CHECKING:
    from softjpeg.presets.ladder import Ladder
    from softjpeg.presets.preset import Preset

_PAPERS = ("2606.16185", "2410.07081")
_CARD = """---
library_name: softjpeg
tags: [softjpeg, jpeg, {papers}]
{base_model}---
# {kind} of JPEG quantization tables

Learned with [J4D](https://arxiv.org/abs/2606.16185); every JPEG decoder reads the files.

    softjpeg encode photos/ --preset hub:ORG/NAME{quality} --out jpegs/

Tables are learned for the network and the images below. Whether they help another network, nobody
has measured, unless it is said here.

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
    network = str(provenance.get("network", ""))
    # What the Hub knows by ORG/NAME are timm's networks.
    name = network.removeprefix("timm:")
    is_timm = name != network and "@" not in name
    return _CARD.format(
        papers=", ".join(f'"arxiv:{number}"' for number in _PAPERS),
        base_model=f"base_model: timm/{name}\n" if is_timm else "",
        kind="A ladder" if ladder else "A preset",
        quality=" --quality 30" if ladder else "",
        provenance=json.dumps(provenance, indent=2, sort_keys=True),
    )
