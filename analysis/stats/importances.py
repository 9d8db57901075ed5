"""Importances over the trials of a search: diagnostics without verdicts.

A search samples where it expects good values, so its trials are no fair sample of the space; and importances
of a surrogate describe the surrogate. They are returned only where a random forest predicts held-out trials
well, and are never compared with a limit.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .index import Index, active_shares, bootstrap_weights, indices

MIN_R2 = 0.8  # held-out R2 of the surrogate below which no importance is returned
MIN_TRIALS = 20  # complete trials
FOLDS, TREES, SHUFFLES, RESAMPLES = 5, 60, 3, 25
SEED = 0  # of forests, folds and resampling
CAUTION = "diagnostics of an adaptive search, without verdicts: its trials are no fair sample of the space"
INACTIVE = "inactive"
Row = dict[str, Any]


@dataclass(frozen=True)
class Importances:
    """Importances by method and parameter.

    Attributes:
        columns: "fANOVA" and "PED-ANOVA" (shares of one), and "permutation" (loss of held-out R2).
        r2: R2 of the surrogate on held-out trials; None with fewer than `MIN_TRIALS` trials.
        used: Number of complete trials.
        left_out: Number of trials that are not complete, by state.
        active: Share of the used trials in which each parameter was active.
        reason: Why the importances are withheld and `columns` is empty; "" where they are not.
        caution: What the importances must not be taken for.
    """

    columns: dict[str, tuple[Index, ...]]
    r2: float | None
    used: int
    left_out: dict[str, int]
    active: dict[str, float]
    reason: str
    caution: str = CAUTION


@dataclass(frozen=True)
class _Column:
    """A parameter with a value in each of n trials; inactive is a separate value.

    For the surrogate it is `x`, [n]; for fANOVA `values`, [n], with the distribution that has a value for
    inactive; for PED-ANOVA it has the `declared` distribution where it is active.
    """

    name: str
    declared: Any
    x: np.ndarray
    distribution: Any
    values: list[Any]


def importances(rows: Sequence[Row], factors: Sequence[Row] = (), confidence: float = 0.9) -> Importances:
    """FANOVA, PED-ANOVA and permutation importance of the parameters of a search.

    A conditional parameter has the value "inactive" in trials that do not use it. This value also tells the
    surrogate the state of the switch above it, so the importance of a switch may be attributed to the
    parameters that it switches.

    Args:
        rows: Trials with `state`, `params` (as JSON) and the `objective`, of which much is good.
            Trials in other states than COMPLETE are only counted.
        factors: Ranges as in `design.factors` of run.json; parameters without an entry get the range of
            their values.
        confidence: Coverage of the bootstrap intervals over trials, in (0, 1). They show how much the numbers
            depend on the trials that were run; they show no bias.

    Returns:
        The importances, or why they are withheld.
    """
    complete = [row for row in rows if row["state"] == "COMPLETE"]
    usable = [row for row in complete if row["objective"] is not None and math.isfinite(row["objective"])]
    left_out = Counter(str(row["state"]) for row in rows if row["state"] != "COMPLETE")
    left_out["COMPLETE without a finite objective"] = len(complete) - len(usable)
    params = [json.loads(row["params"]) for row in usable]
    names = list(dict.fromkeys(name for point in params for name in point))
    found = Importances({}, None, len(usable), dict(+left_out), active_shares(params, names), "")
    if usable and not names:
        return replace(found, reason="the trials have no parameters")
    if len(usable) < MIN_TRIALS:
        return replace(found, reason=f"{len(usable)} complete trials; at least {MIN_TRIALS} are needed")
    y = np.array([float(row["objective"]) for row in usable])
    ranges = {str(factor["path"]): factor for factor in factors}
    columns = [_column(name, params, ranges.get(name)) for name in names]
    r2, losses = _surrogate(np.stack([column.x for column in columns], axis=1), y)
    if not r2 >= MIN_R2:
        poor = f"the surrogate's held-out R2 is {r2:.2f}, under {MIN_R2:g}"
        return replace(found, r2=r2, reason=f"{poor}: it does not predict the outcome well enough")
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    W = bootstrap_weights(len(y), SEED)
    variance = np.maximum(W @ y**2 - (W @ y) ** 2, 1e-300)
    resampled = {
        "PED-ANOVA": _ped_anova(columns, params, y),
        "permutation": (losses.mean(axis=0) / y.var(), (W @ losses) / variance[:, None]),
    }
    by_method = {"fANOVA": indices(names, _fanova(columns, y))} | {
        method: indices(names, value, *np.quantile(again, tails, axis=0))
        for method, (value, again) in resampled.items()
    }
    return replace(found, columns=by_method, r2=r2)


def _column(name: str, params: Sequence[Row], factor: Row | None) -> _Column:
    """Build a column; inactive is one more choice, or a number a quarter of the range below the range.

    What is declared is a range or a choice. Of a parameter that is not declared, numbers have a range.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    active = [point[name] for point in params if name in point]
    conditional = len(active) < len(params)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in active)
    if factor["kind"] == "categorical" if factor else not numbers:
        choices = list(factor["choices"]) if factor else []
        distinct = {repr(v): v for v in active}.values()  # by text, so that 1 and True stay two values
        choices += [value for value in distinct if value not in choices]
        texts = [repr(choice) for choice in choices] + [INACTIVE] * conditional
        values = [repr(point[name]) if name in point else INACTIVE for point in params]
        x = np.array([texts.index(value) for value in values], float)
        return _Column(name, CategoricalDistribution(choices), x, CategoricalDistribution(texts), values)
    low, high = (factor["low"], factor["high"]) if factor else (min(active), max(active))
    log = bool(factor["log"]) if factor else low > 0 and high / low > 20
    declared = FloatDistribution(float(low), float(high), log=log)
    scale: Callable[[float], float] = math.log if log else float
    low, high = scale(declared.low), scale(declared.high)
    below = low - 0.25 * (high - low) if conditional else low
    x = np.array([scale(float(point[name])) if name in point else below for point in params])
    widest = FloatDistribution(min(below, x.min()), max(high, x.max()))
    return _Column(name, declared, x, widest, x.tolist())


