"""Overrides of an experiment by dotted path, such as `method.lam=0.1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysim.clients.partition import SCENARIOS
from raysim.clients.scenario import Scenario
from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.experiment.records import REGISTRIES, Experiment, from_dict, to_dict

# what a record has noted about a setting, so that it is noted anew when the setting changes
NOTED = dict.fromkeys(("scenario.file", "scenario.attribute"), ("content",))


def override(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return a copy with dotted paths set, in order.

    The paths `scenario` and `method` take a name. They replace the block by that kind's defaults, and keep
    `scenario.clients` and the changed hyperparameters that both methods have.

    Raises:
        UserError: an unknown path (the known ones are listed), or a value out of range.
    """
    values = to_dict(experiment)
    for path, value in changes.items():
        if path in REGISTRIES:
            values[path] = _switched(path, value, values[path])
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
            values[parents[0]] = _switched(parents[0], value, block)
        else:
            block[key] = value
            for other in NOTED.get(path, ()):
                if other in block:
                    block[other] = None
    _refuse_clients(values["scenario"], changes)
    return from_dict(values)


def names_first(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user's overrides with the names of scenario and method first: their order says nothing.

    A setting before `method=` would be one of the method that is replaced.
    """
    names = (*REGISTRIES, *(f"{block}.name" for block in REGISTRIES))
    return dict(sorted(changes.items(), key=lambda change: change[0] not in names))


def _refuse_clients(scenario: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Bring back a number of clients that was asked for together with clients that exist: it is refused."""
    if SCENARIOS[scenario["name"]].given and changes.get("scenario.clients") is not None:
        scenario["clients"] = changes["scenario.clients"]


def paths(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return every dotted path of an experiment's plain data."""
    names: list[str] = []
    for key, value in values.items():
        names += paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def difference(experiment: Experiment, base: Experiment) -> dict[str, Any]:
    """Return the overrides that turn `base` into `experiment`, names of scenario and method first."""
    changes: dict[str, Any] = {}
    for block in REGISTRIES:
        if getattr(experiment, block).name != getattr(base, block).name:
            changes[block] = getattr(experiment, block).name
    values, base_values = to_dict(experiment), to_dict(override(base, changes))
    for path in paths(values):
        value = value_at(values, path)
        if value != value_at(base_values, path) and not path.endswith(".name"):
            changes[path] = value
    return changes


def value_at(values: Any, path: str) -> Any:
    """Return the value at a dotted path of plain data."""
    for part in path.split("."):
        values = values[part]
    return values


def _switched(block: str, name: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Values of the scenario or method `name`, with the changed values of the one before that it has too.

    Of a scenario only the fields of all scenarios are kept: alpha means different things in different ones. A
    value that was a default is not kept: FedRSCLIP's default lambda is no choice for FedOTP.
    """
    registry = REGISTRIES[block]
    cls = registry.get_or_refuse(name)
    fields = cls.model_fields
    common = set(Scenario.model_fields if block == "scenario" else fields)
    if block == "scenario" and cls.given:
        common.discard("clients")  # they follow from who holds the images
    defaults = registry[values["name"]]().model_dump()
    kept = {
        key: value
        for key, value in values.items()
        if key in common and key in fields and value != defaults[key]
    }
    return {"name": name, **cls().model_dump(), **kept}


def _unknown_path(path: str, values: Mapping[str, Any]) -> UserError:
    """Return the error for a path that this experiment does not have: who has it, or what is similar."""
    known = paths(values)
    group, _, field = path.rpartition(".")
    siblings = [name for name in known if name.startswith(f"{group}.")]
    elsewhere = ""
    if group in REGISTRIES:
        owners = [name for name, cls in REGISTRIES[group].usable().items() if field in cls.model_fields]
        if owners:
            here = values[group]["name"]
            elsewhere = (
                f": {group}={here} has none; {', '.join(owners)} ha{'ve' if len(owners) > 1 else 's'}, "
                f"for example {group}={owners[0]} {path}=VALUE."
            )
    near = elsewhere or suggest(path, known)
    return UserError(
        f"unknown path '{path}'{near or '.'} Known{' there' if siblings else ''}: "
        f"{', '.join(siblings or known)}"
    )
