"""A race in a sweep, on seeds that the search never saw."""

from __future__ import annotations

from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.seeds import drawn_seeds
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow
from tests.fakes.sweeps import (
    ONE_STUDY,
    toy_options,
    toy_row,
    toy_space,
)


def test_a_race_goes_to_what_is_in_question() -> None:
    """The leader of the search is worse on other seeds, and the race shows it."""
    plan = SweepPlan([toy_space(**ONE_STUDY)], toy_options(6, race_seeds=5))
    ranks: dict[str, float] = {}
    raced: list[TrialSpec] = []

    def outcome(spec: TrialSpec) -> TrialRow:
        row = toy_row(spec)
        if spec.kind == "race":
            raced.append(spec)
            order = sorted(
                plan.studies[0].race.candidates or {},
                key=lambda label: (plan.studies[0].race.candidates or {})[label]["objective"],
            )
            ranks.update(
                {label: place / 10 for place, label in enumerate(reversed(order))}
            )  # the search's best is the worst here
            row["objective"] = ranks[spec.label] + 1e-3 * (
                spec.experiments[0].seed % 7
            )  # seeds move all alike, and each a little
            row["objective"] += 1e-4 * ((spec.experiments[0].seed + 1) * (sum(map(ord, spec.label)) + 2) % 5)
        return row

    while isinstance(spec := plan.next(), TrialSpec):
        plan.tell(spec, outcome(spec))
    study = plan.studies[0]
    best = study.best()
    assert best is not None and best["label"] == max(ranks, key=lambda label: ranks[label])
    assert {spec.experiments[0].seed for spec in raced} <= set(drawn_seeds(0, "race", 5))
    assert not any(spec.opens_test for spec in raced)
    assert len(raced) < 4 * 5, "who is behind gets no more seeds"
    [tuned] = [row for row in plan.finished if row["label"] == "fedrsclip (tuned)"]
    assert tuned["params"] == best["params"]
