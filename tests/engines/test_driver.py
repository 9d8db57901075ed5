"""The driver actor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from raysim.core.types import (
    RoundRecord,
)
from raysim.simulation.rounds import Simulation
from tests.experiments import small

Run = Callable[..., Simulation]


@pytest.mark.timeout(240)
def test_the_driver_actor_yields_rounds_and_a_result(
    ray_session: None, simulate: Run, tmp_path: Path
) -> None:
    from raysim.engines.driver import run_on_ray

    experiment = small(rounds=2, resources__workers=2)
    *records, result = run_on_ray(experiment, tmp_path / "run", False, True)
    assert [record.round for record in records if isinstance(record, RoundRecord)] == [0, 1, 2]
    assert isinstance(result, dict) and 0 < result["test"]["acc_personal_own"] <= 1
    assert result["state_sha256"] == simulate(experiment).result()["state_sha256"]
    assert json.loads((tmp_path / "run/run.json").read_text())["test_opened"]
