"""Many images: they lie in a file, and learning never copies all of them."""

import subprocess
import sys

import pytest
import torch

from softjpeg.scratch import scratch_tensor

RUN = """
import resource, sys, torch
from torch import nn
from softjpeg.rate_control import RateControl
from softjpeg.schedule import Run, run_stages
from softjpeg.scratch import scratch_tensor
from softjpeg.task import Task

torch.set_num_threads(1)

def run(count):
    pixels = scratch_tensor((count, 3, 224, 224), torch.uint8, large=0)
    pixels.random_(generator=torch.Generator().manual_seed(0))
    class Network(nn.Module):
        def forward(self, x):
            return x[..., 0, :5].mean(1)
    task = Task(Network(), pixels, None, None, "4:2:0", 8, 0)
    return run_stages(task, RateControl(pixels, "4:2:0"), [("defaults", 3.0)], Run())

run(16)
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) << 10
room = used + (int(sys.argv[1]) << 20)
# A mapped file is not counted as a process's data.
resource.setrlimit(resource.RLIMIT_DATA, (room, room))
print(run(600).done)
"""


def test_scratch_tensors_are_ordinary():
    for large in (0, 1 << 20):
        for dtype in (torch.uint8, torch.float32, torch.int64):
            x = scratch_tensor((3, 5), dtype, large)
            x[1] = 7
            assert (x.shape, x.dtype, int(x[1].sum())) == ((3, 5), dtype, 35)
    assert scratch_tensor((0, 3), torch.uint8, 0).shape == (0, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize(("room", "enough"), [(70, True), (10, False)])
def test_memory_does_not_grow_with_the_images(room, enough):
    """600 images are 90 MB: a copy of them would not fit, nor 16 of them as floats into 10 MB."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(room)], capture_output=True, text=True, check=False
    )
    assert (done.stdout == "38\n") == enough, done.stderr
