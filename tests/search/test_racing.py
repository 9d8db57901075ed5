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
    assert survivors({"a": {0: float("nan")}, "b": {0: 1.0}}, rule) == ["b"]
