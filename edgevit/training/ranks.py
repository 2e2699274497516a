"""The processes of one run, one for each GPU: which pictures of a batch are whose, what they add up, how they wait.

`torchrun --nproc-per-node 2 -m edgevit train ...` starts them, all on one machine. The first one leads: it alone
measures, writes and speaks. Gradients go from GPU to GPU (nccl); all else goes by way of the processor (gloo), where
whoever waits for another process notices if that one ends.
"""

import contextlib
import copy
import datetime
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from edgevit.errors import OptionError, ProcessLostError
from edgevit.training.schedule import Size

T = TypeVar("T")

STARTED = "TORCHELASTIC_RUN_ID"
"""What torchrun puts into the environment of each process."""
LONGEST_WAIT = datetime.timedelta(days=1)
"""How long processes wait for one that is alive, as the first may read or measure a million pictures."""
FAILED, TOLD = "failed", "edgevit told"
"""What processes leave for each other with torchrun: one has failed; one has said why."""
_runs = itertools.count()


@dataclass(frozen=True)
class Ranks:
    """How many processes share each batch, and which of them this one is."""

    rank: int = 0
    """From 0."""
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process measures, writes and speaks."""
        return self.rank == 0

    @property
    def program(self) -> list[str]:
        """The words that start edgevit in as many processes."""
        started = ["torchrun", "--nproc-per-node", str(self.count), "-m"] if self.count > 1 else []
        return [*started, "edgevit"]

    def check_batch(self, batch: int) -> None:
        """Raise OptionError unless a batch can be shared out evenly, two pictures or more to each process."""
        if batch % self.count or batch < 2 * self.count:
            near = max(2, round(batch / self.count)) * self.count
            raise OptionError(
                f"--batch {batch} cannot be shared out evenly to {self.count} processes, at least 2 images to each; "
                f"give --batch {near}, or start another number of processes"
            )

    def share(self, batch: int) -> slice:
        """Return which images of a batch are this process's."""
        each = batch // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def divisor(self, weight: float, least: float = 0.0) -> float:
        """Return what this process divides its sum of losses by, so that the mean over all is the whole batch's loss.

        Args:
            weight: how much this process's part counts: images, weights of classes, or answers.
            least: the whole batch counts so much at least.
        """
        return max(least, self._sum(weight)) / self.count

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        return self._sum(value) / self.count

    def any(self, flag: bool) -> bool:
        """Return whether it is so in one of the processes."""
        return self._sum(float(flag)) > 0

    def _sum(self, value: float) -> float:
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return total.item()

    def from_first(self, make: Callable[[], T]) -> T:
        """Return, in every process, what `make` returns in the first one; it is not called in the others."""
        if self.count == 1:
            return make()
        box: list[T | None] = [make() if self.leads else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def wrap(self, model: nn.Module, sizes: Sequence[Size]) -> nn.Module:
        """Return what to call in the model's place, so that gradients are means over all processes.

        All start with the first one's weights. The model itself keeps the names of its weights.

        Args:
            model: on its device.
            sizes: (height, width) of the images that it will be given.
        """
        if self.count == 1:
            return model
        return DistributedDataParallel(model, find_unused_parameters=_has_idle_weights(model, sizes))


ALONE = Ranks()


def _has_idle_weights(model: nn.Module, sizes: Sequence[Size]) -> bool:
    """Return whether some weights have no part in an answer, as FasterViT's have where a window covers the image."""
    trial = copy.deepcopy(model).train()
    device = next(model.parameters()).device
    for size in dict.fromkeys(sizes):
        answers = trial(torch.zeros(2, 3, *size, device=device))
        every = [answers] if isinstance(answers, torch.Tensor) else answers
        torch.stack([answer.float().sum() for answer in every]).sum().backward()  # type: ignore[no-untyped-call]
        if any(weight.grad is None for weight in trial.parameters() if weight.requires_grad):
            return True
        trial.zero_grad(set_to_none=True)
    return False


def find_ranks() -> Ranks:
    """Return which process this is, by what torchrun says; the only one where it was started in another way.

    Raises:
        OptionError: the processes are on several machines.
    """
    if STARTED not in os.environ:
        return ALONE
    count, here = (int(os.environ[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if count != here:
        raise OptionError(
            f"{here} of {count} processes are on this machine; start all on one, `torchrun` without --nnodes"
        )
    return Ranks(int(os.environ["RANK"]), count)


@contextlib.contextmanager
def joined(ranks: Ranks, device: str) -> Iterator[None]:
    """Connect the processes for a block of code, each with a GPU of its own where `device` is "cuda".

    Raises:
        OptionError: there are fewer GPUs than processes.
        ProcessLostError: another process has ended before its time.
    """
    if ranks.count == 1:
        yield
        return
    # which PyTorch's builds for some boards do not have
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    if device == "cuda":
        _choose_gpu(ranks)
    store, _, _ = next(rendezvous("env://", ranks.rank, ranks.count))
    own = PrefixStore(f"edgevit run {next(_runs)}", store)
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, store=own, rank=ranks.rank, world_size=ranks.count, timeout=LONGEST_WAIT)
        yield
    except BaseException as error:
        told = _exchange_failures(own, error)
        if device == "cpu":  # nccl would wait for what others never send
            dist.destroy_process_group()
        if _is_lost_connection(error):
            raise ProcessLostError(told) from error
        raise
    dist.destroy_process_group()


def _exchange_failures(store: Any, error: BaseException) -> bool:
    """Leave word of an error that is this process's own; return whether another process has left such word."""
    with contextlib.suppress(dist.DistError):
        if _is_lost_connection(error):
            return bool(store.check([FAILED]))
        store.set(FAILED, "")
    return False


def _choose_gpu(ranks: Ranks) -> None:
    if (gpus := torch.cuda.device_count()) < ranks.count:
        raise OptionError(
            f"{ranks.count} processes, and PyTorch sees {gpus} GPU{'' if gpus == 1 else 's'}; give torchrun "
            f"--nproc-per-node {gpus}, or --device cpu"
        )
    torch.cuda.set_device(ranks.rank)


def _is_lost_connection(error: BaseException) -> bool:
    # gloo has no error class of its own
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def is_first_to_tell() -> bool:
    """Return whether no other process of this torchrun has said yet why it ends; from now on one has."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        store = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=datetime.timedelta(seconds=10),
        )
        return bool(store.add(TOLD, 1) == 1)
    except (dist.DistError, KeyError):
        return True
