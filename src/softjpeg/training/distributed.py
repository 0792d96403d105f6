"""One process or several (``torchrun``): who this is, and what all must agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        rank, world: which of how many this is.
        device: where this one computes.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes."""
        return self.sum(values) / self.world

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def gather(self, names: list[str]) -> list[str]:
        """The names of all processes, in the order of their ranks."""
        if self.world == 1:
            return names
        of_ranks: list[list[str]] = [[] for _ in range(self.world)]
        dist.all_gather_object(of_ranks, names)
        return [name for part in of_ranks for name in part]

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's buffers: each has seen other images."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.world == 1:
            return flag
        return bool(self.sum(torch.tensor(int(flag), device=self.device)).item())

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier()

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over processes; the model itself for one process."""
        if self.world == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model)


@contextmanager
def joined() -> Iterator[Group]:
    """The group that ``torchrun`` started, or this process alone.

    >>> with joined() as group:
    ...     group.rank, group.world
    (0, 1)
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world == 1:
        yield Group(device=device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), world, device)
    finally:
        dist.destroy_process_group()
