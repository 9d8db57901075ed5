"""Clients that exist: the record and its id, who holds which image, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from raysim.clients.given import Given, first_images, owners_of
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.data.dataset import Dataset
from raysim.data.registry import load_dataset
from raysim.data.segmentation import Cropped
from raysim.data.splits import split
from raysim.experiment import Experiment, override
from raysim.experiment.overrides import difference
from raysim.experiment.records import from_dict, to_dict
from tests.fakes.masks import tiles


def write(path: Path, rows: list[tuple[str, ...]], header: str = "file,client") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


@pytest.fixture
def dataset(miniature: Path) -> Dataset:
    """Two classes of eight images."""
    return load_dataset("folder", str(miniature))


@pytest.fixture
def table(tmp_path: Path, dataset: Dataset) -> Path:
    """Even images are of the north, odd ones of the south."""
    rows = [(path, ("North", "South")[place % 2]) for place, path in enumerate(dataset.paths())]
    return write(tmp_path / "owners.csv", rows)


def given(**changes: object) -> Experiment:
    return override(
        Experiment(), {"scenario": "given", **{f"scenario.{name}": value for name, value in changes.items()}}
    )


def test_the_content_is_part_of_the_id_and_the_place_is_not(tmp_path: Path, table: Path) -> None:
    experiment = given(file=str(table))
    copy = tmp_path / "elsewhere" / "copy.csv"
    copy.parent.mkdir()
    lines = table.read_text().splitlines()
    copy.write_text(
        "\r\n".join([lines[0].replace(",", ";"), *(line.replace(",", ";") for line in lines[:0:-1])])
    )
    assert given(file=str(copy)).id == experiment.id
    copy.write_text(table.read_text().replace("file,client", "file,sensor"))
    assert given(file=str(copy), attribute="sensor").id == experiment.id
    copy.write_text(table.read_text().replace("South", "East", 1))
    assert given(file=str(copy)).id != experiment.id
    assert given(attribute="tile").id != given(attribute="scale").id
    assert override(experiment, {"scenario.label_noise": 0.2}).id != experiment.id


def test_a_relative_path_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    monkeypatch.chdir(table.parent)
    experiment = given(file="owners.csv")
    monkeypatch.chdir("/")
    assert experiment.scenario.file == str(table)
    assert from_dict(json.loads(json.dumps(to_dict(experiment)))).scenario == experiment.scenario


def test_a_record_is_read_back_without_its_table(table: Path) -> None:
    experiment = given(file=str(table))
    values = to_dict(experiment)
    table.unlink()
    assert from_dict(values) == experiment and from_dict(values).id == experiment.id


def test_the_number_of_clients_follows(table: Path) -> None:
    base = override(Experiment(), {"scenario.clients": 7})
    assert override(base, {"scenario": "given", "scenario.file": str(table)}).scenario.clients is None
    said = r"scenario\.clients = 7: the clients follow from who holds the images; leave it out"
    for changes in (
        {"scenario": "given", "scenario.clients": 7},
        {"scenario.clients": 7, "scenario": "given"},
    ):
        with pytest.raises(UserError, match=said):
            override(Experiment(), {**changes, "scenario.file": str(table)})
    back = override(given(file=str(table)), {"scenario": "even"})
    assert back.scenario.clients == Experiment().scenario.clients


def test_another_table_is_noted_anew(tmp_path: Path, table: Path) -> None:
    experiment = given(file=str(table))
    other = write(tmp_path / "other.csv", [("forest/0.png", "a")])
    changed = override(experiment, {"scenario.file": str(other)})
    assert changed.scenario.content == given(file=str(other)).scenario.content
    assert changed.scenario.content != experiment.scenario.content
    spelled = difference(experiment, Experiment())
    assert override(Experiment(), spelled) == experiment


def test_a_table_that_says_something_else_by_now_is_refused(dataset: Dataset, table: Path) -> None:
    scenario = given(file=str(table)).scenario
    assert isinstance(scenario, Given)
    table.write_text(table.read_text().replace("South", "East", 1))
    with pytest.raises(UserError, match=r"owners\.csv' says something else than this experiment"):
        owners_of(scenario, dataset, 0)
    table.unlink()
    with pytest.raises(UserError, match="there is no such file"):
        owners_of(scenario, dataset, 0)


def test_owners_of_a_table(dataset: Dataset, table: Path) -> None:
    owners = owners_of(Given(file=str(table)), dataset, 0)
    assert owners.names == ("North", "South") and owners.parts is None and owners.drawn == ()
    assert owners.owners.tolist() == [0, 1] * 8


@pytest.mark.parametrize(
    ("words", "drawn", "counts"),
    [
        (("train", "validation", "test"), (), [8, 4, 4]),
        (("train", "test"), ("validation",), [10, 2, 4]),
        (("train", "validation"), ("test",), [10, 4, 2]),
        (("train",), ("validation", "test"), [10, 2, 4]),
    ],
)
def test_the_split_of_a_table(
    tmp_path: Path, dataset: Dataset, words: tuple[str, ...], drawn: tuple[str, ...], counts: list[int]
) -> None:
    rows = []
    for place, path in enumerate(dataset.paths()):
        word = {4: "validation", 5: "validation", 6: "test", 7: "test"}.get(place % 8, "train")
        rows.append((path, f"c{place % 2}", word if word in words else "train"))
    owners = owners_of(Given(file=str(write(tmp_path / "t.csv", rows, "file,client,split"))), dataset, 0)
    assert owners.parts is not None and owners.drawn == drawn
    assert np.bincount(owners.parts).tolist() == counts
    said = {path: {"train": 0, "validation": 1, "test": 2}[word] for path, _, word in rows}
    for path, part in zip(dataset.paths(), owners.parts, strict=True):
        assert part == said[path] or said[path] == 0  # only training images are drawn from


def test_a_table_without_training_images_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    file = write(tmp_path / "t.csv", [("forest/0.png", "a", "test")], "file,client,split")
    with pytest.raises(UserError, match="no row has the split train"):
        owners_of(Given(file=str(file)), dataset, 0)


def test_owners_by_an_attribute() -> None:
    scenes = load_dataset("scenes")
    owners = owners_of(Given(attribute="domain"), scenes, 0)
    assert set(owners.names) == set(scenes.domains) and list(owners.names) == sorted(owners.names)
    for number, name in enumerate(owners.names):
        domain = scenes.domains.index(name)
        assert np.array_equal(owners.owners == number, scenes.attributes == domain)


def test_what_nothing_says_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UserError, match=r"needs to know who holds an image: scenario\.file=TABLE.*has none"):
        owners_of(Given(), dataset, 0)
    said = r"scenario\.attribute = 'domian' is no attribute.*did you mean 'domain'.*needs scenario\.file"
    with pytest.raises(UserError, match=said):
        owners_of(Given(attribute="domian"), load_dataset("scenes"), 0)
    with pytest.raises(UserError, match=r"scenario\.file = 3 is not allowed"):
        given(file=3)
    with pytest.raises(UserError, match=r"content = 'abc' is not allowed: it needs scenario\.file=TABLE"):
        given(content="abc")


def test_squares_belong_to_the_client_and_the_split_of_their_image(tmp_path: Path) -> None:
    tiles(tmp_path)
    whole, cropped = (load_dataset("image_masks", str(tmp_path), crop=crop) for crop in (None, 2))
    assert isinstance(cropped, Cropped) and len(cropped) > len(whole)
    rows = [(name, name[:5], "train" if name[6:] > "002" else "test") for name in whole.paths()]
    file = write(tmp_path / "t.csv", rows, "file,client,split")
    for scenario in (Given(attribute="tile"), Given(file=str(file))):
        owners, squares = owners_of(scenario, whole, 0), owners_of(scenario, cropped, 0)
        assert owners.names == ("tile0", "tile1")
        assert np.array_equal(squares.owners, owners.owners[cropped.owner])
        if scenario.file is not None:
            assert owners.parts is not None and squares.parts is not None
            assert np.array_equal(squares.parts, owners.parts[cropped.owner])


def test_every_client_keeps_an_image_of_its_own() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    owners = np.array([0, 1, 2, 3, 3, 0, 3])
    for seed in range(5):
        first = first_images(labels, owners, numpy_rng(seed, "first images"))
        assert sorted(owners[first]) == [0, 1, 2, 3] and len(first) == 4
        assert np.bincount(labels[first], minlength=3).tolist() == [2, 1, 1]  # as even as the clients allow


def test_assignment_draws_nothing(dataset: Dataset) -> None:
    parts = Given().assign(dataset.labels, np.arange(16) % 3, numpy_rng(0, "partition"))
    assert [part.tolist() for part in parts] == [list(range(k, 16, 3)) for k in range(3)]


@pytest.mark.parametrize(
    ("scenario", "label"),
    [
        (Given(), "given clients"),
        (Given(attribute="tile"), "clients by tile"),
        (Given(attribute="tile", label_noise=0.2), "clients by tile, 20 % noisy labels"),
    ],
)
def test_labels(scenario: Given, label: str) -> None:
    assert scenario.label == label


def test_the_label_names_the_table(table: Path) -> None:
    assert given(file=str(table), attribute="client").scenario.label == "clients of owners.csv by client"


def test_the_frozen_split_stays_where_the_table_says_none(dataset: Dataset, table: Path) -> None:
    assert owners_of(Given(file=str(table)), dataset, 3).parts is None
    assert np.bincount(split(dataset, 3)).tolist() == [10, 2, 4]
