"""Every field of every method and group changes the run, or is declared to have no effect there.

Two runs are compared by all that a run leaves: the digest of its state, every number of every round, and its
bytes. They are tiny: three clients, two rounds, four classes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from PIL import Image

from raysim.clients.partition import SCENARIOS
from raysim.core.config import Config, condition_of
from raysim.core.errors import UserError
from raysim.engines.serial import Serial
from raysim.experiment import Experiment, from_dict, override, to_dict, without_effect
from raysim.experiment.effects import ACROSS_GROUPS, default_of, refuse_without_effect
from raysim.methods import METHODS
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store

Settings = Mapping[str, Any]

TINY: dict[str, Any] = {
    "task.dataset": "folder",
    "rounds": 2,
    "scenario": "dirichlet",
    "scenario.clients": 3,
    "scenario.alpha": 0.5,
    "task.classes": 4,
    "task.shots": 6,
    "training.batch": 4,
    "training.lr": 0.05,
    "evaluation.every": 1,
}
TINY_NETWORK: Settings = {"task.image_size": 16, "method.network": "cnn", "method.width": 8, "task.ses": 2}
TINY_GATE: Settings = {"method.d": 8, "method.d_e": 4, "method.heads": 2}
TOWER: Settings = {"method.network": "image_tower", "task.image_size": None, "rounds": 1, "task.shots": 2}
CHANGED = 0.01  # a step of a number that has bounds


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Six classes of 16 pictures: noise around a colour."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for label, colour in enumerate(rng.integers(40, 215, (6, 3))):
        path = folder / f"class {label}"
        path.mkdir()
        for index in range(16):
            pixels = np.clip(colour + rng.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / f"{index}.png")
    TINY["task.path"] = str(folder)
    yield
    _left_by.cache_clear()


def tiny(method: str, settings: Settings | None = None) -> Experiment:
    """The smallest federation of a method, with some settings on top."""
    values: dict[str, Any] = {"method": method, **TINY}
    if "scenario" in (settings or {}):
        values.pop("scenario.alpha")
    if METHODS[method]().traits.inputs == "pixels":
        values |= TINY_NETWORK
    if method == "safe":
        values |= TINY_GATE
    if method == "zeroshot":
        values.pop("rounds")
    return override(Experiment(), values | dict(settings or {}))


def left_by(experiment: Experiment) -> str:
    """All that a run leaves but its id and its seconds, as text; each run once."""
    return _left_by(json.dumps(to_dict(experiment), sort_keys=True))


@cache
def _left_by(text: str) -> str:
    experiment = from_dict(json.loads(text))
    with tempfile.TemporaryDirectory() as folder:
        run = Simulation(experiment, Serial(), Store(Path(folder), experiment)).open()
        rows = [{**record.row, "clients": record.clients, "cr": record.ratios} for record in run.rounds()]
        result = run.result()
    left = [
        {key: value for key, value in row.items() if key not in ("seconds", "id")} for row in (*rows, result)
    ]
    return json.dumps(left, sort_keys=True, default=str)


# values that the rule of `other_value` cannot find
OTHER: dict[str, Any] = {
    "autoscale": 0.7,
    "projection": 8,
    "lam": 1.0,
    "network": "small_mobilenet",
    "shared_init": "a photo of a",
    "private_init": "a photo of a",
    "batchnorm": "local",
    "pretrained": None,
    "b": 1.0,
    "cr_min": 0.9,
    "cr_max": 1.1,
    "p": 3.0,
    "ot_iterations": 2,
    "ot_tolerance": 0.5,
    "ot_solver": "pot",
    "participation": 0.5,
    "shots": 5,
    "classes": 5,
    "novel": 2,
    "ses": 1,
    "image_size": 24,
    "deadline": 1e-6,
    "trim": 0.4,
    "micro_cohort": 1,
    "label_noise": 0.5,
    "min_images": 5,
    "corruption": "scaled",
    "width": 24,
    "scenario.classes": 1,
    "newcomers": 0.5,
    "clients": 2,
    "evaluation.every": 2,
    "dropout": 0.6,
    "corrupt": 0.5,
    "stale": "keep",
    "over_selection": 2.0,
    "alpha": 0.05,
    "ses_imbalance": 50.0,
    "temperature": 0.1,
    "beta2": 0.5,
    "bands": "3,2,1",
    "per_cell": 4,
    "stretch": "minmax",
}
# what a field needs to have an effect, where the tiny experiment does not give it
NEEDS: dict[str, Settings] = {
    "p": {"method.estimator": "proportion"},
    "ratio_b": {"method.estimator": "ratio"},
    "composition_b": {"method.estimator": "composition"},
    "reference": {"method.network": "cnn+small_mobilenet"},
    "cr_max": {"method.m": 0.0, "method.p": 4.0},
    "cr_min": {"method.m": 0.0, "method.p": 4.0},
    "warmup": {"rounds": 3, "method.warmup": 0.1},
    "task.per_cell": {"task.dataset": "scenes", "task.path": None, "task.per_cell": 2},
    "rho": {"method.w_mask": 1.0},
    "theta": {"method.fusion": "mix"},
    "ot_mass": {"method.ot_b": "semi_relaxed"},
    "ot_rho": {"method.ot_b": "kl"},
    "tau": {},
    "cap": {"method.cap": 1.0, "rounds": 3},
    "beta": {"method.beta": 1, "rounds": 3},
    "batchnorm": {"method.cro": False, "method.fau": False},
    "server.trim": {"server.aggregation": "trimmed"},
    "server.clip": {"server.aggregation": "clip"},
    "server.lr": {"server.optimiser": "momentum"},
    "server.beta1": {"server.optimiser": "momentum"},
    "server.beta2": {"server.optimiser": "adam"},
    "server.tau": {"server.optimiser": "adam"},
    "faults.corruption": {"faults.corrupt": 0.5},
    "faults.scale": {"faults.corrupt": 0.5, "faults.corruption": "scaled"},
    "faults.stale": {"faults.deadline": 1e-6, "faults.dropout": 0.01},
    "faults.over_selection": {"participation": 0.4},
    "scenario.noise_kind": {"scenario.label_noise": 0.5},
    "task.ses_imbalance": {"task.ses": 3},
    "evaluation.every": {"evaluation.every": 1},
    "training.schedule": {"rounds": 2},
    "task.split_seed": {"task.shots": None},
}


def each(keys: Sequence[str], cases: list[tuple[str, Settings]]) -> dict[str, list[tuple[str, Settings]]]:
    """The same cases for several fields."""
    return {key: cases for key in keys}


# what takes the effect of a field away; every field with a condition has an entry, or several
WITHOUT: dict[str, list[tuple[str, Settings]]] = {
    "estimator": [("safe", {"method.cro": False})],
    "ratio_b": [("safe", {}), ("safe", {"method.cro": False})],
    "composition_b": [("safe", {})],
    "p": [("safe", {"method.estimator": "ratio"}), ("safe", {"method.estimator": "composition"})],
    "scope": [("safe", {"method.estimator": "ratio"}), ("safe", {"method.cro": False})],
    **each(("m", "cr_min", "cr_max"), [("safe", {"method.cro": False})]),
    **each(("kappa", "debiased", "autoscale"), [("safe", {"method.fau": False})]),
    "reference": [("safe", {}), ("safe", {"method.fau": False})],
    **each(("dmr", "warmup"), [("safe", {"method.fau": False}), ("safe", {"method.beta_max": 0.0})]),
    "beta_max": [("safe", {"method.fau": False})],
    "dmr_on_cro": [("safe", {"method.cro": False}), ("safe", {"method.beta_max": 0.0})],
    **each(
        (
            "d_e",
            "d",
            "heads",
            "mlp_ratio",
            "gating",
            "open_bias",
            "tau_g",
            "tau_g_schedule",
            "gate_rate",
            "w_mask",
        ),
        [("safe", {"method.ace": False})],
    ),
    "tau_g_end": [("safe", {"method.tau_g_schedule": "constant"}), ("safe", {"method.ace": False})],
    "rho": [("safe", {}), ("safe", {"method.ace": False})],
    **each(("width", "norm"), [("fedavg", TOWER)]),
    "batchnorm": [
        ("fedavg", {"method.norm": "group"}),
        ("local_network", {}),
        ("centralized_network", {}),
    ],
    "pretrained": [("fedavg", TOWER)],
    "temperature": [("moon", {"method.mu": 0.0})],
    "tau": [("fedema", {"method.lam": 1.0})],
    "beta": [("fedcac", {"method.tau": 0.0})],
    "cap": [("ratio_loss", {"method.b": 0.0})],
    **each(("fusion", "private_init", "dpa_form", "s", "w_dpa"), [("fedrsclip", {"method.h_p": 0})]),
    "dpa_detach_shared": [("fedrsclip", {"method.h_p": 0}), ("fedrsclip", {"method.w_dpa": 0.0})],
    "theta": [("fedrsclip", {}), ("fedrsclip", {"method.fusion": "mix", "method.h_p": 0})],
    **each(
        ("lam", "ot_b", "ot_tolerance", "ot_iterations", "ot_solver"), [("fedrsclip", {"method.w_ot": 0.0})]
    ),
    "ot_level": [("fedrsclip", {"method.w_ot": 0.0})],
    **each(
        ("ot_mass", "ot_rho"), [("fedrsclip", {}), ("fedrsclip", {"method.ot_b": "kl", "method.w_ot": 0.0})]
    ),
    "temp": [("fedpgp", {"method.mu": 0.0})],
    "training.momentum": [("promptfl", {"training.optimiser": "adam"}), ("zeroshot", {})],
    "server.trim": [("promptfl", {}), ("promptfl", {"server.aggregation": "median"})],
    "server.clip": [("promptfl", {})],
    **each(("server.lr", "server.beta1"), [("promptfl", {}), ("centralized", {}), ("local", {})]),
    **each(
        ("server.beta2", "server.tau"), [("promptfl", {}), ("promptfl", {"server.optimiser": "momentum"})]
    ),
    "faults.corruption": [("promptfl", {}), ("promptfl", {"faults.dropout": 0.3}), ("centralized", {})],
    "faults.scale": [("promptfl", {}), ("promptfl", {"faults.corrupt": 0.5})],
    "faults.stale": [("promptfl", {}), ("promptfl", {"faults.dropout": 0.3})],
    "scenario.noise_kind": [("promptfl", {}), ("zeroshot", {})],
    "scenario.profile": [("promptfl", {"scenario": "long_tail", "scenario.imbalance": 1.0})],
    # conditions across groups
    "rounds": [("zeroshot", {})],
    "participation": [("centralized", {}), ("zeroshot", {})],
    "task.backbone": [("fedavg", {})],
    "task.backbone_path": [("fedavg", {})],
    "task.ses_imbalance": [("promptfl", {}), ("promptfl", {"task.ses": 1})],
    "task.views": [("zeroshot", {})],
    **each(("task.bands", "task.stretch"), []),  # drawn scenes, which take long: tests/data/test_contents.py
    "task.per_cell": [("promptfl", {})],
    "training": [("zeroshot", {})],
    "training.schedule": [("promptfl", {"rounds": 1})],
    "training.micro_cohort": [("moon", {}), ("centralized", {})],
    "server": [("local", {}), ("zeroshot", {})],
    "faults": [("centralized", {}), ("zeroshot", {})],
    "evaluation.every": [("zeroshot", {})],
}
NAMES_WHAT_IS_LOADED = (
    "task.dataset",
    "task.path",
    "task.backbone",
    "task.backbone_path",
    "method.pretrained",
)
GROUPS = ("", "task", "training", "server", "faults", "evaluation")
GROUP_METHOD = {"task.image_size": "fedavg", "task.crop": "fedavg"}


def other_value(experiment: Experiment, path: str) -> Any:
    """A value of a field that is allowed and not the one that it has."""
    group, _, field = path.rpartition(".")
    record: Any = getattr(experiment, group) if group else experiment
    value, annotation = getattr(record, field), type(record).model_fields[field].annotation
    options: list[Any] = [OTHER[key] for key in (path, field) if key in OTHER]
    if get_origin(annotation) is Literal:
        options += [option for option in get_args(annotation) if option != value]
    elif isinstance(value, bool):
        options += [not value]
    elif isinstance(value, int | float):
        options += [2 * value, value / 2, value + 1, value + CHANGED, value - CHANGED]
    for option in options:
        if option in (value, default_of(experiment, path)) or (
            isinstance(value, int) and option is not None and option != int_or(option)
        ):
            continue
        try:
            override(experiment, {path: option})
        except UserError:
            continue
        return option
    raise AssertionError(f"no other value of {path} = {value!r} is known: add one to OTHER")


def int_or(option: Any) -> Any:
    return int(option) if isinstance(option, float) else option


def assert_acts(experiment: Experiment, path: str) -> None:
    changed = override(experiment, {path: other_value(experiment, path)})
    assert path not in without_effect(experiment), "it is declared to have no effect: give it what it needs"
    assert left_by(changed) != left_by(experiment), f"{path} changes nothing and is not declared so"
    assert changed.id != experiment.id


def assert_does_not_act(experiment: Experiment, path: str) -> None:
    changed = override(experiment, {path: other_value(experiment, path)})
    needed = without_effect(changed)[path]
    assert left_by(changed) == left_by(experiment), f"{path} changes the run and is declared not to"
    assert changed.id == experiment.id
    with pytest.raises(UserError, match=f"{path} = .* has no effect here: it needs "):
        refuse_without_effect(changed, {path: other_value(experiment, path)}, experiment)
    assert needed
    refuse_without_effect(changed, {path: default_of(changed, path)}, experiment)
    refuse_without_effect(changed, {path: other_value(experiment, path)}, changed)


REFUSED = [("ratio_loss", "batchnorm")]  # only one value is allowed
METHOD_FIELDS = [(name, field) for name, cls in METHODS.items() for field in cls.model_fields]


@pytest.mark.parametrize(("method", "field"), METHOD_FIELDS, ids=str)
def test_every_field_of_every_method_changes_the_run(method: str, field: str) -> None:
    path = f"method.{field}"
    if path in NAMES_WHAT_IS_LOADED:
        return
    if (method, field) in REFUSED:
        with pytest.raises(UserError, match=f"{field} = .* is not allowed"):
            override(tiny(method), {path: OTHER[field]})
        return
    known = METHODS[method].model_fields
    needs = {
        key: value
        for key, value in NEEDS.get(field, {}).items()
        if not key.startswith("method.") or key.removeprefix("method.") in known
    }
    experiment = tiny(method, needs)
    if path in without_effect(experiment):  # in this method always, which is tested below
        assert (method, {}) in WITHOUT[field]
        return
    assert_acts(experiment, path)


def group_fields() -> Iterator[str]:
    for group in GROUPS:
        record: Any = getattr(Experiment(), group) if group else Experiment()
        for field in type(record).model_fields:
            if not isinstance(getattr(record, field), Config):
                yield f"{group}.{field}" if group else field


@pytest.mark.parametrize("path", list(group_fields()))
def test_every_field_of_every_group_changes_the_run(path: str) -> None:
    if path in NAMES_WHAT_IS_LOADED:
        return
    experiment = tiny(GROUP_METHOD.get(path, "promptfl"), NEEDS.get(path, {}))
    if path == "task.crop":  # refused where pixels are not classified
        with pytest.raises(UserError, match="crop = 128 is not allowed"):
            override(experiment, {path: 128})
        return
    assert_acts(experiment, path)


SCENARIO_FIELDS = [
    (name, field)
    for name, cls in SCENARIOS.items()
    if name != "domain" and not cls.given  # whose fields only say where to find who holds which image
    for field in cls.model_fields
]


@pytest.mark.parametrize(("scenario", "field"), SCENARIO_FIELDS, ids=str)
def test_every_field_of_every_scenario_changes_the_run(scenario: str, field: str) -> None:
    path = f"scenario.{field}"
    needs = {} if scenario == "dirichlet" else {"scenario": scenario}
    if scenario == "long_tail":
        needs |= {"scenario.imbalance": 2.0}
    if field == "min_images":  # some client has fewer
        needs |= {
            "quantity": {"scenario.beta": 3.0},
            "dirichlet": {"scenario.clients": 4},
            "long_tail": {"scenario.alpha": 0.01},
        }[scenario]
    assert_acts(tiny("promptfl", {**needs, **NEEDS.get(path, {})}), path)


INERT = [(key, method, settings) for key, cases in WITHOUT.items() for method, settings in cases]


@pytest.mark.parametrize(("key", "method", "settings"), INERT, ids=str)
def test_a_field_that_is_declared_to_have_no_effect_has_none(
    key: str, method: str, settings: Settings
) -> None:
    experiment = tiny(method, settings)
    if key in ("training", "server", "faults"):
        paths = [f"{key}.{field}" for field in type(getattr(experiment, key)).model_fields]
        if key == "server":  # `check_updates` refuses any other aggregation
            paths.remove("server.aggregation")
    else:
        paths = [key if "." in key or key in Experiment.model_fields else f"method.{key}"]
    for path in paths:
        if path in ("task.backbone", "task.backbone_path"):
            changed = override(experiment, {path: "another"})
            assert changed.id == experiment.id and left_by(changed) == left_by(experiment)
        elif path == "method.pretrained":
            changed = override(experiment, {path: True})
            assert changed.id == experiment.id and left_by(changed) == left_by(experiment)
        else:
            assert_does_not_act(experiment, path)


def test_every_condition_is_tried() -> None:
    conditions = set(ACROSS_GROUPS)
    for cls in METHODS.values():
        conditions |= {field for field in cls.model_fields if condition_of(cls, field)}
    for kind in SCENARIOS.values():
        conditions |= {f"scenario.{field}" for field in kind.model_fields if condition_of(kind, field)}
    for group in ("training", "server", "faults", "task", "evaluation"):
        cls = type(getattr(Experiment(), group))
        conditions |= {f"{group}.{field}" for field in cls.model_fields if condition_of(cls, field)}
    assert conditions == set(WITHOUT)


def test_a_setting_that_has_lost_its_effect_does_not_stop_a_search() -> None:
    """A point of a search sets p and then another estimator: it is valid, and is the run without p."""
    base = tiny("safe")
    point = override(base, {"method.p": 2.0, "method.estimator": "ratio"})
    assert point.id == override(base, {"method.estimator": "ratio"}).id
    assert to_dict(point)["method"]["p"] == 2.0
    with pytest.raises(UserError) as error:
        refuse_without_effect(point, {"method.p": 2.0, "method.estimator": "ratio"}, base)
    assert str(error.value) == (
        "method.p = 2.0 has no effect here: it needs method.cro=true and method.estimator=proportion; "
        "leave it out"
    )
