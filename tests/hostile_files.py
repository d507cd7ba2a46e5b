"""Files made to harm who loads them, for test_safety.py: lies, bombs and calls of functions."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from official_files import psp_file
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.pickle_scan import LEGACY_MAGIC

TERABYTES = 2**42


def configured(part: str, **sizes) -> dict[str, str]:
    """The tiny model's generator in a header, with some sizes changed."""
    usual = {"resolution": 32, "z_dim": 16, "w_dim": 16, "mapping_layers": 2}
    usual |= {"channel_base": 256, "channel_max": 8}
    return {"config": json.dumps({part: usual | sizes})}


HEADERS = {  # what the JSON in a safetensors header may claim, and what is said about it
    "resolution": (configured("generator", resolution=2**60), "resolution .* no whole number in"),
    "layers": (configured("generator", mapping_layers=10**9), "mapping_layers 1000000000 is no"),
    "no channels": (configured("generator", channel_base=16), "channel_base 16 is no whole number"),
    "negative": (configured("generator", z_dim=-1), "z_dim -1 is no whole number in 1.."),
    "not whole": (configured("generator", z_dim=16.0), "z_dim 16.0 is no whole number"),
    "other shape": (configured("generator", w_dim=17), "does not fit the sizes in its header"),
    "vgg": ({"config": '{"style_encoder": {"vgg_width": 1000000}}'}, "vgg_width 1000000 is no"),
    "blocks": (
        {"config": '{"psp_encoder": {"blocks": [1000000000, 1, 1, 1]}}'},
        "pSp encoder's blocks 1000000000 is no whole number",
    ),
    "few blocks": ({"config": '{"psp_encoder": {"blocks": [1]}}'}, "not four whole numbers"),
    "deep": ({"provenance": "[" * 100_000}, "damaged header"),
    "long number": ({"provenance": '{"a": 1' + "0" * 10_000 + "}"}, "damaged header"),
    "long format": ({"format": "x\n" * 10**6}, "header says format 'x"),
    "no config": ({"config": ""}, "damaged header"),
}


def safetensors(header: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claimed is None else claimed) + header + bytes(64)


def tensor_header(**entry) -> bytes:
    """A header with one tensor."""
    usual = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
    return json.dumps({"generator.a": usual | entry}).encode()


RAW = {  # the bytes of files that are to be safetensors
    "header of terabytes": safetensors(tensor_header(), TERABYTES),
    "tensor of terabytes": safetensors(tensor_header(shape=[2**40], data_offsets=[0, TERABYTES])),
    "overflowing shape": safetensors(tensor_header(shape=[2**62, 2**62])),
    "shape beyond its data": safetensors(tensor_header(shape=[5, 5])),
    "outside of the file": safetensors(tensor_header(data_offsets=[64, 128])),
    "unknown dtype": safetensors(tensor_header(dtype="F31")),
    "deep header": safetensors(b'{"a":' + b"[" * 100_000),
    "no UTF-8": safetensors(b'{"\xff\xfe": 1}'),
    "no JSON": safetensors(b"{" * 50),
    "a number": safetensors(b'{"a": 1}'),
}


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Only what is callable may be pickled as a function to call."""


def zipped(instructions: bytes, pack: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    """torch.save's zip around a pickle of our making."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", instructions, pack)
        archive.writestr("archive/version", "3\n")
        for name, content in entries.items():
            archive.writestr(f"archive/data/{name.strip('_')}", content, pack)
    return stream.getvalue()


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def storage(count: int) -> bytes:
    """The instructions that name 16 bytes of an archive as `count` values."""
    return (
        b"("
        + text("storage")
        + b"ctorch\nFloatStorage\n"
        + text("0")
        + text("cpu")
        + (number(count) + b"tQ")
    )


def tensor(count: int, size: bytes, stride: bytes) -> bytes:
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + storage(count) + b"K\x00" + size + stride + b"\x89}tR"


START, KEY = b"\x80\x02}", text("latent_avg")
PICKLES = {  # what torch.save's zip could hold
    "string of terabytes": START + b"\x8d" + struct.pack("<Q", TERABYTES) + b"s.",
    "bytes of terabytes": START + b"\x8e" + struct.pack("<Q", TERABYTES) + b"s.",
    "long number": START + b"\x8b" + struct.pack("<i", 2**31 - 1) + b"s.",
    "text of 4 GB": START + b"X\xff\xff\xff\xff" + b"s.",
    "bytearray": START + KEY + b"cbuiltins\nbytearray\n(" + number(10**10) + b"tRs.",
    "tensor by its class": START + KEY + b"ctorch\nTensor\n(" + number(10**10) + b"tRs.",
    "values beyond the file": START
    + KEY
    + tensor(2**40, number(4) + b"\x85", b"K\x01\x85")
    + b"s.",
    "strides of 0": START + KEY + tensor(4, number(2**40) + b"\x85", b"K\x00\x85") + b"s.",
    "tensor beyond its values": START + KEY + tensor(4, number(9) + b"\x85", b"K\x01\x85") + b"s.",
    "negative size": START + KEY + tensor(4, number(-1) + b"\x85", b"K\x01\x85") + b"s.",
    "deep key": START + b")" + b"\x85" * 500_000 + b"Ns.",
    "key that doubles": START + b")" + b"2\x86" * 60 + b"Ns.",
    "call of what doubles": START + KEY + b"]" + b"2(2ee" * 3 + b")Rs.",
    "deep list": START + KEY + b"]" * 200_000 + b"a" * 199_999 + b"s.",
    "memo that is not there": START + KEY + b"j\xff\xff\xff\x7fs.",
    "no end": START + KEY,
    "nothing": b"",
}


