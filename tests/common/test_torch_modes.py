"""Whatever mode PyTorch is in, what is learned and measured is the same."""

import contextlib

import pytest
import torch

from helpers.images import photos
from helpers.networks import HighFrequencyReader
from softjpeg.adaptation.adapt import adapt
from softjpeg.common.torch_modes import usual_modes
from softjpeg.evaluation.robustness.accuracy_under_attack import robustness
from softjpeg.learning.learn import learn
from softjpeg.nn.initial_tables import image_statistics


@contextlib.contextmanager
def double_is_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


# Made in the usual modes, as what is loaded before.
READER, PHOTOS = HighFrequencyReader(), photos(8, 16)
PIXELS = PHOTOS / 255
LABELS = READER(PIXELS).argmax(-1)
MODES = [torch.no_grad, torch.inference_mode, double_is_default, deterministic]


def learned(method):
    options = {"target_bpp": 16.0, "batch_size": 4, "subsampling": "4:4:4", "method": method}
    preset = learn(READER, PHOTOS, **options)
    return preset.luma.tolist(), preset.chroma.tolist()


def attacked():
    points = robustness({"m": READER}, PHOTOS, LABELS, eps=[16], attacks=["pgd", "bpda"])
    return [p.top1 for p in points]


def sensitivity():
    s, magnitude = image_statistics(READER, PIXELS, LABELS)
    return s.tolist(), magnitude.tolist()


TASKS = {
    "learn": lambda: learned("measured"),
    "descent": lambda: learned("backprop"),
    "attack": attacked,
    "sensitivity": sensitivity,
}


@pytest.fixture(scope="module")
def plain():
    return {name: task() for name, task in TASKS.items()}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_results_do_not_depend_on_the_mode(plain, name, mode):
    with mode():
        found = TASKS[name]()
    assert found == plain[name]


def test_the_tasks_have_something_to_find(plain):
    """Tables that are all alike, or an attack that turns nothing, would be equal by themselves."""
    for name in ("learn", "descent"):
        assert len({step for row in plain[name][0] for step in row}) > 5
    assert min(plain["attack"]) < plain["attack"][0] == 1
    assert max(max(row) for row in plain["sensitivity"][0][0]) > 0


def test_modes_come_back_also_after_an_error():
    @usual_modes()
    def fails():
        assert torch.is_grad_enabled()
        raise KeyError

    with double_is_default(), torch.no_grad():
        with pytest.raises(KeyError):
            fails()
        assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    with double_is_default(), torch.inference_mode():
        with usual_modes():
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float64
        assert torch.is_inference_mode_enabled()
    assert adapt.__wrapped__.__name__ == "adapt"
