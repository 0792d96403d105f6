"""JPEG inside the training graph: learn tables for a network, write ordinary .jpg files.

Names are imported when first used, so ``import softjpeg`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softjpeg import functional
    from softjpeg.adaptive_quality import AdaptiveQuality
    from softjpeg.codec import decode, encode, read_coefficients, recode, write_coefficients
    from softjpeg.evaluation import evaluate
    from softjpeg.feature_layer import FeatureJPEGLayer
    from softjpeg.ladder import Ladder, load_preset
    from softjpeg.ladder_rates import measured_ladder
    from softjpeg.layer import JPEGLayer
    from softjpeg.learn import learn, learn_ladder
    from softjpeg.preset import Preset
    from softjpeg.wrap import wrap

    __version__: str

__all__ = [
    "AdaptiveQuality",
    "FeatureJPEGLayer",
    "JPEGLayer",
    "Ladder",
    "Preset",
    "__version__",
    "decode",
    "encode",
    "evaluate",
    "functional",
    "learn",
    "learn_ladder",
    "load_preset",
    "measured_ladder",
    "read_coefficients",
    "recode",
    "wrap",
    "write_coefficients",
]

_MODULE_OF = {
    "AdaptiveQuality": "adaptive_quality",
    "FeatureJPEGLayer": "feature_layer",
    "JPEGLayer": "layer",
    "Ladder": "ladder",
    "Preset": "preset",
    "decode": "codec",
    "encode": "codec",
    "evaluate": "evaluation",
    "learn": "learn",
    "learn_ladder": "learn",
    "load_preset": "ladder",
    "measured_ladder": "ladder_rates",
    "read_coefficients": "codec",
    "recode": "codec",
    "wrap": "wrap",
    "write_coefficients": "codec",
}


def __getattr__(name: str) -> Any:
    if name == "functional":
        return importlib.import_module("softjpeg.functional")
    if name == "__version__":
        from importlib.metadata import version

        return version("softjpeg")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'softjpeg' has no attribute {name!r}")
    return getattr(importlib.import_module(f"softjpeg.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the module softjpeg.learn would put it in the place of the function.
        if name in ("learn", "wrap") and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
