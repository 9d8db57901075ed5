"""Files that are no weights, or not only weights: each is named for what it is, and no code of it runs."""

from __future__ import annotations

import argparse
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.backbones.weight_files import read_tensors
from raysim.core.errors import UserError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:60014e39\nsize 605208421\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>RemoteCLIP at main</title></head><body>..</body></html>"
DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}).encode()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"..")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pt"), io.BytesIO())
    return stream.getvalue()


def saved(content: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


STATE = {"a.weight": torch.ones(300), "b.weight": torch.zeros(300)}
OTHERS: dict[str, tuple[bytes, str]] = {
    "empty.pt": (b"", r"is empty \(0 bytes\).*fetch it again"),
    "zeros.pt": (bytes(4096), "begins with zero bytes only.*fetch it again"),
    "lfs.pt": (POINTER, r"is text, a git-lfs pointer to the weights \(605,208,421 bytes\).*git lfs pull"),
    "lfs.safetensors": (POINTER, "git-lfs pointer"),
    "page.pt": (PAGE, r"is a web page \(RemoteCLIP at main\), not weights.*/resolve/ in place of /blob/"),
    "page.safetensors": (PAGE, "is a web page"),
    "denied.bin": (DENIED, r"is a web page \(Access Denied\)"),
    "text.pt": (b"Not Found", "is text, not weights: it begins with 'Not Found'"),
    "config.bin": (b'{"model_type": "clip"}', r"is a JSON text \(a configuration\?\)"),
    "index.bin": (INDEX, r"is the index of weights in 1 parts \(model-00001-of-00002.safetensors"),
    "a.pt": (b"\x1f\x8b\x08" + bytes(range(1, 200)), "is a gzip archive: unpack it"),
    "b.pt": (tarred(), "is a tar archive: unpack it"),
    "c.bin": (zipped("SkyCLIP/epoch_20.pt", "readme"), r"zip archive of 2 files.*name SkyCLIP/epoch_20.pt"),
    "d.bin": (zipped("params.npy"), "archive of NumPy arrays"),
    "e.bin": (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file, weights of TensorFlow"),
    "f.bin": (b"GGUF" + bytes(range(99)), "is a GGUF file"),
    "g.bin": (bytes(range(128, 250)) * 9, "is no weight file of PyTorch|is cut off or damaged"),
    "h.safetensors": (bytes(range(129, 250)) * 9, "does not begin like one"),
    "cut.pt": (saved(STATE)[:900], "is cut off after 900 bytes.*fetch it again"),
    "cut_legacy.pt": (saved(STATE, legacy=True)[:600], "is cut off or damaged|is no weight file"),
    "cut.safetensors": (save(STATE)[:1000], r"is cut off: 1,000 of 2,5\d\d bytes"),
    "short.safetensors": (struct.pack("<Q", 10**6) + b"{", "does not begin like one"),
    "list.pt": (saved([1, 2]), "holds a list, not the named tensors"),
    "tensor.pt": (saved(torch.ones(2)), "holds a single tensor"),
    "numbers.pt": (saved({"epoch": 3, "loss": 0.1}), r"holds no state dict \(its entries: epoch, loss\)"),
    "module.pt": (
        saved(torch.nn.Linear(2, 2)),
        r"holds Python objects \(torch.nn.modules.linear.Linear\).*state_dict",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_is_named_for_what_it_is(name: str, tmp_path: Path) -> None:
    content, message = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} .*(?:{message})|{name} (?:{message})") as error:
        load_backbone("tiny-vit", str(tmp_path / name))
    assert "weights_only" not in str(error.value) and "\n" not in str(error.value)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code of the file ran",)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_of_a_file_runs(legacy: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bomb.pt").write_bytes(saved({"a": torch.ones(2), "x": Bomb()}, legacy))
    with pytest.raises(UserError, match=r"holds Python objects \(\S*print\).*raysim never does"):
        read_tensors(tmp_path / "bomb.pt")
    assert "code of the file ran" not in capfd.readouterr().out


@pytest.mark.parametrize("legacy", [False, True])
def test_settings_and_numbers_beside_the_tensors_are_read(legacy: bool, tmp_path: Path) -> None:
    """As open_clip's and others' training scripts save them: options, best accuracy, optimiser."""
    content = {
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(0.7),
        "epoch": 3,
        "optimizer": {"state": {}, "param_groups": []},
        "state_dict": STATE,
    }
    (tmp_path / "epoch.pt").write_bytes(saved(content, legacy))
    assert set(read_tensors(tmp_path / "epoch.pt")) == set(STATE)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_a_state_dict_is_found_in_a_checkpoint(key: str, vit: Backbone, tmp_path: Path) -> None:
    torch.save({key: vit.clip.state_dict(), "epoch": 1}, tmp_path / "epoch.pt")
    assert load_backbone("tiny-vit", str(tmp_path / "epoch.pt")).fingerprint == vit.fingerprint


def test_files_under_names_of_another_kind(vit: Backbone, tmp_path: Path) -> None:
    save_file(vit.clip.state_dict(), tmp_path / "weights.bin")
    torch.save(vit.clip.state_dict(), tmp_path / "weights.safetensors")
    for name in ("weights.bin", "weights.safetensors"):
        assert load_backbone("tiny-vit", str(tmp_path / name)).fingerprint == vit.fingerprint
