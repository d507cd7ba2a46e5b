"""NVIDIA's network pickles -> tensors and plain values, without running anything from them.

stylegan2-ada-pytorch and stylegan3 pickle whole modules: each brings its Python source, which
unpickling would execute, and its state. Here every call that a pickle asks for becomes an inert
`Record` of what was asked, only for the few names that such files need; the sources are never
looked at. The tensors are made from the records afterwards, each checked against its storage.
"""

import io
import mmap
import pickle
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError
from .pickle_scan import follow
from .pickles import DAMAGED, DAMAGED_MESSAGE

TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save's old format starts with it
MAX_OPERATIONS = 1_000_000  # a 1024 px pickle of three networks has about 40,000
CORES = ("core", "_core")  # before and since numpy 2
RECORDED = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.storage", "_load_from_bytes"),
    # the gains of layers are numpy scalars, StyleGAN3 (refused by its name) has arrays
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", name) for core in CORES for name in ("scalar", "_reconstruct")),
}
CONTAINERS = {("collections", "OrderedDict"): dict, ("builtins", "set"): set}
PERSISTENT = "_reconstruct_persistent_obj"  # of torch_utils.persistence, wherever that lies


@dataclass
class Network:
    """What one module of a pickle, with all modules inside it, is made of."""

    class_name: str
    attributes: dict[str, dict] = field(default_factory=dict)
    """numbers and strings by the path of the module that they belong to: {"mapping.fc0": {..}}"""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """parameters and buffers, by the keys that the module's state dict would have"""


class Record:
    """A name that a pickle asks for, and the arguments if it was called. It does nothing."""

    def __init__(self, name: str, arguments: tuple = ()):
        self.name = name
        self.arguments = arguments

    def __call__(self, *arguments) -> "Record":
        return Record(self.name, arguments)

    def __setstate__(self, state) -> None:
        """numpy's dtypes bring a state, which nothing here needs."""


