"""Tables from sensitivities that others measured."""

import numpy as np
import pytest
import torch

from helpers.shared_data import need
from softjpeg.training.published_sensitivity import read_sensitivity

# The first coefficients in zigzag order: (row, column), of T.81, figure A.6.
ZIGZAG_START = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)]


@pytest.fixture
def files(tmp_path):
    """Value k of plane p is 100 p + k + 1."""
    for p, plane in enumerate(("Y", "Cb", "Cr")):
        np.save(tmp_path / f"{plane}_net.npy", 100.0 * p + np.arange(1, 65))
    return tmp_path


def test_values_stand_in_raster_order(files):
    s = read_sensitivity(files / "Y_net.npy")
    assert s.shape == (3, 8, 8)
    for k, (row, column) in enumerate(ZIGZAG_START):
        assert s[:, row, column].tolist() == [k + 1, 100 + k + 1, 200 + k + 1]
    assert s[:, 7, 7].tolist() == [64, 164, 264]


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("Cb_net.npy", np.arange(1.0, 64), r"Cb_net.npy must hold 64 numbers, got float64 .*\(63,"),
        ("Cr_net.npy", np.arange(1, 65), "Cr_net.npy must hold 64 numbers, got int64"),
        ("Y_net.npy", np.arange(64.0), "Y_net.npy must hold positive numbers, got 0.0"),
        ("Cb_net.npy", np.full(64, np.inf), "Cb_net.npy must hold positive numbers, got inf"),
        ("Y_net.npy", np.array([{}] * 64), "Y_net.npy is not a file of sensitivities"),
        ("Y_net.npy", None, "Y_net.npy is not a file of sensitivities: No such file"),
    ],
)
def test_what_is_wrong_is_named(files, name, values, reason):
    (files / name).unlink()
    if values is not None:
        np.save(files / name, values, allow_pickle=True)
    with pytest.raises(ValueError, match=reason):
        read_sensitivity(files / "Y_net.npy")


def test_another_name_is_refused(files):
    with pytest.raises(ValueError, match=r"named Y_NETWORK\.npy, got"):
        read_sensitivity(files / "Cb_net.npy")


def test_the_published_start_of_vgg8():
    """Issued facts: luma's DC step is 10, the largest; all steps are positive."""
    from softjpeg.nn.initial_tables import tables_from_sensitivity

    s = read_sensitivity(need("jpeg_dl_sensitivities") / "cifar100" / "Y_vgg8.npy")
    luma, chroma = tables_from_sensitivity(s)
    assert luma[0, 0] == luma.max() == 10
    assert 0.5 < luma.median() < 2.5
    assert (torch.stack([luma, chroma]) > 0).all()
