"""JPEG-DL: a network and its JPEG layer trained jointly, with its data."""
