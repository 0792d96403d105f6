"""What callers of `softjpeg.app` may leave out, and what then holds."""

from helpers.calls import defaults

DEFAULTS = {
    "held.Bounds": "each=<factory>, pictures=200, bytes=268435456",
    "looking.Wish": "side=None",
    "readers.Readers": "load=load_network",
    "server.make_app": "bounds=None",
}


def test_defaults():
    assert defaults("app") == DEFAULTS
