"""Published quantization tables other than Annex K's: where `learn` may start from.

Made for human eyes too, but by other models of vision; networks trained on photos read some of them
better at low rates. Each is (luma, chroma) as mozjpeg's encoder writes it at quality 50.
"""

from __future__ import annotations

from softjpeg.jpeg.tables import Table, validate_table

_ROWS: dict[str, tuple[str, ...]] = {
    # Tuned for MS-SSIM on the Kodak photos.
    "ms-ssim": (
        """
         12  17  20  21  30  34  56  63
         18  20  20  26  28  51  61  55
         19  20  21  26  33  58  69  55
         26  26  26  30  46  87  86  66
         31  33  36  40  46  96 100  73
         40  35  46  62  81 100 111  91
         46  66  76  86 102 121 120 101
         68  90  90  96 113 102 105 103
        """,
        """
          8  12  15  15  86  96  96  98
         13  13  15  26  90  96  99  98
         12  15  18  96  99  99  99  99
         17  16  90  96  99  99  99  99
         96  96  99  99  99  99  99  99
         99  99  99  99  99  99  99  99
         99  99  99  99  99  99  99  99
         99  99  99  99  99  99  99  99
        """,
    ),
    # Tuned for PSNR-HVS-M.
    "psnr-hvs": (
        """
          9  10  12  14  27  32  51  62
         11  12  14  19  27  44  59  73
         12  14  18  25  42  59  79  78
         17  18  25  42  61  92  87  92
         23  28  42  75  79 112 112  99
         40  42  59  84  88 124 132 111
         42  64  78  95 105 126 125  99
         70  75 100 102 116 100 107  98
        """,
        """
          9  10  17  19  62  89  91  97
         12  13  18  29  84  91  88  98
         14  19  29  93  95  95  98  97
         20  26  84  88  95  95  98  94
         26  86  91  93  97  99  98  99
         99 100  98  99  99  99  99  99
         99  99  99  99  99  99  99  99
         97  97  99  99  99  99  97  99
        """,
    ),
    # Klein, Silverstein and Carney, Relevance of human vision to JPEG-DCT compression (1992).
    "klein": (
        """
         10  12  14  19  26  38  57  86
         12  18  21  28  35  41  54  76
         14  21  25  32  44  63  92 136
         19  28  32  41  54  75 107 157
         26  35  44  54  70  95 132 190
         38  41  63  75  95 125 170 239
         57  54  92 107 132 170 227 255
         86  76 136 157 190 239 255 255
        """,
    ),
}


def published_tables() -> dict[str, tuple[Table, Table]]:
    """(luma, chroma) by name, each (8, 8) integers 1..255.

    >>> sorted(published_tables())
    ['klein', 'ms-ssim', 'psnr-hvs']
    """
    # One that is given alone serves both.
    return {name: (_table(name, rows[0]), _table(name, rows[-1])) for name, rows in _ROWS.items()}


def _table(name: str, rows: str) -> Table:
    return validate_table(
        name, [[int(q) for q in row.split()] for row in rows.split("\n") if row.strip()]
    )