def _surrogate(X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Held-out R2 of a forest, and the rise [n, k] of each squared error when a parameter is shuffled."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    rng, k = np.random.default_rng(SEED), X.shape[1]
    errors, losses = np.empty(len(y)), np.zeros(X.shape)
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(X):
        forest = RandomForestRegressor(TREES, random_state=SEED, n_jobs=1).fit(X[train], y[train])
        errors[test] = (forest.predict(X[test]) - y[test]) ** 2
        variants = np.tile(X[test], (k, SHUFFLES, 1, 1))
        for j, shuffle in np.ndindex(k, SHUFFLES):
            variants[j, shuffle, :, j] = rng.permutation(X[:, j])[: len(test)]
        predicted = forest.predict(variants.reshape(-1, k)).reshape(k, SHUFFLES, len(test))
        losses[test] = ((predicted - y[test]) ** 2).mean(axis=1).T - errors[test][:, None]
    spread = float(((y - y.mean()) ** 2).sum())
    return (1 - float(errors.sum()) / spread if spread > 0 else math.nan), losses


def _fanova(columns: Sequence[_Column], y: np.ndarray) -> np.ndarray:
    from optuna.importance import FanovaImportanceEvaluator

    space = {column.name: column.distribution for column in columns}
    params = [{column.name: column.values[number] for column in columns} for number in range(len(y))]
    evaluator = FanovaImportanceEvaluator(n_trees=32, seed=SEED)
    return _shares(evaluator, list(space), params, [space] * len(y), y)


def _ped_anova(
    columns: Sequence[_Column], params: Sequence[Row], y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """PED-ANOVA of Optuna, [k], and over resampled trials, [n, k]; conditional parameters need version 5."""
    from optuna.importance import PedAnovaImportanceEvaluator

    declared = {column.name: column.declared for column in columns}
    spaces = [{name: declared[name] for name in point} for point in params]
    rng = np.random.default_rng(SEED)

    def evaluate(chosen: np.ndarray) -> np.ndarray:
        trials = [params[i] for i in chosen], [spaces[i] for i in chosen], y[chosen]
        return _shares(PedAnovaImportanceEvaluator(), list(declared), *trials)

    again = [evaluate(rng.integers(len(y), size=len(y))) for _ in range(RESAMPLES)]
    return evaluate(np.arange(len(y))), np.array(again)


def _shares(
    evaluator: Any, names: Sequence[str], params: Sequence[Row], spaces: Sequence[Row], y: np.ndarray
) -> np.ndarray:
    """Importances of an evaluator for a study made of these trials, as shares of one; NaN where none."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        for point, space, value in zip(params, spaces, y, strict=True):
            study.add_trial(optuna.trial.create_trial(params=point, distributions=space, value=float(value)))
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return np.array([found.get(name, math.nan) for name in names])
