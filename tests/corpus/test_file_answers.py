"""What networks make of files: outputs that agree with anything are no evidence."""

import pytest
from torch import nn

from helpers.images import smooth_image
from softjpeg.corpus.file_answers import read_files
from softjpeg.models.network import Network

REFUSED = {
    "no scores of several classes": nn.Linear(3, 1),
    "one number each": nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)),
    "probabilities already": nn.Softmax(1),
}


@pytest.mark.parametrize(("why", "end"), REFUSED.items(), ids=REFUSED)
def test_outputs_that_agree_with_anything_are_refused(tmp_path, why, end):
    pair = tmp_path / "a.png", tmp_path / "a.jpg"
    for path in pair:
        smooth_image(16, 16).save(path)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), end).eval()
    with pytest.raises(ValueError, match=f"^reader: .*{why}"):
        read_files([Network(module, "reader", (16, 16))], [pair])
