"""What was measured as one page: numbers, curves, tables and pictures, for any browser."""

from softjpeg.report.comparison import Comparison, compare, headline
from softjpeg.report.environment import environment
from softjpeg.report.html import Report, render
from softjpeg.report.pictures import Picture, Version, picture

__all__ = [
    "Comparison",
    "Picture",
    "Report",
    "Version",
    "compare",
    "environment",
    "headline",
    "picture",
    "render",
]
