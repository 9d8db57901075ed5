"""raysim: Ray-based simulation and hyperparameter search of federated learning for remote sensing.

from raysim import Experiment, Serial, Simulation, Store, override
experiment = override(Experiment(), {"scenario": "dirichlet", "scenario.alpha": 0.1})
for record in Simulation(experiment, Serial(), Store(Path("results/mine"), experiment)).rounds():
    print(record.round, record.row.get("acc_personal_own"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysim.core.errors import UserError
    from raysim.engines.serial import Serial
    from raysim.experiment.overrides import override
    from raysim.experiment.records import Experiment, Resources, from_dict, to_dict
    from raysim.simulation.engine import Engine
    from raysim.simulation.rounds import Simulation
    from raysim.storage.store import Store

__all__ = [
    "Engine",
    "Experiment",
    "Resources",
    "Serial",
    "Simulation",
    "Store",
    "UserError",
    "from_dict",
    "override",
    "to_dict",
]

HOMES = {
    "core.errors": ("UserError",),
    "experiment": ("Experiment", "Resources", "from_dict", "override", "to_dict"),
    "simulation.engine": ("Engine",),
    "engines.serial": ("Serial",),
    "simulation.rounds": ("Simulation",),
    "storage.store": ("Store",),
}


def __getattr__(name: str) -> Any:
    """A public name, from its module when it is first asked for: a board that runs a network needs no tables and no schedulers."""
    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(f"raysim.{home}"), name)
    raise AttributeError(f"module 'raysim' has no attribute '{name}'")
