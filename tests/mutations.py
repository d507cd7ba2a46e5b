"""Ways to damage a checkpoint's bytes, blind ones and ones that know its format, for the fuzzing.

Each takes the bytes and a random.Random, and gives other bytes.
"""

import io
import json
import pickletools
import struct
import zipfile
from argparse import Namespace
from collections.abc import Callable
from random import Random

import torch

Mutation = Callable[[bytes, Random], bytes]

NUMBERS = (0, 1, -1, 2, 255, 2**16, 2**31 - 1, -(2**31), 2**40, 2**60, 2**63 - 1, 10**9, 10**30)
HUGE = struct.pack("<Q", 2**42)
# instructions and arguments of pickles, some of them calls that must never happen
SNIPPETS = (
    b"cos\nsystem\n(X\x04\x00\x00\x00truetR",
    b"cposix\nsystem\n(X\x04\x00\x00\x00truetR",
    b"cbuiltins\neval\n(X\x03\x00\x00\x001+1tR",
    b"cbuiltins\nexec\n(X\x01\x00\x00\x001tR",
    b"cbuiltins\n__import__\n(X\x02\x00\x00\x00ostR",
    b"cbuiltins\ngetattr\n(cos\nsystem\nX\x08\x00\x00\x00__call__tR",
    b"csubprocess\nPopen\n(X\x04\x00\x00\x00truetR",
    b"ctorch.storage\n_load_from_bytes\n(C\x04abcdtR",
    b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR",
    b"ctorch\nTensor\n(J\xff\xff\xff\x00tR",
    b"\x8c\x02os\x8c\x06system\x93(X\x04\x00\x00\x00truetR",
    b"\x8e" + HUGE,
    b"\x8d" + HUGE,
    b"\x96" + HUGE,
    b"\x8b\xff\xff\xff\x7f",
    b"X\xff\xff\xff\xff",
    b"L1" + b"0" * 5000 + b"L\n",
    b"r\xff\xff\xff\x7f",
    b"j\xff\xff\xff\x7f",
    b"(" * 3000,
    b")" + b"\x85" * 100_000 + b"}" + b"\x86",
    b")" + b"2\x86" * 60,
    b"}" + b")" + b"2\x86" * 40 + b"Ns",
    b"]" * 50_000 + b"a" * 49_999,
    *(bytes([code]) for code in b".0123}]()NQRabestu\x81\x85\x86\x87\x88\x93\x94"),
)


def flip_bits(data: bytes, rng: Random) -> bytes:
    """A few bits, anywhere or where the headers are."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        damaged[_position(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def write_number(data: bytes, rng: Random) -> bytes:
    """An extreme number over some bytes."""
    size = rng.choice((1, 2, 4, 8))
    number = (rng.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
    start = _position(data, rng)
    return data[:start] + number + data[start + size :]


def cut(data: bytes, rng: Random) -> bytes:
    return data[: _position(data, rng)]


def drop(data: bytes, rng: Random) -> bytes:
    """Without a piece in the middle."""
    start = _position(data, rng)
    return data[:start] + data[start + rng.choice((1, 2, 8, 100, 5000)) :]


def repeat(data: bytes, rng: Random) -> bytes:
    """With a piece twice."""
    start = _position(data, rng)
    end = start + rng.choice((1, 2, 8, 100, 5000))
    return data[:end] + data[start:end] + data[end:]


def insert(data: bytes, rng: Random) -> bytes:
    start = _position(data, rng)
    return data[:start] + rng.randbytes(rng.choice((1, 4, 64, 1000))) + data[start:]


def splice(data: bytes, rng: Random) -> bytes:
    """One part of the file over another."""
    source, start = _position(data, rng), _position(data, rng)
    piece = data[source : source + rng.choice((4, 16, 200, 4000))]
    return data[:start] + piece + data[start + len(piece) :]


BLIND: tuple[Mutation, ...] = (flip_bits, write_number, cut, drop, repeat, insert, splice)


def _position(data: bytes, rng: Random) -> int:
    """Anywhere, or near the start or the end, where files keep what describes them."""
    last = max(len(data) - 1, 0)
    near = rng.choice((last, 100, 1000, 10_000))
    offset = rng.randint(0, min(near, last))
    return offset if rng.random() < 0.6 else last - offset


def lie_in_header(data: bytes, rng: Random) -> bytes:
    """A safetensors file whose header, or the JSON in its header, says something else."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for _ in range(rng.choice((1, 1, 2, 4))):
        inner = rng.choice(("config", "config", "provenance", None))
        metadata = header.get("__metadata__")
        if inner and isinstance(metadata, dict) and isinstance(metadata.get(inner), str):
            try:
                values = json.loads(metadata[inner])
            except (ValueError, RecursionError):
                continue
            metadata[inner] = _dumped(_lie(values, rng), rng)
        else:
            header = _lie(header, rng)
        if not isinstance(header, dict):
            break
    text = _dumped(header, rng).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        text = text.replace(b"e", b"\xff", 1)
    claimed = len(text) if rng.random() < 0.95 else rng.choice(NUMBERS) % 2**64
    return claimed.to_bytes(8, "little") + text + data[8 + size :]


def _dumped(value: object, rng: Random) -> str:
    text = json.dumps(value)
    if rng.random() < 0.05:  # a key twice
        text = text[:1] + text[1:-1] + "," + text[1:] if len(text) > 2 else text
    return "[" * 100_000 if rng.random() < 0.02 else text


