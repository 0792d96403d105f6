"""What commands read: a network, and images it is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from softjpeg.cli.adapters import split_adapter
from softjpeg.cli.app import TRUSTED
from softjpeg.common.hub import hub_file, is_on_hub

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.common.image_set import ImageSet, PhotoSet
    from softjpeg.models.network import Network
    from softjpeg.training.trained_network import TrainedNetwork


def load_inputs(
    network: str,
    images: Path | None = None,
    labels: str | None = None,
    size: int | None = None,
    resize: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    *,
    follow_links: bool = False,
    trained: TrainedNetwork | None = None,
) -> tuple[Network, ImageSet]:
    """A network by name or training run, on its device, and images.

    Args:
        network: as for `load_network`, or a training run.
        images: a folder, an image or a list; None for those the run is tested on.
        labels: a CSV, "folders", or None for none; a run's test images have theirs.
        size, resize: sides of the crop and before it, in pixels; None for what the network wants.
        limit: a random subset of so many images; None for all.
        seed: which subset.
        follow_links: also those that lead out of the folder.
        trained: that run, where it is loaded already.

    Raises:
        ValueError: no such network or images.
    """
    if images is None and not is_run(network):
        raise ValueError(f"images must be given: {network} is not a training run with its own")
    if trained is None and is_run(network):
        trained = load_trained(network)
    net = network_on_device(network, trained)
    if images is None:
        assert trained is not None
        from softjpeg.training.held_out import held_out_images

        return net, held_out_images(trained, limit=limit, seed=seed, progress=True)
    given: dict[str, Any] = {"limit": limit, "seed": seed, "follow_links": follow_links}
    return net, images_for(net, images, labels, size, resize, **given)


def load_reader(
    network: str,
    images: Path | None,
    labels: str | None,
    *,
    size: int | None,
    resize: int | None,
    crops: bool,
    limit: int | None,
    seed: int,
    follow_links: bool,
) -> tuple[Network, ImageSet | PhotoSet, nn.Module]:
    """A network, images, and the network as it reads them.

    Args:
        network: as for `load_network`, or a training run.
        images: a folder, an image or a list; None for the crops the run is tested on.
        labels: a CSV, "folders", or None for none.
        size, resize: of crops, in pixels.
        crops: of the size that the network reads; so with a size or resize. Else photos at their
            own size, read through the network's preprocessing.
        limit: a random subset of so many images; None for all.
        seed: which subset.
        follow_links: also those that lead out of the folder.

    Raises:
        ValueError: no such network or images.
    """
    from softjpeg.common.image_set import load_photos

    if images is None or crops or size is not None or resize is not None:
        net, loaded = load_inputs(
            network, images, labels, size, resize, limit, seed, follow_links=follow_links
        )
        return net, loaded, net.module
    net = network_on_device(network)
    given: dict[str, Any] = {"limit": limit, "seed": seed, "follow_links": follow_links}
    return net, load_photos(images, labels=labels, **given), net.reader


def reader_of(net: Network, loaded: ImageSet | PhotoSet) -> nn.Module:
    """A network as it reads images: photos through its own preprocessing, crops as they are."""
    from softjpeg.common.image_set import PhotoSet

    return net.reader if isinstance(loaded, PhotoSet) else net.module


def network_on_device(name: str, trained: TrainedNetwork | None = None) -> Network:
    """A network by name or training run, on the GPU where there is one.

    Args:
        name: as for `load_network`, or of a training run.
        trained: that run, where it is loaded already.
    """
    import torch

    from softjpeg.models.network import load_network

    if split_adapter(name)[1] is not None:
        raise ValueError(
            f"{name}: how strongly an adapter acts depends on the file, and only evaluate reads "
            "files; in Python, Adapter.apply puts it into the network at one strength"
        )
    if trained is None and is_run(name):
        trained = load_trained(name)
    net = load_network(name) if trained is None else _as_network(trained, name)
    # In this layout CPUs and GPUs convolve faster.
    layout: Any = {"memory_format": torch.channels_last}
    net.module.to("cuda" if torch.cuda.is_available() else "cpu", **layout)
    return net


def images_for(
    net: Network,
    images: Path,
    labels: str | None,
    size: int | None,
    resize: int | None,
    *,
    limit: int | None = None,
    seed: int = 0,
    follow_links: bool = False,
) -> ImageSet:
    """Images cropped to what a network wants, or to the size that is asked for.

    Args:
        net: whose input size, resizing and interpolation are the default.
        images: a folder, an image or a list.
        labels: a CSV, "folders", or None for none.
        size, resize: sides of the crop and before it, in pixels; None for what the network wants.
        limit: a random subset of so many images; None for all.
        seed: which subset.
        follow_links: also those that lead out of the folder.

    Raises:
        ValueError: no images, or one that cannot be read or is too small.
    """
    from softjpeg.common.image_set import load_images

    return load_images(
        images,
        size=net.size if size is None else size,
        resize=net.resize if size is None and resize is None else resize,
        interpolation=net.interpolation,
        labels=labels,
        limit=limit,
        seed=seed,
        follow_links=follow_links,
        progress=True,
    )


def is_run(path: str | Path) -> bool:
    """Whether a path is what training writes, a folder or a checkpoint, or one on the Hub.

    >>> is_run("timm:resnet18"), is_run("timm:resnet18@weights.safetensors")
    (False, False)
    """
    if str(path).startswith("timm:"):
        return False
    if is_on_hub(path):
        return True
    return Path(path).suffix == ".safetensors" or any(Path(path).glob("*.safetensors"))


def load_trained(path: str) -> TrainedNetwork:
    """The training run at a path; ValueError where there is none, or its code is not trusted."""
    from softjpeg.training.trained_network import load_run

    file = hub_file(path, "best.safetensors") if is_on_hub(path) else path
    return load_run(file, trust=TRUSTED.get())


def provenance(
    net: Network, images: Path | None, loaded: ImageSet | PhotoSet, seed: int
) -> dict[str, Any]:
    """Where numbers come from, in JSON's types.

    Args:
        net: that was asked.
        images: as the command got them; None for the run's test images.
        loaded: those images.
        seed: of everything random.
    """
    import torch

    import softjpeg
    from softjpeg.adaptation.adapter import weights_fingerprint

    return {
        "network": net.name,
        "weights": weights_fingerprint(net.module),
        "images": "test images of the run" if images is None else str(images),
        "count": len(loaded),
        **_setting(net, loaded),
        "seed": seed,
        "softjpeg": softjpeg.__version__,
        "torch": str(torch.__version__),
    }


def _setting(net: Network, loaded: ImageSet | PhotoSet) -> dict[str, Any]:
    """The size that files have, and what the network does to it: every figure holds for these."""
    from dataclasses import asdict

    from softjpeg.common.image_set import ImageSet

    if isinstance(loaded, ImageSet):
        return {"size": list(loaded.pixels.shape[-2:])}
    preprocessing = net.preprocessing
    return {
        "size": "each photo's own",
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
    }


def _as_network(trained: TrainedNetwork, name: str) -> Network:
    """A training run as other commands take networks."""
    from softjpeg.models.network import Network

    data = trained.recipe.data
    return Network(
        trained.network,
        name,
        size=(data.size, data.size),
        resize=data.test_resize or None,
        interpolation=data.interpolation,
    )
