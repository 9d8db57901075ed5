"""The registry of methods: each has a file of its own, and a line here. Others come from plug-ins."""

from raysim.core.registry import Registry, class_check
from raysim.methods.base import Method
from raysim.methods.networks.fedavg import CentralizedNetwork, FedAvg, LocalNetwork
from raysim.methods.networks.fedcac import FedCAC
from raysim.methods.networks.fedema import FedEMA
from raysim.methods.networks.fedprox import FedProx
from raysim.methods.networks.moon import MOON
from raysim.methods.networks.ratio_loss import RatioLoss
from raysim.methods.networks.safe.method import SAFE
from raysim.methods.networks.scaffold import Scaffold
from raysim.methods.prompts.fedotp import FedOTP
from raysim.methods.prompts.fedpgp import FedPGP
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.methods.prompts.promptfl import Centralized, LocalOnly, PromptFL, PromptFLFineTuned
from raysim.methods.prompts.promptfl_prox import PromptFLProx
from raysim.methods.prompts.zeroshot import ZeroShot

METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        cls.name: cls
        for cls in (
            FedRSCLIP,
            PromptFL,
            PromptFLFineTuned,
            PromptFLProx,
            FedOTP,
            FedPGP,
            LocalOnly,
            Centralized,
            ZeroShot,
            SAFE,
            FedAvg,
            FedProx,
            Scaffold,
            MOON,
            FedEMA,
            FedCAC,
            RatioLoss,
            LocalNetwork,
            CentralizedNetwork,
        )
    },
    class_check(Method),
)

__all__ = ["METHODS", "Method"]
