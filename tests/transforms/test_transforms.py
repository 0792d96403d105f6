"""What callers of `softjpeg.transforms` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "functional.jpeg": "subsampling='4:2:0'",
    "functional.differentiable_jpeg": "quantizer='soft'",
    "functional.check_keeps_size": "name='preset'",
    "jpeg.JPEG": (
        "ladder=None, subsampling='4:2:0', per_sample=False, differentiable=False, quantizer='soft'"
    ),
}


def test_defaults():
    assert defaults("transforms") == DEFAULTS
