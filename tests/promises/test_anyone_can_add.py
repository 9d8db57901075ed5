"""A method and a scenario of a user, in one file or in an installed package, run like built-in ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raysim.cli.main import main
from raysim.cli.new import write_new
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.core.types import RoundRecord
from raysim.engines.driver import run_on_ray
from raysim.engines.ray_pool import RayPool
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, Resources, override
from raysim.methods.prompts.promptfl import PromptFL
from raysim.simulation.rounds import Simulation
from raysim.storage.files import read_record
from raysim.storage.store import Store
from tests.experiments import QUICK_WORDS, small
from tests.fakes.plugin import METHOD, NETWORK, write_package, write_plugin, write_tiles

pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def digest_of(simulation: Simulation) -> str:
    """The digest of the finished run."""
    for _ in simulation.rounds():
        pass
    return str(simulation.result()["state_sha256"])


def mine() -> Experiment:
    return small(method="slow", scenario="fair", method__keep=0.3)


def test_equal_bits_on_every_engine_and_after_a_resume(tmp_path: Path, ray_session: None) -> None:
    """Ray has started before the file is loaded, as in a notebook."""
    plugins.load_plugin(write_plugin(tmp_path))
    experiment = mine()
    serial = digest_of(Simulation(experiment, Serial(), Store(tmp_path / "serial", experiment)).open())
    pool = RayPool(Resources(workers=2)).start()
    try:
        on_ray = digest_of(Simulation(experiment, pool, Store(tmp_path / "ray", experiment)).open())
    finally:
        pool.close()
    items = list(run_on_ray(experiment, tmp_path / "driver", False, False))
    rounds = Simulation(experiment, Serial(), Store(tmp_path / "stopped", experiment)).open().rounds()
    next(rounds), next(rounds)
    rounds.close()
    resumed = Simulation(experiment, Serial(), Store(tmp_path / "stopped", experiment)).open(resume=True)
    assert resumed.state.round == 1
    assert isinstance(items[-1], dict) and isinstance(items[0], RoundRecord)
    assert serial == on_ray == items[-1]["state_sha256"] == digest_of(resumed)
    other = small(method="promptfl", scenario="fair")
    assert digest_of(Simulation(other, Serial(), Store(tmp_path / "other", other)).open()) != serial


def test_another_text_is_another_run_and_no_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write_plugin(tmp_path), tmp_path / "run"
    words = ["run", *QUICK_WORDS, "method=slow", "--engine", "serial", "--quiet", "--out", str(out)]
    assert main([*words, "--plugin", str(path)]) == 0
    [entry] = read_record(out)["plugins"]
    kept = out / "plugins" / f"slow_method-{entry['digest']}.py"
    assert entry["file"] == str(path) and kept.read_text() == METHOD
    plugins.unload(path)
    os.environ[plugins.VARIABLE] = ""
    assert main([*words[:-2], "--out", str(out), "--resume"]) == 2
    assert "unknown method 'slow'" in capsys.readouterr().err
    path.write_text(METHOD.replace("1 - self.keep", "0.9 - self.keep"))
    assert main([*words, "--plugin", str(path), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "another text of the plug-in slow_method.py" in said and str(kept) in said
    path.write_text(METHOD)
    assert main([*words, "--plugin", str(path), "--resume"]) == 0


SPACE = (
    METHOD
    + """
from raysim import Experiment, override

SEEDS = 1
SCENARIOS = [{"scenario": "fair"}]
GRID = {"slow": {}, "promptfl": {"method": "promptfl"}}


def base():
    changes = {"method": "slow", "rounds": 1, "scenario.clients": 3, "task.classes": 3, "task.shots": 4}
    return override(Experiment(), changes)
"""
)


def test_a_space_file_with_a_method_of_its_own_is_swept_and_compared(tmp_path: Path) -> None:
    space, out = write_plugin(tmp_path, "my_space", SPACE), tmp_path / "sweep"
    command = [sys.executable, "-m", "raysim", "sweep", str(space), "--workers", "2", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != plugins.VARIABLE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    record = read_record(out)
    assert record["status"] == "done" and [entry["file"] for entry in record["plugins"]] == [str(space)]
    assert main(["compare", f"{out}:slow", f"{out}:promptfl"]) == 0


def test_a_package_runs_on_ray(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}"}
    digests = []
    for engine in ("serial", "ray"):
        words = ["run", *QUICK_WORDS, "method=slow", "--engine", engine, "--workers", "2", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "raysim", *words, "--out", str(tmp_path / engine)],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout.split('"state_sha256": "')[1][:64])
    assert digests[0] == digests[1]
    (known,) = read_record(tmp_path / "serial")["packages"]
    assert known["package"] == "slow-lib 1.2" and len(known["digest"]) == 12
    methods = folder / "slowlib" / "methods.py"
    methods.write_text(methods.read_text() + "# another text\n")
    resume = ["run", *QUICK_WORDS, "method=slow", "--engine", "serial", "--resume"]
    done = subprocess.run(
        [sys.executable, "-m", "raysim", *resume, "--out", str(tmp_path / "serial")],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"other code of the package slow-lib 1.2 ({known['digest']}, now slow-lib 1.2, " in done.stderr


def test_a_dataset_and_a_network_run_on_both_engines(tmp_path: Path) -> None:
    """The digests of both files are part of the id."""
    dataset, tiles = write_new("dataset", "my_tiles", tmp_path), write_tiles(tmp_path / "tiles")
    network = write_plugin(tmp_path, "net", NETWORK)
    words = ["task.dataset=my_tiles", f"task.path={tiles}", "task.image_size=32", "method=fedavg", "rounds=1"]
    words += ["method.network=two_steps", "method.width=8", "scenario.clients=3", "--json"]
    words += ["--plugin", str(dataset), "--plugin", str(network), "--workers", "2"]
    digests, ids = [], []
    for engine in ("serial", "ray"):
        out = tmp_path / engine
        command = [sys.executable, "-m", "raysim", "run", *words, "--engine", engine]
        done = subprocess.run(
            [*command, "--out", str(out)], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout.split('"state_sha256": "')[1][:64])
        ids.append(json.loads((out / "config.json").read_text())["id"])
    assert digests[0] == digests[1] and ids[0] == ids[1]
    for path in (dataset, network):
        path.write_text(path.read_text() + "# another text\n")
        changes = {"task.dataset": "my_tiles", "task.path": str(tiles), "method": "fedavg"}
        for file in (dataset, network):
            plugins.load_plugin(file)
        changes |= {"method.network": "two_steps"}
        ids.append(override(Experiment(), changes).id)
    assert len(set(ids[1:])) == 3


class Typed(PromptFL):
    """A method as a notebook's cell defines it."""

    name = "typed"


def test_a_method_of_a_notebook_s_cell_is_refused_on_ray(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Typed, "__module__", "__main__")
    experiment = small().model_copy(update={"method": Typed()})
    with pytest.raises(UserError, match=r"'typed' is defined in this script or notebook.*load_plugin"):
        next(run_on_ray(experiment, tmp_path / "run", False, False))
