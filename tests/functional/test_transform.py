"""Images to coefficients and back: against NumPy and SciPy, and the kernels against PyTorch."""

import itertools

import torch

from helpers import references
from helpers.ops import Case, OperatorTests, uniform
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients

SIZES = [
    (1, 1),
    (2, 3),
    (3, 2),
    (4, 4),
    (5, 5),
    (8, 8),
    (9, 17),
    (10, 18),
    (33, 50),
    (3, 64),
    (130, 7),
    (97, 131),
]
CALLS = list(itertools.product(references.FACTORS, SIZES, (1, 3)))


def pixels(channels, size):
    """Whole samples, as 0..1: two decide no tie two ways."""
    return uniform(2, channels, *size, high=255.0, seed=sum(size)).round() / 255


class TestImageToCoefficients(OperatorTests):
    function = staticmethod(image_to_coefficients)
    cases = {
        f"{subsampling}, {size}, {channels}": Case(
            (pixels(channels, size),), {"subsampling": subsampling}
        )
        for subsampling, size, channels in CALLS
    }
    precision = 1e-8  # The standard's weights, to nine digits.
    epsilons = 4000.0  # A level of 255 is a sum of 64 samples.
    kernel_tolerance = 2e-6

    @staticmethod
    def reference(image, subsampling):
        return tuple(map(references.dct, references.planes(255 * image, subsampling)))


class TestRoundedCoefficients(TestImageToCoefficients):
    only = ("test_the_kernel_is_the_definition", "test_any_layout_in_memory", "test_devices")
    cases = {
        name: Case(case.tensors, case.settings | {"rounding": True}, smooth=False)
        for name, case in TestImageToCoefficients.cases.items()
    }


class TestCoefficientsToImage(OperatorTests):
    cases = {
        f"{subsampling}, {size}, {channels}": Case(
            tuple(
                # Some samples leave 0..255.
                torch.from_numpy(1.3 * z + uniform(*z.shape, low=-2, high=2, seed=n).numpy())
                for n, z in enumerate(
                    TestImageToCoefficients.reference(pixels(channels, size).numpy(), subsampling)
                )
            ),
            {"size": size, "subsampling": subsampling},
        )
        for subsampling, size, channels in CALLS
    }
    precision = 1e-8
    epsilons = 4000.0
    kernel_tolerance = 1e-5
    empty = None  # All components would have to be.

    @staticmethod
    def function(*coefficients, **settings):
        return coefficients_to_image(coefficients, **settings)

    @staticmethod
    def reference(*coefficients, size, subsampling):
        shown = references.merged(list(map(references.idct, coefficients)), size, subsampling)
        return shown / 255

    def check_kernel(self, kind, fused, single, exact, case):
        if kind == "gradient":
            assert (fused - exact).abs().max() <= 2e-6 * exact.abs().max().clamp_min(1)
        else:
            super().check_kernel(kind, fused, single, exact, case)


class TestRoundedImage(TestCoefficientsToImage):
    only = ("test_the_kernel_is_the_definition", "test_devices")
    cases = {
        name: Case(case.tensors, case.settings | {"rounding": True}, smooth=False)
        for name, case in TestCoefficientsToImage.cases.items()
    }

    def check_kernel(self, kind, fused, single, exact, case):
        if kind == "gradient":
            super().check_kernel(kind, fused, single, exact, case)
            return
        # A sum's last bit decides a tie, of one sample in a thousand; chroma counts up to 1.8.
        levels = (fused - exact).abs() * 255
        assert levels.max() < 2.01
        assert (levels > 0.01).sum() <= 1e-3 * levels.numel() + 1
