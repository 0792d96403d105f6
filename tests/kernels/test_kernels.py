"""What callers of `softjpeg.kernels` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "cpu.layer.forward": "rounding=False, levels=None, window=None, zero_dc=False",
    "cpu.layer.backward": "rounding=False, levels=None, window=None, zero_dc=False, of_image=True",
    "cpu.sampling.sample_indices": "first=0",
    "cpu.scan.make_tokens": "count=True, dc_range=False",
    "cpu.scan_progressive.is_whole": "known=None",
    "cpu.transform.image_to_coefficients": "linear=False",
    "cpu.transform.coefficients_to_image": "steps=None, linear=False",
}


def test_defaults():
    assert defaults("kernels") == DEFAULTS
