"""The plan of a sweep, without Ray: order, honesty, pruning, determinism, time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.core.types import Row
from raysim.experiment import to_dict
from raysim.search.plan import Plan
from raysim.search.spaces import Space, check_figures, load_space, names
from raysim.search.spec import BATCH, Options, Spec
from raysim.search.study import FRESH
from tests.experiments import small


def sample(trial: Any) -> dict[str, Any]:
    return {
        "method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True),
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4]),
    }


def space(**changes: Any) -> Space:
    fields: dict[str, Any] = {
        "scenarios": ({"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}),
        "contrasts": {"method.lam": (0.1,), "method.w_dpa": (0.0,)},
        "sample": sample,
        "rivals": {"zeroshot": {"method": "zeroshot"}},
    }
    return Space("toy", "Toy.", small(rounds=20, evaluation__every=5), **{**fields, **changes})


def value(spec: Spec) -> float:
    """A made-up outcome: best at lam = 0.05."""
    lam = to_dict(spec.experiments[0])["method"].get("lam", 0.02)
    return 0.8 - 0.1 * abs(np.log(lam / 0.05))


def answer(spec: Spec, state: str = "COMPLETE") -> Row:
    curve = [[5, value(spec) - 0.1], [10, value(spec) - 0.05], [20, value(spec)]]
    return {
        "key": spec.key,
        "study": spec.study,
        "state": state,
        "objective": value(spec),
        "curve": json.dumps(curve),
        "kind": spec.kind,
        "label": spec.label,
        "params": json.dumps(dict(spec.params)),
        "wall_seconds": 10.0,
        "trial": spec.number,
        "space": spec.space,
        "seeds": [experiment.seed for experiment in spec.experiments],
        "bytes_up": to_dict(spec.experiments[0])["method"].get("h", 4) * 100,
    }


def drive(plan: Plan, width: int = 2) -> list[Spec]:
    """Run a plan with `width` trials at once, finishing the newest first: an order that must not matter; the specs that were run."""
    done, running = [], []
    while True:
        spec = plan.next()
        if isinstance(spec, Spec) and spec.key in plan.stored:
            plan.tell(spec, plan.stored[spec.key])
            continue
        if isinstance(spec, Spec):
            done.append(spec)
            running.append(spec)
        if len(running) == width or (not isinstance(spec, Spec) and running):
            last = running.pop()
            plan.tell(last, answer(last))
        elif spec is None:
            return done


def test_contrasts_then_search_then_fresh_seeds() -> None:
    specs = drive(Plan([space()], Options(5, 2, None, True, 2)))
    kinds = [spec.kind for spec in specs]
    assert (
        kinds
        == ["contrast"] * 2
        + ["rival"] * 2
        + ["contrast"] * 4
        + ["search"] * 10
        + ["confirm"] * 6
        + ["transfer"] * 2
    )
    assert [spec.label for spec in specs[:5]] == [
        "anchor",
        "anchor",
        "zeroshot",
        "zeroshot",
        "method.lam=0.1",
    ]
    assert all(spec.test == (spec.kind in ("confirm", "transfer")) for spec in specs)
    selection = {experiment.seed for spec in specs if not spec.test for experiment in spec.experiments}
    fresh = {experiment.seed for spec in specs if spec.test for experiment in spec.experiments}
    assert selection == {0, 1} and fresh == {FRESH, FRESH + 1}


def test_the_winner_is_the_best_by_validation() -> None:
    plan = Plan([space()], Options(5, 1, None, True, 1))
    specs = drive(plan)
    tuned = [spec for spec in specs if spec.label == "fedrsclip (tuned)"]
    best = max((spec for spec in specs if not spec.test and spec.study == tuned[0].study), key=value)
    assert dict(tuned[0].params) == dict(best.params)


def test_the_order_of_finishing_and_the_width_change_nothing() -> None:
    runs = [drive(Plan([space()], Options(9, 1, None, True, width)), width) for width in (1, 2, 5)]
    keys = [sorted(spec.key for spec in specs) for specs in runs]
    assert keys[0] == keys[1] == keys[2]
    thresholds = [{spec.key: dict(spec.thresholds) for spec in specs} for specs in runs]
    assert thresholds[0] == thresholds[1] == thresholds[2]


def test_a_resumed_plan_asks_for_what_is_missing_only() -> None:
    whole = drive(Plan([space()], Options(6, 1, None, True, 2)))
    for finished in (3, 9, len(whole)):
        stored = {spec.key: answer(spec) for spec in whole[:finished]}
        again = drive(Plan([space()], Options(6, 1, None, True, 2), stored))
        assert {spec.key for spec in again} == {spec.key for spec in whole[finished:]}


def timed(
    minutes: float, stored: dict[str, Row] | None = None, elapsed: float = 0.0, stop_after: float = 1e9
) -> tuple[Plan, list[Spec]]:
    """Run a time-limited plan whose trials take 10 s each, until it ends or is stopped; the specs that were run."""
    now = [0.0]
    plan = Plan([space()], Options(None, 1, minutes, True, 1), stored, clock=lambda: now[0])
    plan.continue_from(elapsed)
    done = []
    while now[0] < stop_after and (spec := plan.next()) is not None:
        assert isinstance(spec, Spec)
        if spec.key in plan.stored:
            plan.tell(spec, plan.stored[spec.key])
            continue
        done.append(spec)
        now[0] += 10.0
        plan.tell(spec, answer(spec))
    return plan, done


def test_a_time_limited_sweep_resumes_to_the_same_winner() -> None:
    _, whole = timed(4.0)
    chosen = {spec.key for spec in whole if spec.test}
    finished = {spec.key: answer(spec) for spec in whole}
    assert timed(4.0, finished, elapsed=240.0)[1] == []
    _, first = timed(4.0, stop_after=150.0)
    stored = {spec.key: answer(spec) for spec in first}
    plan, rest = timed(4.0, stored, elapsed=150.0)
    assert not {spec.key for spec in rest} & set(stored)
    assert {spec.key for spec in [*first, *rest] if spec.test} == chosen and plan.dropped == 0


def test_scenarios_that_share_a_label_are_told_apart() -> None:
    scenarios = (
        {"scenario": "even", "scenario.clients": 5},
        {"scenario": "even", "scenario.clients": 6, "task.classes": 12},
        {"scenario": "domain", "scenario.clients": 6},
    )
    assert list(space(scenarios=scenarios).experiments()) == [
        "even, all classes, 5 clients",
        "even, 12 classes, 6 clients",
        "domain per client",
    ]
    with pytest.raises(UserError, match="two are called"):
        space(scenarios=({"scenario": "even"}, {"scenario": "even", "scenario.clients": 5})).experiments()
    with pytest.raises(UserError, match="asked for twice"):
        Plan([space(), space()], Options(1, 1, None, True, 1))


def test_rungs_compare_with_completed_batches_only() -> None:
    plan = Plan(
        [space(scenarios=({"scenario": "even"},), contrasts={})], Options(2 * BATCH, 1, None, False, BATCH)
    )
    first = [plan.next() for _ in range(BATCH)]
    assert plan.next() == Plan.WAIT and all(isinstance(spec, Spec) and not spec.thresholds for spec in first)
    for spec in first:
        assert isinstance(spec, Spec)
        plan.tell(spec, answer(spec))
    second = plan.next()
    assert isinstance(second, Spec)
    values = [value(spec) - 0.1 for spec in first if isinstance(spec, Spec)]
    assert second.thresholds[5] == pytest.approx(np.median(values))
    assert set(second.thresholds) == {5, 10}


def test_pruned_and_failed_trials_reach_optuna_as_what_they_are() -> None:
    plan = Plan([space(scenarios=({"scenario": "even"},), contrasts={})], Options(3, 1, None, False, 3))
    for state in ("COMPLETE", "PRUNED", "FAIL"):
        spec = plan.next()
        assert isinstance(spec, Spec)
        plan.tell(spec, answer(spec, state))
    study = plan.studies[0]
    assert sorted(trial.state.name for trial in study._study.trials) == ["COMPLETE", "FAIL", "PRUNED"]
    best = study.best()
    assert best is not None and best["state"] == "COMPLETE"


def test_contrasts_teach_the_search() -> None:
    plan = Plan([space(scenarios=({"scenario": "even"},))], Options(1, 1, None, True, 1))
    drive(plan)
    values = [trial.params for trial in plan.studies[0]._study.trials]
    assert {"method.lam": 0.1, "method.h": 4} in values
    assert values.count({"method.lam": 0.02, "method.h": 4}) == 1, (
        "w_dpa = 0 is no point of this space: it must not pass for the anchor"
    )


def test_a_time_limit_leaves_room_for_the_fresh_seeds() -> None:
    now = [0.0]
    plan = Plan([space()], Options(None, 1, 5.0, True, 1), clock=lambda: now[0])
    kinds = []
    while (spec := plan.next()) is not None:
        assert isinstance(spec, Spec)
        kinds.append(spec.kind)
        now[0] += 10.0
        plan.tell(spec, answer(spec))
    assert kinds.count("confirm") == 6 and "search" in kinds
    assert now[0] <= 300


def test_a_time_limit_too_short_for_all_contrasts_drops_whole_levels_and_counts_them() -> None:
    now = [0.0]
    plan = Plan([space()], Options(None, 1, 1.8, True, 1), clock=lambda: now[0])
    while (spec := plan.next()) is not None:
        assert isinstance(spec, Spec)
        now[0] += 10.0
        plan.tell(spec, answer(spec))
    assert plan.dropped > 0 and plan.finished[-1]["kind"] == "transfer"


def test_a_recipe_is_its_grid() -> None:
    recipe = space(
        sample=None, contrasts={}, rivals={}, grid={"a": {"method.lam": 0.1}, "b": {"method": "promptfl"}}
    )
    specs = drive(Plan([recipe], Options(None, 3, None, True, 2)))
    assert [(spec.label, spec.kind, len(spec.experiments)) for spec in specs] == [
        ("a", "confirm", 3),
        ("b", "confirm", 3),
    ] * 2


@pytest.mark.parametrize("name", names())
def test_shipped_spaces_load_and_sample(name: str) -> None:
    loaded = load_space(name)
    assert len(loaded.experiments()) == len(loaded.scenarios)
    assert (loaded.sample is None) == bool(loaded.grid)
    plan = Plan([loaded], Options(2, 1, None, True, 1))
    assert plan.next() is not None


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


BASE = "from raysim.experiment import Experiment\ndef base():\n    return Experiment()\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", ["has no function base()"]),
        ("def base(:\n", ["mine.py:1", "SyntaxError"]),
        ("import nothing_like_this\n", ["mine.py:1", "nothing_like_this"]),
        ("def base():\n    return 3\n", ["base() returned int"]),
        (
            BASE + "CONTRASTS = {'method.lamb': [1]}\n",
            ["mine.py:4: CONTRASTS['method.lamb']", "did you mean 'method.lam'?"],
        ),
        (
            BASE + "CONTRASTS = {\n 'method.s': [1],\n 'method.lam': [-1],\n}\n",
            ["mine.py:6: CONTRASTS['method.lam']", "method.lam = -1"],
        ),
        (
            BASE + "SCENARIOS = [\n {},\n {'scenario': 'evn'}]\n",
            ["mine.py:6: SCENARIOS[1]", "did you mean 'even'?"],
        ),
        (BASE + "RIVALS = {\n 'x': {'method.h': 0}}\n", ["mine.py:5: RIVALS['x']", "method.h = 0"]),
        (
            BASE + "CONTRASTS = {'method.s': [1]}\nINTERACTIONS = [('method.s', 'method.h')]\n",
            ["mine.py:5", "'method.h' is no path of CONTRASTS"],
        ),
        (BASE + "RIVAL_SPACES = {'x': print}\n", ["mine.py:4", "RIVAL_SPACES['x'] is no label of RIVALS"]),
        (BASE + "MINUTES = 0\n", ["mine.py:4: MINUTES = 0", "above 0"]),
        (
            BASE + "def space(trial):\n    return {\n     'method.h': 4,\n     'method.lam': "
            "trial.suggest_float('method.lam', -2, -1)}\n",
            ["mine.py:7: space(trial)", "method.lam = -"],
        ),
        (
            BASE + "def space(trial):\n    lam = trial.suggest_float('method.lam', 2, 1)\n",
            ["mine.py:5", "'method.lam', 2, 1"],
        ),
    ],
)
def test_a_mistake_in_a_space_is_one_message(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load_space(write(tmp_path, text))
    for word in words:
        assert word in str(error.value)


def test_a_mistake_in_the_sampler_names_file_and_line(tmp_path: Path) -> None:
    text = BASE + "def space(trial):\n    return {'method.lam': trial.suggest_flot('a', 0, 1)}\n"
    with pytest.raises(UserError, match=r"mine.py:5: AttributeError: .* in: return .*suggest_flot"):
        load_space(write(tmp_path, text))


def test_the_command_line_has_the_last_word() -> None:
    loaded = load_space("fedrsclip", {"scenario": "dirichlet", "scenario.alpha": 0.05, "method.lam": 0.1})
    assert list(loaded.experiments()) == ["dirichlet alpha=0.05"]
    assert "method.lam" not in loaded.contrasts


def test_a_level_may_bring_companions() -> None:
    joint = {"method.dpa_form": "cosine", "method.s": 1.0}
    plan = Plan(
        [space(scenarios=({"scenario": "even"},), contrasts={"method.dpa_form": (joint,)})],
        Options(0, 1, None, True, 1),
    )
    spec = drive(plan)[2]  # after the anchor and the rival
    assert (spec.label, spec.factor, spec.level) == (
        "method.dpa_form=cosine, s=1.0",
        "method.dpa_form",
        "cosine, s=1.0",
    )
    assert dict(spec.params) == joint


def test_a_level_must_set_its_factor(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not set method\.lam"):
        load_space(write(tmp_path, BASE + "CONTRASTS = {'method.lam': [{'method.s': 1.0}]}\n"))


def test_a_tuned_recipe_gives_every_entry_as_many_trials() -> None:
    grid = {"a": {}, "b": {"method": "promptfl"}, "zero": {"method": "zeroshot"}}
    recipe = space(
        sample=None,
        contrasts={},
        rivals={},
        grid=grid,
        tune={"training.lr": (0.01, 0.1)},
        scenarios=({"scenario": "even"},),
    )
    plan = Plan([recipe], Options(None, 2, None, True, 2))
    assert plan.planned() == {"contrast": 0, "rival": 0, "search": 4, "confirm": 3}
    specs = drive(plan)
    assert [(spec.study, spec.kind) for spec in specs[:4]] == [
        (f"toy {name} | even", "search") for name in "aabb"
    ]
    assert sorted(spec.label for spec in specs[4:]) == ["a (tuned)", "b (tuned)", "zero (untuned)"]
    assert [len(spec.experiments) for spec in specs] == [2] * 7
    failed = Plan([recipe], Options(None, 2, None, True, 1))
    while isinstance(spec := failed.next(), Spec):
        diverged = spec.label == "training.lr=0.1" and spec.study == "toy b | even"
        failed.tell(
            spec,
            {
                **answer(spec, "FAIL" if diverged else "COMPLETE"),
                "reason": "diverged: NaN" if diverged else "",
            },
        )
    assert [row["label"] for row in failed.finished[4:]] == ["a (tuned)", "b (tuned)", "zero (untuned)"]
    fewer = drive(Plan([replace(recipe, tune_seeds=1)], Options(None, 2, None, True, 2)))
    assert [len(spec.experiments) for spec in fewer] == [1] * 4 + [2] * 3
    assert all(spec.test == (spec.kind == "confirm") for spec in specs)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "GRID = [{}]",
            r"mine\.py:4: GRID should be overrides by label, \{label: \{path: value\}\}, it is \[\{\}\]",
        ),
        ("TUNE = {'training.lr': 0.1}", r"TUNE should be lists of levels by path"),
        ("SCENARIOS = ['even']", r"SCENARIOS should be a list of overrides"),
        ("FIGURES = ['cost']", r"FIGURES should be a list of figures"),
        ("SEEDS = 0", r"SEEDS = 0 is not allowed"),
    ],
)
def test_a_declaration_of_the_wrong_shape(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_space(write(tmp_path, BASE + line + "\n"))


def test_recipes_run_alone() -> None:
    recipe = space(sample=None, contrasts={}, rivals={}, grid={"a": {}})
    with pytest.raises(UserError, match="'toy' is a recipe"):
        Plan([recipe, replace(recipe, name="other")], Options(0, 1, None, True, 1))


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "difference", "to": "a"}, r"space 'toy': FIGURES\[0\]: the kind 'difference' is unknown"),
        ({"kind": "differences", "to": "c"}, r"to = 'c' is no entry of GRID; these are a, b"),
        ({"kind": "against", "x": ["training.lr"]}, r"x = \['training.lr'\] should be text"),
        (
            {"kind": "cost", "reference": "a", "x": "training.lr"},
            r"x = 'training.lr' should be a list of paths",
        ),
        ({"kind": "against", "x": "training.rate"}, r"x = 'training.rate' is no path"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_before_the_sweep(
    figure: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_figures(
            space(sample=None, contrasts={}, grid={"a": {}, "b": {"method": "promptfl"}}, figures=(figure,))
        )


def test_a_list_replaces_the_levels_that_a_recipe_tunes(tmp_path: Path) -> None:
    text = BASE + "GRID = {'a': {}}\nTUNE = {'training.lr': [0.1, 0.2]}\n"
    levels = [
        dict(parse_assignment(word) for word in words)
        for words in (["training.lr=[0.001, 0.002, 0.5]"], ["training.lr=0.3"], [])
    ]
    spaces = [load_space(write(tmp_path, text), changes) for changes in levels]
    assert [dict(found.tune) for found in spaces] == [
        {"training.lr": (0.001, 0.002, 0.5)},
        {},
        {"training.lr": (0.1, 0.2)},
    ]
    assert [found.base.training.lr for found in spaces] == [0.002, 0.3, 0.002]
    with pytest.raises(UserError, match=r"TUNE\['training\.lr'\]: training\.lr = -1"):
        load_space(write(tmp_path, text), {"training.lr": [-1]})
