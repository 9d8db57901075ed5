"""Importances over the trials of a search: diagnostics without verdicts.

A search samples where it expects good values, so its trials are no fair sample of the space; and importances
of a surrogate describe the surrogate. They are returned only where a random forest predicts held-out trials
well, and are never compared with a limit.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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


def importances(
    rows: Sequence[Mapping[str, Any]],
    factors: Sequence[Mapping[str, Any]] = (),
    confidence: float = 0.9,
) -> Importances:
    """FANOVA, PED-ANOVA and permutation importance of the parameters of a search.

    A conditional parameter has the value "inactive" in trials that do not use it. This value also tells the
    surrogate the state of the switch above it, so the importance of a switch may be attributed to the
    parameters that it switches.

    Args:
        rows: Trials with `state`, `params` (a dict, or its JSON) and the `objective`, of which much is good.
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
    params = [
        dict(json.loads(row["params"]) if isinstance(row["params"], str) else row["params"]) for row in usable
    ]
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
    by_method = {
        "fANOVA": indices(names, _fanova(columns, y)),
        "PED-ANOVA": _ped_anova(columns, params, y, confidence),
        "permutation": _permutation(names, losses, y, confidence),
    }
    return replace(found, columns=by_method, r2=r2)


def _distribution(values: Sequence[Any], factor: Mapping[str, Any] | None) -> Any:
    """Distribution of a parameter, by its declared range or its values: numbers a range, else a choice."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if factor is not None and factor["kind"] != "categorical":
        return FloatDistribution(float(factor["low"]), float(factor["high"]), log=bool(factor["log"]))
    if factor is None and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        low, high = float(min(values)), float(max(values))
        return FloatDistribution(low, high, log=low > 0 and high / low > 20)
    choices = list(factor["choices"]) if factor is not None else []
    distinct = {repr(v): v for v in values}.values()  # by text, so that 1 and True stay two values
    return CategoricalDistribution(choices + [value for value in distinct if value not in choices])


def _column(name: str, params: Sequence[Mapping[str, Any]], factor: Mapping[str, Any] | None) -> _Column:
    """Build a column; inactive is one more choice, or a number a quarter of the range below the range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    active = [point[name] for point in params if name in point]
    declared, conditional = _distribution(active, factor), len(active) < len(params)
    if isinstance(declared, CategoricalDistribution):
        choices = [repr(choice) for choice in declared.choices] + [INACTIVE] * conditional
        values = [repr(point[name]) if name in point else INACTIVE for point in params]
        x = np.array([choices.index(value) for value in values], float)
        return _Column(name, declared, x, CategoricalDistribution(choices), values)
    scale: Callable[[float], float] = math.log if declared.log else float
    low, high = scale(declared.low), scale(declared.high)
    below = low - 0.25 * (high - low) if conditional else low
    x = np.array([scale(float(point[name])) if name in point else below for point in params])
    widest = FloatDistribution(min(below, x.min()), max(high, x.max()))
    return _Column(name, declared, x, widest, x.tolist())


def _surrogate(X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Held-out R2 of a forest, and the rise [n, k] of each squared error when a parameter is shuffled."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    rng = np.random.default_rng(SEED)
    errors, losses = np.empty(len(y)), np.zeros(X.shape)
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(X):
        forest = RandomForestRegressor(TREES, random_state=SEED, n_jobs=1).fit(X[train], y[train])
        errors[test] = (forest.predict(X[test]) - y[test]) ** 2
        variants = []
        for j in range(X.shape[1]):
            for _ in range(SHUFFLES):
                other = X[test].copy()
                other[:, j] = rng.permutation(X[:, j])[: len(test)]
                variants.append(other)
        predicted = forest.predict(np.concatenate(variants)).reshape(X.shape[1], SHUFFLES, len(test))
        losses[test] = ((predicted - y[test]) ** 2).mean(axis=1).T - errors[test][:, None]
    spread = float(((y - y.mean()) ** 2).sum())
    return (1 - float(errors.sum()) / spread if spread > 0 else math.nan), losses


def _permutation(
    names: Sequence[str], losses: np.ndarray, y: np.ndarray, confidence: float
) -> tuple[Index, ...]:
    W = bootstrap_weights(len(y), SEED)
    variance = W @ y**2 - (W @ y) ** 2
    again = (W @ losses) / np.maximum(variance, 1e-300)[:, None]
    return _with_percentiles(names, losses.mean(axis=0) / y.var(), again, confidence)


def _with_percentiles(
    names: Sequence[str], value: np.ndarray, again: np.ndarray, confidence: float
) -> tuple[Index, ...]:
    return indices(names, value, *np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0))


def _fanova(columns: Sequence[_Column], y: np.ndarray) -> np.ndarray:
    from optuna.importance import FanovaImportanceEvaluator

    space = {column.name: column.distribution for column in columns}
    params = [{column.name: column.values[number] for column in columns} for number in range(len(y))]
    evaluator = FanovaImportanceEvaluator(n_trees=32, seed=SEED)
    return _shares(evaluator, list(space), params, [space] * len(y), y)


def _ped_anova(
    columns: Sequence[_Column], params: Sequence[dict[str, Any]], y: np.ndarray, confidence: float
) -> tuple[Index, ...]:
    """PED-ANOVA of Optuna, which handles conditional parameters (from version 5; NaN for them before)."""
    from optuna.importance import PedAnovaImportanceEvaluator

    declared = {column.name: column.declared for column in columns}
    spaces = [{name: declared[name] for name in point} for point in params]
    rng, names = np.random.default_rng(SEED), list(declared)

    def evaluate(chosen: np.ndarray) -> np.ndarray:
        trials = [params[i] for i in chosen], [spaces[i] for i in chosen], y[chosen]
        return _shares(PedAnovaImportanceEvaluator(), names, *trials)

    value = evaluate(np.arange(len(y)))
    again = np.array([evaluate(rng.integers(len(y), size=len(y))) for _ in range(RESAMPLES)])
    return _with_percentiles(names, value, again, confidence)


def _shares(
    evaluator: Any,
    names: Sequence[str],
    params: Sequence[dict[str, Any]],
    spaces: Sequence[dict[str, Any]],
    y: np.ndarray,
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
