"""cluster.yaml against Ray's own schema and validator. Nothing is launched."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from packaging.requirements import Requirement
from ray._private.authentication.authentication_token_setup import _get_default_token_path
from ray.autoscaler._private.commands import _NODE_PROVIDERS
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster.yaml").read_text()
VARIANTS = {"aws": TEXT, "local": "\n".join(re.findall(r"^#\| ?(.*)$", TEXT, flags=re.M))}
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
COMMANDS = (
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)


@pytest.fixture(params=VARIANTS)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load(VARIANTS[request.param])


@pytest.fixture
def aws() -> dict[str, Any]:
    return yaml.safe_load(VARIANTS["aws"])


def test_ray_accepts_it(config: dict[str, Any]):
    prepared = prepare_config(config)
    validate_config(prepared)  # the schema and Ray's own rules, as `ray up` calls it
    assert prepared["provider"]["type"] in _NODE_PROVIDERS
    assert (
        sum(kind["max_workers"] for kind in prepared["available_node_types"].values())
        >= prepared["max_workers"]
        > 0
    )
    assert prepared["head_setup_commands"][: len(config["setup_commands"])] == config["setup_commands"]


def test_the_file_itself_keeps_the_schema(aws: dict[str, Any]):
    jsonschema.validate(aws, SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="idle_timeout"):
        jsonschema.validate({**aws, "idle_timeout": 3}, SCHEMA)


def test_the_sed_command_in_the_file_gives_the_variant_tested_here():
    command = next(
        line.removeprefix("#   ").split(" > ")[0] for line in TEXT.splitlines() if line.startswith("#   sed ")
    )
    cut = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(cut) == yaml.safe_load(VARIANTS["local"])
    assert yaml.safe_load(cut)["provider"].keys() == {"type", "head_ip", "worker_ips"}


def test_all_nodes_get_the_token_and_ask_for_it(config: dict[str, Any], tmp_path: Path):
    token = "~/" + str(_get_default_token_path().relative_to(Path.home()))
    assert config["file_mounts"][token] == token  # file_mounts go to the head and to every worker
    environment = next(command for command in config["setup_commands"] if "RAY_AUTH_MODE" in command)
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    (tmp_path / ".bashrc").touch()
    for _ in range(2):  # `ray up` runs it again
        subprocess.run(["bash", "-c", environment], env=home, check=True)
    assert (tmp_path / ".bashrc").read_text() == ". ~/.raysim_env\n"
    shown = subprocess.run(
        ["bash", "-c", ". ~/.bashrc; env"], env=home, capture_output=True, text=True, check=True
    ).stdout
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert values["RAY_AUTH_MODE"] == "token"
    assert values["RAY_AUTH_TOKEN_PATH"] == token.replace("~", str(tmp_path))
    assert (
        values["RAYSIM_DATA"] == f"{tmp_path}/raysim-data"
        and values["RAYSIM_CACHE"] == f"{tmp_path}/raysim-cache"
    )
    assert values["PATH"].startswith(f"{tmp_path}/raysim-env/bin:")
    for command in [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]:
        assert command.startswith(". ~/.raysim_env;")
    assert not re.search(r"RAY_AUTH_TOKEN\b(?!_PATH)", TEXT)  # the secret itself never stands in the file


def test_ray_refuses_a_node_without_its_token_file(tmp_path: Path):
    call = (
        "from ray._private.authentication.authentication_token_setup import "
        "ensure_token_if_auth_enabled as ensure; ensure(None, False)"
    )
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": f"{tmp_path}/.ray/auth_token",
    }
    missing = subprocess.run(
        [sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=False
    )
    assert missing.returncode != 0 and "token" in missing.stderr.splitlines()[-1].lower()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0123456789abcdef0123456789abcdef")
    subprocess.run([sys.executable, "-c", call], env=environment, check=True)


def test_workers_are_spot_gpus_that_scale_and_the_head_is_neither(aws: dict[str, Any]):
    types = dict(aws["available_node_types"])
    head = types.pop(aws["head_node_type"])
    assert "GPU" not in head["resources"] and "InstanceMarketOptions" not in head["node_config"]
    assert types
    for worker in types.values():
        assert worker["resources"]["GPU"] >= 1 and worker["resources"]["CPU"] >= 1
        assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
        assert worker["node_config"]["ImageId"] == head["node_config"]["ImageId"]
        assert 0 <= worker["min_workers"] < worker["max_workers"] <= aws["max_workers"]
    assert 0 < aws["idle_timeout_minutes"] <= 30


def test_the_head_starts_the_autoscaler_and_workers_find_the_head(config: dict[str, Any]):
    head = config["head_start_ray_commands"][-1]
    assert "ray start --head" in head and "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    assert "ray start --address=$RAY_HEAD_IP:6379" in config["worker_start_ray_commands"][-1]


def test_mounts_hold_what_pip_needs_and_nothing_heavy(config: dict[str, Any]):
    project = {
        remote: local for remote, local in config["file_mounts"].items() if remote.startswith("~/raysim/")
    }
    assert all(remote == f"~/raysim/{local}" and (ROOT / local).exists() for remote, local in project.items())
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", settings["project"]["readme"], *settings["project"]["license-files"]}
    assert needed | set(wheel["only-include"]) <= set(project.values())
    assert {"**/.git", "**/.venv", "**/results"} <= set(config["rsync_exclude"])


def test_one_ray_version_inside_the_projects_bounds(config: dict[str, Any]):
    assert len(set(re.findall(r'"ray\[.*?\]==(.*?)"', TEXT))) == 1
    pins = [
        re.findall(r'"ray\[.*?\]==(.*?)"', command)
        for key in ("head_setup_commands", "worker_setup_commands")
        for command in config[key]
    ]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = next(
        Requirement(text) for text in settings["project"]["dependencies"] if Requirement(text).name == "ray"
    )
    found = [pin for per_command in pins for pin in per_command]
    assert len(found) == 2 and all(wanted.specifier.contains(pin) for pin in found)


def test_workers_install_what_the_head_installed(config: dict[str, Any]):
    (lock,) = config["cluster_synced_files"]
    assert any(
        command.endswith(f"pip freeze --exclude raysim > {lock}") for command in config["head_setup_commands"]
    )
    assert f"-c {lock}" in config["worker_setup_commands"][0]


def test_other_ways_in_are_what_their_tools_read():
    folder = ROOT / "docs" / "cluster"
    subprocess.run(["bash", "-n", folder / "slurm.sh"], check=True)
    sky = yaml.safe_load((folder / "sky.yaml").read_text())
    for script in (sky["setup"], sky["run"]):
        subprocess.run(["bash", "-n", "-c", script], check=True)
    job = yaml.safe_load((folder / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    [workers] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert "nvidia.com/gpu" in workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    pins = set(re.findall(r'"ray\[.*?\]==(.*?)"', TEXT))
    assert {job["spec"]["rayClusterSpec"]["rayVersion"]} == pins


def test_commands_are_shell(config: dict[str, Any]):
    for command in [command for key in COMMANDS for command in config[key]]:
        subprocess.run(["bash", "-n", "-c", command], check=True)
