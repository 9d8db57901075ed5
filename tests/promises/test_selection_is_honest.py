"""The searcher sees validation only, and the test split is opened for chosen configurations on fresh seeds.

The opening is an explicit act that is logged. A rival is tuned with as many trials as the method, or called
untuned, and the optimism gap is shown.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from raysim.core import warm
from raysim.core.types import SPLITS
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from raysim.engines.serial import Serial
from raysim.experiment import Experiment
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.running.trial import SeedGroup
from raysim.search.trial_spec import TrialSpec
from raysim.simulation.rounds import Simulation
from tests.experiments import small
from tests.fakes.sweeps import ONE_STUDY, toy_options, toy_row, toy_space
from tests.sweep_commands import FinishedSweep, trial_rows

Run = Callable[..., Simulation]
ACCURACIES = [f"acc_{scope}_{split_}" for scope in ("shared", "personal") for split_ in ("own", "global")]


def rival_sample(trial: Any) -> dict[str, Any]:
    return {"training.lr": trial.suggest_float("training.lr", 0.001, 0.1, log=True)}


def searched(plan: SweepPlan, test_values: Sequence[float] | None = None) -> list[TrialSpec]:
    """Run a plan to its end, with such accuracies on the test split, and return its trials."""
    specs = []
    while isinstance(spec := plan.next(), TrialSpec):
        specs.append(spec)
        row = toy_row(spec)
        if test_values is not None:
            value = [test_values[spec.number % len(test_values)]] * len(spec.experiments)
            row.update({f"test_{name}": value for name in ACCURACIES})  # type: ignore[typeddict-item]
        plan.tell(spec, row)
    return specs


def described(folder: Path, experiment: Experiment) -> dict[str, Any]:
    return dict(json.loads((folder / "runs" / experiment.id / "run.json").read_text()))


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_accuracies_on_the_test_split_change_no_search(sampler: str) -> None:
    """Rows with whatever test accuracies: the same trials, the same winner, the same confirmations."""
    options = toy_options(6, race_seeds=3, contrasts=True, slots=1, sampler=sampler)
    keys = []
    for values in (None, [0.0], [1.0, 0.0, 0.5], list(np.linspace(1, 0, 50))):
        keys.append([spec.key for spec in searched(SweepPlan([toy_space()], options), values)])
    assert all(each == keys[0] for each in keys)


def test_images_of_the_test_split_change_no_training_and_no_validation(
    miniature: Path, simulate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same folder of images twice; in the second one those of the test split are all the same picture."""
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))
    dataset = load_dataset("folder", str(miniature))
    paths = sorted(miniature.rglob("*.png"))
    assert len(paths) == len(dataset)
    parts = split(dataset, small().task.split_seed)
    poisoned = shutil.copytree(miniature, tmp_path / "poisoned")
    test_paths = [path for path, part in zip(paths, parts, strict=True) if part == SPLITS["test"]]
    assert 0 < len(test_paths) < len(paths) // 2
    for path in test_paths:
        shutil.copy(test_paths[0], poisoned / path.relative_to(miniature))
    runs = []
    for folder in (miniature, poisoned):
        task = {"task__dataset": "folder", "task__path": str(folder), "task__shots": None}
        runs.append(simulate(small(**task, scenario="even", scenario__clients=2, rounds=2)))
    first, second = (run.result() for run in runs)
    names = ["state_sha256", *ACCURACIES, "worst_client_accuracy"]
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    assert runs[0].history == runs[1].history
    frozen = [run.engine.worker(run.experiment_text).frozen.x[parts == SPLITS["test"]] for run in runs]  # type: ignore[attr-defined]
    assert not np.array_equal(frozen[0], frozen[1]), "the pictures were others indeed"
    warm.clear()


