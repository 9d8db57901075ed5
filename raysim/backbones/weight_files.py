"""Weight files as people have them: what a file really is, and the tensors in it.

Files are read without running any code of theirs: safetensors, or PyTorch's `weights_only=True`. A file that
is something else (a git-lfs pointer, a web page, an unfinished download, another framework's file) is named
for what it is, with what helps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysim.core.errors import UserError

STATES = ("state_dict", "model_state_dict", "model", "module", "net", "ema", "student")  # of a checkpoint
POINTERS = {b"version https://git-lfs": "git-lfs", b"# xet version": "xet"}
PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<error", b"<head")
MAGIC = {
    b"\x1f\x8b": "a gzip archive: unpack it and name the weight file inside",
    b"7z\xbc\xaf": "a 7z archive: unpack it and name the weight file inside",
    b"Rar!": "a RAR archive: unpack it and name the weight file inside",
    b"\x89HDF": "an HDF5 file, weights of TensorFlow or Keras: take the PyTorch or safetensors file",
    b"GGUF": "a GGUF file, quantised for llama.cpp: take the PyTorch or safetensors file",
    b"\x93NUMPY": "an array of NumPy, not the weights of a model",
    b"\x89PNG": "a picture, not weights",
    b"\xff\xd8\xff": "a picture, not weights",
    b"%PDF": "a PDF document, not weights",
}
SCALAR = np.float64(0).__reduce__()[0]  # what rebuilds a number of NumPy
PLAIN_OBJECTS: list[Any] = [  # settings and numbers beside a checkpoint's tensors; none of them runs code
    argparse.Namespace,
    np.dtype,
    SCALAR,
    (SCALAR, "numpy.core.multiarray.scalar"),
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
]
TEXT = set(range(0x20, 0x7F)) | {9, 10, 13}


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weight file by their names in the file.

    Args:
        file: A safetensors file, a PyTorch file (state dict, or a checkpoint that holds one) or a TorchScript
            archive.

    Raises:
        UserError: The file is no weights, is not whole, or holds more than tensors.
    """
    refuse_other_files(file)
    if _is_safetensors(file):
        return _read_safetensors(file)
    if is_torchscript(file):
        return dict(torch.jit.load(str(file), map_location="cpu").state_dict())
    try:
        # an open file: of a path's name PyTorch would conclude what the file is
        with file.open("rb") as stream, torch.serialization.safe_globals(PLAIN_OBJECTS):
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zip raise their own types
        raise UserError(f"{file} {_torch_failure(error)}") from None
    return _state_of(file, content)


