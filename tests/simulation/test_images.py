"""The images of a task, and what is frozen about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.overhead import overhead_seconds
from raysim.cli.new import write_new
from raysim.core import plugins, warm
from raysim.experiment import Experiment
from raysim.simulation.datasets import dataset_of, refresh
from raysim.simulation.device import CPU
from raysim.simulation.federation import Federation
from raysim.simulation.images import contents_of, frozen_of, images_of
from raysim.simulation.rounds import Simulation
from tests.experiments import small, smallest
from tests.fakes.plugin import write_tiles
from tests.fakes.rasters import class_folders, colours, put, saved

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


def folder_of(path: Path, **changes: object) -> Experiment:
    """An experiment on a folder of class folders, as pixels."""
    where = {"task__dataset": "folder", "task__path": str(path), "task__classes": None, "scenario": "even"}
    return smallest("fedavg", **where, **changes)


def test_images_that_change_are_seen_by_the_next_run(tmp_path: Path) -> None:
    warm.clear()
    experiment = folder_of(class_folders(tmp_path / "tiles"))
    [before] = contents_of([experiment.task])
    assert frozen_of(experiment, CPU).x.shape[0] == len(images_of(experiment).labels) == 12
    refresh()
    assert warm.sizes()["datasets"] == warm.sizes()["features"] == 1, "nothing changed: all stays warm"
    put(tmp_path / "tiles/forest/999.png", saved(Image.fromarray(colours(seed=7)), "PNG"))
    refresh()
    assert frozen_of(experiment, CPU).x.shape[0] == len(images_of(experiment).labels) == 13
    [added] = contents_of([experiment.task])
    assert added["images"] == 13 and added["fingerprint"] != before["fingerprint"]
    old = np.array(frozen_of(experiment, CPU).x[12])
    put(tmp_path / "tiles/forest/999.png", saved(Image.fromarray(colours(seed=8)), "PNG"))
    refresh()
    assert contents_of([experiment.task])[0]["fingerprint"] != added["fingerprint"]
    assert (np.array(frozen_of(experiment, CPU).x[12]) != old).any()
    views = folder_of(tmp_path / "tiles", task__views=2)
    assert (frozen_of(views, CPU).x[:, 0] == frozen_of(experiment, CPU).x[:, 0]).all()


def test_another_folder_of_data_is_searched_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.clear()
    dataset_of(folder_of(class_folders(tmp_path / "tiles")).task)
    refresh()
    assert warm.sizes()["datasets"] == 1
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    refresh()
    assert warm.sizes()["datasets"] == 0


@pytest.mark.usefixtures("no_plugin_stays")
def test_a_dataset_that_cannot_tell_is_opened_for_every_run(tmp_path: Path) -> None:
    write_new("dataset", "tiles_of_mine", tmp_path)
    plugins.load_plugin(tmp_path / "tiles_of_mine.py")
    folder = write_tiles(tmp_path / "tiles")
    task = folder_of(folder).task.replace(dataset="tiles_of_mine")
    assert len(dataset_of(task)) == 36
    shutil.copy(folder / "forest_000.png", folder / "forest_999.png")
    refresh()
    assert len(dataset_of(task)) == 37
