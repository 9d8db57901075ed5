"""Assignments of the scenarios: properties over random data, exact cases, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysim.clients.heterogeneity import heterogeneity
from raysim.clients.partition import (
    SCENARIOS,
    ClassesPerClient,
    Dirichlet,
    Disjoint,
    Domain,
    Even,
    LongTail,
    Quantity,
)
from raysim.clients.scenario import Scenario
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng

UC_MERCED = np.repeat(np.arange(21), 64)


ONE_DOMAIN = np.zeros(len(UC_MERCED), dtype=np.int64)


FOUR_DOMAINS = np.arange(len(UC_MERCED)) % 4


KNOBS = {
    "even": st.just({}),
    "dirichlet": st.fixed_dictionaries(
        {"alpha": st.sampled_from([0.001, 0.01, 0.1, 1.0, 100.0, 1e6]), "min_images": st.integers(1, 4)}
    ),
    "classes_per_client": st.fixed_dictionaries({"classes": st.integers(1, 9)}),
    "disjoint": st.just({}),
    "quantity": st.fixed_dictionaries(
        {"beta": st.sampled_from([0.0, 0.5, 1.0, 5.0]), "min_images": st.integers(1, 4)}
    ),
    "long_tail": st.fixed_dictionaries(
        {
            "imbalance": st.sampled_from([1.0, 2.0, 10.0]),
            "profile": st.sampled_from(["exponential", "step"]),
            "alpha": st.sampled_from([None, 0.001, 1.0]),
            "min_images": st.integers(1, 3),
        }
    ),
    "domain": st.fixed_dictionaries(
        {"alpha": st.sampled_from([None, 0.001, 1.0]), "min_images": st.integers(1, 3)}
    ),
}


DRAWN = [name for name, kind in SCENARIOS.items() if not kind.given]  # the others: test_given.py


def rng(seed: int = 0) -> np.random.Generator:
    return numpy_rng(seed, "partition")


def histogram(parts: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(values[part], minlength=values.max() + 1) for part in parts])


def possible(scenario: Scenario, labels: np.ndarray, attributes: np.ndarray) -> bool:
    """Whether the scenario is possible, from first principles; a long tail for equal classes only."""
    per_class = np.unique(labels, return_counts=True)[1]
    floor = getattr(scenario, "min_images", 1)
    images = len(labels)
    if isinstance(scenario, LongTail):
        weights = [scenario.imbalance ** -(i / max(len(per_class) - 1, 1)) for i in range(len(per_class))]
        if scenario.profile == "step":
            weights = [
                1.0 if i < (len(per_class) + 1) // 2 else 1 / scenario.imbalance
                for i in range(len(per_class))
            ]
        kept = [int(per_class[0] * weight + 1e-6) for weight in weights]
        if min(kept) < 1 or (scenario.imbalance > 1 and len(per_class) == 1):
            return False
        images = sum(kept)
    if isinstance(scenario, ClassesPerClient):
        return scenario.clients * scenario.classes <= np.minimum(per_class, scenario.clients).sum()
    if isinstance(scenario, Domain):
        per_domain = np.unique(attributes, return_counts=True)[1]
        room = per_domain // floor
        return len(per_domain) > 1 and room.min() >= 1 and len(per_domain) <= scenario.clients <= room.sum()
    return scenario.clients * floor <= images


@st.composite
def worlds(draw: st.DrawFn, name: str) -> tuple[Scenario, np.ndarray, np.ndarray, int]:
    """A scenario and data for it: unequal classes and domains with gaps in their numbers, in random order."""
    n_classes = draw(st.integers(1, 8))
    sizes = (
        [draw(st.integers(1, 40))] * n_classes
        if name == "long_tail"
        else draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    )
    seed = draw(st.integers(0, 2**32 - 1))
    shuffle = np.random.default_rng(seed)
    labels = shuffle.permutation(np.repeat(3 * np.arange(len(sizes)) + 1, sizes))
    attributes = 2 * shuffle.integers(0, draw(st.integers(1, 5)), len(labels))
    clients = draw(st.one_of(st.integers(1, 12), st.integers(1, len(labels) + 2)))
    return SCENARIOS[name](clients=clients, **draw(KNOBS[name])), labels, attributes, seed


def test_every_scenario_is_tested_here():
    assert set(KNOBS) == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_partition_or_a_justified_refusal(name: str):
    @settings(max_examples=150, deadline=2000)
    @given(worlds(name))
    def check(world: tuple[Scenario, np.ndarray, np.ndarray, int]) -> None:
        scenario, labels, attributes, seed = world
        try:
            parts = scenario.assign(labels, attributes, rng(seed))
        except UserError as error:
            assert not possible(scenario, labels, attributes), str(error)
            assert str(error).startswith("scenario")
            return
        assert possible(scenario, labels, attributes)
        assert len(parts) == scenario.clients
        assert min(len(part) for part in parts) >= getattr(scenario, "min_images", 1)
        for part in parts:
            assert part.dtype == np.int64 and (np.diff(part) > 0).all()
        handed = np.concatenate(parts)
        assert len(np.unique(handed)) == len(handed) and handed.min() >= 0 and handed.max() < len(labels)
        uncovered = isinstance(scenario, ClassesPerClient) and scenario.clients * scenario.classes < len(
            np.unique(labels)
        )
        if not uncovered and not isinstance(scenario, LongTail):
            assert len(handed) == len(labels)
        achieved = heterogeneity(parts, labels, attributes)
        assert achieved["dropped_images"] == len(labels) - len(handed)
        again = scenario.assign(labels, attributes, rng(seed))
        assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))
        check_character(scenario, parts, labels, attributes)

    check()


def check_character(
    scenario: Scenario, parts: list[np.ndarray], labels: np.ndarray, attributes: np.ndarray
) -> None:
    """What makes a scenario this scenario."""
    label_KC = histogram(parts, labels)
    if isinstance(scenario, Even):
        assert np.ptp(label_KC, axis=0).max() <= 1 and np.ptp(label_KC.sum(axis=1)) <= 1
    if isinstance(scenario, ClassesPerClient):
        assert ((label_KC > 0).sum(axis=1) == scenario.classes).all()
        for label in np.unique(labels):
            held = label_KC[label_KC[:, label] > 0, label]
            assert held.sum() in (0, (labels == label).sum())
            assert len(held) == 0 or np.ptp(held) <= 1
        covered = (label_KC.sum(axis=0) > 0).sum()
        assert covered == min(len(np.unique(labels)), scenario.clients * scenario.classes)
    if isinstance(scenario, Disjoint):
        owned = label_KC > 0
        overlap = owned.astype(int) @ owned.T.astype(int) > 0
        groups = {
            tuple(row) for row in overlap
        }  # an equivalence: clients of one group see one another and nobody else
        assert len(groups) == min(scenario.clients, len(np.unique(labels)))
        assert sum(sum(row) for row in groups) == scenario.clients
    if isinstance(scenario, Quantity):
        assert (np.diff(label_KC.sum(axis=1)) <= 0).all()
    if isinstance(scenario, LongTail):
        kept = label_KC.sum(axis=0)[np.unique(labels)]
        assert kept.max() == (labels == labels[0]).sum()
        assert kept.min() == int(kept.max() / scenario.imbalance + 1e-9) or len(kept) == 1
    if isinstance(scenario, Domain):
        domain_KD = histogram(parts, attributes)
        assert ((domain_KD > 0).sum(axis=1) == 1).all()
        assert (domain_KD.sum(axis=0)[np.unique(attributes)] > 0).all()


@pytest.mark.parametrize("name", DRAWN)
def test_seeds_matter(name: str):
    one, two = (SCENARIOS[name](clients=8).assign(UC_MERCED, FOUR_DOMAINS, rng(seed)) for seed in (0, 1))
    assert any(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", DRAWN)
def test_ten_thousand_clients_take_less_than_two_seconds(name: str):
    labels = np.repeat(np.arange(45), 560)
    attributes = np.arange(len(labels)) % 4
    knobs = {"alpha": 0.001} if name == "dirichlet" else {"imbalance": 1.5} if name == "long_tail" else {}
    scenario = SCENARIOS[name](clients=10_000, **knobs)
    start = time.process_time()
    parts = scenario.assign(labels, attributes, rng())
    heterogeneity(parts, labels, attributes)
    assert time.process_time() - start < 2.0
    assert len(parts) == 10_000 and min(map(len, parts)) >= 1


def test_even_split_of_optimal31_over_forty_clients():
    parts = Even(clients=40).assign(np.repeat(np.arange(31), 48), np.zeros(31 * 48, dtype=np.int64), rng())
    assert {len(part) for part in parts} == {37, 38}  # METHODS 1.8: 37 images a client, 1.2 a class


def test_quantity_on_paper():
    parts = Quantity(clients=3, beta=1.0).assign(np.repeat([0, 1], 11), np.zeros(22, dtype=np.int64), rng())
    assert [len(part) for part in parts] == [12, 6, 4]
    assert heterogeneity(parts, np.repeat([0, 1], 11), np.zeros(22, dtype=np.int64))["js_divergence"] < 0.05


@pytest.mark.parametrize(("clients", "alpha"), [(50, 0.1), (20, 0.05), (50, 0.01), (50, 0.001), (134, 0.01)])
def test_uc_merced_with_ten_images_each_where_rejection_sampling_never_ends(clients: int, alpha: float):
    for seed in range(10):
        parts = Dirichlet(clients=clients, alpha=alpha, min_images=10).assign(
            UC_MERCED, ONE_DOMAIN, rng(seed)
        )
        assert min(map(len, parts)) >= 10
        assert sum(map(len, parts)) == len(UC_MERCED)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (Even(clients=1345), r"scenario\.clients = 1345 is not allowed: it should be at most 1344"),
        (
            Dirichlet(clients=50, min_images=27),
            r"scenario\.min_images = 27 is not allowed: it should be at most 26",
        ),
        (
            ClassesPerClient(clients=4, classes=22),
            r"scenario\.classes = 22 is not allowed: it should be at most 21",
        ),
        (
            ClassesPerClient(clients=500, classes=3),
            r"scenario\.classes = 3 is not allowed: it should be at most 2",
        ),
        (Quantity(clients=2000), r"scenario\.clients = 2000 is not allowed"),
        (
            LongTail(clients=10, imbalance=65),
            r"scenario\.imbalance = 65 is not allowed: it should be at most 64",
        ),
        (
            LongTail(clients=600, imbalance=10),
            r"scenario\.clients = 600 is not allowed: it should be at most 529, the images that are left",
        ),
        (
            LongTail(clients=100, imbalance=10, min_images=6),
            r"scenario\.min_images = 6 is not allowed: it should be at most 5",
        ),
        (
            Domain(clients=3),
            r"scenario\.clients = 3 is not allowed: it should be at least 4, one for each domain",
        ),
        (
            Domain(clients=4, min_images=337),
            r"scenario\.min_images = 337 is not allowed: it should be at most 336",
        ),
    ],
)
def test_the_impossible_is_refused_with_what_is_possible(scenario: Scenario, message: str):
    with pytest.raises(UserError, match=message):
        scenario.assign(UC_MERCED, FOUR_DOMAINS, rng())


def test_a_single_domain_is_refused_naming_datasets_with_domains():
    with pytest.raises(UserError, match=r"single domain.*scenes, rsscn7.*ucmerced\+rsscn7"):
        Domain(clients=4).check(1344, 21, 1)
