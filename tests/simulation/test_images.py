"""The images of a task, and what is frozen about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from benchmarks.overhead import overhead_seconds
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from tests.experiments import small

Run = Callable[..., Simulation]


def test_some_classes_only(simulate: Run, tmp_path: Path) -> None:
    """Six evenly spaced classes: nothing of the others is trained on, measured or offered as an answer."""
    whole, some = Federation.of(small()).images, Federation.of(small(task__classes=6, scenario="even")).images
    assert some.class_names == tuple(whole.class_names[index] for index in (0, 5, 9, 14, 18, 23))
    kept = np.isin(whole.labels, [0, 5, 9, 14, 18, 23])
    assert (some.parts[kept] == whole.parts[kept]).all() and (some.parts[~kept] == -1).all()
    simulate(small(task__classes=6, scenario="even", rounds=1), folder=tmp_path / "run")
    partition = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    assert {row["label"] for row in partition} == set(range(6)) and len(partition) == 6 * 8
    classes = ds.dataset(tmp_path / "run/tables/classes").to_table().to_pylist()
    assert {row["class_name"] for row in classes} == set(some.class_names)


def test_what_a_trial_costs_beyond_its_rounds() -> None:
    two_slots = [(0.0, 10.0, 9.0), (0.5, 11.0, 9.0), (10.1, 12.0, 1.5), (11.2, 14.0, 2.0)]
    assert overhead_seconds(two_slots, 2) == pytest.approx([0.5, 1.0])
