"""What callers of `softjpeg.nn` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "export.export_program": "batch='dynamic', inputs=None",
    "export.export_onnx": "batch='dynamic', inputs=None",
    "feature_layer.FeatureJPEGLayer": "table=None, per_channel=False, rounds=1",
    "initial_tables.tables_from_sensitivity": "q_max=10.0",
    "initial_tables.tables_from_magnitude": "bits=8",
    "initial_tables.image_statistics": "subsampling='4:4:4'",
    "jpeg_layer.JPEGLayer": "luma=None, chroma=None, subsampling='4:4:4', rounds=1, rounding=False",
    "jpeg_layer.JPEGLayer.to_preset": "provenance=None",
    "jpeg_layer.JPEGLayer.forward_with_rate": "rate='entropy'",
    "table_quantizer.TableQuantizer": (
        "hardness=20.0, alpha=None, quantizer='soft', levels=None, window=None"
        ", zero_dc=False, train_tables=True, train_hardness=False, table_range=(1e-05"
        ", 255.0)"
    ),
    "table_quantizer.TableQuantizer.through": "rounding=False",
    "wrapping.JPEGNetwork.forward": "rate=None",
    "wrapping.wrap": "at=None",
}


def test_defaults():
    assert defaults("nn") == DEFAULTS
