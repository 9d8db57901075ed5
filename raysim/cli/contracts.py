"""What a method or a scenario must keep, as checks that each run in seconds on small drawn images.

`raysim check` prints their results. The tests of raysim run them on what comes with it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from raysim.clients.partition import SCENARIOS
from raysim.clients.scenario import Scenario
from raysim.core.config import Config
from raysim.core.errors import UserError, first_cause
from raysim.core.types import MicroCohort
from raysim.engines.serial import Serial
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment, from_dict, to_dict
from raysim.methods import METHODS
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from raysim.storage.vault import digest_of, fetch

CLIENTS, ROUNDS = 3, 2  # of the federation on which a method is tried
PARTS_OF_STACKED = (1e-3, 1e-4)  # relative and absolute difference of clients trained stacked and alone
SEEDS, FEDERATIONS = range(5), (1, 2, 7, 40)  # seeds and numbers of clients on which a scenario is tried


class Check(NamedTuple):
    """A check: what must hold, and the function that returns "" or what does not hold."""

    name: str
    run: Callable[[], str]


def results(checks: list[Check]) -> Iterator[tuple[str, str]]:
    """Run checks; yield the name of each and what does not hold, "" where all does. An error is a failure."""
    for check in checks:
        try:
            yield check.name, check.run()
        except Exception as error:
            cause = first_cause(error)
            yield (
                check.name,
                str(cause) if isinstance(cause, UserError) else f"{type(cause).__name__}: {cause}",
            )


def of_method(name: str) -> list[Check]:
    """Return the checks of a method by its name."""
    return [
        Check("its settings are described and go through JSON", lambda: _settings("method", METHODS[name])),
        Check("two rounds give finite numbers", lambda: _finite(name)),
        Check("the same run gives the same bits", lambda: _repeatable(name)),
        Check("a stopped run goes on to the same bits", lambda: _resumable(name)),
        Check("what is kept is not sent", lambda: _private(name)),
        Check("clients trained together are as trained alone", lambda: _stacked(name)),
    ]


def of_scenario(name: str) -> list[Check]:
    """Return the checks of a scenario by its name."""
    cls = SCENARIOS[name]
    settings = Check("its settings are described and go through JSON", lambda: _settings("scenario", cls))
    if cls.given:  # nothing is drawn: the clients are as a table or a dataset says
        return [settings]
    return [
        settings,
        Check("every image has at most one client, every client an image", lambda: _whole(cls)),
        Check("the same seed gives the same clients", lambda: _drawn(cls)),
        Check("too many clients are refused with a message", lambda: _refused(cls)),
    ]


def tiny(name: str) -> Experiment:
    """Return the federation of three clients on which a method is tried."""
    changes: dict[str, Any] = {
        "method": name,
        "rounds": ROUNDS,
        "scenario.clients": CLIENTS,
        "task.classes": 4,
        "task.shots": 8,
        "training.batch": 4,
    }
    if METHODS[name]().traits.inputs == "pixels":
        changes["task.image_size"] = 32
        if "width" in METHODS[name].model_fields:
            changes["method.width"] = 8
    return override(Experiment(), changes)


def _settings(block: str, cls: type[Config]) -> str:
    """Fields have words and a default, and an experiment with them can be written and read."""
    dumb = [field for field, info in cls.model_fields.items() if not info.description]
    if dumb:
        return f"{', '.join(dumb)} without a description; declare fields with raysim.knob"
    experiment = override(Experiment(), {block: cls.name})  # type: ignore[attr-defined]
    again = from_dict(to_dict(experiment))
    return "" if again.id == experiment.id else "an experiment that was written and read has another id"


def _run(name: str, folder: Path, stop_after: int | None = None) -> Simulation:
    """Run the small federation, or go on with it, in a folder."""
    experiment = tiny(name)
    simulation = Simulation(experiment, Serial(), Store(folder, experiment)).open(resume=True)
    for record in simulation.rounds():
        if record.round == stop_after:
            break
    return simulation


def _digest(simulation: Simulation) -> str:
    return str(simulation.result()["state_sha256"])


def _finite(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        result = _run(name, Path(folder)).result()
    wrong = [
        column
        for column, value in result.items()
        if column.startswith("acc_personal") and value is not None and not math.isfinite(value)
    ]
    return f"{', '.join(wrong)} is no finite number" if wrong else ""


def _repeatable(name: str) -> str:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        same = _digest(_run(name, Path(one))) == _digest(_run(name, Path(two)))
    return (
        ""
        if same
        else "two runs differ: draw from the generator that a hook is given, never from torch's own"
    )


def _resumable(name: str) -> str:
    if not METHODS[name]().traits.trains:
        return ""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        _run(name, Path(two), stop_after=1)
        same = _digest(_run(name, Path(one))) == _digest(_run(name, Path(two)))
    return "" if same else "the resumed run differs: a method holds no state; keep it in tensors"


def _update(worker: Worker, clients: tuple[int, ...], vault: str) -> Any:
    state = worker.initial().state
    return worker.train(state, MicroCohort(0, clients, (None,) * len(clients), vault, True))


def _private(name: str) -> str:
    traits = METHODS[name]().traits
    if not traits.trains or traits.pooled:
        return ""
    worker = Worker(Federation.of(tiny(name)))
    state = worker.initial().state
    with tempfile.TemporaryDirectory() as vault:
        update = _update(worker, (0,), vault)
        kept = set(fetch(update.private[0], Path(vault)))
    if unknown := set(update.sums) - set(state.shared):
        return f"{', '.join(sorted(unknown))} is sent, but init_shared has no tensor of this name"
    both = sorted(kept & set(update.sums))
    return f"{', '.join(both)} is kept and sent" if both else ""


def _stacked(name: str) -> str:
    traits = METHODS[name]().traits
    if not traits.trains or not traits.stackable or traits.pooled:
        return ""
    worker = Worker(Federation.of(tiny(name)))
    with tempfile.TemporaryDirectory() as vault:
        together = _update(worker, (0, 1), vault)
        alone = [_update(worker, (client,), vault) for client in (0, 1)]
        again = _update(Worker(Federation.of(tiny(name))), (0,), vault)
    if digest_of(again.sums) != digest_of(alone[0].sums):
        return (
            "a used worker trains otherwise than a fresh one: hooks must not change the method or the model"
        )
    rtol, atol = PARTS_OF_STACKED
    for ours, theirs in zip(together.client_tensors, alone, strict=True):
        for key, tensor in ours.items():
            if not torch.allclose(tensor, theirs.client_tensors[0][key], rtol=rtol, atol=atol):
                return (
                    f"{key} differs: params have a leading axis of clients, which no operation may mix; or "
                    "set stackable=False in traits"
                )
    return ""


def _images(seed: int, count: int = 400, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Labels and domains of some images."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, count), rng.integers(0, 3, count)


def _dealt(scenario: Scenario, seed: int) -> list[np.ndarray]:
    return scenario.assign(*_images(seed), np.random.default_rng(seed))


def _whole(cls: type[Scenario]) -> str:
    tried = 0
    for clients in FEDERATIONS:
        for seed in SEEDS:
            try:
                parts = _dealt(cls(clients=clients), seed)
            except UserError:  # this number of clients is not possible, and the scenario says so
                continue
            tried += 1
            if len(parts) != clients:
                return f"{clients} clients were asked for, {len(parts)} were made (seed {seed})"
            if empty := [client for client, part in enumerate(parts) if not len(part)]:
                return f"client {empty[0]} of {clients} has no image (seed {seed})"
            together = np.concatenate(parts)
            if len(np.unique(together)) != len(together):
                return f"an image has two clients (clients={clients}, seed {seed})"
    return "" if tried else f"none of {', '.join(map(str, FEDERATIONS))} clients is possible with 400 images"


def _drawn(cls: type[Scenario]) -> str:
    for seed in SEEDS:
        try:
            one, two = _dealt(cls(clients=7), seed), _dealt(cls(clients=7), seed)
        except UserError:
            continue
        if not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)):
            return "two runs with one seed differ: draw from `rng`, never from NumPy's own generator"
    return ""


def _refused(cls: type[Scenario]) -> str:
    try:
        _dealt(cls(clients=4000), 0)
    except UserError:
        return ""
    return "4,000 clients of 400 images are not refused; call super().check"
