"""The processes of one training: one, or those that torchrun starts, on one machine or many.

    torchrun --nproc_per_node 2 -m trainer.gan ...

A step's samples are dealt out like cards: with S shares, share s gets the samples s, s + S, s + 2S,
... That is how the minibatch standard deviation forms its groups, so a group stays together as long
as a share is a multiple of four, and any number of processes computes the same step.
"""

import atexit
import os
import sys
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from blendgan_core.devices import choose_device
from blendgan_core.errors import BlendGANError


def join(device_flag: str) -> torch.device:
    """Meet the other processes, where torchrun started this one, and choose this one's device."""
    device = choose_device(device_flag)
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        store, number, total = next(dist.rendezvous("env://"))
        # torchrun may keep its store over a restart, with the addresses of those that are lost
        store = dist.PrefixStore(f"attempt {_restarts()}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=number, world_size=total)
        atexit.register(dist.destroy_process_group)
    if rank() > 0:  # all would say the same
        sys.stdout = open(os.devnull, "w")
    return device


def rank() -> int:
    """This process's number among all, from 0; 0 is the one that writes."""
    return dist.get_rank() if _several() else 0


def count() -> int:
    """The number of processes, 1 without torchrun."""
    return dist.get_world_size() if _several() else 1


def restarted() -> bool:
    """Whether torchrun started this process anew after one was lost."""
    return _restarts() > 0


def samples_of(batch: int, accumulate: int = 1) -> list[int]:
    """The numbers, in the whole batch, of this process's samples, one share after the other.

    accumulate: shares that one process computes one after the other. Raises BlendGANError where the
    batch cannot be dealt out evenly.
    """
    shares = count() * accumulate
    if batch % shares:
        parts = f"{count()} processes" + (f" x {accumulate} parts" if accumulate > 1 else "")
        raise BlendGANError(
            f"--batch is {batch}, all processes together, and does not divide among {parts}; "
            f"take a multiple of {shares}"
        )
    own = range(rank() * accumulate, (rank() + 1) * accumulate)
    return [sample for share in own for sample in range(share, batch, shares)]


def gather(share: Tensor, accumulate: int = 1) -> Tensor:
    """The whole batch, in the order of its samples, from every process's share.

    share: [n, ..], rows as `samples_of` numbers them -> [n * processes, ..]. Only the own rows
    carry a gradient: a loss over the whole batch, which every process computes, has the gradient of
    one process alone once the processes' gradients are summed.
    """
    processes = count()
    if processes > 1:
        parts = [torch.empty_like(share) for _ in range(processes)]
        dist.all_gather(parts, share.detach().contiguous())
        parts[rank()] = share
        whole = torch.cat(parts)
    else:
        whole = share
    shares = whole.view(processes * accumulate, -1, *share.shape[1:])  # [S, n, ..]
    return shares.transpose(0, 1).flatten(0, 1)


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes, without a gradient."""
    if count() == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / count()


def average_gradients_(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all their gradients."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if count() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    total = torch.tensor(float(flag), device=device)
    dist.all_reduce(total, dist.ReduceOp.MAX)
    return bool(total)


def wait_for_all() -> None:
    """Go on when every process is here."""
    if count() > 1:
        dist.barrier()


def mean_of_values(values: Sequence[Tensor]) -> list[Tensor]:
    """Means over the processes of some small tensors, exchanged in one go."""
    if count() == 1:
        return list(values)
    flat = mean(torch.cat([value.detach().float().reshape(-1) for value in values]))
    parts = flat.split([value.numel() for value in values])
    return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


def _several() -> bool:
    return dist.is_available() and dist.is_initialized()
