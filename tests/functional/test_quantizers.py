"""Quantizers and the CPMF against float64 brute force and literal transcriptions."""

import numpy as np
import pytest
import torch

from helpers import references
from helpers.ops import Case, OperatorTests, uniform
from softjpeg.functional import (
    cpmf,
    cubic_quantize,
    hard_quantize,
    lsq_quantize,
    noise_quantize,
    quantize,
    sample_index,
    soft_quantize,
)
from softjpeg.functional.cpmf import index_at
from softjpeg.functional.quantizers import clip_quantize


def brute_force(z, q, alpha, offsets, levels=None):
    """Eqs. 3-5 in float64 over the indices round(z/q) + offsets."""
    z, q, alpha = (t.double() for t in (z, q, alpha))
    c = torch.round(z / q)
    if levels is not None:
        c = c.clamp(-levels, levels)
    i = c[..., None] + offsets.double()
    logits = -alpha[..., None] * (z[..., None] - i * q[..., None]) ** 2
    if levels is not None:
        logits = logits.masked_fill(i.abs() > levels, -torch.inf)
    return (torch.softmax(logits, -1) * i).sum(-1) * q


def random_inputs(n, seed, log_h=(-3.0, 4.0), spread=60.0):
    g = torch.Generator().manual_seed(seed)
    q = 10 ** (torch.rand(n, generator=g) * 3 - 0.6)
    h = 10 ** (torch.rand(n, generator=g) * (log_h[1] - log_h[0]) + log_h[0])
    u = torch.randn(n, generator=g) * spread * torch.rand(n, generator=g)
    return u * q, q, h / q**2


@pytest.mark.parametrize("seed", range(3))
def test_full_lattice_equals_a_sum_over_2001_points(seed):
    z, q, alpha = random_inputs(20_000, seed)
    expected = brute_force(z, q, alpha, torch.arange(-1000, 1001))
    got = soft_quantize(z, q, alpha).double()
    # Relative to the value, with one millionth of a step as the floor for values that vanish.
    error = (got - expected).abs() / torch.maximum(expected.abs(), 1e-6 * q.double())
    assert error.max() <= 1e-5


def test_full_lattice_near_ties_and_near_zero():
    h = torch.logspace(-3, 4, 57)
    d = torch.cat([torch.linspace(0.4999, 0.5001, 21), torch.logspace(-6, -1, 20)])
    c = torch.tensor([0.0, 1.0, 7.0, 100.0])
    hh, dd, cc = (t.flatten() for t in torch.meshgrid(h, d, c, indexing="ij"))
    q = torch.full_like(hh, 7.3)
    z, alpha = (cc + dd) * q, hh / q**2
    expected = brute_force(z, q, alpha, torch.arange(-1000, 1001))
    got = soft_quantize(z, q, alpha).double()
    error = (got - expected).abs() / torch.maximum(expected.abs(), 1e-6 * q.double())
    assert error.max() <= 1e-5


def test_paper_setting_is_eqs_3_to_5_over_its_window():
    z, q, alpha = random_inputs(20_000, 5, spread=200.0)
    expected = brute_force(z, q, alpha, torch.arange(-2, 3), levels=127)
    got = soft_quantize(z, q, alpha, window=5, levels=127).double()
    error = (got - expected).abs() / torch.maximum(expected.abs(), 1e-6 * q.double())
    assert error.max() <= 1e-5
    assert (z.abs() > 127 * q).sum() > 1000


@pytest.mark.parametrize("window", [3, 9])
def test_other_windows(window):
    z, q, alpha = random_inputs(5000, 6)
    half = window // 2
    expected = brute_force(z, q, alpha, torch.arange(-half, half + 1), levels=40)
    got = soft_quantize(z, q, alpha, window=window, levels=40).double()
    assert torch.allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_finite_set_equals_a_sum_over_the_whole_set():
    z, q, alpha = random_inputs(5000, 7, spread=60.0)
    zz, qq, aa = z.double(), q.double(), alpha.double()
    i = torch.arange(-31, 32).double()
    weights = torch.softmax(-aa[:, None] * (zz[:, None] - i * qq[:, None]) ** 2, -1)
    expected = (weights * i).sum(-1) * qq
    got = soft_quantize(z, q, alpha, levels=31).double()
    # A sum of 63 float32 terms that nearly cancel: relative to a step where the value is smaller.
    assert ((got - expected).abs() / torch.maximum(expected.abs(), qq)).max() <= 1e-5