def refuse_other_files(file: Path) -> None:
    """Refuse a file that is no weights by its first bytes.

    Raises:
        UserError: What the file is instead, and what helps.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(1024)
    if size == 0:
        raise UserError(
            f"{file} is empty (0 bytes): the download failed, or the disk was full; fetch it again"
        )
    if not head.strip(b"\0"):
        raise UserError(f"{file} begins with zero bytes only: the download did not finish; fetch it again")
    for start, kind in POINTERS.items():
        if head.startswith(start):
            real = re.search(rb"\bsize[ =\"]+(\d+)", head)
            raise UserError(
                f"{file} is text, a {kind} pointer to the weights"
                f"{f' ({int(real[1]):,} bytes)' if real else ''}, not the weights: fetch the file itself, "
                "with `git lfs pull` in the clone, or by the download button of its page"
            )
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(PAGES):
        title = re.search(rb"<(?:title|Message)>\s*([^<]{1,80})", head, re.IGNORECASE)
        raise UserError(
            f"{file} is a web page"
            f"{' (' + title[1].decode(errors='replace').strip() + ')' if title else ''}, not weights: the "
            "address was that of the page, or the site wants a log-in; take the download link of the file "
            "(on Hugging Face /resolve/ in place of /blob/)"
        )
    for start, what in MAGIC.items():
        if head.startswith(start):
            raise UserError(f"{file} is {what}")
    if head[257:262] == b"ustar":
        raise UserError(f"{file} is a tar archive: unpack it and name the weight file inside")
    if set(head) <= TEXT:
        _refuse_text(file, head, size)
    if head.startswith(b"PK\x03\x04"):
        _refuse_zip(file, size)


def _refuse_text(file: Path, head: bytes, size: int) -> None:
    """Refuse a file of text."""
    if head.lstrip().startswith(b"{") and size < 100_000_000:
        try:
            content = json.loads(file.read_text())
        except ValueError:
            content = {}
        if isinstance(content, dict) and "weight_map" in content:
            shards = sorted(set(content["weight_map"].values()))
            raise UserError(
                f"{file} is the index of weights in {len(shards)} parts ({', '.join(shards[:2])}, ..): name "
                "a file that holds them all; model.save_pretrained(.., max_shard_size='100GB') writes one"
            )
        raise UserError(f"{file} is a JSON text (a configuration?), not weights")
    begin = head[:40].decode(errors="replace").splitlines()[0]
    raise UserError(f"{file} is text, not weights: it begins with '{begin}'; fetch the file itself")


def _refuse_zip(file: Path, size: int) -> None:
    """Refuse a zip archive that is cut off, or that holds files rather than one set of tensors."""
    if not zipfile.is_zipfile(file):
        raise UserError(
            f"{file} is cut off after {size:,} bytes: the end of its archive is missing, so the download did "
            "not finish; fetch it again"
        )
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    if any(name.endswith((".npy", ".npz")) for name in names):
        raise UserError(
            f"{file} is an archive of NumPy arrays (weights of JAX, big_vision?): take the PyTorch or "
            "safetensors file"
        )
    if not any(name.endswith(("/data.pkl", "/constants.pkl")) or name == "data.pkl" for name in names):
        inside = next((name for name in names if name.endswith((".pt", ".pth", ".bin", ".safetensors"))), "")
        raise UserError(
            f"{file} is a zip archive of {len(names)} files, not weights: unpack it and name "
            f"{inside or 'the weight file'}"
        )


def is_torchscript(file: Path) -> bool:
    """Return whether a file is a TorchScript archive, the format of OpenAI's own CLIPs."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _is_safetensors(file: Path) -> bool:
    """Return whether a file is made as safetensors, or named so without a sign of PyTorch's formats."""
    with file.open("rb") as stream:
        head = stream.read(9)
    made = len(head) == 9 and head[6:] == b"\0\0{"
    return made or (file.suffix == ".safetensors" and not head.startswith((b"PK", b"\x80")))


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file, after a check that it is whole."""
    from safetensors.torch import load_file

    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size + 1
        text = stream.read(length) if length <= min(size, 100_000_000) else b""
    try:
        entries: dict[str, Any] = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        end = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{file} is named as a safetensors file, but does not begin like one: it is damaged, or another "
            "kind of file; fetch it again"
        ) from None
    if size < end:
        raise UserError(
            f"{file} is cut off: {size:,} of {end:,} bytes, so the download did not finish; fetch it again"
        )
    try:
        return dict(load_file(file))
    except Exception as error:  # safetensors raises its own type
        raise UserError(f"{file} cannot be read as safetensors: {short(error)}; fetch it again") from None


def _torch_failure(error: Exception) -> str:
    """Return in words why PyTorch could not read a file; never its advice to run code from the file."""
    text = " ".join(str(error).split())
    foreign = re.search(r"(?:GLOBAL|class|global:?) '?([\w.]+\.[\w.]+)'? was not an allowed", text)
    foreign = foreign or re.search(r"Unsupported (?:global|class)[^\w]*(?:GLOBAL )?([\w.]+)", text)
    if foreign:
        return (
            f"holds Python objects ({foreign[1]}) beside tensors: reading them would run code from the file, "
            "which raysim never does. Where it comes from a source that you trust, save its tensors alone "
            "with the program that wrote it: torch.save(model.state_dict(), 'weights.pt')"
        )
    if re.search(r"central directory|EOF|Ran out of input|truncated|PytorchStreamReader|unexpected", text):
        return "is cut off or damaged: the download did not finish; fetch it again"
    if re.search(r"load key|Unsupported operand|unpickling|magic number|opcode|persistent", text, re.I):
        return "is no weight file of PyTorch: take the file with the state dict, or the safetensors file"
    return f"cannot be read as weights of PyTorch: {short(error)}"


def _state_of(file: Path, content: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a state dict, or of the one state dict in a checkpoint."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            kind = "a single tensor" if isinstance(content, torch.Tensor) else f"a {type(content).__name__}"
            raise UserError(f"{file} holds {kind}, not the named tensors of a model (a state dict)")
        tensors = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
        nested = [key for key in STATES if isinstance(content.get(key), Mapping) and content[key]]
        if tensors and not nested:
            return tensors
        if not nested:
            break
        content = content[nested[0]]
    keys = ", ".join(str(key) for key in list(content)[:6]) or "nothing"
    raise UserError(
        f"{file} holds no state dict (its entries: {keys}): save model.state_dict(), or the whole checkpoint "
        f"with it under '{STATES[0]}'"
    )


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short(error: Exception) -> str:
    """Return the message of an error on one line, cut at 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} ..."