def test_a_trial_of_the_search_leaves_the_test_split_closed(tmp_path: Path) -> None:
    """The plan says which trials open it, and only these have test accuracies and a log of the opening."""
    base = small(rounds=1, evaluation__every=1, task__classes=4, scenario__clients=3)
    plan = SweepPlan([toy_space(**{**ONE_STUDY, "base": base})], toy_options(1, race_seeds=2, contrasts=True))
    opened: dict[str, set[str]] = {"search": set(), "confirm": set()}
    while isinstance(spec := plan.next(), TrialSpec):
        group = SeedGroup(spec.experiments, tmp_path, Serial(), {}, spec.opens_test)
        while (state := group.advance()[0]) == "RUNNING":
            pass
        numbers = group.measure_columns(state)
        group.close()
        record = described(tmp_path, spec.experiments[0])
        assert bool(record.get("test_opened")) == (record["test"] is not None) == spec.opens_test
        assert all((numbers.get(f"test_{name}") is not None) == spec.opens_test for name in ACCURACIES)
        opened["confirm" if spec.opens_test else "search"].add(spec.experiments[0].id)
        plan.tell(spec, toy_row(spec))
    assert opened["search"] and opened["confirm"] and not opened["search"] & opened["confirm"]
    rounds = ds.dataset(tmp_path / "tables/rounds").to_table().to_pylist()
    assert {row["run"] for row in rounds if row["split"] == "test"} == opened["confirm"]


def test_every_opening_is_logged(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(rounds=1), folder=tmp_path / "run")
    assert not simulation.store.described().get("test_opened")
    for times in (1, 2):
        simulation.open_test()
        assert len(simulation.store.described()["test_opened"]) == times


def test_chosen_configurations_meet_fresh_seeds() -> None:
    specs = searched(SweepPlan([toy_space()], toy_options(4, race_seeds=3, contrasts=True, seeds=2)))
    closed, opened = (
        {experiment.seed for spec in specs if spec.opens_test == opens for experiment in spec.experiments}
        for opens in (False, True)
    )
    assert len(opened) == 2 and not closed & opened
    assert {spec.kind for spec in specs if spec.opens_test} == {"confirm", "transfer"}


@pytest.mark.parametrize("trials", [2, 5])
def test_a_rival_is_tuned_with_as_many_trials_or_called_untuned(trials: int) -> None:
    space = toy_space(
        scenarios=({"scenario": "even"},),
        rivals={"promptfl": {"method": "promptfl"}, "zeroshot": {"method": "zeroshot"}},
        rival_spaces={"promptfl": rival_sample},
    )
    plan = SweepPlan([space], toy_options(trials, contrasts=True))
    specs = searched(plan)
    tried = {
        study: sum(spec.study == study and spec.kind in ("contrast", "search") for spec in specs)
        for study in ("toy | even", "toy promptfl | even")
    }
    assert tried["toy | even"] == tried["toy promptfl | even"] == trials + 3  # the anchor and two contrasts
    labels = {spec.label for spec in specs if spec.kind == "confirm"}
    assert {"fedrsclip (tuned)", "promptfl (tuned)", "zeroshot (untuned)"} <= labels


def test_a_rival_with_fewer_trials_is_not_called_tuned() -> None:
    """The search of the rival is cut short: it must not pass for tuned, and says how much it was."""
    space = toy_space(
        scenarios=({"scenario": "even"},),
        rivals={"promptfl": {"method": "promptfl"}},
        rival_spaces={"promptfl": rival_sample},
    )
    plan = SweepPlan([space], toy_options(5, contrasts=True, slots=1))
    [rival] = [study for study in plan.studies if study.is_rival]
    specs = []
    while isinstance(spec := plan.next(), TrialSpec):
        specs.append(spec)
        plan.tell(spec, toy_row(spec))
        rival.is_closed |= rival.asked > 0  # as if its time were over after one batch
    assert 0 < sum(spec.study == rival.name for spec in specs) < 8
    labels = {spec.label for spec in specs if spec.kind == "confirm"}
    assert "promptfl (best of 4 trials)" in labels and "promptfl (tuned)" not in labels


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_sweep_opens_the_test_split_for_its_confirmations_only(finished_sweep: FinishedSweep) -> None:
    out, rows = finished_sweep.folder, trial_rows(finished_sweep.folder)
    assert all(
        (row["test_acc_personal_own"] is not None) == (row["kind"] in ("confirm", "transfer")) for row in rows
    )
    confirmed = {run for row in rows if row["kind"] in ("confirm", "transfer") for run in row["runs"]}
    for run in {run for row in rows for run in row["runs"]}:
        record = json.loads((out / "runs" / run / "run.json").read_text())
        assert (record["test"] is not None) == bool(record.get("test_opened")) == (run in confirmed)
    selection, fresh = (
        {seed for row in rows if (row["runs"][0] in confirmed) == chosen for seed in row["seeds"]}
        for chosen in (False, True)
    )
    assert selection and fresh and not selection & fresh
    page = (out / "report/index.html").read_text()
    assert '<figure id="optimism"' in page and "the searcher saw validation only" in page
