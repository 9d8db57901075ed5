"""raysim: Ray-based simulation and hyperparameter search of federated learning for remote sensing.

from raysim import Experiment, Serial, Simulation, Store, override
experiment = override(Experiment(), {"scenario": "dirichlet", "scenario.alpha": 0.1})
for record in Simulation(experiment, Serial(), Store(Path("results/mine"), experiment)).rounds():
print(record.round, record.row.get("acc_personal_own"))
"""

from raysim.config import UserError
from raysim.experiment import Experiment, Resources, from_dict, override, to_dict
from raysim.simulate import Engine, Serial, Simulation
from raysim.store import Store

__all__ = ["Engine", "Experiment", "Resources", "Serial", "Simulation", "Store", "UserError", "from_dict", "override", "to_dict"]
