"""CRO, SAFE's class rectification: the server weighs the classes by its gradients on its own samples.

    CR <- m CR + (1 - m) rectified(estimate)

`raysim.methods.networks.rectification` has the estimators. CR_c weights the clients' next loss of class c.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, Tensors
from raysim.methods.networks import rectification
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel, images_per_call
from raysim.nn.networks import Output


class ClassRectification(NetworkMethod):
    """Class ratios from gradients on the server's samples."""

    cro: bool = knob(True, "class rectification (CRO)", basis="paper")
    estimator: Literal["proportion", "composition", "ratio"] = knob(
        "proportion",
        "CRO: how gradients become class ratios",
        basis="guess",
        search="{proportion,composition,ratio}",
        source="composition: CUCB; ratio: Wang et al., AAAI 2021",
        used_when=("cro=true", lambda self: self.cro),
    )
    ratio_b: float = knob(
        0.1,
        "CRO: weight b of the estimator 'ratio', CR = 1 + b R; R goes up to 5,000",
        basis="relative",
        source="Wang et al.",
        search="{0.1,1}",
        gt=0,
        le=10,
        used_when=("cro=true and estimator=ratio", lambda self: self.cro and self.estimator == "ratio"),
    )
    composition_b: float = knob(
        0.1,
        "CRO: b of the estimator 'composition', CR ~ exp(-b / q); large = one class takes all",
        basis="computed",
        source="a toy: at 1 the half of the classes with the smaller gradients gets next to nothing",
        search="{0.1,1}",
        gt=0,
        le=10,
        used_when=(
            "cro=true and estimator=composition",
            lambda self: self.cro and self.estimator == "composition",
        ),
    )
    p: float = knob(
        1.0,
        "CRO: exponent of the gradient norms; 0 = all classes alike",
        basis="guess",
        search="{1,2}",
        ge=0,
        le=4,
        used_when=(
            "cro=true and estimator=proportion",
            lambda self: self.cro and self.estimator == "proportion",
        ),
    )
    scope: rectification.Scope = knob(
        "head",
        "CRO: gradients of the last layer, of the class's row of it, or of all weights",
        basis="guess",
        search="{head,row,all}",
        used_when=(
            "cro=true and estimator=proportion or composition",
            lambda self: self.cro and self.estimator != "ratio",
        ),
    )
    m: float = knob(
        0.5,
        "CRO: share of the old ratios that stays",
        basis="guess",
        search="U [0, 0.9]",
        ge=0,
        lt=1,
        used_when=("cro=true", lambda self: self.cro),
    )
    cr_min: float = knob(
        0.2,
        "CRO: smallest ratio; ratios have a mean of 1",
        basis="guess",
        gt=0,
        le=1,
        used_when=("cro=true", lambda self: self.cro),
    )
    cr_max: float = knob(
        5.0,
        "CRO: largest ratio",
        basis="guess",
        search="{3,5,10}",
        ge=1,
        le=1000,
        used_when=("cro=true", lambda self: self.cro),
    )

    def next_ratios(self, old_C: torch.Tensor, estimates: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return CR [C] of the next round: the mean of the networks' rectified estimates, smoothed by m.

        Its mean is 1 and it is within [cr_min, cr_max], because both hold for the old and the new ratios.
        """
        rectified = [rectification.rectified(cr_C, self.cr_min, self.cr_max) for cr_C in estimates]
        new_C = torch.stack(rectified).mean(0)
        return self.m * old_C + (1 - self.m) * new_C

    def estimate(
        self,
        model: NetworkModel,
        row: Tensors,
        samples: Batch,
        outputs: Iterable[tuple[Output, torch.Tensor]],
    ) -> torch.Tensor:
        """Return CR [C] of one network at the estimator's own scale; `outputs` are its `sample_outputs`."""
        if self.scope == "all" and self.estimator != "ratio":
            norm_C = self._whole_norms(model, row, samples)
        else:
            gradients_CCd = rectification.head_gradients(outputs, model.weights(row)[1])
            if self.estimator == "ratio":
                return 1 + self.ratio_b * rectification.ratio(gradients_CCd)
            norm_C = rectification.head_norms(gradients_CCd, self.scope)
        if self.estimator == "proportion":
            return rectification.proportion(norm_C, self.p)
        return rectification.composition(norm_C, self.composition_b)

    def _whole_norms(self, model: NetworkModel, row: Tensors, samples: Batch) -> torch.Tensor:
        """Norms [C] of the classes' gradients over all weights."""
        buffers = self.buffers(model)
        trained = {
            name: tensor.detach().requires_grad_() for name, tensor in row.items() if name not in buffers
        }
        x, y = samples.x[0], samples.y[0]
        return rectification.whole_norms(
            lambda x_part: self.forward(model, {**row, **trained}, x_part).logits,
            x,
            y,
            list(trained.values()),
            len(model.context.classes),
            images_per_call(x),
        )
