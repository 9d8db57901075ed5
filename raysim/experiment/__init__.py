"""Definition of a run: one frozen record of plain data, its id, and overrides by dotted path."""

from raysim.experiment.effects import refuse_without_effect, without_effect
from raysim.experiment.evaluation import Evaluation
from raysim.experiment.overrides import difference, override, paths, value_at
from raysim.experiment.records import REGISTRIES, Experiment, from_dict, identity, to_dict
from raysim.experiment.resources import Resources
from raysim.experiment.task import Task
from raysim.experiment.training import Training

__all__ = [
    "REGISTRIES",
    "Evaluation",
    "Experiment",
    "Resources",
    "Task",
    "Training",
    "difference",
    "from_dict",
    "identity",
    "override",
    "paths",
    "refuse_without_effect",
    "to_dict",
    "value_at",
    "without_effect",
]
