"""Clients that exist: a table, folders or an attribute of the images say who holds which image.

Shapes: N images, K clients.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import field_validator, model_validator

from raysim.clients.counts import Ints
from raysim.clients.scenario import Scenario
from raysim.core.config import digest, knob, suggest
from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.image_names import natural_order
from raysim.data.owners import CLIENT, find_images, read_owners
from raysim.data.segmentation import Cropped
from raysim.data.splits import NONE, TEST, TRAIN, VALIDATION, hold_out, split

FOLLOWS = "the clients follow from who holds the images"
SOURCES = (
    "scenario.file=TABLE, a CSV or Parquet file with the columns file and client; scenario.attribute=NAME, "
    "an attribute of the dataset; or task.dataset=client_folders, whose folders are the clients"
)


class Given(Scenario):
    """Clients that exist: a table names the images of each, or the dataset knows them.

    Without `file` the dataset says who holds an image: its folders do, or the attribute that is named. Images
    for training without a client are left out, and clients without an image for training take no part. Both
    are counted in run.json. The record reads its table once, when it is made; whoever reads it later makes
    sure that it still says the same.
    """

    name: ClassVar[str] = "given"
    given: ClassVar[bool] = True

    clients: int | None = knob(  # type: ignore[assignment]
        None, f"cannot be set: {FOLLOWS}", basis="computed", source="the table, or the dataset"
    )
    file: str | None = knob(
        None,
        "table of owners, CSV or Parquet: its columns file and client, and split where it says what an image "
        "is for; without it the dataset says who holds an image",
        basis="guess",
    )
    attribute: str | None = knob(
        None,
        "column of the table that names the client (by default client); without a table, the attribute of "
        "the dataset whose values are the clients, such as tile or scale",
        basis="guess",
    )
    content: str | None = knob(
        None,
        "digest of what the table says, filled in when it is read; a table that says something else is "
        "refused",
        basis="computed",
        source="the table",
    )

    @field_validator("clients")
    @classmethod
    def check_clients(cls, value: int | None) -> None:
        """Refuse any number of clients."""
        if value is not None:
            raise ValueError(f"{FOLLOWS}; leave it out")

    @model_validator(mode="before")
    @classmethod
    def read_table(cls, values: Any) -> Any:
        """Make the table's path absolute, because workers run elsewhere, and note what the table says."""
        file = values.get("file") if isinstance(values, dict) else None
        if not isinstance(file, str) or not file:
            return values
        path, attribute = Path(file).expanduser().absolute(), values.get("attribute")
        content = values.get("content")
        if content is None and isinstance(attribute, str | None):
            content = read_owners(path, attribute or CLIENT).content
        return {**values, "file": str(path), "content": content}

    @model_validator(mode="after")
    def check_content(self) -> Self:
        """Refuse a content without a table."""
        if self.content is not None and self.file is None:
            raise ValueError(f"content = {self.content!r} is not allowed: it needs scenario.file=TABLE")
        return self

    @property
    def skew(self) -> str:
        """Short name of the distribution of the images."""
        by = f" by {self.attribute}" if self.attribute else ""
        if self.file is None:
            return f"clients{by}" if by else "given clients"
        return f"clients of {re.sub(r'[|,]', ' ', Path(self.file).name)}{by}"

    @property
    def source(self) -> Hashable:
        """What decides who holds an image and what it is for, besides the task."""
        return self.file, self.attribute, self.content

    @property
    def places(self) -> tuple[str, ...]:
        """Fields that only say where something lies, so that they are no part of an experiment's id."""
        return ("file", "attribute") if self.file is not None else ()

    def check(self, n_images: int, n_classes: int, n_domains: int) -> None:
        """Refuse nothing: the clients are as they are."""

    def assign(self, labels: Ints, attributes: Ints, rng: np.random.Generator) -> list[Ints]:
        """Return the images of each client.

        Args:
            labels: Class of each training image. [N]
            attributes: Client of each training image. [N]
            rng: Not used: nothing is drawn.

        Returns:
            For each client, in the order of their numbers, the sorted indices of its images.
        """
        order = np.argsort(attributes, kind="stable")
        _, images_K = np.unique(attributes, return_counts=True)
        return np.split(order, np.cumsum(images_K)[:-1])

    def table(self, totals_C: Ints, rng: np.random.Generator) -> Ints:
        """Never called: no table of counts is drawn."""
        raise NotImplementedError("the clients are given, so no table is drawn")


