"""What a run is: one frozen record of plain data, its id, and overrides by dotted path."""

from raysim.experiment.overrides import at, difference, override, paths
from raysim.experiment.records import (
    REGISTRIES,
    SES,
    Evaluation,
    Experiment,
    Resources,
    Task,
    Training,
    from_dict,
    identity,
    to_dict,
)

__all__ = [
    "REGISTRIES",
    "SES",
    "Evaluation",
    "Experiment",
    "Resources",
    "Task",
    "Training",
    "at",
    "difference",
    "from_dict",
    "identity",
    "override",
    "paths",
    "to_dict",
]
