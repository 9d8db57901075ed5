"""Two cases of the stress suite to their end."""

from __future__ import annotations

import json
from pathlib import Path

from raysim.engines.serial import Serial
from raysim.search.running.trial import SeedGroup
from raysim.search.running.tune import PlanSearcher
from raysim.search.spaces.record import Space
from raysim.storage.files import write_json
from raysim.storage.report import write_report
from raysim.storage.trials import TrialOutcome
from raysim.stress.plan import StressPlan
from tests.experiments import small
from tests.fakes.stress import stress_options


def test_two_cases_to_their_end(tmp_path: Path) -> None:
    """The plan's own trials, through the sweep's rows, to a page; only Ray is left out."""
    base = small(rounds=2, evaluation__every=1, task__classes=4, scenario="even", scenario__clients=4)
    fixed = {"rounds": 2, "evaluation.every": 1, "task.classes": 4, "task.shots": 8, "scenario.clients": 4}
    space = Space(name="tiny", title="Tiny.", base=base, scenarios=({},), fixed=fixed)
    plan = StressPlan([space], stress_options(cases=("disjoint", "corrupt_nan")))
    described = {
        "kind": "stress",
        "status": "running",
        "spaces": ["tiny"],
        "cases": plan.cases,
        "confidence": 0.9,
        "margin": 0.05,
        "seeds": [0, 1],
        "quick": True,
        "planned": plan.planned(),
    }
    searcher = PlanSearcher(plan, tmp_path, lambda: None, lambda: None)
    for number in range(100):
        config = searcher.suggest(str(number))
        if not isinstance(config, dict):
            break
        spec = searcher.trials[str(number)]
        outcome: TrialOutcome = {}
        try:
            group = SeedGroup(spec.experiments, tmp_path, Serial(), {}, False, 60.0)  # type: ignore[arg-type]
            while (state := group.advance()[0]) == "RUNNING":
                pass
            outcome = {
                "state": state,
                "reason": "",
                "objective": 0.5,
                "rounds": 2,
                **group.measure_columns(state),
            }
        except Exception as error:
            outcome = {"state": "FAIL", "reason": f"diverged: {error}", "objective": float("nan")}
        group.close()
        searcher.on_trial_complete(str(number), {"row": json.dumps({**outcome, "wall_seconds": 1.0})})
    assert plan.next() is None and len(plan.finished) == 14
    failed = {(r["label"], r["level"]) for r in plan.finished if r["state"] == "FAIL"}
    assert failed == {("fedrsclip", "25 %")}, "NaN breaks the mean, and the median does without it"
    write_json(tmp_path / "run.json", {**described, "status": "done"})
    page = write_report(tmp_path).read_text()
    assert "Updates that are not numbers" in page and "diverged" in page and page.count("<svg") == 2
