"""The rule of a race: the best is dropped no more often than it says."""

from __future__ import annotations

import numpy as np

from raysim.search.racing import RaceRule, survivors


def test_a_race_drops_the_best_no_more_often_than_it_says() -> None:
    """Of four equal configurations, the one that counts as the best is dropped in at most a tenth."""
    rng = np.random.default_rng(0)
    rule, lost = RaceRule(seeds=6), 0
    for _ in range(400):
        table = rng.normal(size=(4, 6)) + rng.normal(size=6)
        lost += "0" not in survivors({str(i): dict(enumerate(row)) for i, row in enumerate(table)}, rule)
    assert lost / 400 <= rule.error
    clear = {str(i): dict(enumerate(rng.normal(size=6) * 0.01 - i)) for i in range(4)}
    assert survivors(clear, rule) == ["0"]


def test_a_seed_that_diverged_counts_as_the_worst_and_is_not_forgotten() -> None:
    """On one seed nothing is dropped; a candidate that diverges again and again is behind by a test."""
    lost, rule = float("nan"), RaceRule(candidates=2, seeds=4)
    assert survivors({"a": {0: lost}, "b": {0: 0.5}}, rule) == ["b", "a"]
    steady = {seed: 0.5 + 0.01 * seed for seed in range(4)}
    assert survivors({"a": dict.fromkeys(range(4), lost), "b": steady}, rule) == ["b"]
    once = {0: 0.9, 1: lost, 2: 0.9, 3: 0.9}  # best where it did not diverge: 0.68 with the lost seed as 0
    assert survivors({"a": once, "b": steady}, rule) == ["a", "b"]
    costs = {"a": {0: lost, 1: -10.0}, "b": {0: -30.0, 1: -20.0}}  # large is good: bytes with their sign
    assert survivors(costs, rule) == ["a", "b"], "the worst of all values, here -30"