def test_hardness_to_infinity_is_the_uniform_quantizer():
    z, q, _ = random_inputs(10_000, 8)
    u = z / q
    away = (u - torch.floor(u) - 0.5).abs() > 1e-3
    soft = soft_quantize(z, q, 1e6 / q**2)[away]
    assert torch.equal(soft, (q * torch.round(u))[away])
    for levels in (7, 127):
        soft = soft_quantize(z, q, 1e6 / q**2, levels=levels)[away]
        assert torch.allclose(soft, (q * torch.round(u).clamp(-levels, levels))[away])


def off_tie(n, seed, log_h):
    """Steps of 1 to 3, where a difference quotient of α is meaningful, and no value at a tie."""
    z, q, alpha = (t.double() for t in random_inputs(n, seed, log_h, spread=4.0))
    u, h = z / q, alpha * q**2
    q = 1 + 2 * torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    nearest = torch.round(u)
    z = (nearest + (u - nearest).clamp(-0.49, 0.49)) * q
    return [z, q, h / q**2]


INDEX_SETS = {
    "lattice": {},
    "paper's window": {"window": 5, "levels": 3},
    "finite": {"levels": 3},
    "wide window": {"window": 9},
}
SOFT = {
    f"{name}, hardness 1e{low} to 1e{high}": Case(tuple(off_tie(40, 1, (low, high))), settings)
    for name, settings in INDEX_SETS.items()
    for low, high in ((-2.0, 0.3), (0.5, 2.0), (-1.0, 1.5))
} | {
    "blocks": Case(
        (
            uniform(2, 2, 1, 8, 8, low=-10, high=10),
            uniform(8, 8, low=2, high=5, seed=1),
            uniform(8, 8, low=0.01, high=0.26, seed=2),
        )
    )
}


class TestSoftQuantize(OperatorTests):
    function, reference = staticmethod(soft_quantize), staticmethod(references.soft)
    cases = SOFT
    precision = 1e-6  # The theta function is cut off where float32 sees no more.
    compiled = False  # A finite index set depends on values.
    empty = None

    def test_blocks_are_captured_whole(self):
        case = SOFT["blocks"]
        run = torch.compile(soft_quantize, backend="aot_eager", fullgraph=True)
        tensors = [t.float() for t in case.tensors]
        torch.testing.assert_close(run(*tensors), soft_quantize(*tensors), rtol=1e-4, atol=1e-4)
        torch._dynamo.reset()

    meta = False


class TestHardQuantize(OperatorTests):
    function = staticmethod(hard_quantize)
    cases = {
        name: Case(tuple(SOFT["blocks"].tensors[:2]), settings, smooth=False)
        for name, settings in (("integers", {}), ("finite", {"levels": 2}))
    }

    @staticmethod
    def reference(z, q, levels=None):
        index = np.rint(z / q)
        return q * (index if levels is None else index.clip(-levels, levels))


class TestLsqQuantize(TestHardQuantize):
    function = staticmethod(lsq_quantize)


class TestClipQuantize(OperatorTests):
    function = staticmethod(clip_quantize)
    cases = {"two steps": Case(tuple(SOFT["blocks"].tensors[:2]), {"levels": 2})}

    @staticmethod
    def reference(z, q, levels):
        return np.clip(z, -levels * q, levels * q)


class TestCubicQuantize(OperatorTests):
    function = staticmethod(cubic_quantize)
    empty = None  # Steps of as many values.
    cases = {"off ties": Case(tuple(off_tie(40, 2, (0.0, 1.0))[:2]))}

    @staticmethod
    def reference(z, q):
        u = z / q
        return q * (np.rint(u) + (u - np.rint(u)) ** 3)


