"""What programs call: every public name with its parameters; commands are in tests/cli.

A change here is a change for users. Annotations are left to mypy: parameters, their order and their
defaults are what a call depends on.
"""

import importlib
import inspect

import pytest

import softjpeg
from helpers import warm
from softjpeg import functional
from softjpeg.cli.app import commands
from softjpeg.models import create_model

NAMES = {
    "AdaptiveQuality": "(ladder, quality)",
    "Adapter": "(train, base, adapted, fingerprint, strength, fixed_strength=1.0, "
    "provenance=<factory>)",
    "FeatureJPEGLayer": "(channels, table=None, *, per_channel=False, rounds=1, **settings)",
    "JPEGLayer": "(luma=None, chroma=None, *, subsampling='4:4:4', rounds=1, rounding=False, "
    "**settings)",
    "Ladder": "(rungs, bpp, default_bpp, provenance=<factory>, scan_bpp=(), size_exponent=1.0)",
    "Preset": "(luma, chroma, hardness=<factory>, subsampling='4:2:0', provenance=<factory>, "
    "distortion=None, short_side=None, center=None)",
    "adapt": "(network, images, *, preset=None, qualities=(6, 90), mode='hard', train='norm', "
    "loss=None, labels=None, feature_weight=3.0, epochs=None, learning_rate=0.001, "
    "batch_size=32, clean_weight=0.1, max_clean_drop=1.0, seed=0, checkpoint=None, "
    "progress=False, provenance=None)",
    "co_adapt": "(network, images, *, rates=(8, 15, 30, 60), turns=2, preset=None, "
    "qualities=(6, 90), mode='hard', loss=None, labels=None, batch_size=32, seed=0, "
    "checkpoint=None, progress=False, provenance=None, **adapting)",
    "decode": "(data)",
    "encode": "(image, preset, mode='hard', seed=None, *, optimize=True, header='jfif', "
    "progressive=False, gray=False, metadata=True)",
    "evaluate": "(model, images, presets, *, labels=None, "
    "qualities=(10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95), subsampling='4:2:0', "
    "mode='hard', encoders=None, change=None, ssim=False, failed=None, seed=0, batch_size=32, "
    "progress=False)",
    "learn": "(models, images, *, labels=None, loss=None, worst_case=False, subsampling='4:2:0', "
    "short_side=None, center=None, rate_weight=None, target_bpp=None, target_bytes=None, "
    "max_drop=None, mode='hard', method='measured', rounds=1, batch_size=32, seed=0, "
    "checkpoint=None, progress=False, provenance=None, say=None)",
    "learn_ladder": "(models, images, targets_bpp=None, *, qualities=None, labels=None, "
    "loss=None, worst_case=False, subsampling='4:2:0', short_side=None, center=None, "
    "mode='hard', "
    "method='measured', rounds=1, batch_size=32, seed=0, checkpoint=None, progress=False, "
    "provenance=None, say=None)",
    "learned_ladder": "(models, images, targets_bpp=None, *, qualities=None, labels=None, "
    "loss=None, worst_case=False, subsampling='4:2:0', short_side=None, center=None, "
    "mode='hard', "
    "method='measured', rounds=1, batch_size=32, seed=0, checkpoint=None, progress=False, "
    "provenance=None, say=None)",
    "load_preset": "(spec, quality=None)",
    "measured_ladder": "(presets, images, provenance=None, *, size_exponent=1.0)",
    "read_coefficients": "(data, *, strict=True)",
    "read_strength": "(source, adapter)",
    "recode": "(data, *, header='compact', optimize=True, progressive=False, metadata=True, "
    "strict=True)",
    "requantize": "(data, preset, *, optimize=True, header='jfif', progressive=False, gray=False, "
    "metadata=True)",
    "wrap": "(model, layer, mean, std, *, at=None)",
    "write_coefficients": "(coefficients, tables, *, size, subsampling='4:4:4', optimize=True, "
    "restart_interval=0, header='jfif')",
}

