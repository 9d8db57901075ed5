"""The cores that a process may use, and what is a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.core.machine import check_folder, cpu_quota, usable_cores


def test_a_bound_process_counts_its_own_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysim.core.machine.cpu_quota", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores() == 2
    monkeypatch.setattr("raysim.core.machine.cpu_quota", lambda: 1)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 2),
        ({"job/cpu.max": "400000 100000", "cpu.max": "max 100000"}, 4),
        ({"job/cpu.max": "400000 100000", "cpu.max": "50000 100000"}, 1),  # the group around it has less
    ],
)
def test_the_quota_of_version_2(limits: dict[str, str], quota: int | None, tmp_path: Path) -> None:
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "membership").write_text("0::/job\n")
    assert cpu_quota(tmp_path, tmp_path / "membership") == quota


def test_the_quota_of_version_1(tmp_path: Path) -> None:
    (tmp_path / "cpu/job").mkdir(parents=True)
    (tmp_path / "cpu/job/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/job/cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "membership").write_text("4:memory:/job\n2:cpu,cpuacct:/job\n")
    assert cpu_quota(tmp_path, tmp_path / "membership") is None
    (tmp_path / "cpu/job/cpu.cfs_quota_us").write_text("250000\n")
    assert cpu_quota(tmp_path, tmp_path / "membership") == 3
    assert cpu_quota(tmp_path, tmp_path / "nothing") is None


@pytest.mark.parametrize("address", ["s3://bucket/a", Path("s3://bucket/a"), "gs://bucket", "hdfs://host/a"])
def test_an_address_in_a_bucket_is_no_folder(address: str | Path) -> None:
    with pytest.raises(UserError, match=r"^RAYSIM_CACHE .*: (s3|gs|hdfs):// addresses cannot hold it"):
        check_folder("RAYSIM_CACHE", address)


@pytest.mark.parametrize("folder", ["a", "/a:b/c", "C:/a", "results/s3", "~/a"])
def test_a_folder_is_one(folder: str) -> None:
    check_folder("RAYSIM_CACHE", folder)
