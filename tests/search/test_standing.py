"""Which trials a resumed or extended sweep takes over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from raysim.core.types import Row
from raysim.search.plan import Plan
from raysim.search.racing import Race
from raysim.search.spec import Spec
from raysim.search.standing import standing
from raysim.search.sweep import as_started
from raysim.search.tune import _put_aside
from tests.search.test_plan import answer, drive, space
from tests.search.test_samplers import ONE, options, rows_of, wider

PASSING, LASTING = "OutOfMemoryError: 3 GB", "diverged: loss is NaN in round 3"


def row(kind: str, label: str, finished: float, reason: str | None = None, **more: Any) -> Row:
    state = "COMPLETE" if reason is None else "FAIL"
    return {
        "key": f"{kind} {label} {more.get('seeds')}",
        "study": "toy | even",
        "kind": kind,
        "label": label,
        "state": state,
        "reason": reason or "",
        "finished": finished,
        "trial": int(finished),
        "space": "s" if kind == "search" else "",
        "seeds": [0],
        **more,
    }


@pytest.mark.parametrize(
    ("failed", "others", "stands"),
    [
        (row("search", "tpe 1", 1, LASTING), [], True),
        (row("search", "tpe 1", 1, PASSING), [], False),
        (row("search", "tpe 1", 1, PASSING), [row("search", "tpe 2", 9)], False),  # of its own batch
        (row("search", "tpe 1", 1, PASSING), [row("search", "tpe 4", 9)], True),
        (
            row("search", "tpe 1", 1, PASSING),
            [row("search", "tpe 4", 9, PASSING)],
            False,
        ),  # neither chose anything that is kept
        (row("search", "tpe 1", 1, PASSING), [row("search", "tpe 4", 9, study="toy | other")], False),
        (
            row("search", "training.lr=0.1", 1, PASSING, space=""),
            [row("search", "training.lr=0.2", 9, space="")],
            False,
        ),  # declared
        (row("contrast", "anchor", 1, PASSING), [row("contrast", "a=1", 9)], False),
        (row("contrast", "anchor", 1, PASSING), [row("search", "tpe 0", 9)], True),
        (row("rival", "fedavg", 1, PASSING), [row("search", "tpe 0", 9), row("confirm", "tuned", 10)], False),
        (row("search", "tpe 1", 1, PASSING), [row("race", "tpe 0", 9)], True),
        (
            row("search", "tpe 9", 9, PASSING),
            [row("race", "tpe 0", 1)],
            False,
        ),  # the race was before the extension
        (row("race", "tpe 0", 1, PASSING, seeds=[500]), [row("race", "tpe 1", 9, seeds=[500])], False),
        (row("race", "tpe 0", 1, PASSING, seeds=[500]), [row("race", "tpe 1", 9, seeds=[501])], True),
        (row("confirm", "tuned", 1, PASSING), [row("confirm", "untuned", 9)], False),
    ],
)
def test_a_passing_failure_stands_where_others_were_chosen_by_it(
    failed: Row, others: list[Row], stands: bool
) -> None:
    assert (failed in standing([failed, *others])) == stands


def test_stages_of_an_extension_are_batches_of_their_own() -> None:
    failed, next_ = row("search", "tpe 4", 1, PASSING), row("search", "tpe 5", 9)
    assert failed not in standing([failed, next_])
    assert failed in standing([failed, next_], {"toy | even": (5, 8)})


def test_of_a_trial_that_was_run_again_the_later_row_counts(tmp_path: Path) -> None:
    failed, again = row("search", "tpe 1", 1, PASSING, trial=24), row("search", "tpe 1", 5, trial=20)
    chosen = row("search", "tpe 4", 9)
    assert standing([again, failed, chosen]) == [chosen, again]
    trials = tmp_path / "tables" / "trials"
    trials.mkdir(parents=True)
    for one in (failed, again):
        (trials / f"{one['trial']:06d}-{one['key']}.parquet").touch()
    _put_aside(tmp_path, type("Finished", (), {"finished": [again]}))
    assert [path.name[:6] for path in trials.iterdir()] == ["000020"]
    assert [path.name[:6] for path in (tmp_path / "tables/superseded").iterdir()] == ["000024"]


def test_a_resume_knows_what_trials_took_before_it_decides_what_fits() -> None:
    """The anchor took long, for processes had to start; what came after it did not."""
    whole = drive(Plan([space()], options(0, contrasts=True)))
    stored = {
        spec.key: {**answer(spec), "wall_seconds": 100.0 if spec.label == "anchor" else 2.0}
        for spec in whole[:6]
    }
    resumed = Plan(
        [space()], options(None, minutes=10.0, contrasts=True, race=Race(seeds=0)), stored, clock=lambda: 0.0
    )
    resumed.continue_from(300.0)
    while isinstance(spec := resumed.next(), Spec) and spec.key in stored:
        resumed.tell(spec, stored[spec.key])
    assert isinstance(spec, Spec) and spec.key == whole[6].key and resumed.dropped == 0


def test_a_widened_search_knows_the_contrasts() -> None:
    one = {"scenarios": ONE["scenarios"], "rivals": {}}
    first = Plan([space(**one)], options(4, contrasts=True))
    drive(first)
    plan = Plan(
        [space(**{**one, "sample": wider})],
        options(4, contrasts=True, extended={"toy | even": (4, 6)}),
        rows_of(first),
    )
    drive(plan)
    complete = [
        trial for trial in plan.studies[0]._study.trials if trial.state == optuna.trial.TrialState.COMPLETE
    ]
    assert len(complete) == 6 + 2, "the searched and the two contrasts that lie inside the space"


def test_an_extension_is_laid_out_before_anything_is_stored() -> None:
    assert Plan([space(**ONE)], options(4, extend=3)).studies, "as --dry-run does"


def test_a_resume_keeps_to_the_limits_of_the_start(tmp_path: Path) -> None:
    assert as_started(tmp_path, options(None, minutes=8.0)).minutes == 8.0
    (tmp_path / "run.json").write_text(json.dumps({"trials": 20, "minutes": None}))
    resumed = as_started(tmp_path, options(None, minutes=8.0))
    assert (resumed.trials, resumed.minutes) == (20, None)
