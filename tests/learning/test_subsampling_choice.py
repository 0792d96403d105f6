"""Subsampling by measurement."""

import torch
from torch import nn

from helpers.images import noise
from softjpeg.learning.learn import learn
from softjpeg.learning.learn_ladder import learn_ladder


class ChromaReader(nn.Module):
    """Answers from the colour of single pixels, which 4:2:0 mixes with their neighbours'."""

    def forward(self, x):
        difference = x[:, 0, ::8, ::8] - x[:, 2, ::8, ::8]
        return 40 * torch.cat([difference.flatten(1), -difference.flatten(1)], 1)


def test_subsampling_by_measurement(tmp_path):
    options = {"subsampling": "auto", "batch_size": 4}
    file = tmp_path / "state"
    found = learn(ChromaReader(), noise(), checkpoint=file, target_bpp=30.0, **options)
    # Where every pixel's own colour counts, mixing it with its neighbours' costs most.
    assert found.subsampling == "4:4:4"
    measured = found.provenance["learned"]["subsamplings"]
    assert set(measured) == {"4:4:4", "4:2:2", "4:2:0"}
    assert min(measured, key=measured.get) == "4:4:4"
    again = learn(ChromaReader(), noise(), checkpoint=file, target_bpp=30.0, **options)
    assert again.to_json() == found.to_json()
    # Three for the default tables, two for the better ones learned, one of the run itself.
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6
    assert "state.444" in names
    # By rate, where answers are to be kept; a ladder chooses once, at its middle rate.
    kept = learn(ChromaReader(), noise(), max_drop=13, **options)
    rates = kept.provenance["learned"]["subsamplings"]
    assert kept.subsampling == min(rates, key=rates.get)
    checkpoint = tmp_path / "ladder"
    ladder, resumed = (
        learn_ladder(ChromaReader(), noise(), [40.0, 30.0], checkpoint=checkpoint, **options)
        for _ in range(2)
    )
    assert {preset.subsampling for preset in ladder} == {"4:4:4"}
    assert resumed == ladder