def _lie(value, rng: Random):
    """The same with one value or key somewhere in it replaced, removed or added."""
    lies = (*NUMBERS, 0.5, 1e300, float("nan"), "", "x" * 10_000, "a\nb\u2028c", None, True, [], {})
    lies += ([10**9] * 4, [[1]] * 3, {"a": {"b": 1}}, "F8_E4M3", "I64", "BOOL", "F32")
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return rng.choice(lies)
    value = value.copy()
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    choice = rng.random()
    if choice < 0.1:
        del value[key]
    elif choice < 0.2 and isinstance(value, dict):
        value[str(rng.choice(lies))] = value.pop(key)
    elif choice < 0.3 and isinstance(value, dict):
        value[str(rng.choice(lies))] = value[key]
    else:
        value[key] = _lie(value[key], rng)
    return value


def edit_pickles(data: bytes, rng: Random) -> bytes:
    """Other instructions in the pickles at the start: torch.save's older format, and NVIDIA's."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        operations = list(_operations(data))
        if not operations:
            return data
        _, start, end = rng.choice(operations[-2000:] if rng.random() < 0.3 else operations)
        choice = rng.random()
        if choice < 0.15:
            data = data[:start] + data[end:]
        elif choice < 0.3:
            data = data[:end] + data[start:end] + data[end:]
        elif choice < 0.45:
            _, other, other_end = rng.choice(operations)
            data = data[:start] + data[other:other_end] + data[end:]
        elif choice < 0.6 and end - start > 1:
            number = (rng.choice(NUMBERS) % (1 << 8 * min(end - start - 1, 8))).to_bytes(
                min(end - start - 1, 8), "little"
            )
            data = data[: start + 1] + number + data[start + 1 + len(number) :]
        else:
            data = data[:start] + rng.choice(SNIPPETS) + data[rng.choice((start, end)) :]
    return data


def edit_values(data: bytes, rng: Random) -> bytes:
    """What torch.save would write of other values: the damage that only a converter notices."""
    with torch.serialization.safe_globals([Namespace]):
        values = torch.load(io.BytesIO(data), weights_only=True)
    for _ in range(rng.choice((1, 1, 1, 3))):
        holder = values
        while rng.random() < 0.9:
            inner = [value for value in holder.values() if isinstance(value, dict) and value]
            if not inner:
                break
            holder = rng.choice(inner)
        key = rng.choice(list(holder))
        choice = rng.random()
        if choice < 0.15:
            del holder[key]
        elif choice < 0.25:
            holder[rng.choice(("a", "g_ema.x", 3, (1, 2), "x\ny" * 500))] = holder.pop(key)
        elif choice < 0.35:
            holder[key] = holder[rng.choice(list(holder))]
        else:
            holder[key] = _other_value(holder[key], rng)
        if not values:
            break
    packed = io.BytesIO()
    torch.save(values, packed, _use_new_zipfile_serialization=data.startswith(b"PK"))
    return packed.getvalue()


def _other_value(value: object, rng: Random) -> object:
    if not isinstance(value, torch.Tensor) or rng.random() < 0.15:
        return rng.choice((None, 1, 2**70, "text", [1], {}, {"a": value}, [value], float("nan")))
    kind = rng.randrange(8)
    if kind == 0:
        dtypes = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool)
        return value.to(rng.choice((*dtypes, torch.complex64, torch.float8_e4m3fn, torch.uint8)))
    if kind == 1:
        return torch.full_like(value, rng.choice((float("nan"), float("inf"), 1e38, 0.0)))
    if kind == 2:
        return value.to_sparse() if rng.random() < 0.3 else value.flatten()
    shape = [*value.shape]
    if kind == 3 or not shape:
        return torch.zeros(rng.choice(([], [0], [1], [1, 1], [3, 0, 2], [1] * 20)))
    axis = rng.randrange(len(shape))
    shape[axis] = rng.choice((0, 1, shape[axis] + 1, max(shape[axis] - 1, 0), 2 * shape[axis]))
    if kind == 4:
        shape[axis] = rng.choice((10**6, 2**20, 2**33, 2**40))
        return torch.zeros(1, dtype=value.dtype).expand(shape)  # few values that claim to be many
    return torch.zeros(shape, dtype=value.dtype)


def edit_zip(data: bytes, rng: Random) -> bytes:
    """torch.save's zip with another pickle in it, or with entries packed, renamed or lost."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            if name.endswith("data.pkl") and rng.random() < 0.9:
                content = edit_pickles(content, rng)
            elif rng.random() < 0.01:
                content = rng.choice((b"", content[:-1], content * 2, bytes(10**7)))
            kind = zipfile.ZIP_DEFLATED if rng.random() < 0.002 else zipfile.ZIP_STORED
            if rng.random() > 0.0005:
                archive.writestr(name, content, kind)
    return packed.getvalue()


def _operations(data: bytes):
    """(name, start, end) of the instructions of the pickles that the data starts with."""
    stream = io.BytesIO(data)
    for _ in range(5):
        previous = None
        try:
            for opcode, _, position in pickletools.genops(stream):
                if previous:
                    yield *previous, position
                previous = (opcode.name, position)
            yield *previous, stream.tell()
        except ValueError:
            return
