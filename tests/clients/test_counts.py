"""Tables of counts: exact cases on paper, bounds that always hold, and distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, chisquare

from raysim.clients import counts
from raysim.core.seeds import numpy_rng


def rng(seed: int = 0) -> np.random.Generator:
    return numpy_rng(seed, "partition")


def histogram(parts: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(values[part], minlength=values.max() + 1) for part in parts])


def test_even_on_paper():
    table = counts.even_table(np.array([3, 3, 4]), 2, rng())
    assert sorted(table[:, 0]) == [1, 2] and table[:, 2].tolist() == [2, 2]
    assert table[:, :2].sum(axis=1).tolist() == [3, 3]  # the second odd image goes to the other client


def test_deal_hands_out_what_the_table_says_and_keeps_the_rest():
    labels = np.array([0, 1, 0, 1, 0])
    parts = counts.deal_images(labels, np.array([[1, 2], [1, 0]]), rng())
    assert histogram(parts, labels).tolist() == [[1, 2], [1, 0]]
    assert parts[0].tolist() == sorted(parts[0])
    first = {int(counts.deal_images(labels, np.array([[1, 0]]), rng(seed))[0][0]) for seed in range(40)}
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
    owns = counts.draw_owners(quota, clients, per_client, rng(seed))
    assert (owns.sum(axis=1) == per_client).all() and (owns.sum(axis=0) == quota).all()


def test_systematic_rounding_is_right_on_average():
    share = np.array([0.05, 0.15, 0.3, 0.5])
    draws = np.stack([counts.round_systematically(share, 7, rng(seed)) for seed in range(4000)])
    assert (draws.sum(axis=1) == 7).all()
    assert (np.abs(draws - share * 7) < 1).all()
    assert np.abs(draws.mean(axis=0) - share * 7).max() < 4 * 0.5 / np.sqrt(4000)  # four standard errors


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 9), st.integers(0, 10**6))
def test_blocks_keep_the_class_mix(totals: list[int], clients: int, seed: int):
    per_class = np.array(totals)
    sizes = np.random.default_rng(seed).multinomial(per_class.sum(), np.full(clients, 1 / clients))
    table = counts.block_table(per_class, sizes, rng(seed))
    assert (table.sum(axis=1) == sizes).all() and (table.sum(axis=0) == per_class).all()
    proportional = np.outer(sizes, per_class) / per_class.sum()
    assert (np.abs(table - proportional) <= 1 + per_class * len(totals) / per_class.sum() + 1e-9).all()


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
    kept = counts.long_tail_totals(
        np.full(classes, images), imbalance, "exponential", rng()
    )  # the figures of METHODS 2.8
    assert kept.sum() == total and kept.min() == rarest and kept.max() == images


def test_long_tail_of_unequal_classes_keeps_the_ratio():
    for seed in range(20):
        kept = counts.long_tail_totals(np.array([30, 60, 90, 120]), 3.0, "exponential", rng(seed))
        assert (kept <= [30, 60, 90, 120]).all()
        assert kept.max() / kept.min() == pytest.approx(3.0, rel=0.1)
    step = counts.long_tail_totals(np.full(5, 50), 10.0, "step", rng())
    assert sorted(step.tolist()) == [5, 5, 50, 50, 50]


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 5.0])
def test_dirichlet_of_two_clients_is_beta(alpha: float):
    edges = np.array(
        [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1.0]
    )  # bins, as images come in whole numbers
    share = [
        counts.dirichlet_table(np.array([100_000]), 2, alpha, 1, rng(seed))[0, 0] / 100_000
        for seed in range(1000)
    ]
    expected = np.diff(beta.cdf(edges, alpha, alpha)) * len(share)
    common = expected > 5  # the usual rule for a chi-square test
    observed = np.histogram(share, edges)[0]
    groups = [np.append(counted[common], counted[~common].sum()) for counted in (observed, expected)]
    seen, due = (group[groups[1] > 0] for group in groups)
    assert chisquare(seen, due).pvalue > 0.01


def test_dirichlet_closes_full_clients():
    for seed in range(50):
        table = counts.dirichlet_table(np.full(10, 20), 4, 0.05, 1, rng(seed))
        assert (
            table.sum(axis=1).max() < 50 + 20
        )  # below the fair share before its last class, and a class has 20
