"""Launch lines of cluster.yaml and docs/cluster*: options against Ray's own parsers, scripts with stand-ins.

A stand-in writes down how it was called. `make cluster-test` runs the lines on two real hosts.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from ray.dashboard.modules.job.cli import job_cli_group
from ray.scripts.scripts import cli

from raysim.cli.main import _parser
from raysim.cli.options import COMMANDS
from raysim.core.config import parse_assignment
from raysim.experiment import Experiment, override

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "cluster"
TEXTS = [ROOT / "cluster.yaml", ROOT / "docs" / "cluster.md", *DOCS.iterdir()]
LINE = re.compile(
    r"^(?:#   |    |  )?(ray (?:up|exec|attach|rsync-down|dashboard|down|job submit) .*)$", re.M
)
STAND_IN = '#!/bin/bash\necho "$(basename "$0") $* [${RAY_ADDRESS:-}]" >> "$LOG"\n'


def lines() -> list[str]:
    """Return the lines that begin with `ray`, without their comments."""
    texts = [path.read_text().replace("\\\n", " ") for path in TEXTS]
    found = [line for text in texts for line in LINE.findall(text)]
    return [part for line in found for part in line.split(";  ")]


def in_it(words: list[str]) -> str:
    """Return the command that a line runs on the head; empty where it runs none."""
    if words[1] == "exec":
        return words[-1]
    return shlex.join(words[words.index("--") + 1 :]) if "--" in words else ""


def check_raysim(command: str) -> None:
    """Check that a raysim command, with settings of the environment before it, can be parsed."""
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    assert words.pop(0) == "raysim"
    arguments = _parser(words[0], COMMANDS[words[0]]).parse_intermixed_args(words[1:])
    settings = dict(parse_assignment(word) for word in getattr(arguments, "words", ()) if "=" in word)
    override(Experiment(), settings)


@pytest.mark.parametrize("line", lines())
def test_rays_own_parser_takes_every_line(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(line, comments=True)
    group, name, rest = (
        (job_cli_group, words[2], words[3:]) if words[1] == "job" else (cli, words[1], words[2:])
    )
    command = group.get_command(click.Context(group), name)
    assert command is not None
    command.make_context(name, list(rest))  # raises at an unknown option or a file that is not there
    if "raysim " in (inner := in_it(words)):
        check_raysim(inner)
        asks = "--address" in words  # `ray job submit` sets RAY_ADDRESS for the command
        assert asks or inner.startswith("RAY_ADDRESS=auto "), "it would start a Ray of its own on the head"


def test_there_are_lines() -> None:
    kinds = {shlex.split(line, comments=True)[1] for line in lines()}
    assert kinds == {"up", "exec", "attach", "rsync-down", "dashboard", "down", "job"}


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment whose programs write down how they are called, into `log`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("ray", "raysim", "sleep"):
        (programs / name).write_text(STAND_IN)
    (programs / "scontrol").write_text("#!/bin/bash\nprintf 'node1\\nnode2\\nnode3\\n'\n")
    # srun runs the command here, without its own options; a host has two addresses
    (programs / "srun").write_text(
        '#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\n'
        'if [ "$1" = hostname ]; then echo "10.0.0.7 172.17.0.1"; else "$@"; fi\n'
    )  # fmt: skip
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "raysim-env/bin").mkdir(parents=True)
    (tmp_path / "raysim-env/bin/activate").touch()
    return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "LOG": str(tmp_path / "log")}


def called(command: list[str], environment: dict[str, str]) -> list[str]:
    """Run a command; return the calls of the stand-ins."""
    log = Path(environment["LOG"])
    log.unlink(missing_ok=True)
    # the pipe ends with the last process of the script's, also those in its background
    subprocess.run(
        command, env=environment, cwd=environment["HOME"], check=True, timeout=60, stdout=subprocess.PIPE
    )
    return sorted(log.read_text().splitlines())


def test_the_slurm_script_starts_ray_and_goes_on_when_it_is_submitted_again(machine: dict[str, str]) -> None:
    home = Path(machine["HOME"])
    job = {
        "SLURM_SUBMIT_DIR": str(home), "SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_CPUS_PER_TASK": "8", "SLURM_NNODES": "3",
    }  # fmt: skip
    command = ["bash", str(DOCS / "slurm.sh"), "fedrsclip", "--trials", "2"]
    calls = called(command, machine | job)
    started = [call for call in calls if call.startswith("ray start")]
    assert started == [
        "ray start --address=10.0.0.7:20042 --disable-usage-stats --num-cpus=8 --block [10.0.0.7:20042]",
        "ray start --head --node-ip-address=10.0.0.7 --port=20042 --disable-usage-stats --num-cpus=8 --block "
        "[10.0.0.7:20042]",
    ]
    sweep = f"raysim sweep fedrsclip --trials 2 --out {home}/results/slurm-42"
    assert f"{sweep} [10.0.0.7:20042]" in calls
    (home / "results/slurm-42").mkdir(parents=True)
    (home / "results/slurm-42/run.json").touch()
    again = called(command, machine | job | {"OUT": f"{home}/results/slurm-42"})
    assert f"{sweep} --resume [10.0.0.7:20042]" in again
    for call in (*started, sweep.replace(str(home), "~")):
        check_call(call)


def check_call(call: str) -> None:
    """Check a call of a stand-in with the parser of the real program."""
    words = shlex.split(call.split(" [")[0])
    if words[0] == "ray":
        command = cli.get_command(click.Context(cli), words[1])
        assert command is not None
        command.make_context(words[1], words[2:])
    else:
        check_raysim(shlex.join(words))


@pytest.mark.parametrize("rank", ["0", "1"])
def test_the_sky_file_runs_the_sweep_on_its_first_node(rank: str, machine: dict[str, str]) -> None:
    bucket = f" {machine['HOME']}/bucket/"
    run = yaml.safe_load((DOCS / "sky.yaml").read_text())["run"].replace(" /results/", bucket)
    (Path(machine["HOME"]) / "bucket").mkdir()
    (Path(machine["HOME"]) / "results").mkdir()
    nodes = {"SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8", "SKYPILOT_NODE_RANK": rank}
    calls = [call for call in called(["bash", "-c", run], machine | nodes) if not call.startswith("sleep")]
    for call in calls:
        check_call(call)
    if rank == "1":
        assert calls == ["ray start --address=10.0.0.7:6379 --disable-usage-stats --block []"]
    else:
        assert any(call.startswith("raysim sweep fedrsclip") and call.endswith("[auto]") for call in calls)
        assert "ray start --head --port=6379 --node-ip-address=10.0.0.7 --disable-usage-stats []" in calls


def test_the_job_of_kubernetes_goes_on_when_it_is_started_again(machine: dict[str, str]) -> None:
    job: dict[str, Any] = yaml.safe_load((DOCS / "rayjob.yaml").read_text())
    entrypoint = job["spec"]["entrypoint"].replace("/results/", f"{machine['HOME']}/results/")
    [call] = called(["bash", "-c", entrypoint], machine)
    assert call.startswith("raysim sweep") and call.endswith("[auto]") and "--resume" not in call
    check_call(call)
    (Path(machine["HOME"]) / "results/sweep").mkdir(parents=True)
    (Path(machine["HOME"]) / "results/sweep/run.json").touch()
    assert "--resume" in called(["bash", "-c", entrypoint], machine)[0]
