"""Builds the C kernels. Where that fails, softjpeg installs all the same, and is slower."""

from setuptools import Extension, setup

FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math"]
SOURCES = "src/softjpeg/kernels/c"


def kernels(name: str, *sources: str, flags: tuple[str, ...] = ()) -> Extension:
    """A library that `softjpeg.kernels.library` opens."""
    return Extension(
        f"softjpeg.kernels.{name}",
        [f"{SOURCES}/{source}.c" for source in sources],
        define_macros=[("MODULE", name), ("Py_LIMITED_API", "0x030A0000")],
        py_limited_api=True,
        extra_compile_args=[*FLAGS, *flags],
        extra_link_args=list(flags),
        optional=True,
    )


setup(
    ext_modules=[
        kernels("_coder", "module", "scan"),
        kernels("_decisions", "module", "transform", "sampling", "trellis"),
        # Threads where the compiler has OpenMP, which PyTorch shares; else one.
        kernels("_layer_openmp", "module", "layer", flags=("-fopenmp",)),
        kernels("_layer", "module", "layer"),
    ]
)
