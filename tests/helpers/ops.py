"""One tester for every operator: subclass `OperatorTests`, give function, reference and cases.

What each must do is stated once: equal an independent reference in float64, have the gradient of
its values, take every float type and any layout in memory, nothing, and other devices; compile; and
where a kernel stands in for it, come out as the definition does.
"""

import copy
import pickle
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.functional import pure_functions

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Case:
    """One call: float64 tensors by place, settings by name.

    `smooth` is False where values step or gradients are straight-through, so that differences of
    values are no gradients.
    """

    tensors: tuple[Tensor, ...]
    settings: dict = field(default_factory=dict)
    smooth: bool = True


def uniform(*shape, low=0.0, high=1.0, seed=0):
    """Float64 random numbers, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def outputs_of(run, tensors):
    """A function's results as a list of tensors, whether it gives one or several."""
    result = run(*tensors)
    return [result] if isinstance(result, Tensor) else list(result)


def values_and_gradients(run, tensors):
    """Of a fixed random sum of the results: results, then a gradient for each tensor."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    results = outputs_of(run, leaves)
    weighted = [(y * uniform(*y.shape, low=-1, seed=7).to(y)).sum() for y in results]
    gradients = torch.autograd.grad(sum(weighted), leaves, allow_unused=True)
    return [y.detach() for y in results], gradients


class OperatorTests:
    """Everything an operator must do; class attributes say what it cannot.

    Attributes:
        function: under test.
        reference: from float64 arrays and the settings to an array or several, made of NumPy and
            SciPy alone.
        cases: by name.
        precision: error allowed beside the reference in float64, relative to its largest value.
        epsilons: how many rounding errors of a dtype may add up, relative to the largest value.
        dtypes: that it takes beside float64.
        kernel_tolerance: None where no kernel stands in for it, else the error allowed beside the
            pure functions in float64, relative to the largest value.
        kernel_slack: how often the pure functions' own error in float32 is allowed on top, where
            the mathematics is ill-conditioned.
        empty: the axis of the first tensor that may be of length 0, or None.
        meta: whether results on the meta device are known without values.
        compiled: whether `torch.compile` captures it whole.
        only: names of tests, where others would repeat what another class tests.
    """

    function = None
    reference = None
    cases: dict[str, Case] = {}
    precision = 1e-10
    epsilons = 40.0
    dtypes = DTYPES
    kernel_tolerance = None
    kernel_slack = 0.0
    empty = 0
    meta = True
    compiled = True
    only = ()

    def __init_subclass__(cls):
        # What does not apply is not collected.
        smooth = any(case.smooth for case in cls.cases.values())
        applies = {
            "test_equals_the_reference": cls.reference is not None,
            "test_gradient_is_that_of_the_values": smooth,
            "test_gradients_of_parameters": smooth,
            "test_every_float_type_is_kept": bool(cls.dtypes),
            "test_nothing_gives_nothing": cls.empty is not None,
            "test_devices": cls.meta or torch.cuda.is_available(),
            "test_compiled": cls.compiled,
            "test_the_kernel_is_the_definition": cls.kernel_tolerance is not None,
        }
        for name in [name for name in dir(cls) if name.startswith("test_")]:
            if not applies.get(name, True) or (cls.only and name not in cls.only):
                setattr(cls, name, None)

    def pytest_generate_tests(self, metafunc):
        if "case" in metafunc.fixturenames:
            gradient = "gradient" in metafunc.function.__name__
            cases = {k: c for k, c in self.cases.items() if c.smooth or not gradient}
            metafunc.parametrize("case", cases.values(), ids=cases)
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", self.dtypes, ids=str)

    def bound(self, settings, dtype, device="cpu"):
        """The function of tensors alone."""
        return partial(self.function, **settings)

    def results(self, tensors, settings):
        bound = self.bound(settings, tensors[0].dtype, tensors[0].device)
        return [y.detach() for y in outputs_of(bound, tensors)]

    def test_equals_the_reference(self, case):
        wanted = self.reference(*(t.numpy() for t in case.tensors), **case.settings)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for y, reference in zip(self.results(case.tensors, case.settings), wanted, strict=True):
            assert y.shape == reference.shape
            allowed = self.precision * max(1.0, np.abs(reference).max(initial=0))
            np.testing.assert_allclose(y.numpy(), reference, rtol=0, atol=allowed)

    def test_gradient_is_that_of_the_values(self, case):
        bound = self.bound(case.settings, torch.float64)
        leaves = [t.clone().requires_grad_() for t in case.tensors]
        assert torch.autograd.gradcheck(
            lambda *x: tuple(outputs_of(bound, x)), leaves, atol=1e-4, fast_mode=True
        )

    def test_every_float_type_is_kept(self, case, dtype):
        narrow = [t.to(dtype) for t in case.tensors]
        exact = [t.double() for t in narrow]
        error = self.epsilons * torch.finfo(dtype).eps
        pairs = zip(
            self.results(narrow, case.settings), self.results(exact, case.settings), strict=True
        )
        for y, wanted in pairs:
            assert y.dtype == dtype
            if case.smooth:
                assert (y - wanted).abs().max() <= error * wanted.abs().max().clamp_min(1)

    def test_any_layout_in_memory(self, case):
        first, *others = (t.float() for t in case.tensors)
        wanted = self.results((first, *others), case.settings)
        last = first.ndim - 1
        wide = first.new_zeros(*first.shape[:-1], 2 * first.shape[-1] + 1)
        wide[..., 1::2] = first
        layouts = [first.transpose(0, last).contiguous().transpose(0, last), wide[..., 1::2]]
        if first.ndim == 4:
            layouts.append(first.contiguous(memory_format=torch.channels_last))
        for other in layouts:
            assert torch.equal(other, first)
            for y, z in zip(self.results((other, *others), case.settings), wanted, strict=True):
                torch.testing.assert_close(y, z, rtol=1e-5, atol=1e-5 * float(z.abs().max() + 1))

    def test_nothing_gives_nothing(self, case):
        first, *others = (t.float() for t in case.tensors)
        none = first.narrow(self.empty, 0, 0)
        assert all(y.numel() == 0 for y in self.results((none, *others), case.settings))

    def test_devices(self, case):
        wanted = self.results([t.float() for t in case.tensors], case.settings)
        for device in ["meta"] * self.meta + ["cuda"] * torch.cuda.is_available():
            there = [t.float().to(device) for t in case.tensors]
            for y, z in zip(self.results(there, case.settings), wanted, strict=True):
                assert (y.device.type, y.shape, y.dtype) == (device, z.shape, z.dtype)
                if device == "cuda" and case.smooth:
                    torch.testing.assert_close(y.cpu(), z, rtol=1e-4, atol=1e-4)

    def test_compiled(self):
        case = next(iter(self.cases.values()))
        tensors = [t.float() for t in case.tensors]
        bound = self.bound(case.settings, torch.float32)
        compiled = torch.compile(
            lambda *x: tuple(outputs_of(bound, x)), backend="aot_eager", fullgraph=True
        )
        wanted, true = values_and_gradients(bound, tensors)
        results, gradients = values_and_gradients(compiled, tensors)
        torch._dynamo.reset()
        for a, b in zip([*results, *gradients], [*wanted, *true], strict=True):
            assert (a is None) == (b is None)
            if b is not None:
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max() + 1))

    def test_the_kernel_is_the_definition(self, case):
        tensors = [t.float() for t in case.tensors]
        bound = self.bound(case.settings, torch.float32)
        fused = values_and_gradients(bound, tensors)
        with pure_functions():
            single = values_and_gradients(bound, tensors)
            bound = self.bound(case.settings, torch.float64)
            exact = values_and_gradients(bound, [t.double() for t in tensors])
        for kind, *each in zip(("value", "gradient"), fused, single, exact, strict=True):
            for a, b, truth in zip(*each, strict=True):
                assert a.dtype == torch.float32
                self.check_kernel(kind, a.double(), b.double(), truth, case)

    def check_kernel(self, kind, fused, single, exact, case):
        largest = exact.abs().amax().clamp_min(1)
        lost = (single - exact).abs().amax()
        allowed = self.kernel_tolerance * largest + self.kernel_slack * lost
        assert (fused - exact).abs().amax() <= allowed, kind


class ModuleTests(OperatorTests):
    """The same of a layer that `module` makes of the settings, and of its parameters."""

    def module(self, **settings) -> nn.Module:
        raise NotImplementedError

    def bound(self, settings, dtype, device="cpu"):
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return self.module(**settings).to(device=device, dtype=wide)

    def test_gradients_of_parameters(self, case):
        layer = self.bound(case.settings, torch.float64)
        names, parameters = zip(*layer.named_parameters(), strict=True)

        def run(*values):
            named = dict(zip(names, values, strict=True))
            return torch.func.functional_call(layer, named, case.tensors)

        leaves = [p.detach().clone().requires_grad_() for p in parameters]
        assert torch.autograd.gradcheck(run, leaves, atol=1e-4, fast_mode=True)

    def test_pickle_and_copy(self, case):
        layer, x = self.module(**case.settings).eval(), case.tensors[0].float()
        for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
            assert torch.equal(other(x), layer(x))

    def test_state_dict(self, case):
        layer, other = (self.module(**case.settings).eval() for _ in "ab")
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(1.5)
        x = case.tensors[0].float()
        assert not torch.equal(other(x), layer(x))
        other.load_state_dict(layer.state_dict(), strict=True)
        assert torch.equal(other(x), layer(x))
