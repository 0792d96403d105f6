"""What callers of `softjpeg.functional` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "color.downsample": "rounding=False",
    "color.upsample": "rounding=False",
    "color.split_planes": "rounding=False",
    "color.merge_planes": "rounding=False",
    "cpmf.cpmf": "levels=None, window=None",
    "cpmf.sample_index": "levels=None, generator=None",
    "cpmf.index_at": "levels=None",
    "jpeg_layer.jpeg_layer": (
        "layout='4:4:4', quantizer='soft', rounding=False, levels=None, window=None, zero_dc=False"
    ),
    "jpeg_layer.quantize_rounds": "quantizer='soft', levels=None, window=None, zero_dc=False",
    "quantizers.hard_quantize": "levels=None",
    "quantizers.noise_quantize": "generator=None",
    "quantizers.lsq_quantize": "levels=None",
    "quantizers.quantize": "kind='soft', levels=None, window=None, generator=None",
    "rate.entropy.frequency_entropy": "levels=None, window=None",
    "rate.entropy.entropy_bits": "levels=None, window=None, dc_prediction=True",
    "rate.expected_symbols.expected_symbols": "subsampling='4:4:4', shift=None",
    "rate.jpeg_bits.jpeg_bits": "subsampling='4:4:4', header='jfif', shift=None",
    "rate.rate_model.scan_bits_by": "subsampling='4:4:4', levels=None, window=None, shift=None",
    "recompression.recompressed": "hardness=None, generator=None",
    "soft_quantizer.soft_quantize": "levels=None, window=None",
    "soft_quantizer.reach": "spare=2",
    "transform.image_to_coefficients": "rounding=False",
    "transform.coefficients_to_image": "rounding=False, steps=None",
}


def test_defaults():
    assert defaults("functional") == DEFAULTS