class TestNoiseQuantize(OperatorTests):
    cases = {"off ties": Case(tuple(off_tie(40, 2, (0.0, 1.0))[:2]))}
    compiled = meta = False  # They know no generator.
    dtypes = ()  # Each draws numbers of its own.
    empty = None

    @staticmethod
    def function(z, q):
        return noise_quantize(z, q, generator=torch.Generator().manual_seed(3))

    @staticmethod
    def reference(z, q):
        drawn = torch.rand(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        return z + q * (drawn.numpy() - 0.5)


class TestCpmf(OperatorTests):
    function = staticmethod(cpmf)
    # Of a given window: else how many indices there are depends on the table.
    cases = {
        f"window {window}, levels {levels}": Case(
            SOFT["blocks"].tensors, {"window": window, "levels": levels}
        )
        for window, levels in ((3, None), (5, 3), (9, 2))
    }
    reference = staticmethod(references.probabilities)
    dtypes = (torch.float32, torch.float16)  # bfloat16 is too coarse for logits.

    def test_gradient_is_that_of_the_values(self, case):
        leaves = [t.clone().requires_grad_() for t in case.tensors]
        assert torch.autograd.gradcheck(
            lambda *x: cpmf(*x, **case.settings)[1], leaves, eps=1e-6, fast_mode=True
        )


class TestQuantize(OperatorTests):
    """By name: each is the function of that name."""

    function = staticmethod(quantize)
    cases = {
        kind: Case(SOFT["blocks"].tensors, {"kind": kind, "levels": 2}, kind in ("clip", "none"))
        for kind in ("hard", "lsq", "clip", "none")
    }

    @staticmethod
    def reference(z, q, alpha, kind, levels):
        index = np.rint(z / q).clip(-levels, levels)
        return {"clip": np.clip(z, -levels * q, levels * q), "none": z}.get(kind, q * index)


class TestIndexAt(OperatorTests):
    """The index at which the CPMF's sum, in order of the indices, first reaches a number."""

    function = staticmethod(index_at)
    cases = {
        f"levels {levels}": Case(
            (
                uniform(2, 3, 8, 8, low=0.001, high=1, seed=5),
                uniform(2, 3, 8, 8, low=-30, high=30),
                *SOFT["blocks"].tensors[1:],
            ),
            {"levels": levels},
            smooth=False,
        )
        for levels in (None, 4)
    }
    compiled = meta = False  # How many indices there are depends on the table.
    dtypes = (torch.float32,)
    empty = None  # As many numbers as coefficients.

    @staticmethod
    def reference(number, z, q, alpha, levels):
        i, p = references.probabilities(z, q, alpha, levels)
        reached = p.cumsum(-1) >= number[..., None] * p.sum(-1, keepdims=True)
        return np.take_along_axis(i, reached.argmax(-1)[..., None], -1)[..., 0]


class TestSampleIndex(TestIndexAt):
    cases = {
        name: Case(case.tensors[1:], case.settings, smooth=False)
        for name, case in TestIndexAt.cases.items()
    }
    dtypes = ()  # Each draws numbers of its own.

    @staticmethod
    def function(*tensors, **settings):
        generator = torch.Generator().manual_seed(0)
        return sample_index(*tensors, generator=generator, **settings)

    @staticmethod
    def reference(z, q, alpha, levels):
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand(z.shape, dtype=torch.float64, generator=generator).numpy()
        return TestIndexAt.reference(1 - drawn, z, q, alpha, levels)


def test_gradient_does_not_collapse_on_the_full_lattice():
    """At h = 0.05 the exact Q_d is nearly the identity; the paper's window has slope 0.19."""
    u = torch.linspace(-3, 3, 6001, requires_grad=True)
    one, h = torch.tensor(1.0), torch.tensor(0.05)
    for options, low, high in (({}, 0.99, 1.01), ({"window": 5}, 0.1, 0.3)):
        (grad,) = torch.autograd.grad(soft_quantize(u, one, h, **options).sum(), u)
        assert low < grad.mean() < high


INDEX_SETS = {
    "all integers": ({}, 60),
    "five points": ({"window": 5}, 2),
    "few levels": ({"levels": 3}, 60),
    "five points of few levels": ({"levels": 3, "window": 5}, 2),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", INDEX_SETS)
def test_second_derivatives(name, dtype):
    """By autograd twice and by `torch.func` both ways, beside a sum that PyTorch differentiates."""
    options, reach = INDEX_SETS[name]
    levels, offsets = options.get("levels"), torch.arange(-reach, reach + 1)
    g = torch.Generator().manual_seed(0)
    q = (4 + 8 * torch.rand(64, generator=g)).to(dtype)
    # Some far beyond the ends, where e^x overflows.
    z = (60 * torch.randn(64, generator=g)).to(dtype)
    point = z, q, torch.linspace(0.5, 9, 64, dtype=dtype) / q**2
    toward = tuple(torch.randn(64, generator=g).to(dtype) for _ in point)
    everything, weights = (0, 1, 2), torch.linspace(0, 1, 64, dtype=dtype)

    def loss(*t):
        return (soft_quantize(*t, **options).square() * weights).sum()

    def slow(*t):
        return (brute_force(*t, offsets, levels).square() * weights).sum()

    def twice(function, dtype):
        t = [x.to(dtype).requires_grad_() for x in point]
        first = torch.autograd.grad(function(*t), t, create_graph=True)
        along = sum((x * v).sum() for x, v in zip(first, toward, strict=True))
        return torch.autograd.grad(along, t)

    expected = twice(slow, torch.float64)
    gradient = torch.func.grad(loss, everything)
    for found in (
        twice(loss, dtype),
        torch.func.vjp(gradient, *point)[1](toward),
        torch.func.jvp(gradient, point, toward)[1],
        torch.func.grad(lambda *t: torch.func.jvp(loss, t, toward)[1], everything)(*point),
    ):
        for f, e in zip(found, expected, strict=True):
            assert (f - e).norm() <= (1e-8 if dtype == torch.float64 else 1e-3) * e.norm()


def test_hard_straight_through_gradients():
    z = torch.tensor([3.0, 17.0, -44.0, 99.0], requires_grad=True)
    q = torch.full((4,), 10.0, requires_grad=True)
    y = hard_quantize(z, q, levels=5)
    assert y.tolist() == [0, 20, -40, 50]
    y.sum().backward()
    assert z.grad.tolist() == [1, 1, 1, 0]
    assert torch.allclose(q.grad, torch.tensor([-0.3, 0.3, 0.4, 5.0]))


def test_lsq_scales_only_the_step_gradient():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 5, 8, 8, generator=g) * 30
    steps = torch.rand(8, 8, generator=g) * 9 + 0.5
    grads = {}
    for name, function in (("hard", hard_quantize), ("lsq", lsq_quantize)):
        zz, q = z.clone().requires_grad_(), steps.clone().requires_grad_()
        y = function(zz, q, levels=127)
        assert torch.equal(y, steps * torch.round(z / steps).clamp(-127, 127))
        (y**2).sum().backward()
        grads[name] = zz.grad, q.grad
    assert torch.allclose(grads["hard"][0], grads["lsq"][0])
    assert torch.allclose(grads["lsq"][1], grads["hard"][1] / (3 * 5 * 127) ** 0.5, rtol=1e-4)


def test_cpmf_frequencies_of_samples():
    z = torch.linspace(-20, 20, 9)
    q, alpha = torch.tensor(10.0), torch.tensor(0.8 / 100)
    indices, probabilities = cpmf(z.double(), q.double(), alpha.double())
    exact = torch.exp(-0.008 * (z.double()[:, None] - indices * 10) ** 2)
    assert torch.allclose(probabilities, exact / exact.sum(-1, keepdim=True))
    drawn = sample_index(
        z.expand(20_000, 9), q, alpha, generator=torch.Generator().manual_seed(0)
    ).double()
    mean = (probabilities * indices).sum(-1)
    deviation = ((probabilities * indices**2).sum(-1) - mean**2).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 5 * deviation / 20_000**0.5).all()
    assert torch.allclose(mean * 10, soft_quantize(z, q, alpha).double(), atol=1e-4)