def lying_headers(folder: Path) -> dict[str, Path]:
    """A good file of ours with each of HEADERS in place of what it says of itself."""
    good = blendgan_core.save(
        tiny_model(blendgan_core, parts=("generator",)), folder / "good.safetensors"
    )
    paths = {}
    for name, (changes, _) in HEADERS.items():
        paths[name] = folder / f"lie_{name}.safetensors"
        save_file(load_file(good), paths[name], metadata=metadata_of(good) | changes)
    return paths


def metadata_of(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def damaged_safetensors(folder: Path) -> dict[str, Path]:
    return {name: _written(folder / f"{name}.safetensors", data) for name, data in RAW.items()}


def lying_archives(folder: Path) -> dict[str, Path]:
    """Zips like torch.save's with each of PICKLES in them, and some that unpack to far more."""
    values = START + KEY + tensor(10**7, number(10**7) + b"\x85", b"K\x01\x85") + b"s."
    contents = {name: zipped(pickled, _0=bytes(16)) for name, pickled in PICKLES.items()}
    contents["bomb in the pickle"] = zipped(bytes(4 * 10**7), zipfile.ZIP_DEFLATED)
    contents["bomb of values"] = zipped(values, zipfile.ZIP_DEFLATED, _0=bytes(4 * 10**7))
    torch.save(psp_file(), folder / "psp.pt")
    archive = bytearray((folder / "psp.pt").read_bytes())
    entry = archive.rindex(b"PK\x01\x02")
    archive[entry + 20 : entry + 28] = b"\xfe\xff\xff\xff" * 2  # its size, packed and not
    contents["entry of gigabytes"] = bytes(archive)
    return {name: _written(folder / f"{name}.pt", data) for name, data in contents.items()}


NETWORK = b"\x80\x04}"
NETWORKS = {  # what a plain pickle, as NVIDIA's, could hold
    "deep key": NETWORK + b")" + b"\x85" * 500_000 + b"Ns.",
    "key that doubles": NETWORK + b")" + b"2\x86" * 60 + b"Ns.",
    "set that doubles": NETWORK + b"\x8f(" + b")" + b"2\x86" * 60 + b"\x90.",
    "frozen sets": NETWORK + b"(" + b")" + b"2\x86" * 60 + b"\x91Ns.",
    "deep list": NETWORK + text("G") + b"]" * 400_000 + b"a" * 399_999 + b"s.",
    "bytes of terabytes": NETWORK + b"\x8e" + struct.pack("<Q", TERABYTES) + b"s.",
    "long number": NETWORK + text("G") + b"L" + b"9" * 2_000_000 + b"L\ns.",
}


def lying_pickles(folder: Path) -> dict[str, Path]:
    """And torch.save's older format, whose last pickle torch.load goes through one by one."""
    paths = {name: _written(folder / f"{name}.pkl", data) for name, data in NETWORKS.items()}
    plain = [LEGACY_MAGIC, 1001, {"little_endian": True}, {}]
    names = b"\x80\x02" + tensor(4, number(2**40) + b"\x85", b"K\x00\x85") + b"."
    data = b"".join(pickle.dumps(value, protocol=2) for value in plain) + names
    paths["endless names"] = _written(folder / "names.pt", data)
    return paths


def calling_pickles(folder: Path, proof: Path) -> dict[str, Path]:
    """Checkpoints of each pickled format that call a function; most would write `proof`."""
    calls = {
        "os.system": Call(os.system, f"touch {proof}"),
        "eval": Call(eval, f"open({str(proof)!r}, 'w')"),
        "exec": Call(exec, f"open({str(proof)!r}, 'w')"),
        "__import__": Call(__import__, "antigravity"),
        "getattr": Call(Call(getattr, Call(__import__, "os"), "system"), f"touch {proof}"),
        "_load_from_bytes": Call(
            torch.storage._load_from_bytes, pickle.dumps(Call(os.system, f"touch {proof}"))
        ),
    }
    paths = {}
    for name, call in calls.items():
        data = psp_file() | {"opts": call}
        paths[f"{name}, zip"] = folder / f"{name}.pt"
        torch.save(data, paths[f"{name}, zip"])
        paths[f"{name}, old format"] = folder / f"{name}_old.pt"
        torch.save(data, paths[f"{name}, old format"], _use_new_zipfile_serialization=False)
        paths[f"{name}, plain"] = _written(folder / f"{name}.pkl", pickle.dumps({"G": call}))
    return paths


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
