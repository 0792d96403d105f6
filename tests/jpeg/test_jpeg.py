"""What callers of `softjpeg.jpeg` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "decoder.Definitions": (
        "frame=None, restart_interval=0, quantization=<factory>, huffman=<factory>"
        ", planes=<factory>, tables=<factory>"
    ),
    "decoder.define": "progressive=False",
    "definitions.read_frame_header": "progressive=False",
    "entropy.concealment.conceal_scan": "restart_interval=0",
    "entropy.decoding.decode_scan": "restart_interval=0",
    "entropy.decoding.check_scan": "restart_interval=0",
    "entropy.decoding.numpy_decode": "restart_interval=0",
    "entropy.layout.scan_layout": "members=None",
    "entropy.limits.check_coefficients": "restart_interval=0, batched=False, ranges=True",
    "entropy.limits.check_planes": "batched=False, ranges=True",
    "entropy.scan_bits.scan_bits": "subsampling='4:4:4', optimize=True, restart_interval=0",
    "entropy.scan_bits.scan_bits_batch": "subsampling='4:4:4', optimize=True, restart_interval=0",
    "entropy.symbols.scan_blocks": "restart_interval=0",
    "entropy.symbols.scan_symbols": "groups=(0, 1, 1, 1)",
    "entropy.symbols.symbol_counts": "batch=1, groups=2",
    "entropy.symbols.component_counts": "restart_interval=0",
    "entropy.symbols.numpy_counts": "restart_interval=0",
    "entropy.tokens.scan_tokens": "restart_interval=0, count=True, dc_range=False",
    "entropy.tokens.numpy_tokens": "restart_interval=0",
    "frame.Frame": "restart_interval=0",
    "info.nearest_quality": "chroma=None",
    "markers.frame_header": "extended=False",
    "reader.read_coefficients": "strict=True",
    "reader.read_frame_of": "strict=True",
    "table_formats.to_pillow": "chroma=None",
    "tables.validate_table": "most=255",
    "writer.write_coefficients": (
        "subsampling='4:4:4', optimize=True, restart_interval=0, header='jfif'"
    ),
    "writer.write_frame": "optimize=True, header='jfif'",
    "writer.frame_tokens": "count=True, dc_range=False",
}


def test_defaults():
    assert defaults("jpeg") == DEFAULTS
