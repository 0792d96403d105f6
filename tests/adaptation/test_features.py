import pytest
import torch
from torch import nn
from torch.nn import functional as F

from softjpeg.adaptation.features import Features, feature_distance


class Backwards(nn.Module):
    """Runs its layers in another order than it has them in."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(4, 2), nn.Conv2d(3, 4, 1)
        self.never = nn.Linear(9, 9)

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))


def test_what_the_layer_reads_that_runs_last():
    network, x = Backwards(), torch.rand(5, 3, 6, 7)
    with Features(network) as features:
        assert features.read is None
        network(x)
    assert torch.equal(features.read, F.conv2d(x, *network.first.parameters()).relu().mean((2, 3)))
    convolutional = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 7, 1), nn.Flatten())
    with Features(convolutional) as features:
        convolutional(x)
    assert torch.equal(features.read, convolutional[:2](x))


def test_no_layer_no_features():
    with Features(nn.Flatten()) as features:
        nn.Flatten()(torch.zeros(1, 3, 2, 2))
    assert features.read is None


def test_the_network_is_left_without_hooks():
    network = Backwards()
    with pytest.raises(RuntimeError), Features(network):
        network(torch.zeros(1, 5, 2, 2))
    assert all(not module._forward_pre_hooks for module in network.modules())


def test_distance_is_relative_and_has_a_gradient():
    targets, noise = torch.randn(6, 30), torch.randn(6, 30)
    features = (targets + 0.1 * noise).requires_grad_()
    expected = (0.1 * noise).square().sum() / targets.square().sum()
    assert feature_distance(features, targets).item() == pytest.approx(expected.item(), rel=1e-4)
    assert feature_distance(50 * features, 50 * targets).item() == pytest.approx(
        expected.item(), rel=1e-4
    )
    feature_distance(features, targets).backward()
    slope = 2 * 0.1 * noise / targets.square().sum()
    torch.testing.assert_close(features.grad, slope, rtol=1e-3, atol=1e-6)
    assert feature_distance(torch.zeros(2), torch.zeros(2)) == 0
