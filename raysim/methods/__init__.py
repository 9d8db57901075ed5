"""The methods: one file each, one line here."""

from raysim.methods.base import Method
from raysim.methods.fedavg import FedAvg
from raysim.methods.fedotp import FedOTP
from raysim.methods.fedpgp import FedPGP
from raysim.methods.fedprox import FedProx
from raysim.methods.fedrsclip import FedRSCLIP
from raysim.methods.promptfl import Centralized, LocalOnly, PromptFL, PromptFLFineTuned
from raysim.methods.zeroshot import ZeroShot

METHODS: dict[str, type[Method]] = {
    cls.name: cls for cls in (FedRSCLIP, PromptFL, PromptFLFineTuned, FedProx, FedOTP, FedPGP, LocalOnly, Centralized, ZeroShot, FedAvg)
}

__all__ = ["METHODS", "Method"]
