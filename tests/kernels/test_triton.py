"""Triton kernels, run by its interpreter on the CPU, against the pure functions in float64."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers import triton_cases
from helpers.triton_cases import CASES

pytest.importorskip("triton", reason="Triton comes with PyTorch on Linux only")

ROUNDED = {"float32": 2.0**-21, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@pytest.fixture(scope="module")
def errors():
    """Of all cases: the interpreter must be chosen before Triton is imported."""
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    program = Path(triton_cases.__file__)
    run = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_pure_functions(errors, name):
    # float32 leaves an index of 1000 a ten-thousandth; hardness and steps magnify it.
    slack = CASES[name][2].get("slack", 1.0)
    rounded = ROUNDED[CASES[name][2].get("dtype", "float32")]
    assert errors[name]["value"] <= rounded
    assert errors[name]["image"] <= max(rounded, 2e-5 * slack)
    assert errors[name]["steps"] <= 1e-4 * slack
    assert errors[name]["alphas"] <= 1e-4 * slack


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layout": "4:1:1"}, "layout must be one of .*, got '4:1:1'"),
        ({"layout": "gray"}, r"image must have shape \(B, 1, H, W\) for gray, got \(1, 3, 8, 8\)"),
        ({"image": torch.zeros(1, 3, 8, 8).double()}, "image must be float32.*float64"),
        ({"steps": torch.ones(1, 3, 8, 8)}, r"steps must have shape .*, got \(1, 3, 8, 8\)"),
        ({"alphas": torch.ones(2, 2, 8, 8)}, r"alphas must have shape .*, got \(2, 2, 8, 8\)"),
        ({"levels": 3}, "window must be given with levels, got None and 3"),
    ],
)
def test_bad_arguments_are_named(change, sentence):
    from softjpeg.kernels.triton.layer import backward, forward

    given = {
        "image": torch.zeros(1, 3, 8, 8),
        "steps": torch.ones(1, 2, 8, 8),
        "alphas": torch.ones(1, 2, 8, 8),
        "layout": "4:4:4",
    } | change
    with pytest.raises(ValueError, match=sentence):
        forward(**given)
    with pytest.raises(ValueError, match=sentence):
        backward(given["image"], **given)


def test_a_gradient_of_another_shape_is_named():
    from softjpeg.kernels.triton.layer import backward

    image, tables = torch.zeros(1, 3, 8, 8), torch.ones(1, 2, 8, 8)
    with pytest.raises(ValueError, match=r"grad must have .* \(1, 3, 8, 8\), got \(1, 3, 8, 9\)"):
        backward(torch.zeros(1, 3, 8, 9), image, tables, tables, layout="4:4:4")


def test_an_empty_batch_has_no_gradient():
    from softjpeg.kernels.triton.layer import backward, forward

    image, tables = torch.zeros(0, 3, 8, 8), torch.ones(1, 2, 8, 8)
    assert forward(image, tables, tables, layout="4:2:0").shape == (0, 3, 8, 8)
    _, by_steps, by_alphas = backward(image, image, tables, tables, layout="4:2:0")
    assert not by_steps.any()
    assert not by_alphas.any()
