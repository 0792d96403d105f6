"""Encoded images of byte strings: what they need loaded."""

import io
import subprocess
import sys
import textwrap

import pytest
from PIL import Image

from softjpeg import Preset
from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.corpus.samples import Encoder
from softjpeg.presets.ladder import Ladder


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_hard_files_are_made_without_torch(tmp_path, kind):
    source, saved = tmp_path / f"a.{kind}", io.BytesIO()
    Image.effect_noise((75, 50), 60).convert("RGB").save(source)
    preset = Preset.from_quality(40)
    program = f"""
        import sys
        sys.modules["torch"] = None  # Whoever imports it now raises ImportError.
        from pathlib import Path
        from softjpeg import Preset
        from softjpeg.corpus.samples import Encoder, encode_batch
        import softjpeg.cli.encode, softjpeg.corpus.folders, softjpeg.corpus.shards
        encoder = Encoder(Preset.from_quality(40))
        (row,) = encode_batch([("a", Path({str(source)!r}))], encoder)
        sys.stdout.buffer.write(row.data)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True
    )
    with Image.open(source) as image:
        tables = [[int(step) for step in t.ravel()] for t in (preset.luma, preset.chroma)]
        image.convert("RGB").save(saved, "jpeg", qtables=tables, subsampling=2, optimize=True)
    assert done.stdout == saved.getvalue()


def test_torch_is_loaded_for_what_needs_it():
    assert not Encoder(Preset.from_quality(50)).needs_torch
    assert Encoder(Preset.from_quality(50), "rdo").needs_torch
    rates = ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0))
    ladder = Ladder((Preset.from_quality(50),), *rates)
    assert Encoder(AdaptiveQuality(ladder, 50)).needs_torch
    assert not Encoder(ByteLimit(900, ladder)).needs_torch
