"""Entries of a case: what concerns a reference, sizes, deadlines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.experiment import override, to_dict, value_at
from raysim.search.spaces.files import load_space
from raysim.simulation.federation import Federation
from raysim.stress.plan import StressPlan
from tests.fakes.stress import stress_options


def test_what_does_not_concern_a_reference_is_one_experiment_at_all_levels() -> None:
    plan = StressPlan(
        [load_space("safe")], stress_options(cases=("corrupt_nan", "dropout", "participation", "noise_pairs"))
    )
    ids: dict[tuple[str | None, str], set[str]] = {}
    for spec in plan.specs():
        ids.setdefault((spec.factor, spec.label), set()).add(spec.experiments[0].id)
    several = {key for key, found in ids.items() if len(found) > 1}
    assert several == {
        ("corrupt_nan", "safe"),
        ("corrupt_nan", "safe, median"),
        ("dropout", "safe"),
        ("participation", "safe"),
        ("noise_pairs", "safe"),
        ("noise_pairs", "local_network"),
    }
    mildest = {
        next(s for s in plan.specs() if s.factor == case and s.label == "safe").experiments[0].id
        for case in ("corrupt_nan", "dropout")
    }
    assert len(mildest) == 1  # one ground


def test_a_newcomer_is_measured_beside_clients_that_trained_alone() -> None:
    plan = StressPlan([load_space("fedrsclip")], stress_options(cases=("newcomers",)))
    shares = {
        spec.label: value_at(to_dict(spec.experiments[0]), "evaluation.newcomers")
        for spec in plan.specs()
        if spec.level == "90 %"
    }
    assert shares == {"fedrsclip": 0.9, "zeroshot": 0.9, "local": 0.0}  # who trains alone is no newcomer
    newcomers = "acc_shared_newcomers"
    assert plan.cases[0]["metrics"]["fedrsclip"] == {
        "fedrsclip": newcomers,
        "zeroshot": newcomers,
        "local": "acc_personal_own",
    }


def test_deadlines_are_in_units_of_the_median_clients_work() -> None:
    plan = StressPlan([load_space("safe")], stress_options(cases=("stragglers",)))
    spec = next(s for s in plan.specs() if s.label == "safe" and s.level == "76 %")
    experiment = spec.experiments[0]
    steps = sorted(-(-len(shard) // 16) for shard in Federation.of(experiment).shards)
    assert experiment.faults.deadline == 0.5 and experiment.faults.step_seconds == pytest.approx(
        2 / (steps[7] + steps[8])
    )


def test_the_command_line_has_the_last_word_on_sizes() -> None:
    plan = StressPlan([load_space("fedrsclip", {"rounds": 2, "scenario.clients": 5})], stress_options())
    assert {(s.experiments[0].rounds, s.experiments[0].scenario.clients) for s in plan.specs()} == {(2, 5)}


def test_a_dataset_of_few_classes_is_stressed_with_those(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("forest", "river", "harbor"):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    space = load_space("fedrsclip")
    base = override(space.base, {"task.dataset": "folder", "task.path": str(tmp_path)})
    plan = StressPlan([replace(space, base=base)], stress_options(cases=("dirichlet", "one_image")))
    assert {spec.experiments[0].task.classes for spec in plan.specs()} == {3}
