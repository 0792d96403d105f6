"""A network with a JPEG layer as one graph: `torch.export`, or .onnx for other programs."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from softjpeg.common.extras import import_extra
from softjpeg.common.files import write_atomically
from softjpeg.functional import pure_functions
from softjpeg.functional.soft_quantizer import reach
from softjpeg.nn.table_quantizer import TableQuantizer

_LARGEST = 2**31 - 1
"""Bytes of a protobuf message, which one .onnx file is."""


def export_program(
    network: nn.Module,
    size: tuple[int, int],
    *,
    batch: int | Literal["dynamic"] = "dynamic",
    inputs: Mapping[str, Tensor] | None = None,
) -> torch.export.ExportedProgram:
    """The network in eval mode as a graph of tensor operations, without gradients.

    Args:
        network: (B, 3, H, W) RGB in [0, 1] → output, as `softjpeg.wrap` makes it; it is copied.
        size: (H, W) of the images.
        batch: images per call; "dynamic" leaves it open.
        inputs: what the network takes after the images, one for all of them: an example of each, by
            name.

    Returns:
        What `torch.export.export` makes of it; ``.module()`` runs it.

    Raises:
        ValueError: a side or batch < 1.

    >>> from softjpeg import JPEGLayer
    >>> program = export_program(JPEGLayer(quantizer="hard"), (8, 8), batch=1)
    >>> tuple(program.module()(torch.rand(1, 3, 8, 8)).shape)
    (1, 3, 8, 8)
    """
    if min(size) < 1:
        raise ValueError(f"size must be (H, W) of at least one pixel, got {size}")
    dynamic = batch == "dynamic"
    if not dynamic and not (isinstance(batch, int) and batch >= 1):
        raise ValueError(f"batch must be at least 1 or 'dynamic', got {batch!r}")
    module = _with_windows(copy.deepcopy(network)).eval()
    like = next(iter(network.parameters()), torch.zeros(()))
    # A batch of one would be taken for a constant of the graph.
    count = 2 if dynamic else int(batch)
    image = torch.rand(count, 3, *size, dtype=like.dtype, device=like.device)
    further = tuple((inputs or {}).values())
    shapes = ({0: torch.export.Dim("batch")}, *(None for _ in further)) if dynamic else None
    # Whoever loads the graph need not have softjpeg's own operator.
    with torch.no_grad(), pure_functions():
        return torch.export.export(module, (image, *further), dynamic_shapes=shapes, strict=False)


def export_onnx(
    network: nn.Module,
    path: str | os.PathLike[str],
    size: tuple[int, int],
    *,
    batch: int | Literal["dynamic"] = "dynamic",
    inputs: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the network in eval mode as one .onnx file, input "image", output "output".

    Args:
        network: (B, 3, H, W) RGB in [0, 1] → output, as `softjpeg.wrap` makes it.
        path: the file, weights included.
        size: (H, W) of the images.
        batch: images per call; "dynamic" leaves it open.
        inputs: further inputs by name, as for `export_program`.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ValueError: the folder does not exist, the weights are larger than one file can hold
            (2 GiB), or a side or batch < 1.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in a folder that exists, got {str(path)!r}")
    for name in ("onnx", "onnxscript"):
        import_extra(name, extra="export")
    weights = sum(t.nbytes for t in (*network.parameters(), *network.buffers()))
    if weights > _LARGEST:
        raise ValueError(
            f"network must have at most 2 GiB of weights for one .onnx file, got {weights} bytes"
        )
    program = export_program(network, size, batch=batch, inputs=inputs)
    exported = torch.onnx.export(
        program,
        verbose=False,
        # A runtime does that when it loads the file, and far faster.
        optimize=False,
        input_names=["image", *(inputs or {})],
        output_names=["output"],
    )
    assert exported is not None
    write_atomically(path, exported.model_proto.SerializeToString())


def _with_windows(network: nn.Module) -> nn.Module:
    """Give every finite soft index set the window that float32 sees: a graph cannot look it up."""
    layers = (m for m in network.modules() if isinstance(m, TableQuantizer))
    for module in layers:
        if module.quantizer == "soft" and module.levels and module.window is None:
            half = min(reach(module.hardness()), 2 * module.levels)
            module.window = 2 * half + 1
    return network