@dataclass(frozen=True)
class Owners:
    """Who holds which image of a dataset.

    Attributes:
        names: Names of the clients, in the order of people: `site 2` before `site 10`. K
        owners: Client of each image, -1 for none. [N]
        parts: 0 train, 1 validation, 2 test, -1 none, as the source says. [N]; None where it does not say
        drawn: Splits that the source does not name and that were drawn from its training images.
    """

    names: tuple[str, ...]
    owners: Ints
    parts: Ints | None
    drawn: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Sixteen hex digits of who holds which image of which split."""
        values = [self.names, self.owners.tolist(), None if self.parts is None else self.parts.tolist()]
        return digest(values, 16)


def owners_of(scenario: Given, dataset: Dataset, split_seed: int) -> Owners:
    """Find out who holds which image of a dataset.

    Args:
        scenario: Where that is said.
        dataset: Dataset of N images.
        split_seed: Seed of the splits that are not said.

    Raises:
        UserError: Nothing says it, the table says something else than before, or a row has a mistake.
    """
    if isinstance(dataset, Cropped):  # all squares of an image belong to its client and its split
        whole = owners_of(scenario, dataset.dataset, split_seed)
        parts = None if whole.parts is None else whole.parts[dataset.owner]
        return replace(whole, owners=whole.owners[dataset.owner], parts=parts)
    return (
        _by_dataset(scenario, dataset) if scenario.file is None else _by_table(scenario, dataset, split_seed)
    )


def _by_dataset(scenario: Given, dataset: Dataset) -> Owners:
    """Return the owners by an attribute of the dataset."""
    groups, attribute = dataset.groups(), scenario.attribute or CLIENT
    if attribute not in groups:
        has = f"'{dataset.name}' has {', '.join(groups)}" if groups else f"'{dataset.name}' has none"
        if scenario.attribute is None:
            raise UserError(f"scenario = 'given' needs to know who holds an image: {SOURCES} ({has})")
        raise UserError(
            f"scenario.attribute = '{attribute}' is no attribute of the dataset"
            f"{suggest(attribute, list(groups))} {has}; a column of a table needs scenario.file=TABLE "
            "beside it"
        )
    names, values = groups[attribute]
    ordered = natural_order(set(names))
    number_of = {name: number for number, name in enumerate(ordered)}
    place_of = np.array([number_of[name] for name in names], dtype=np.int64)
    return Owners(tuple(ordered), np.where(values < 0, -1, place_of[values]), None)


def _by_table(scenario: Given, dataset: Dataset, split_seed: int) -> Owners:
    """Return the owners by a table."""
    assert scenario.file is not None
    table = read_owners(Path(scenario.file), scenario.attribute or CLIENT)
    if table.content != scenario.content:
        raise UserError(
            f"scenario.file = '{scenario.file}' says something else than this experiment was made with: its "
            f"content is {table.content}, scenario.content is {scenario.content}. Put the file back as it "
            "was, or start a new experiment in another folder, without scenario.content"
        )
    rows = find_images(table, dataset.paths())
    names = natural_order({row.client for row in rows.values() if row.client})
    place_of = {name: number for number, name in enumerate(names)}
    owners = np.full(len(dataset), -1, dtype=np.int64)
    for image, row in rows.items():
        owners[image] = place_of.get(row.client, -1)
    if not table.has_splits:
        return Owners(tuple(names), owners, None)
    parts = np.full(len(dataset), NONE, dtype=np.int8)
    for image, row in rows.items():
        parts[image] = NONE if row.split is None else row.split
    parts[split(dataset, split_seed) == NONE] = NONE  # none of their pixels has a class
    if not (parts == TRAIN).any():
        raise UserError(
            f"scenario.file = '{scenario.file}': no row has the split train, so no client can train"
        )
    words = {VALIDATION: "validation", TEST: "test"}
    drawn = tuple(word for number, word in words.items() if not (parts == number).any())
    return Owners(tuple(names), owners, hold_out(dataset, parts, names, owners, split_seed), drawn)


def first_images(labels: Ints, owners: Ints, rng: np.random.Generator) -> Ints:
    """Draw one training image of each client, of as many different classes as it takes.

    Neither the server's samples nor a limit of images per class may take them, so that every client keeps
    one. The clients with the fewest classes choose first, each of its classes the one that was chosen least.

    Args:
        labels: Class of each training image. [N]
        owners: Client of each training image. [N]
        rng: Generator of the draw.

    Returns:
        Indices, one for each client, ascending. [K]
    """
    shuffled = rng.permutation(len(labels))
    cells = owners[shuffled] * (labels.max() + 1) + labels[shuffled]
    _, first = np.unique(cells, return_index=True)  # one image of each client and class
    options: dict[int, dict[int, int]] = {}
    for image in shuffled[first]:
        options.setdefault(int(owners[image]), {})[int(labels[image])] = int(image)
    chosen_C = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    images = []
    for client in sorted(options, key=lambda client: (len(options[client]), client)):
        label = min(options[client], key=lambda label: (chosen_C[label], label))
        chosen_C[label] += 1
        images.append(options[client][label])
    return np.sort(np.array(images, dtype=np.int64))
