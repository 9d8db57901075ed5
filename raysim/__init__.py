"""raysim: Ray-based simulation and hyperparameter search of federated learning for remote sensing.

import raysim
result = raysim.run("fedrsclip", {"scenario": "dirichlet", "scenario.alpha": 0.1}, rounds=5)
print(result.summary["acc_personal_own"])
print(result.rounds[["round", "acc_personal_own"]])

`raysim.sweep` searches, `raysim.load` opens a result folder, `raysim.compare` decides between two; see
docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysim.api.reading import compare, load
    from raysim.api.run import run
    from raysim.api.sweep import sweep
    from raysim.backbones.own import BACKBONES
    from raysim.clients.partition import SCENARIOS
    from raysim.clients.scenario import Scenario
    from raysim.core.config import knob
    from raysim.core.errors import UserError
    from raysim.core.plugins import load_plugin
    from raysim.data.dataset import Dataset
    from raysim.data.files import data_roots
    from raysim.data.registry import DATASETS
    from raysim.engines.serial import Serial
    from raysim.experiment.overrides import override
    from raysim.experiment.records import Experiment, from_dict, to_dict
    from raysim.experiment.resources import Resources
    from raysim.methods import METHODS, Method
    from raysim.nn.convnets import NETWORKS, ConvBackbone
    from raysim.search.spaces.files import load_space
    from raysim.simulation.engine import Engine
    from raysim.simulation.rounds import Simulation
    from raysim.storage.figures import REPORT_FIGURES, ReportFigure
    from raysim.storage.store import Store

    __version__: str

__all__ = [
    "BACKBONES",
    "DATASETS",
    "METHODS",
    "NETWORKS",
    "REPORT_FIGURES",
    "SCENARIOS",
    "ConvBackbone",
    "Dataset",
    "Engine",
    "Experiment",
    "Method",
    "ReportFigure",
    "Resources",
    "Scenario",
    "Serial",
    "Simulation",
    "Store",
    "UserError",
    "compare",
    "data_roots",
    "from_dict",
    "knob",
    "load",
    "load_plugin",
    "load_space",
    "override",
    "run",
    "sweep",
    "to_dict",
]

MODULES = {
    "backbones.own": ("BACKBONES",),
    "api.reading": ("compare", "load"),
    "api.run": ("run",),
    "api.sweep": ("sweep",),
    "clients.partition": ("SCENARIOS",),
    "clients.scenario": ("Scenario",),
    "core.config": ("knob",),
    "core.errors": ("UserError",),
    "core.plugins": ("load_plugin",),
    "data.dataset": ("Dataset",),
    "data.files": ("data_roots",),
    "data.registry": ("DATASETS",),
    "experiment": ("Experiment", "Resources", "from_dict", "override", "to_dict"),
    "methods": ("METHODS", "Method"),
    "nn.convnets": ("NETWORKS", "ConvBackbone"),
    "simulation.engine": ("Engine",),
    "engines.serial": ("Serial",),
    "simulation.rounds": ("Simulation",),
    "search.spaces.files": ("load_space",),
    "storage.figures": ("REPORT_FIGURES", "ReportFigure"),
    "storage.store": ("Store",),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name when the name is first used.

    A program that only runs a network then needs neither tables nor schedulers.
    """
    if name == "__version__":
        return import_module("importlib.metadata").version("raysim")
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"raysim.{module}"), name)
    raise AttributeError(f"module 'raysim' has no attribute '{name}'")
