"""Builds the C kernels. Where that fails, softjpeg installs all the same, and is slower."""

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math"]
OPENMP = "-fopenmp"
# What tests/fuzz/sanitized.py builds, for one processor instead of a version for each.
SANITIZERS = []
if PROCESSOR := os.environ.get("SOFTJPEG_SANITIZE"):
    SANITIZERS = [
        "-fsanitize=address,undefined,float-cast-overflow",
        *("-fno-sanitize-recover=all", f"-march={PROCESSOR}", "-g"),
    ]
SOURCES = Path("src/softjpeg/kernels/c")
DIGEST = runpy.run_path("src/softjpeg/kernels/library.py")["sources_digest"](SOURCES)


class BuildKernels(build_ext):
    """Builds with one thread where the compiler has no OpenMP."""

    def build_extension(self, ext):
        """With OpenMP where that is asked for, else without."""
        try:
            super().build_extension(ext)
        except (CompileError, LinkError):
            if OPENMP not in ext.extra_compile_args:
                raise
            ext.extra_compile_args.remove(OPENMP)
            ext.extra_link_args.remove(OPENMP)
            super().build_extension(ext)


def kernels(name, sources, flags=()):
    """A library that `softjpeg.kernels.library` opens, of C files by their names."""
    return Extension(
        f"softjpeg.kernels.{name}",
        [f"{SOURCES}/{source}.c" for source in sources.split()],
        depends=[str(file) for file in SOURCES.iterdir()],
        define_macros=[
            ("MODULE", name),
            ("DIGEST", f'"{DIGEST}"'),
            ("Py_LIMITED_API", "0x030A0000"),
        ],
        py_limited_api=True,
        extra_compile_args=[*FLAGS, *SANITIZERS, *flags],
        extra_link_args=[*SANITIZERS, *flags],
        optional=True,
    )


setup(
    cmdclass={"build_ext": BuildKernels},
    # One wheel serves every later Python, as its kernels keep to the limited API.
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
    ext_modules=[
        kernels("_coder", "module scan_huffman scan_symbols scan_write scan_read scan_progressive"),
        kernels("_decisions", "module image_coefficients soft_histogram sampling trellis"),
        # PyTorch shares its threads with whatever uses the same OpenMP.
        kernels(
            "_layer",
            "module fused_layer full_resolution_layer subsampled_layer quantize_rounds",
            flags=[OPENMP],
        ),
    ],
)
