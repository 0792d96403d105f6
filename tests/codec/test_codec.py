"""What callers of `softjpeg.codec` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "adaptive_quality.load_for_images": "quality=None",
    "byte_limit.ByteLimit": "highest=100",
    "byte_limit.ByteLimit.encoded": "mode='hard', seed=None",
    "byte_limit.encode_choosing": "mode='hard', seed=None",
    "byte_limit.load_limit": "highest=None",
    "closed_loop.blocks.Blocks": "header='compact', metadata=b''",
    "closed_loop.candidates.preset_candidates": "subsamplings=(), mode='hard', seed=None",
    "closed_loop.judge.Judge": "average=False",
    "closed_loop.judge.network_input": "name='the image'",
    "closed_loop.repair.repaired_choices": "inputs=None, mapper=map",
    "closed_loop.repair.repair_files": "inputs=None, mapper=map",
    "closed_loop.search.smallest_files": "effort=0, by_size=False, inputs=None, mapper=map",
    "file_sizes.rate_sample": "count=64",
    "image.encode": (
        "mode='hard', seed=None, optimize=True, header='jfif', progressive=False"
        ", gray=False, metadata=True"
    ),
    "image.encode_coefficients": "optimize=True, header='jfif', progressive=False",
    "pillow_images.to_pillow_image": "gray=False",
    "probabilistic.sample_indices": "seed=None",
    "probabilistic.uniform": "first=0",
    "rdo.trellis_rounds": "block_weights=(None, None, None)",
    "recode.recode": (
        "header='compact', optimize=True, progressive=False, metadata=True, strict=True"
    ),
    "requantize.Dequantized": "metadata=True",
    "requantize.Dequantized.encoded": "optimize=True, header='jfif', progressive=False, gray=False",
    "requantize.requantize": (
        "optimize=True, header='jfif', progressive=False, gray=False, metadata=True"
    ),
    "requantize.read_dequantized": "metadata=True",
    "stored_size.stored_images": "center=None",
    "trellis.decide_blocks": "block_weights=None",
}


def test_defaults():
    assert defaults("codec") == DEFAULTS
