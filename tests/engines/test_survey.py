"""The facts of the nodes of a cluster, and what must be equal. `test_places` asks two real nodes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from raysim.engines import facts, survey

NODE: dict[str, Any] = {
    "python": "3.12.1", "ray": "2.60.0", "torch": "2.14", "raysim": "0.1.0", "source": "aa", "data": "",
    "problem": "",
}  # fmt: skip


def test_nodes_that_differ_are_named() -> None:
    nodes = [{**NODE, "address": f"10.0.0.{number}"} for number in range(3)]
    assert survey.differences(nodes) == []
    nodes[1] |= {"torch": "2.13", "data": "bb"}
    nodes[2] = {"address": "10.0.0.2", "problem": "no answer within 120 s"}
    assert survey.differences(nodes) == [
        "10.0.0.2: no answer within 120 s",
        "torch: 2.14 on 10.0.0.0; 2.13 on 10.0.0.1",
        "files in RAYSIM_DATA (names and sizes): not set on 10.0.0.0; bb on 10.0.0.1",
    ]


def test_the_digest_of_data_sees_names_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.png").write_bytes(b"12")
    first = facts.names_digest([tmp_path])
    (tmp_path / "a/x.png").write_bytes(b"123")
    assert facts.names_digest([tmp_path]) != first != facts.names_digest([tmp_path, tmp_path])
    assert facts.names_digest([tmp_path, tmp_path / "none"]) == "missing"


def test_a_token_that_others_can_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    assert facts.token_words() == f"{token} is missing"
    token.touch(0o600)
    assert facts.token_words() == f"{token}, yours alone"
    token.chmod(0o644)
    assert facts.token_words() == f"{token}, readable by others (644): chmod 600"
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert facts.token_words().startswith("not asked for")


def test_addresses_are_read_from_the_kernels_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("", 0)) as everywhere:
        names = {
            f"socket:[{Path(f'/proc/self/fd/{s.fileno()}').readlink().name[8:-1]}]"
            for s in (here, everywhere)
        }
        monkeypatch.setattr(facts, "ray_sockets", lambda: names)
        assert facts.listening() == ["127.0.0.1", "all addresses"]
    assert facts.readable("0300C80A") == "10.200.0.3"
