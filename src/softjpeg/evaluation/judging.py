"""What networks make of real files: every image encoded, decoded by Pillow, and read."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.common.image_files import ImageFileError
from softjpeg.common.image_planes import planes_of
from softjpeg.common.image_sequence import Images
from softjpeg.common.progress import track
from softjpeg.common.torch_modes import usual_modes
from softjpeg.evaluation.encoders import Encoder
from softjpeg.evaluation.points import PerImage, RatePoint
from softjpeg.evaluation.structural_similarity import structural_similarity
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.jpeg.subsampling import subsampling_name
from softjpeg.models.fidelity import agree, check_scores, cosine, kl
from softjpeg.models.folded import folded_on
from softjpeg.models.inference import check_inputs, check_labels, outputs_of


@usual_modes()
def judge(
    models: nn.Module | Mapping[str, nn.Module],
    images: Images,
    encoders: Mapping[str, Encoder],
    labels: Tensor | None = None,
    *,
    batch_size: int = 32,
    ssim: bool = False,
    failed: Callable[[str, Exception], None] | None = None,
    progress: bool = False,
) -> list[RatePoint]:
    """Bytes and answers of every encoder; each file is written once and read by every network.

    Bits per pixel are of the image's pixels, however many of them a file shows.

    Args:
        models: a network, or several by name: from (B, 3, H, W) RGB in [0, 1] to logits
            (B, classes), or (B, classes, ...) at many positions; put in eval mode. An
            `AdaptedNetwork` reads each file at the strength that its tables ask for.
        images: uint8, (N, 3, H, W) or several (3, H, W) of any sizes; read again for each encoder.
        encoders: by name, from an image uint8 (3, H, W) to the bytes of a file.
        labels: (N,) class indices, -1 for an image without; without them `top1` is None.
        batch_size: images per forward pass; as many are decoded at a time.
        ssim: measure what files cost the eye, too: structural similarity of what they show.
        failed: called with an encoder's name and error where it fails, which is then left out; by
            default it raises.
        progress: show a progress bar on a terminal.

    Returns:
        For each network "uncompressed" and then the encoders in their order; `mode` is "other".

    Raises:
        ValueError: images, labels or outputs of the wrong shape or type, a network that cannot read
            the images (of several it is named), a photo that can no longer be read, or an encoder
            that fails or whose file does not decode to its image's shape; the encoder is named.

    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> from softjpeg.evaluation.encoders import default_jpeg
    >>> encoders = {f"q {q}": e for q, e in default_jpeg([10, 90], "4:2:0").items()}
    >>> [(p.name, p.subsampling) for p in judge(network, images, encoders)]
    [('uncompressed', '4:4:4'), ('q 10', '4:2:0'), ('q 90', '4:2:0')]
    """
    check_inputs(images, labels, batch_size)
    readers = {"": models} if isinstance(models, nn.Module) else dict(models)
    originals = {}
    for reader, model in readers.items():
        try:
            originals[reader] = _read_uncompressed(model, images, labels, batch_size)
        except ValueError as error:
            raise ValueError(f"{reader}: {error}" if reader else str(error)) from error
    points = {
        reader: [
            _point("uncompressed", reader, _uncompressed(images, ssim), output, output, labels)
        ]
        for reader, output in originals.items()
    }
    readers = {
        reader: model if isinstance(model, AdaptedNetwork) else folded_on(images, model)
        for reader, model in readers.items()
    }
    for name, encoder in track(encoders.items(), "judging", len(encoders), enabled=progress):
        files = _Files(ssim=[] if ssim else None)
        answers: dict[str, list[Tensor]] = {reader: [] for reader in readers}
        try:
            for shown, data in _decoded(encoder, images, batch_size, files):
                for reader, model in readers.items():
                    answers[reader].append(_answers(model, shown, data, batch_size))
        except ImageFileError:
            raise
        # Whatever somebody else's encoder raises.
        except Exception as error:
            if failed is None:
                raise ValueError(f"{name}: {error}") from error
            failed(name, error)
            continue
        for reader, original in originals.items():
            point = _point(name, reader, files, torch.cat(answers[reader]), original, labels)
            points[reader].append(point)
    return [point for of_reader in points.values() for point in of_reader]


def _read_uncompressed(
    model: nn.Module, images: Images, labels: Tensor | None, batch_size: int
) -> Tensor:
    output = outputs_of(model.eval(), images, batch_size)
    check_scores(output, "evaluate", "give a network that has them")
    if labels is not None:
        if output.ndim != 2:
            raise ValueError(f"labels are for outputs (N, classes), got {tuple(output.shape)}")
        check_labels(labels.cpu(), output)
    return output


def _answers(model: nn.Module, shown: list[Tensor], files: list[bytes], batch_size: int) -> Tensor:
    if isinstance(model, AdaptedNetwork):
        return model.outputs_of_files(shown, files, batch_size)
    return outputs_of(model, shown, batch_size)


@dataclass
class _Files:
    """What is known of one encoder's files so far."""

    pixels: list[int] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)
    scan_bytes: list[float] = field(default_factory=list)
    subsampling: str = ""
    ssim: list[float] | None = None