FUNCTIONAL = {
    "block_dct": "(plane)",
    "block_idct": "(coefficients)",
    "cpmf": "(z, q, alpha, *, levels=None, window=None)",
    "cubic_quantize": "(z, q)",
    "downsample": "(plane, subsampling, *, rounding=False)",
    "entropy_bits": "(coefficients, tables, alphas, *, levels=None, window=None, "
    "dc_prediction=True)",
    "hard_quantize": "(z, q, *, levels=None)",
    "jpeg_bits": "(coefficients, tables, alphas, *, size, subsampling='4:4:4', header='jfif', "
    "shift=None)",
    "jpeg_layer": "(image, steps, alphas, *, layout='4:4:4', quantizer='soft', rounding=False, "
    "levels=None, window=None, zero_dc=False)",
    "lsq_quantize": "(z, q, *, levels=None)",
    "merge_planes": "(planes, size, subsampling, *, rounding=False)",
    "noise_quantize": "(z, q, *, generator=None)",
    "pure_functions": "()",
    "quantize": "(z, q, alpha, *, kind='soft', levels=None, window=None, generator=None)",
    "rgb_to_ycbcr": "(rgb)",
    "sample_index": "(z, q, alpha, *, levels=None, generator=None)",
    "soft_quantize": "(z, q, alpha, *, levels=None, window=None)",
    "split_planes": "(rgb, subsampling, *, rounding=False)",
    "upsample": "(plane, subsampling, size, *, rounding=False)",
    "ycbcr_to_rgb": "(ycbcr)",
}

MOVED = {
    "softjpeg.codec.abbreviated": "softjpeg.jpeg.abbreviated",
    "softjpeg.images": "softjpeg.common.image_set",
    "softjpeg.learn": "softjpeg.learning.learn",
    "softjpeg.losses": "softjpeg.learning.losses",
    "softjpeg.wrap": "softjpeg.nn.wrapping",
}


def parameters(function):
    """The signature without annotations, as text."""
    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    plain = [p.replace(annotation=empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=empty))


def test_names_and_parameters():
    assert {*softjpeg.__all__} == {*NAMES, "functional", "__version__"}
    assert {name: parameters(getattr(softjpeg, name)) for name in NAMES} == NAMES


def test_functions_and_parameters():
    assert {*functional.__all__} == {*FUNCTIONAL}
    assert {name: parameters(getattr(functional, name)) for name in FUNCTIONAL} == FUNCTIONAL
    assert softjpeg.functional is functional


def test_methods():
    assert parameters(softjpeg.JPEGLayer.forward_with_rate) == "(self, images, *, rate='entropy')"


def test_networks():
    assert parameters(create_model) == "(spec, classes, *, pretrained=False)"


@pytest.mark.parametrize("info", commands.registered_commands, ids=lambda i: i.callback.__name__)
def test_a_command_is_a_file_of_its_name(info):
    # cli.app is what commands register with.
    name = {"app": "web_app"}.get(info.callback.__name__, info.callback.__name__)
    assert info.callback.__module__ == f"softjpeg.cli.{name}"


@pytest.mark.parametrize("module", MOVED)
def test_a_module_that_moved_says_where_to(module):
    """What earlier documentation and examples imported."""
    assert MOVED == softjpeg._MOVED
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    assert str(caught.value) == f"{module} has moved to {MOVED[module]}"
    assert importlib.import_module(MOVED[module])
    # The function of that name is still there.
    name = module.rpartition(".")[2]
    assert not hasattr(softjpeg, name) or callable(getattr(softjpeg, name))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from softjpeg.wrap import wrap", "softjpeg.wrap has moved to softjpeg.nn.wrapping"),
        ("import softjpeg.images", "softjpeg.images has moved to softjpeg.common.image_set"),
        ("from softjpeg.models import create_model", ""),
        ("from softjpeg import Preset, decode, encode", ""),
        ("import softjpeg; softjpeg.functional.cpmf", ""),
    ],
)
def test_documented_imports_in_a_fresh_interpreter(line, words):
    done = warm.run("-c", line)
    assert (done.returncode, done.stderr == "") == (int(bool(words)), not words)
    assert words in done.stderr
