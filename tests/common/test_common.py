"""What callers of `softjpeg.common` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "hub.card_header": "base_model=None",
    "image_files.read_upright": "background=(255, 255, 255)",
    "image_files.ImageFiles": "cache_bytes=536870912",
    "image_search.Search": "paths=<factory>, left_out=<factory>",
    "image_search.find_images": "follow_links=False",
    "image_search.search_images": "follow_links=False, besides=None",
    "image_search.walk_images": "follow_links=False, besides=None",
    "image_selection.selected_images": "follow_links=False",
    "image_set.ImageSet": "labels=None, class_names=None",
    "image_set.PhotoSet": "labels=None, class_names=None",
    "image_set.load_images": (
        "size=None, resize=None, interpolation='bicubic', labels=None, limit=None, seed=0"
        ", follow_links=False, progress=False"
    ),
    "image_set.load_photos": "labels=None, limit=None, seed=0, follow_links=False",
    "progress.track": "total=None, enabled=True",
    "progress.meter": "total=None, enabled=True",
    "scratch.scratch_tensor": "large=268435456",
    "transparency.on_background": "background=(255, 255, 255)",
}


def test_defaults():
    assert defaults("common") == DEFAULTS
