"""Points of rate and fidelity: two of default JPEG, and a preset between them."""

from softjpeg.evaluation.points import RatePoint


def point(name, mode, bpp, kl, agreement=0.5, top1=None):
    return RatePoint(name, mode, "4:2:0", 1000 * bpp, bpp, 0.9 * bpp, top1, agreement, kl)


def points(learned_kl=0.2, top1=None):
    return [
        point("uncompressed", "none", 24, 0, 1.0, top1),
        point("mine <b>", "hard", 1.5, learned_kl, 0.8125, top1),
        point("default q 10", "default", 1, 0.4, 0.5, top1),
        point("default q 30", "default", 4, 0.1, 0.75, top1),
    ]
