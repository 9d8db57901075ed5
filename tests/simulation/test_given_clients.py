"""Runs of clients that exist: their images, splits, samples, noise and newcomers, their names, and resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from raysim.engines.ray_pool import RayPool
from raysim.experiment import Experiment, override
from raysim.simulation.device import CPU
from raysim.simulation.federation import Federation
from raysim.simulation.images import evaluation_images
from raysim.simulation.rounds import Simulation
from raysim.storage import seal
from tests.experiments import small, smallest

Run = Callable[..., Simulation]
PoolOf = Callable[[int], RayPool]
NAMES = ("Köln", "North", "site 2", "site 10")


@pytest.fixture(scope="module")
def scenes() -> Dataset:
    return load_dataset("scenes")


Table = Callable[..., str]


@pytest.fixture
def table(tmp_path: Path, scenes: Dataset) -> Table:
    """Write a table of the scenes: 17 of 20 are of Köln, and one each of the others."""

    def write(
        owner_of: Callable[[int], str] = lambda place: NAMES[max(0, place % 20 - 16)],
        split_of: Callable[[int], str] | None = None,
        name: str = "owners.csv",
    ) -> str:
        lines = ["file,client" + (",split" if split_of else "")]
        for place, path in enumerate(scenes.paths()):
            if owner := owner_of(place):
                lines.append(f"{path},{owner}" + (f",{split_of(place)}" if split_of else ""))
        file = tmp_path / name
        file.write_text("\n".join(lines))
        return str(file)

    return write


def given(file: str | None, make: Callable[..., Experiment] = small, **changes: Any) -> Experiment:
    mine = {name: value for name, value in changes.items() if name.startswith("scenario__")}
    base = make(**{name: value for name, value in changes.items() if name not in mine})
    settings = {name.replace("__", "."): value for name, value in mine.items()}
    return override(base, {"scenario": "given", "scenario.file": file, **settings})


def test_each_client_holds_its_images_that_are_for_training(scenes: Dataset, table: Table) -> None:
    federation = Federation.of(given(table(), task__shots=None))
    known = federation.images.given
    assert known is not None and known.names == NAMES and known.absent == () and known.unnamed == 0
    train = np.flatnonzero(split(scenes, 0) == 0)
    for number, shard in enumerate(federation.shards):
        assert np.array_equal(shard, [i for i in train if max(0, i % 20 - 16) == number])
    assert federation.frequencies.shape[0] == 4 and np.allclose(federation.frequencies.sum(axis=1), 1)
    assert federation.heterogeneity()["achieved"]["clients"] == 4
    other = Federation.of(given(table(), task__shots=None, seed=1))
    assert all(np.array_equal(a, b) for a, b in zip(federation.shards, other.shards, strict=True))


def test_clients_by_an_attribute_are_those_of_the_scenario_domain() -> None:
    one = Federation.of(given(None, scenario__attribute="domain", task__shots=None))
    two = Federation.of(small(scenario="domain", scenario__clients=6, task__shots=None))
    assert {tuple(shard) for shard in one.shards} == {tuple(shard) for shard in two.shards}


def test_a_limit_of_images_leaves_every_client_one(table: Table) -> None:
    def rare(place: int) -> str:
        return f"c{place}" if place < 24 else "rest"

    federation = Federation.of(given(table(rare), task__shots=2))
    assert federation.clients > 10 and min(map(len, federation.shards)) >= 1
    taken = np.concatenate(federation.shards)
    assert np.bincount(federation.images.labels[taken]).max() <= 2
    with pytest.raises(
        UserError, match=r"task\.shots = 1 is not allowed: it should be at least 3, so that each of 4"
    ):
        Federation.of(
            given(table(lambda place: f"c{place}" if place in (0, 24, 48, 72) else "rest"), task__shots=1)
        )


def test_the_server_takes_its_samples_from_clients_and_leaves_each_one(table: Table) -> None:
    def rare(place: int) -> str:
        return f"c{place}" if place < 24 else "rest"

    federation = Federation.of(given(table(rare), smallest, method="safe", task__ses=5))
    held = np.concatenate(federation.shards)
    assert len(federation.samples) and not set(held) & set(federation.samples)
    assert min(map(len, federation.shards)) >= 1
    owners = federation.images.given.owners if federation.images.given else None
    assert owners is not None and (owners[federation.samples] >= 0).all()


def test_clients_without_an_image_for_training_take_no_part(scenes: Dataset, table: Table) -> None:
    tested = int(np.flatnonzero(split(scenes, 0) == 2)[0])
    file = table(lambda place: "only test" if place == tested else ("", "a", "b")[place % 3])
    known = Federation.of(given(file)).images.given
    assert known is not None and known.names == ("a", "b") and known.absent == ("only test",)
    assert known.unnamed == sum(1 for i in np.flatnonzero(split(scenes, 0) == 0) if i % 3 == 0)
    by_class = table(lambda place: scenes.classes[scenes.labels[place]])
    federation = Federation.of(given(by_class, task__classes=4))
    assert federation.clients == 4 and federation.images.given is not None
    assert len(federation.images.given.absent) == 20
    assert federation.images.given.names == tuple(sorted(federation.images.class_names))
    nobody = table(lambda place: "one" if place == tested else "")
    with pytest.raises(UserError, match="nobody holds an image for training"):
        Federation.of(given(nobody))


def parts(place: int) -> str:
    return ("train", "train", "validation", "test")[place // 24 % 4]


def test_the_split_of_the_table_replaces_the_frozen_one(table: Table) -> None:
    federation = Federation.of(given(table(split_of=parts), task__shots=None))
    assert np.array_equal(federation.images.indices("test"), [i for i in range(8640) if parts(i) == "test"])
    assert np.array_equal(
        np.sort(np.concatenate(federation.shards)), [i for i in range(8640) if parts(i) == "train"]
    )
    labels = evaluation_images(federation.experiment, CPU, "validation")[1]
    drawn = small(task__shots=None)
    assert len(labels) == 2160 and len(evaluation_images(drawn, CPU, "validation")[1]) == 1392
    assert Federation.of(drawn).images.given is None


def test_what_a_table_calls_test_validates_nothing(simulate: Run, table: Table) -> None:
    """The same table without its test images: another content, the same training and validation."""

    def run(owner_of: Callable[[int], str]) -> Simulation:
        file = table(owner_of, parts)
        return simulate(given(file, rounds=2))

    names = {"train": "a", "validation": "a", "test": "a"}
    whole = run(lambda place: "b" if place % 5 else names[parts(place)])
    fewer = run(lambda place: "" if parts(place) == "test" and place > 4000 else ("b" if place % 5 else "a"))
    assert whole.experiment.id != fewer.experiment.id
    assert whole.result()["state_sha256"] == fewer.result()["state_sha256"]
    assert whole.result()["acc_personal_own"] == fewer.result()["acc_personal_own"]


def test_noise_newcomers_and_novel_classes_on_top(table: Table) -> None:
    noisy = Federation.of(given(table(), scenario__label_noise=0.5, scenario__noise_kind="symmetric"))
    assert noisy.heterogeneity()["achieved"]["label_noise"] == pytest.approx(0.5, abs=0.02)
    pairs = Federation.of(
        given(table(split_of=parts), scenario__label_noise=0.5, scenario__noise_kind="pairs")
    )
    assert pairs.heterogeneity()["achieved"]["label_noise"] == pytest.approx(0.5, abs=0.02)
    new = Federation.of(given(table(), evaluation__newcomers=0.5))
    assert len(new.newcomers) == 2 and len(new.trainers) == 2
    novel = Federation.of(given(table(), task__novel=4))
    assert len(novel.images.class_names) == 20 and novel.clients == 4
    with pytest.raises(UserError, match=r"evaluation\.newcomers = 0\.5 is not allowed with a single client"):
        Federation.of(given(table(lambda _: "alone"), evaluation__newcomers=0.5))


def test_architectures_need_a_client_each(table: Table) -> None:
    with pytest.raises(UserError, match="1 clients cannot be of 2 architectures"):
        Federation.of(
            given(table(lambda _: "alone"), smallest, method="fedema", method__network="cnn+resnet18")
        )


def test_a_run_says_who_its_clients_are(simulate: Run, table: Table) -> None:
    simulation = simulate(
        given(table(lambda p: NAMES[p % 4] if p % 7 else "", name="us.csv"), rounds=1, task__shots=None)
    )
    described = simulation.store.described()
    assert described["client_names"] == list(NAMES)
    owners = described["owners"]
    assert owners["source"] == "clients of us.csv" and len(owners["content"]) == 16
    assert owners["absent"] == [] and owners["unnamed_images"] > 0 and owners["drawn_splits"] == []
    assert described["experiment"]["scenario"]["content"] == simulation.experiment.scenario.content  # type: ignore[attr-defined]
    assert "scenario=given" in described["images_reasons"]
    rows = pq.read_table(simulation.store.folder / "partition.parquet").to_pylist()
    assert {(row["client"], row["client_name"]) for row in rows} == set(enumerate(NAMES))
    drawn = simulate(small(rounds=1))
    assert not {"client_names", "owners"} & drawn.store.described().keys()
    names = pq.read_table(drawn.store.folder / "partition.parquet").column_names
    assert names == ["client", "image", "label", "domain"]


def test_a_run_is_not_resumed_with_another_table(simulate: Run, table: Table, tmp_path: Path) -> None:
    first = given(table(), rounds=1)
    simulate(first, folder=tmp_path / "run")
    moved = given(table(name="the same elsewhere.csv"), rounds=1)
    again = simulate(moved, folder=tmp_path / "run", resume=True)
    assert again.experiment.id == first.id
    other = given(table(lambda place: NAMES[place % 4]), rounds=1)
    with pytest.raises(UserError, match=r"scenario\.file says something else: \w{16} then, \w{16} now"):
        simulate(other, folder=tmp_path / "run", resume=True)
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    del described[seal.KEY]
    described["owners"]["content"] = "0" * 16  # as if folders of clients had been changed since
    (tmp_path / "run" / "run.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="its run began with clients that held other images"):
        simulate(first, folder=tmp_path / "run", resume=True)


@pytest.mark.slow
def test_ray_gives_the_bits_of_the_serial_engine(simulate: Run, pool_of: PoolOf, table: Table) -> None:
    experiment = given(table(split_of=parts), rounds=2)
    serial, parallel = simulate(experiment), simulate(experiment, pool_of(2))
    assert parallel.result()["state_sha256"] == serial.result()["state_sha256"]
