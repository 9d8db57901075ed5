"""Dual prompt alignment (DPA): the distance of the private prompt from the shared one, in FedRSCLIP's loss.

Shapes: K clients, C classes, P prompt tokens, W text width, d embedding.

Reference: Wang et al., "NormFace", ACM MM 2017, and "CosFace", CVPR 2018 (normalised softmax with a scaling
    factor s); Yao et al., "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization"
    (KgCoOp), CVPR 2023 (cosine).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F

from raysim.core.config import knob
from raysim.core.types import Tensors
from raysim.methods.prompts.base import PRIVATE, SHARED, ClassFeatures, SharedPromptMethod


class DualPromptAlignment(SharedPromptMethod):
    """The form of the alignment, its scaling factor, and its weight in the loss."""

    dpa_form: Literal["softmax", "cosine", "token"] = knob(
        "softmax",
        "form of the alignment of the two prompts",
        basis="guess",
        search="{softmax,cosine,token}",
        used_when=("h_p of 1 or more", lambda self: self.has_private),
    )
    s: float = knob(
        30.0,
        "scaling factor of the alignment",
        basis="guess",
        search="log-U [1, 100]",
        gt=0,
        used_when=("h_p of 1 or more", lambda self: self.has_private),
    )
    w_dpa: float = knob(
        0.5,
        "weight of the alignment; 0 = off",
        basis="guess",
        search="log-U [0.01, 5], and 0",
        ge=0,
        used_when=("h_p of 1 or more", lambda self: self.has_private),
    )
    dpa_detach_shared: bool = knob(
        False,
        "stop the alignment's gradient into the shared prompt",
        basis="guess",
        search="{false,true}",
        used_when=("w_dpa above 0 and h_p of 1 or more", lambda self: self.w_dpa > 0 and self.has_private),
    )

    @property
    def has_private(self) -> bool:
        """Whether there is a private prompt to align."""
        return True

    def alignment(self, params: Tensors, features: ClassFeatures) -> torch.Tensor:
        """L_DPA, [K].

        Args:
            params: The clients' prompts, stacked; read by the form "token".
            features: Class features under the "shared" and the "private" prompt; read by the other forms.
        """
        if self.dpa_form == "token":
            shared, private = params[SHARED], params[PRIVATE]
        else:
            shared, private = features["shared"], features["private"]
        distance = {"token": token_alignment, "cosine": cosine_alignment, "softmax": softmax_alignment}
        shared = shared.detach() if self.dpa_detach_shared else shared
        return distance[self.dpa_form](shared, private, self.s)


def token_alignment(shared_KPW: torch.Tensor, private_KPW: torch.Tensor, s: float) -> torch.Tensor:
    """Cosine distance of the two prompts, each as one vector of all its numbers, times s: [K]."""
    return s * (1 - F.cosine_similarity(private_KPW.flatten(1), shared_KPW.flatten(1)))


def cosine_alignment(shared_KCd: torch.Tensor, private_KCd: torch.Tensor, s: float) -> torch.Tensor:
    """Mean cosine distance of the two prompts' class features, which have unit length, times s: [K]."""
    return s * (1 - (private_KCd * shared_KCd).sum(-1)).mean(-1)


def softmax_alignment(shared_KCd: torch.Tensor, private_KCd: torch.Tensor, s: float) -> torch.Tensor:
    """Cross-entropy of finding a class's shared feature among all classes' by its private feature: [K].

    The logits are s times the cosines; s > 0, and a large s looks at the most similar classes only.
    """
    sim_KCC = torch.bmm(private_KCd, shared_KCd.transpose(1, 2))
    return -F.log_softmax(s * sim_KCC, dim=-1).diagonal(dim1=1, dim2=2).mean(-1)
