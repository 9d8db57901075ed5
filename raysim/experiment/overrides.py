"""Method.lam=0.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysim.clients.partition import Scenario
from raysim.core.config import suggest, unknown
from raysim.core.errors import UserError
from raysim.experiment.records import REGISTRIES, Experiment, from_dict, to_dict


def override(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """A copy with dotted paths set, in order.

    `scenario` and `method` alone take a name: they are replaced by that kind's defaults, keeping
    `scenario.clients` and the hyperparameters that the two methods share.

    Raises:
        UserError: for an unknown path (listing the known ones) or a value out of range.
    """
    values = to_dict(experiment)
    for path, value in changes.items():
        if path in REGISTRIES:
            values[path] = _switch(path, value, values[path])
            continue
        *parents, key = path.split(".")
        block: Any = values
        for part in parents:
            if not isinstance(block, dict) or part not in block:
                raise _unknown_path(path, values)
            block = block[part]
        if not isinstance(block, dict) or key not in block:
            raise _unknown_path(path, values)
        if isinstance(block[key], dict):
            raise UserError(
                f"'{path}' is a group: set one of {', '.join(f'{path}.{name}' for name in block[key])}"
            )
        if key == "name" and parents and parents[0] in REGISTRIES:
            values[parents[0]] = _switch(parents[0], value, block)
        else:
            block[key] = value
    return from_dict(values)


def paths(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Every dotted path of an experiment's plain data."""
    found: list[str] = []
    for key, value in values.items():
        found += paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found


def difference(experiment: Experiment, base: Experiment) -> dict[str, Any]:
    """The overrides that turn `base` into `experiment`, kinds first; for commands that reproduce it."""
    changes: dict[str, Any] = {}
    for block in REGISTRIES:
        if getattr(experiment, block).name != getattr(base, block).name:
            changes[block] = getattr(experiment, block).name
    here, there = to_dict(experiment), to_dict(override(base, changes))
    for path in paths(here):
        value, other = at(here, path), at(there, path)
        if value != other and not path.endswith(".name"):
            changes[path] = value
    return changes


def at(values: Any, path: str) -> Any:
    """The value at a dotted path of plain data."""
    for part in path.split("."):
        values = values[part]
    return values


def _switch(block: str, name: Any, before: dict[str, Any]) -> dict[str, Any]:
    registry = REGISTRIES[block]
    if not isinstance(name, str) or name not in registry:
        raise unknown(block, str(name), list(registry))
    kinds = (
        Scenario.model_fields if block == "scenario" else registry[name].model_fields
    )  # alpha means different things in different scenarios
    default = registry[
        before["name"]
    ]().model_dump()  # what was not chosen is not kept: FedRSCLIP's lambda is no choice for FedOTP
    kept = {
        key: value
        for key, value in before.items()
        if key in kinds and key in registry[name].model_fields and value != default[key]
    }
    return {"name": name, **registry[name]().model_dump(), **kept}


def _unknown_path(path: str, values: Mapping[str, Any]) -> UserError:
    known = paths(values)
    near = suggest(path, known)
    group = path.rsplit(".", 1)[0] + "."
    siblings = [name for name in known if name.startswith(group)] or known
    return UserError(
        f"unknown path '{path}'{near} Known{' there' if siblings is not known else ''}: {', '.join(siblings)}"
    )