def test_samples_stay_in_a_finite_set_and_repeat_for_a_seed():
    z = torch.linspace(-50, 50, 1001)
    args = z, torch.tensor(10.0), torch.tensor(0.001)
    first, second = (
        sample_index(*args, levels=3, generator=torch.Generator().manual_seed(1)) for _ in "ab"
    )
    assert torch.equal(first, second)
    assert first.abs().max() == 3


@pytest.mark.parametrize("value", [0.0, 1 - 2**-24])
@pytest.mark.parametrize("levels", [None, 12])
def test_the_ends_of_the_generator_draw_no_impossible_index(monkeypatch, value, levels):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, value))
    z, q = torch.tensor([100.0, 104.0]), torch.tensor(10.0)
    drawn = sample_index(z, q, 20 / q**2, levels=levels)
    assert ((drawn >= 10) & (drawn <= 11)).all()


def test_half_precision_and_bad_arguments():
    z = torch.linspace(-9, 9, 50).bfloat16()
    y = soft_quantize(z, torch.tensor(2.0), torch.tensor(3.0))
    assert y.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="levels must be from 1 to 16777216 or None, got 0"):
        soft_quantize(z, z, z, levels=0)
    with pytest.raises(ValueError, match="window must be an odd number from 3 to 4095 or None"):
        cpmf(z, z, z, window=4)
    with pytest.raises(ValueError, match="got 'sof'"):
        quantize(z, z, z, kind="sof")
