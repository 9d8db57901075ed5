"""The methods: one file each, one line here."""

from raysim.methods.base import Method
from raysim.methods.fedavg import CentralizedNetwork, FedAvg, LocalNetwork
from raysim.methods.fedcac import FedCAC
from raysim.methods.fedema import FedEMA
from raysim.methods.fedotp import FedOTP
from raysim.methods.fedpgp import FedPGP
from raysim.methods.fedprox import FedProx
from raysim.methods.fedrsclip import FedRSCLIP
from raysim.methods.moon import MOON
from raysim.methods.promptfl import Centralized, LocalOnly, PromptFL, PromptFLFineTuned
from raysim.methods.promptfl_prox import PromptFLProx
from raysim.methods.ratio_loss import RatioLoss
from raysim.methods.safe import SAFE
from raysim.methods.scaffold import Scaffold
from raysim.methods.zeroshot import ZeroShot

METHODS: dict[str, type[Method]] = {
    cls.name: cls
    for cls in (
        FedRSCLIP, PromptFL, PromptFLFineTuned, PromptFLProx, FedOTP, FedPGP, LocalOnly, Centralized, ZeroShot,
        SAFE, FedAvg, FedProx, Scaffold, MOON, FedEMA, FedCAC, RatioLoss, LocalNetwork, CentralizedNetwork,
    )
}  # fmt: skip

__all__ = ["METHODS", "Method"]
