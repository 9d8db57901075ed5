"""Sensitivity indices: SALib's estimates, closed forms, intervals that cover, missing outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures.choices.indices import DesignPoints
from analysis.figures.choices.responses import table_binned
from analysis.read.results import Results
from analysis.stats import (
    MU_LIMIT,
    TOTAL_LIMIT,
    Index,
    active_shares,
    elementary_effects,
    morris_effects,
    rarely_active,
    sobol_indices,
    verdict,
)
from benchmarks import coverage, known_functions
from raysim.search.plans import designs
from raysim.search.spaces.discovery import discover
from raysim.search.spaces.factors import UnitTrial

ISHIGAMI, G, CONDITIONAL, RARE = known_functions.FUNCTIONS


def problem(k: int) -> dict[str, Any]:
    return {"num_vars": k, "names": [f"u{j}" for j in range(k)], "bounds": [[0, 1]] * k}


def run(
    known: known_functions.KnownFunction, blocks: int, seed: int = 0, second_order: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    U, _ = designs.sobol(known.k, blocks * ((2 if second_order else 1) * known.k + 2), seed, second_order)
    return U, known.f(U)


@pytest.mark.parametrize("second_order", [False, True])
def test_sobol_estimates_are_salibs(second_order: bool) -> None:
    from SALib.analyze import sobol as salib

    _, Y = run(ISHIGAMI, 40, second_order=second_order)
    theirs = salib.analyze(problem(3), Y, calc_second_order=second_order, seed=1)
    ours = sobol_indices(Y, ["a", "b", "c"], second_order)
    np.testing.assert_allclose([i.value for i in ours.first], theirs["S1"], atol=1e-12)
    np.testing.assert_allclose([i.value for i in ours.total], theirs["ST"], atol=1e-12)
    assert [i.name for i in ours.pairs] == (["a x b", "a x c", "b x c"] if second_order else [])
    if second_order:
        np.testing.assert_allclose(
            [i.value for i in ours.pairs], theirs["S2"][np.triu_indices(3, 1)], atol=1e-12
        )


@pytest.mark.parametrize("known", known_functions.FUNCTIONS, ids=lambda known: known.name)
def test_sobol_indices_converge_to_the_closed_forms(known: known_functions.KnownFunction) -> None:
    _, Y = run(known, 4000, seed=5)
    found = sobol_indices(Y, [f"u{j}" for j in range(known.k)])
    assert np.var(Y) == pytest.approx(known.variance, rel=0.03)
    np.testing.assert_allclose([i.value for i in found.first], known.first, atol=0.06)
    np.testing.assert_allclose([i.value for i in found.total], known.total, atol=0.06)


def test_pairs_of_ishigami_lie_in_their_intervals() -> None:
    answers = (0.0, ISHIGAMI.total[0] - ISHIGAMI.first[0], 0.0)
    held = np.zeros(3)
    for seed in range(40):
        _, Y = run(ISHIGAMI, 64, seed, second_order=True)
        pairs = sobol_indices(Y, ["a", "b", "c"], True, seed=seed).pairs
        held += [i.low <= answer <= i.high for i, answer in zip(pairs, answers, strict=True)]
    assert held.min() >= 32


def test_morris_effects_are_salibs_and_exact_on_a_line() -> None:
    from SALib.analyze import morris as salib

    U, _ = designs.morris(3, 80, seed=3)
    Y = ISHIGAMI.f(U)
    theirs, ours = (
        salib.analyze(problem(3), U, Y, num_levels=4, seed=1),
        morris_effects(U, Y, ["a", "b", "c"]),
    )
    for mine, key in ((ours.mu_star, "mu_star"), (ours.mu, "mu"), (ours.sigma, "sigma")):
        np.testing.assert_allclose([i.value for i in mine], np.asarray(theirs[key], float), atol=1e-9)
    np.testing.assert_allclose(
        elementary_effects(U, U @ [1.0, -2.0, 0.0]), np.tile([1.0, -2.0, 0.0], (20, 1)), atol=1e-12
    )
    with pytest.raises(ValueError, match="no trajectories"):
        elementary_effects(U[::-1] * 0.9, Y)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_one_missing_outcome_costs_its_block_and_nothing_else(hole: float) -> None:
    U, Y = run(ISHIGAMI, 64)
    Y[17] = hole
    found, without = (
        sobol_indices(Y, ["a", "b", "c"]),
        sobol_indices(np.delete(Y, range(15, 20)), ["a", "b", "c"]),
    )
    assert (found.used, found.dropped, found.reason) == (63, 1, "")
    assert found.total == without.total and min(i.value for i in found.total) > 0.1  # SALib says 0 here

    U, _ = designs.morris(3, 80, seed=3)
    Y = ISHIGAMI.f(U)
    Y[[8, 11]] = hole
    effects = morris_effects(U, Y, ["a", "b", "c"])
    kept = np.delete(U, range(8, 12), axis=0)
    assert (effects.used, effects.dropped) == (19, 1)
    assert effects.mu_star == morris_effects(kept, ISHIGAMI.f(kept), ["a", "b", "c"]).mu_star


def test_too_many_missing_outcomes_withhold_everything() -> None:
    _, Y = run(ISHIGAMI, 64)
    Y[: 5 * 7 : 5] = np.nan  # 7 of 64 blocks
    found = sobol_indices(Y, ["a", "b", "c"])
    assert (found.first, found.total, found.used, found.dropped) == (
        (),
        (),
        57,
        7,
    ) and "7 of 64 blocks" in found.reason
    U, _ = designs.morris(3, 80, seed=3)
    Y = np.where(np.arange(80) < 12, np.nan, 1.0)
    effects = morris_effects(U, Y, ["a", "b", "c"])
    assert effects.mu_star == () and effects.dropped == 3 and "3 of 20 trajectories" in effects.reason
    with pytest.raises(ValueError, match="not whole blocks"):
        sobol_indices(np.ones(11), ["a", "b", "c"])


def test_an_outcome_that_does_not_vary_says_nothing() -> None:
    assert "does not vary" in sobol_indices(np.ones(50), ["a", "b", "c"]).reason
    U, _ = designs.morris(3, 80, seed=3)
    assert {verdict(i, MU_LIMIT) for i in morris_effects(U, np.ones(80), ["a", "b", "c"]).mu_star} == {
        "undecided"
    }


def test_few_blocks_give_values_without_intervals() -> None:
    _, Y = run(ISHIGAMI, 13)
    found = sobol_indices(Y, ["a", "b", "c"])
    U, _ = designs.morris(3, 24, seed=0)
    assert {i.low for i in morris_effects(U, ISHIGAMI.f(U), ["a", "b", "c"]).mu_star} == {None}
    assert {i.low for i in (*found.first, *found.total)} == {None} and verdict(
        found.total[0], TOTAL_LIMIT
    ) == "undecided"


def test_what_was_never_seen_to_act_may_still_act() -> None:
    """The interval of a branch that no block met ends at the rate that one of twenty designs would miss."""
    for blocks, said in ((20, "undecided"), (100, "does not matter")):
        U, _ = designs.sobol(2, 4 * blocks, seed=0)
        inert = sobol_indices(U[:, 0], ["a", "inert"]).total[1]
        assert (
            inert.value == 0
            and inert.high == pytest.approx(1 - 0.05 ** (1 / blocks))
            and verdict(inert, TOTAL_LIMIT) == said
        )


def test_verdicts_follow_from_the_interval() -> None:
    assert verdict(Index("x", 0.2, 0.1, 0.3), 0.05) == "matters"
    assert verdict(Index("x", 0.02, 0.01, 0.03), 0.05) == "does not matter"
    assert verdict(Index("x", 0.2, 0.04, 0.3), 0.05) == "undecided"
    assert verdict(Index("x", 0.2), 0.05) == verdict(Index("x", 0.2, 0.2, 0.2), 0.05) == "undecided"


def test_indices_of_a_space_with_a_switch() -> None:
    """A parameter has no effect in a branch without it; the shares of active parameters are counted."""

    def space(trial: Any) -> float:
        if trial.suggest_categorical("switch", [True, False]):
            return 2 * float(trial.suggest_float("one", 0.0, 1.0))
        return float(trial.suggest_float("two", 0.3, 1.3))

    factors = discover(space)
    names = [factor.name for factor in factors]
    U, _ = designs.sobol(3, 2500 * 5, seed=2)
    trials = [UnitTrial(factors, u) for u in U]
    found = sobol_indices(np.array([space(trial) for trial in trials]), names)
    assert names == ["switch", "one", "two"]
    np.testing.assert_allclose([i.value for i in found.total], CONDITIONAL.total, atol=0.06)
    shares = active_shares([trial.params for trial in trials], names)
    assert rarely_active(0.125, 16) and not rarely_active(0.5, 16)
    assert (
        shares["switch"] == 1
        and shares["one"] == pytest.approx(0.5, abs=0.02)
        and shares["one"] + shares["two"] == 1
    )


@pytest.mark.parametrize("kind", ["sobol", "morris"])
def test_response_curves_over_blocks_cover(kind: str, tmp_path: Path) -> None:
    """Means of a quarter of u0's range, from all rows of a block: points of one block share coordinates."""
    k, blocks, repeats = 3, 24, 120
    results = Results(tmp_path, {"confidence": 0.9})
    size, make = (k + 2, designs.sobol) if kind == "sobol" else (k + 1, designs.morris)
    every = np.random.default_rng(0).random((200_000, k))
    places = (4 * every[:, 0]).astype(int)
    if kind == "morris":
        every = np.floor(4 * every) / 3
    answers = [float(ISHIGAMI.f(every)[places == place].mean()) for place in range(4)]
    covered = np.zeros(4)
    for seed in range(repeats):
        U, _ = make(k, blocks * size, seed)
        at = np.minimum(4 * U[:, 0] + 1e-9, 3).astype(int)
        params = [{"u0": int(place)} for place in at]
        y = ISHIGAMI.f(U)[:, None]
        rows = table_binned(results, [DesignPoints("s", "s", kind, ["u0"], size, params, U, y, blocks)])
        assert [row["x"] for row in rows] == [0, 1, 2, 3] and sum(row["points"] for row in rows) == len(U)
        covered += [row["low"] <= answer <= row["high"] for row, answer in zip(rows, answers, strict=True)]
    assert (covered >= 0.8 * repeats).all()


def test_intervals_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst parameter of each; 80 of 100 is 3.3 standard errors under the nominal share."""
    monkeypatch.setattr(coverage, "FUNCTIONS", (CONDITIONAL, G))
    rows = list(coverage.index_rows(100, 50, False))
    assert len(rows) == 8 and not [row for row in rows if row.value < 0.8]


def test_the_benchmark_refuses_intervals_that_do_not_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "FUNCTIONS", (CONDITIONAL,))
    narrow = lambda Y, names, **more: sobol_indices(Y, names, confidence=0.2, **more)  # noqa: E731
    monkeypatch.setattr(coverage, "sobol_indices", narrow)
    assert [row.passes for row in coverage.index_rows(30, 0, False)][:2] == [False, False]
