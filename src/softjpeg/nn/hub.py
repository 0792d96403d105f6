"""`OnHub`: modules that come from the Hugging Face Hub and go there, by its mixin's methods."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from softjpeg.common.extras import import_extra, installing
from softjpeg.common.hub import card_header

try:
    from huggingface_hub import PyTorchModelHubMixin
except ImportError:

    class PyTorchModelHubMixin:  # type: ignore[no-redef]
        """Says what to install."""

        @classmethod
        def from_pretrained(cls, *_words: Any, **_options: Any) -> Any:
            """Needs softjpeg[hub]."""
            import_extra("huggingface_hub", extra="hub")

        def save_pretrained(self, *_words: Any, **_options: Any) -> Any:
            """Needs softjpeg[hub]."""
            import_extra("huggingface_hub", extra="hub")

        push_to_hub = save_pretrained


_CARD = """{header}---
# {kind}

JPEG as a layer with trainable tables, as in [JPEG-DL](https://arxiv.org/abs/2410.07081). With
`{installing}`:

    {loading}

`model.safetensors` has SHA-256 `{digest}`. It was made with

```json
{config}
```
"""


class OnHub(PyTorchModelHubMixin):  # type: ignore[misc]
    """``from_pretrained``, ``save_pretrained`` and ``push_to_hub``; comes back in eval mode.

    What is saved is the module as it is now, not as it was made: `hub_config` and all tensors.
    """

    def hub_config(self) -> dict[str, Any]:
        """The arguments that make the module, tensors left out: these are in the state."""
        raise NotImplementedError

    def hub_loading(self) -> str:
        """Two lines of Python for the card."""
        kind = type(self)
        return (
            f"from {kind.__module__} import {kind.__name__}\n"
            f'    module = {kind.__name__}.from_pretrained("ORG/NAME")'
        )

    def generate_model_card(self, *_words: Any, **_options: Any) -> Any:
        """The card of a folder that holds no weights yet: `save_pretrained` writes its own."""
        return import_extra("huggingface_hub", extra="hub").ModelCard(self._card(b""))

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        config = json.dumps(self.hub_config(), indent=2)
        (save_directory / "config.json").write_text(config, encoding="utf-8")
        card, weights = save_directory / "README.md", save_directory / "model.safetensors"
        if not card.exists():
            card.write_text(self._card(weights.read_bytes()), encoding="utf-8")

    def _card(self, weights: bytes) -> str:
        return _CARD.format(
            header=card_header(),
            kind=type(self).__name__,
            installing=installing("hub"),
            loading=self.hub_loading(),
            digest=hashlib.sha256(weights).hexdigest(),
            config=json.dumps(self.hub_config(), indent=2),
        )

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **options: Any) -> Any:  # type: ignore[override]
        # Weights that are missing or left over are an error, and not, as there, kept silent about.
        return super()._from_pretrained(strict=strict, **options)

    @classmethod
    def _load_as_safetensor(cls, model: Any, model_file: str, *words: Any) -> Any:
        _as_wide_as(model, model_file)
        return super()._load_as_safetensor(model, model_file, *words)


def _as_wide_as(model: nn.Module, file: str) -> None:
    """Give each tensor the dtype that it has in the file, so that nothing is rounded."""
    own = model.state_dict(keep_vars=True)
    with safe_open(file, "pt") as saved:
        for name in own.keys() & set(saved.keys()):
            own[name].data = own[name].data.to(saved.get_tensor(name).dtype)
