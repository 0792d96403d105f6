import copy

import pytest
import torch
from torch import nn

from softjpeg.adaptation.front import FRONT, Front, has_front, insert_front, remove_front


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("make", [Sum, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())])
def test_in_front_and_out_again(make):
    torch.manual_seed(0)
    network, x = make().eval(), torch.rand(2, 3, 8, 8)
    before, names = network(x), list(network.state_dict())
    front = Front()
    insert_front(network, front)
    with pytest.raises(ValueError, match="child 'jpeg_front' already"):
        insert_front(network, Front())
    assert torch.equal(network(x), before)
    front.body[-1].bias.data.fill_(0.5)
    assert torch.equal(network(x), before)
    front.gain.fill_(0.5)
    assert {n for n in network.state_dict() if not n.startswith(FRONT)} == {*names}
    # A copy has a front of its own.
    twin = copy.deepcopy(network)
    front.gain.fill_(0)
    shifted = twin(x)
    remove_front(network)
    assert not has_front(network)
    assert list(network.state_dict()) == names
    assert torch.equal(network(x), before)
    assert torch.equal(shifted, network(x + 0.25))
