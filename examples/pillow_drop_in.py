# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg"]
# ///
"""Pillow writes the file, with learned tables: one argument more in code that saves images.

python examples/pillow_drop_in.py
"""

from __future__ import annotations

import io

from PIL import Image

import softjpeg


def main() -> tuple[bytes, bytes]:
    """The same picture by default tables and by learned ones of the same size on photos."""
    noise = Image.effect_noise((192, 128), 60)
    picture = Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180)))
    preset = softjpeg.load_preset("universal", quality=30)
    files = []
    # No quality beside tables: Pillow would scale them by it.
    for options in ({"quality": 30}, {"qtables": preset.export("pillow")}):
        buffer = io.BytesIO()
        picture.save(buffer, "jpeg", subsampling=preset.subsampling, optimize=True, **options)
        files.append(buffer.getvalue())
    print(f"default tables {len(files[0])} bytes, learned tables {len(files[1])} bytes")
    return files[0], files[1]


if __name__ == "__main__":
    main()