def is_plain_pickle(path: Path) -> bool:
    """Whether a file is a pickle, and not one in a format of torch.save."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(len(TORCH_MAGIC))
    return start[:1] == b"\x80" and start != TORCH_MAGIC


def read_network_pickle(path: Path) -> tuple[dict[str, Network], dict]:
    """The networks "G" and "D" of a pickle, of G the averaged weights where it has them, and the
    plain values among its `training_set_kwargs`.

    Raises CheckpointError if the file is damaged, holds anything else, or was made by TensorFlow.
    """
    try:
        with open(path, "rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                _check_operations(mapped)
                mapped.seek(0)
                data = _InertUnpickler(mapped).load()
        if not isinstance(data, dict) or not ({"G", "G_ema"} & set(data)):
            raise CheckpointError(
                "is a pickle, but not one of NVIDIA's networks: expected a dictionary with 'G_ema' "
                f"or 'G', found {_names(data)}. Save weights as a state_dict with torch.save."
            )
        reader = _Reader(limit=path.stat().st_size)
        wanted = {"G": data.get("G_ema") or data.get("G"), "D": data.get("D")}
        networks = {name: reader.network(value) for name, value in wanted.items() if value}
        training_set = data.get("training_set_kwargs")
        return networks, _plain(training_set) if isinstance(training_set, dict) else {}
    except CheckpointError:
        raise
    except DAMAGED as error:
        raise CheckpointError(f"{path} {DAMAGED_MESSAGE}") from error


def _check_operations(file) -> None:
    """Refuse what would let a small pickle take much memory or time: its C reader makes room for
    the longest string and the highest memo number that are named, before it looks for them."""
    for count, (name, argument, _) in enumerate(follow(file), start=1):
        if count > MAX_OPERATIONS:
            raise CheckpointError(
                f"is a pickle of more than {MAX_OPERATIONS:,} operations, far more than NVIDIA's "
                "network pickles need; it was not loaded"
            )
        if name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > count:
            raise ValueError("a memo number that no pickler gives")


class _InertUnpickler(pickle.Unpickler):
    """Gives records and empty containers for names, so that a pickle can call nothing else."""

    def find_class(self, module: str, name: str):
        if name == PERSISTENT or (module, name) in RECORDED:
            return Record(name)
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        if name == "EasyDict":  # dnnlib.util's, a dict with attributes
            return dict
        if module.startswith("dnnlib.tflib"):
            raise CheckpointError(
                "is a network pickle of NVIDIA's TensorFlow code; expected one of PyTorch. Convert "
                "it with legacy.py of NVIDIA's stylegan2-ada-pytorch or stylegan3, and load that."
            )
        raise CheckpointError(
            f"was not loaded: it holds the Python object {f'{module}.{name}'[:100]!r}, which could "
            "run code; expected a network pickle of NVIDIA's, or weights as a state_dict."
        )


class _Reader:
    """Makes networks out of records. limit: bytes that all storages may have together, which is
    what their file has; so naming one twice cannot make it larger."""

    def __init__(self, limit: int):
        self.left = limit
        self.storages: dict[int, Tensor] = {}  # by the id of their record, which outlives them

    def network(self, record: Record) -> Network:
        found = Network(class_name=_meta(record)["class_name"])
        visited: set[int] = set()
        self._collect(record, "", found, visited)
        return found

    def _collect(self, record: Record, path: str, found: Network, visited: set[int]) -> None:
        if id(record) in visited:
            raise ValueError("a module that is part of the same network twice")
        visited.add(id(record))
        state = _meta(record)["state"]
        found.attributes[path] = _plain(state)
        prefix = f"{path}." if path else ""
        for kind in ("_parameters", "_buffers"):
            for name, value in state[kind].items():
                if value is not None:
                    found.tensors[f"{prefix}{name}"] = self._tensor(value)
        for name, module in state["_modules"].items():
            if module is not None:
                self._collect(module, f"{prefix}{name}", found, visited)

    def _tensor(self, record: Record) -> Tensor:
        if record.name == "_rebuild_parameter":
            record = record.arguments[0]
        _expect(record, "_rebuild_tensor_v2")
        storage, offset, size, stride = record.arguments[:4]
        values = self._storage(storage)
        steps = [(n - 1) * step for n, step in zip(size, stride, strict=True)]
        if (
            min((offset, *stride)) < 0
            or min(size, default=1) < 1
            or offset + sum(steps) >= len(values)
            or prod(size) > len(values)
        ):
            raise ValueError("a tensor that is larger than its storage")
        return values.as_strided(size, stride, offset)

    def _storage(self, record: Record) -> Tensor:
        """The values of a storage as one flat tensor."""
        if id(record) not in self.storages:
            _expect(record, "_load_from_bytes")
            (written,) = record.arguments
            self.left -= len(written)
            # zip archives could hold far more than their size; storages are in the old format
            if self.left < 0 or not written.startswith(TORCH_MAGIC):
                raise ValueError("a storage that no pickler writes")
            storage = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
            if not isinstance(storage, torch.TypedStorage):
                raise TypeError(f"a {type(storage).__name__} instead of a storage")
            self.storages[id(record)] = torch.empty(0, dtype=storage.dtype).set_(storage)
        return self.storages[id(record)]


def _meta(record: Record) -> dict:
    """What a persistent module says of itself: class_name, state, and the source, left alone."""
    _expect(record, PERSISTENT)
    (meta,) = record.arguments
    return meta


def _expect(record: Record, name: str) -> None:
    if not isinstance(record, Record) or record.name != name:
        raise TypeError(f"not a {name}")


def _names(data) -> list[str] | str:
    """What a file holds, in few words."""
    if not isinstance(data, dict):
        return f"a {type(data).__name__}"
    return sorted(key[:40] for key in data if isinstance(key, str))[:5]


def _plain(values: dict) -> dict:
    """The numbers and strings among some values."""
    return {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and isinstance(value, str | int | float)
    }
