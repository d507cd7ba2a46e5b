"""Looks through a file that torch.save wrote before anything is made of it.

torch.load(weights_only=True) runs no code from a file, but it believes what the file claims: that
an entry unpacks to terabytes, that a tensor has more values than the file, that a tuple nested a
million times is a key. So the pickle's instructions are read first, and few kinds are let through.
"""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import BinaryIO

import torch
from torch import Tensor

STORAGES = "Double Float Half BFloat16 Long Int Short Char Byte Bool".split()
DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
# all that files of state dicts name, and argparse.Namespace, a bag of options in pSp files
ALLOWED_GLOBALS = {
    "argparse Namespace",
    "collections OrderedDict",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch.nn.parameter Parameter",
    "torch.serialization _get_layout",
    "torch.storage TypedStorage",
    "torch.storage UntypedStorage",
    *(f"torch {name}Storage" for name in STORAGES),
    *(f"torch {name}" for name in DTYPES),
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what torch.save's older format starts with, as a pickle
LARGEST_TUPLE = 1000  # values in it and in the tuples in it; more can take forever to hash
LARGEST_READ = 1 << 24  # bytes of one string in a pickle; tensors lie elsewhere
EXPANSION = 4  # times its size that a file's tensors may take up; shared ones count several times
ROOM = 1 << 24  # bytes that small tensors may take up beyond that


def check_zip(path: Path) -> None:
    """Raise UnpicklingError or BadZipFile if a zip of torch.save's claims what it does not hold."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        packed = [e for e in entries if e.compress_type or e.compress_size != e.file_size]
        too_large = sum(entry.file_size for entry in entries) > path.stat().st_size
        if packed or too_large or len(names) != len(entries):
            raise UnpicklingError("the archive has packed, overlapping or repeated entries")
        for name in names:
            if name.endswith("/data.pkl"):
                with archive.open(name) as file:
                    check_pickle(file, path.stat().st_size)


def check_legacy(path: Path) -> None:
    """The same for torch.save's older format: five pickles, then the values of the tensors."""
    with open(path, "rb") as file:
        size, plain = path.stat().st_size, frozenset()
        if check_pickle(file, size, plain) != LEGACY_MAGIC:
            raise UnpicklingError("it does not start as torch.save's files do")
        check_pickle(file, size, plain)  # version
        check_pickle(file, size, plain)  # byte order
        check_pickle(file, size)  # what was saved
        check_pickle(file, size, plain)  # names of the tensors' values, which torch.load iterates


@dataclass(frozen=True)
class Entry:
    """What is known of a value on a pickle's stack."""

    maker: str
    """the instruction that made it"""
    value: object = None
    """a number, a string, the name of a global, or a list of a tuple's entries"""
    size: int = 1
    """how many values a tuple has, those of the tuples in it included"""


def follow(file: BinaryIO) -> Iterator[tuple[str, object, list[Entry]]]:
    """The instructions of one pickle, from where `file` stands to its end: the name of each, its
    argument, and the values that it takes from the stack. Nothing is made of them.

    Raises UnpicklingError for tuples that would take forever to hash, and ValueError, LookupError
    or AttributeError for what makes no sense.
    """
    stack: list[Entry | None] = []  # None is a mark
    memo: dict[int, Entry] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif opcode.name == "DUP":
            stack.append(stack[-1])
        else:
            taken = _take(stack, opcode.stack_before)
            yield opcode.name, argument, taken
            for kind in opcode.stack_after:
                stack.append(_made(opcode.name, kind, argument, taken))
            continue
        yield opcode.name, argument, []


def check_pickle(file: BinaryIO, file_size: int, allowed: Set[str] = ALLOWED_GLOBALS) -> object:
    """Follow one pickle of torch.save's, and return what it holds if that is a number.

    Raises UnpicklingError for globals that are not allowed, huge tuples, tensors that claim more
    values than the file has bytes, and nonsense.
    """
    try:
        for name, argument, taken in follow(_Careful(file)):
            if name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX"):
                raise UnpicklingError(f"unsupported instruction {name}")
            if name == "PROTO" and not 2 <= argument <= 5:
                raise UnpicklingError(f"pickle protocol {argument}")
            if name == "GLOBAL" and argument not in allowed:
                raise UnpicklingError(f"GLOBAL {'.'.join(argument.split())} is not allowed")
            if name == "BINPERSID":
                _check_storage(taken[0], file_size)
            if name in ("REDUCE", "NEWOBJ") and taken[0].maker != "GLOBAL":
                raise UnpicklingError(f"it calls what {taken[0].maker} made")
            if name == "STOP":
                return taken[0].value
    except (LookupError, ValueError, AttributeError) as error:
        raise UnpicklingError(f"its instructions make no sense: {error}") from error
    raise UnpicklingError("it has no end")


def check_tensors(values: object, file_size: int) -> None:
    """Raise UnpicklingError if the tensors in nested containers would take up more than they can.

    A tensor may claim any number of values over a few stored ones by strides of 0.
    """
    waiting, seen, total = [values], set(), 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
                raise UnpicklingError("it holds tensors that are not plain")
            total += value.numel() * value.element_size()
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        else:
            continue
        seen.add(id(value))
    if total > EXPANSION * file_size + ROOM:
        raise UnpicklingError(f"its tensors claim {total:,} bytes, it has {file_size:,}")


class _Careful:
    """A file that reads no more at once than a pickle of checkpoints has reason to."""

    def __init__(self, file: BinaryIO):
        self.file = file

    def read(self, count: int) -> bytes:
        if count > LARGEST_READ:
            raise ValueError(f"it claims a string of {count:,} bytes")
        return self.file.read(count)

    def readline(self) -> bytes:
        return self.file.readline(LARGEST_READ)


def _take(stack: list[Entry | None], kinds: list) -> list[Entry]:
    """What an instruction takes from the stack, with everything above the last mark if it asks."""
    taken: list[Entry] = []
    for kind in reversed(kinds):
        if kind is pickletools.markobject:
            continue
        if kind is pickletools.stackslice:
            while (entry := stack.pop()) is not None:
                taken.append(entry)
        else:
            entry = stack.pop()
            if entry is None:
                raise ValueError("a mark where a value was expected")
            taken.append(entry)
    return taken[::-1]


def _made(name: str, kind, argument: object, taken: list[Entry]) -> Entry | None:
    """What stands on the stack after an instruction."""
    if kind is pickletools.markobject:
        return None
    if kind in (pickletools.pytuple, pickletools.pyfrozenset):
        size = 1 + sum(entry.size for entry in taken)
        if size > LARGEST_TUPLE:
            raise UnpicklingError(f"it holds a tuple of {size:,} values")
        return Entry(name, taken, size)
    return Entry(name, argument)


def _check_storage(identity: Entry, file_size: int) -> None:
    """identity: ("storage", class, key, device, number of values, ..), as torch.save writes it."""
    parts = identity.value if isinstance(identity.value, list) else []
    values = [part.value for part in parts[:5]]
    kinds = [type(value) for value in values]
    if kinds != [str, str, str, str, int] or parts[1].maker != "GLOBAL":
        raise UnpicklingError("a tensor's values have another name than torch.save gives")
    if not 0 <= values[4] <= file_size:
        raise UnpicklingError(f"a tensor claims {values[4]:,} values of {file_size:,} bytes")
