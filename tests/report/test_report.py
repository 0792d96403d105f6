"""What callers of `softjpeg.report` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "feature_maps.grad_cam": "module=None",
    "feature_maps.overlay": "largest=None",
    "feature_maps.channel_grid": "columns=4",
    "html.Report": (
        "presets=<factory>, notes=(), pictures=(), pictures_note='', facts=<factory>"
        ", seconds=<factory>, changes=(), names=(), lead=''"
    ),
    "layer_effect.layer_effect": "batch_size=32",
    "layer_effect.effect_pictures": "gain=None",
    "layer_tables.table_maps": "initial=None, levels=None, pixels=True",
    "learn_page.learn_page": "labels=None, batch_size=32, progress=False",
    "page.data_url": "media_type='image/png'",
    "pictures.Version": "agrees=True",
    "pictures.picture": "class_name=str",
    "quality_page.quality_page": "facts=None, shown=4",
    "rate_curves.draw_curves": "rate='bpp', muted='#808080'",
    "rate_curves.styles": "muted='#808080'",
    "rate_curves.curves_page": "resamples=1000, seed=0",
    "run_page.run_page": (
        "labels=None, initial=None, class_name=str, feature_module=None, cam_module=None"
        ", facts=None, shown=4, batch_size=32"
    ),
    "svg.to_svg": "size=(4.2, 3.2)",
}


def test_defaults():
    assert defaults("report") == DEFAULTS