def _uncompressed(images: Images, ssim: bool) -> _Files:
    pixels = [image.shape[-2] * image.shape[-1] for image in images]
    size = [3.0 * count for count in pixels]
    return _Files(pixels, size, size, "4:4:4", [1.0] * len(pixels) if ssim else None)


def _decoded(
    encoder: Encoder, images: Images, batch_size: int, files: _Files
) -> Iterator[tuple[list[Tensor], list[bytes]]]:
    """Batches of images as their files show them, uint8, and the files; notes what these weigh."""
    for start in range(0, len(images), batch_size):
        shown, written = [], []
        for i, image in enumerate(images[start : start + batch_size], start):
            data = encoder(image)
            written.append(data)
            try:
                with Image.open(io.BytesIO(data)) as picture:
                    pixels = planes_of(picture.convert("RGB"))
                    if picture.format == "JPEG":
                        files.subsampling = _subsampling(picture)
            except OSError:
                raise ValueError(f"Pillow cannot decode the file of image {i}") from None
            if not _same_shape(pixels.shape[1:], image.shape[1:]):
                size = f"{pixels.shape[2]}x{pixels.shape[1]}"
                raise ValueError(
                    f"the file of image {i} shows {size} pixels, not the image's shape"
                )
            shown.append(pixels)
            if files.ssim is not None:
                files.ssim.append(structural_similarity(shown[-1], image))
            files.pixels.append(image.shape[-2] * image.shape[-1])
            is_jpeg = data[:2] == b"\xff\xd8"
            files.bytes.append(len(data))
            files.scan_bytes.append(scan_bytes(data) if is_jpeg else float("nan"))
        yield shown, written


def _same_shape(shown: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a file shows an image at its own size, or shrunk in both directions alike."""
    scale = max(shown) / max(image)
    return scale <= 1 and all(
        side == 1 or abs(side - scale * whole) <= 1
        for side, whole in zip(shown, image, strict=True)
    )


def _subsampling(picture: Image.Image) -> str:
    layers = picture.layer  # type: ignore[attr-defined]
    return subsampling_name([(h, v) for _, h, v, _ in layers])


def _point(
    name: str,
    reader: str,
    files: _Files,
    answers: Tensor,
    original: Tensor,
    labels: Tensor | None,
) -> RatePoint:
    each = PerImage(
        bytes=np.array(files.bytes, dtype=float),
        scan_bytes=np.array(files.scan_bytes, dtype=float),
        agree=_array(agree(answers, original)),
        kl=_array(kl(answers, original)),
        cosine=_array(cosine(answers, original)),
        correct=None if labels is None else _correct(answers, labels.cpu()),
        ssim=None if files.ssim is None else np.array([_rounded(v) for v in files.ssim]),
    )
    bytes_per_file = float(each.bytes.mean())
    pixels = sum(files.pixels) / len(files.pixels)
    return RatePoint(
        name=name,
        mode="none" if name == "uncompressed" else "other",
        subsampling=files.subsampling,
        bytes_per_file=bytes_per_file,
        bpp=bits_per_pixel(bytes_per_file, pixels),
        scan_bpp=bits_per_pixel(float(each.scan_bytes.mean()), pixels),
        top1=None if each.correct is None else float(np.nanmean(each.correct)),
        agreement=float(each.agree.mean()),
        kl=float(each.kl.mean()),
        cosine=float(each.cosine.mean()),
        ssim=math.nan if each.ssim is None else float(np.nanmean(each.ssim)),
        reader=reader,
        images=each,
    )


def _correct(answers: Tensor, labels: Tensor) -> npt.NDArray[np.float64] | None:
    """NaN where there is no label; None where there is none at all."""
    if (labels < 0).all():
        return None
    return np.where(labels.numpy() < 0, np.nan, _array(answers.argmax(-1) == labels))


def _array(values: Tensor) -> npt.NDArray[np.float64]:
    """To 6 digits, as files hold them: what is computed from a file is the same."""
    return np.array([_rounded(value) for value in values.tolist()])


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
