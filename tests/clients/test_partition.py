"""Scenarios: contract over the registry, properties over random data, exact cases on paper, and what is refused."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import beta, chisquare

from raysim.clients import counts
from raysim.clients.heterogeneity import heterogeneity, partition_table
from raysim.clients.partition import (
    SCENARIOS,
    ClassesPerClient,
    Dirichlet,
    Disjoint,
    Domain,
    Even,
    LongTail,
    Quantity,
    Scenario,
)
from raysim.core.config import parse
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


def rng(seed: int = 0) -> np.random.Generator:
    return numpy_rng(seed, "partition")


def histogram(parts: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(values[part], minlength=values.max() + 1) for part in parts])


def possible(scenario: Scenario, labels: np.ndarray, attributes: np.ndarray) -> bool:
    """Whether anybody could meet the scenario, from first principles; images of a long tail are counted for equal classes only."""
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


# --- contract over the registry
# -----------------------------------------------------------------------------------------------


def test_every_scenario_is_tested_here():
    assert set(KNOBS) == set(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_contract_of_a_record(name: str):
    cls = SCENARIOS[name]
    scenario = parse(cls, {"clients": 7}, "scenario")
    assert cls.name == name
    assert scenario.label and "_" not in scenario.label
    requested = json.loads(json.dumps(scenario.requested()))
    assert requested.pop("name") == name
    assert cls.model_validate(requested) == scenario
    for field in cls.model_fields.values():
        assert field.description
        assert field.json_schema_extra["basis"] in ("paper", "relative", "computed", "guess")
    with pytest.raises(UserError, match=r"unknown key 'scenario\.client'; did you mean 'clients'\?"):
        parse(cls, {"client": 3}, "scenario")
    for wrong in (0, 100_001):
        with pytest.raises(UserError, match=rf"scenario\.clients = {wrong} is not allowed"):
            parse(cls, {"clients": wrong}, "scenario")


@pytest.mark.parametrize("name", SCENARIOS)
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


@pytest.mark.parametrize("name", SCENARIOS)
def test_seeds_matter(name: str):
    one, two = (SCENARIOS[name](clients=8).assign(UC_MERCED, FOUR_DOMAINS, rng(seed)) for seed in (0, 1))
    assert any(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", SCENARIOS)
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


# --- exact cases
# ----------------------------------------------------------------------------------------------------------------


def test_even_on_paper():
    table = counts.even(np.array([3, 3, 4]), 2, rng())
    assert sorted(table[:, 0]) == [1, 2] and table[:, 2].tolist() == [2, 2]
    assert table[:, :2].sum(axis=1).tolist() == [3, 3]  # the second odd image goes to the other client


def test_even_split_of_optimal31_over_forty_clients():
    parts = Even(clients=40).assign(np.repeat(np.arange(31), 48), np.zeros(31 * 48, dtype=np.int64), rng())
    assert {len(part) for part in parts} == {37, 38}  # METHODS 1.8: 37 images a client, 1.2 a class


def test_deal_hands_out_what_the_table_says_and_keeps_the_rest():
    labels = np.array([0, 1, 0, 1, 0])
    parts = counts.deal(labels, np.array([[1, 2], [1, 0]]), rng())
    assert histogram(parts, labels).tolist() == [[1, 2], [1, 0]]
    assert parts[0].tolist() == sorted(parts[0])
    first = {int(counts.deal(labels, np.array([[1, 0]]), rng(seed))[0][0]) for seed in range(40)}
    assert first == {0, 2, 4}  # any image of the class


@pytest.mark.parametrize(
    ("weights", "total", "low", "high", "expected"),
    [
        ([1, 1 / 2, 1 / 3], 11, [0, 0, 0], [11, 11, 11], [6, 3, 2]),
        ([5, 3, 2], 4, [0, 0, 0], [9, 9, 9], [2, 1, 1]),  # 2, 1.2, 0.8
        ([100, 1, 1], 10, [1, 1, 1], [10, 10, 10], [8, 1, 1]),
        ([100, 1, 1], 10, [1, 1, 1], [5, 10, 10], [5, 3, 2]),
        ([7, 7], 2, [1, 1], [1, 1], [1, 1]),
    ],
)
def test_apportion_on_paper(
    weights: list[float], total: int, low: list[int], high: list[int], expected: list[int]
):
    assert (
        counts.apportion(np.array(weights, dtype=float), total, np.array(low), np.array(high)).tolist()
        == expected
    )


@given(st.data())
def test_apportion_meets_sum_and_bounds(data: st.DataObject):
    size = data.draw(st.integers(1, 10))
    low = np.array(data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)))
    high = low + np.array(data.draw(st.lists(st.integers(0, 20), min_size=size, max_size=size)))
    weights = np.array(data.draw(st.lists(st.floats(1e-20, 1e6), min_size=size, max_size=size)))
    total = data.draw(st.integers(int(low.sum()), int(high.sum())))
    given_out = counts.apportion(weights, total, low, high)
    assert given_out.sum() == total and (given_out >= low).all() and (given_out <= high).all()


def test_top_up_on_paper():
    # the receiver holds class 1, so it gets class 1 although client 0 has more to spare
    assert counts.top_up(np.array([[9, 0], [0, 1], [2, 4]]), 3).tolist() == [[9, 0], [0, 3], [2, 2]]
    # an empty receiver takes the largest class of the largest client
    assert counts.top_up(np.array([[6, 1], [2, 0], [0, 0]]), 2).tolist() == [[4, 1], [2, 0], [2, 0]]


@given(
    st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(1, 5)
)
def test_top_up_moves_no_more_than_is_missing(rows: list[list[int]], floor: int):
    table = np.array(rows)
    floor = min(floor, int(table.sum()) // len(table))
    mended = counts.top_up(table, floor)
    assert (mended >= 0).all() and (mended.sum(axis=0) == table.sum(axis=0)).all()
    assert mended.sum(axis=1).min() >= floor
    missing = np.maximum(floor - table.sum(axis=1), 0).sum()
    assert np.abs(mended - table).sum() == 2 * missing


@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 10**6), st.data())
def test_owners_meets_both_degrees(clients: int, classes: int, seed: int, data: st.DataObject):
    per_client = data.draw(st.integers(1, classes))
    weights = np.random.default_rng(seed).random(classes) + 0.01
    quota = counts.apportion(
        weights, clients * per_client, np.zeros(classes, dtype=int), np.full(classes, clients)
    )
    owns = counts.owners(quota, clients, per_client, rng(seed))
    assert (owns.sum(axis=1) == per_client).all() and (owns.sum(axis=0) == quota).all()


def test_systematic_rounding_is_right_on_average():
    share = np.array([0.05, 0.15, 0.3, 0.5])
    draws = np.stack([counts.systematic(share, 7, rng(seed)) for seed in range(4000)])
    assert (draws.sum(axis=1) == 7).all()
    assert (np.abs(draws - share * 7) < 1).all()
    assert np.abs(draws.mean(axis=0) - share * 7).max() < 4 * 0.5 / np.sqrt(4000)  # four standard errors


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 9), st.integers(0, 10**6))
def test_blocks_keep_the_class_mix(totals: list[int], clients: int, seed: int):
    per_class = np.array(totals)
    sizes = np.random.default_rng(seed).multinomial(per_class.sum(), np.full(clients, 1 / clients))
    table = counts.blocks(per_class, sizes, rng(seed))
    assert (table.sum(axis=1) == sizes).all() and (table.sum(axis=0) == per_class).all()
    proportional = np.outer(sizes, per_class) / per_class.sum()
    assert (np.abs(table - proportional) <= 1 + per_class * len(totals) / per_class.sum() + 1e-9).all()


def test_quantity_on_paper():
    parts = Quantity(clients=3, beta=1.0).assign(np.repeat([0, 1], 11), np.zeros(22, dtype=np.int64), rng())
    assert [len(part) for part in parts] == [12, 6, 4]
    assert heterogeneity(parts, np.repeat([0, 1], 11), np.zeros(22, dtype=np.int64))["js_divergence"] < 0.05


@pytest.mark.parametrize(
    ("classes", "images", "imbalance", "total", "rarest"),
    [
        (38, 640, 10, 9593, 64),
        (38, 640, 20, 7829, 32),
        (38, 640, 50, 6246, 12),
        (38, 640, 100, 5404, 6),
        (45, 560, 1, 25200, 560),
        (45, 560, 10, 9922, 56),
        (45, 560, 20, 8092, 28),
        (45, 560, 50, 6440, 11),
        (45, 560, 100, 5562, 5),
    ],
)
def test_long_tail_totals_of_patternnet_and_resisc45(
    classes: int, images: int, imbalance: float, total: int, rarest: int
):
    kept = counts.long_tail(
        np.full(classes, images), imbalance, "exponential", rng()
    )  # the figures of METHODS 2.8
    assert kept.sum() == total and kept.min() == rarest and kept.max() == images


def test_long_tail_of_unequal_classes_keeps_the_ratio():
    for seed in range(20):
        kept = counts.long_tail(np.array([30, 60, 90, 120]), 3.0, "exponential", rng(seed))
        assert (kept <= [30, 60, 90, 120]).all()
        assert kept.max() / kept.min() == pytest.approx(3.0, rel=0.1)
    step = counts.long_tail(np.full(5, 50), 10.0, "step", rng())
    assert sorted(step.tolist()) == [5, 5, 50, 50, 50]


# --- distributions
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 5.0])
def test_dirichlet_of_two_clients_is_beta(alpha: float):
    edges = np.array(
        [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1.0]
    )  # bins, as images come in whole numbers
    share = [
        counts.dirichlet(np.array([100_000]), 2, alpha, 1, rng(seed))[0, 0] / 100_000 for seed in range(1000)
    ]
    expected = np.diff(beta.cdf(edges, alpha, alpha)) * len(share)
    common = expected > 5  # the usual rule for a chi-square test
    observed = np.histogram(share, edges)[0]
    groups = [np.append(counted[common], counted[~common].sum()) for counted in (observed, expected)]
    seen, due = (group[groups[1] > 0] for group in groups)
    assert chisquare(seen, due).pvalue > 0.01


def test_dirichlet_closes_full_clients():
    for seed in range(50):
        table = counts.dirichlet(np.full(10, 20), 4, 0.05, 1, rng(seed))
        assert (
            table.sum(axis=1).max() < 50 + 20
        )  # below the fair share before its last class, and a class has 20


@pytest.mark.parametrize("clients", [10, 50])
def test_smaller_alpha_is_more_skew(clients: int):
    js = [
        np.mean([heterogeneity(parts, UC_MERCED, ONE_DOMAIN)["js_divergence"] for parts in draws])
        for draws in (
            [
                Dirichlet(clients=clients, alpha=alpha).assign(UC_MERCED, ONE_DOMAIN, rng(seed))
                for seed in range(5)
            ]
            for alpha in (0.01, 0.1, 1.0, 10.0)
        )
    ]
    assert js[0] > js[1] > js[2] > js[3]
    assert js[0] - js[3] > 0.5


@pytest.mark.parametrize(("clients", "alpha"), [(50, 0.1), (20, 0.05), (50, 0.01), (50, 0.001), (134, 0.01)])
def test_uc_merced_with_ten_images_each_where_rejection_sampling_never_ends(clients: int, alpha: float):
    for seed in range(10):
        parts = Dirichlet(clients=clients, alpha=alpha, min_images=10).assign(
            UC_MERCED, ONE_DOMAIN, rng(seed)
        )
        assert min(map(len, parts)) >= 10
        assert sum(map(len, parts)) == len(UC_MERCED)


# --- refusals
# -------------------------------------------------------------------------------------------------------------------


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


def test_check_runs_without_data():
    for cls in SCENARIOS.values():
        cls(clients=40).check(1344, 21, 4)
        with pytest.raises(UserError, match=r"scenario\.clients = 41"):
            cls(clients=41).check(40, 21, 4)


@pytest.mark.parametrize(
    ("name", "knob", "value"),
    [("dirichlet", "alpha", 0), ("quantity", "beta", -1), ("long_tail", "profile", "steep")],
)
def test_values_out_of_range(name: str, knob: str, value: object):
    with pytest.raises(UserError, match=rf"scenario\.{knob} = {value!r} is not allowed"):
        parse(SCENARIOS[name], {knob: value}, "scenario")


# --- measures
# -------------------------------------------------------------------------------------------------------------------


def test_labels_for_tables():
    assert [SCENARIOS["classes_per_client"](classes=k).label for k in (1, 2)] == [
        "1 class per client",
        "2 classes per client",
    ]
    assert (
        Even().label == "even"
        and Dirichlet(alpha=0.1).label == "dirichlet alpha=0.1"
        and Disjoint().label == "disjoint classes"
    )
    assert LongTail(imbalance=50, profile="step", alpha=None).label == "long tail IR=50 step even"
    assert Domain().label == "domain per client" and Domain(alpha=0.3).label == "domain per client alpha=0.3"


def test_measures_on_paper():
    labels = np.array([0, 0, 1, 1, 1])
    achieved = heterogeneity([np.array([0, 1]), np.array([2, 3])], labels, np.array([5, 7, 5, 7, 7]))
    # JS((1, 0), (1/2, 1/2)) = H(3/4, 1/4) - 1/2 = 0.811278 - 0.5
    assert achieved == {
        "js_divergence": pytest.approx(0.3112781245),
        "js_divergence_weighted": pytest.approx(0.3112781245),
        "domain_js": pytest.approx(0.0, abs=1e-12),
        "effective_classes": pytest.approx(1.0),
        "size_gini": 0.0,
        "imbalance": 1.0,
        "clients": 2,
        "min_size": 2,
        "max_size": 2,
        "dropped_images": 1,
    }
    uneven = heterogeneity([np.array([0]), np.array([1, 2, 3])], labels, labels)
    assert uneven["size_gini"] == pytest.approx(0.25)  # (|1 - 3| + |3 - 1|) / (2 * 2 * 4)
    assert uneven["effective_classes"] == pytest.approx(
        (1 + 3 / 4 ** (1 / 3)) / 2
    )  # exp H(1/3, 2/3) = 3 / 4^(1/3)


def test_js_agrees_with_scipy():
    parts = Dirichlet(clients=30, alpha=0.3).assign(UC_MERCED, ONE_DOMAIN, rng())
    table = histogram(parts, UC_MERCED)
    reference = [jensenshannon(row, table.sum(axis=0), base=2) ** 2 for row in table]
    achieved = heterogeneity(parts, UC_MERCED, ONE_DOMAIN)
    assert achieved["js_divergence"] == pytest.approx(np.mean(reference), rel=1e-9)
    assert achieved["js_divergence_weighted"] == pytest.approx(
        np.average(reference, weights=table.sum(axis=1)), rel=1e-9
    )


def test_partition_table():
    table = partition_table(
        [np.array([2]), np.array([0, 1])], np.array([4, 5, 6]), np.array([0, 1, 0]), np.array([10, 20, 30])
    )
    assert table.to_pydict() == {
        "client": [0, 1, 1],
        "image": [30, 10, 20],
        "label": [6, 4, 5],
        "domain": [0, 0, 1],
    }
    assert [str(column.type) for column in table.columns] == ["int32", "int64", "int16", "int16"]
