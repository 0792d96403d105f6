"""JPEG as an augmentation, in the manner of torchvision's transforms v2."""

from softjpeg.transforms.jpeg import JPEG as JPEG

__all__ = ["JPEG"]
