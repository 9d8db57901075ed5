"""A client's optimiser: the update rules of PyTorch, called as functions.

The classes of `torch.optim` load PyTorch's compiler, `torch._dynamo`, when a process makes its first: a
second of CPU time in every client actor, for something that is not used. The functions below them do not.
"""

from __future__ import annotations

import torch
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from raysim.experiment.training import Training

BETAS, EPSILON = (0.9, 0.999), 1e-8  # the defaults of `torch.optim.Adam`
State = dict[str, torch.Tensor]


class Optimiser:
    """SGD or Adam over tensors with learning rates of their own."""

    def __init__(self, training: Training, groups: list[tuple[float, list[torch.Tensor]]]) -> None:
        """Start without momentum.

        Args:
            training: Which rule, its momentum and weight decay.
            groups: (learning rate, leaves that take gradients), changed in place by `step`.
        """
        self.training, self.groups = training, groups
        self.states: dict[int, State] = {}  # of tensors that had a gradient, by their id

    def clear(self) -> None:
        """Drop the gradients."""
        for _, tensors in self.groups:
            for tensor in tensors:
                tensor.grad = None

    def step(self) -> None:
        """Move every tensor that has a gradient."""
        update = self._adam if self.training.optimiser == "adam" else self._sgd
        with torch.no_grad():
            for rate, tensors in self.groups:
                moved = [tensor for tensor in tensors if tensor.grad is not None]
                update(rate, moved, [tensor.grad for tensor in moved if tensor.grad is not None])

    def _sgd(self, rate: float, tensors: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
        momentum = self.training.momentum
        buffers: list[torch.Tensor | None] = [None] * len(tensors)
        if momentum:
            buffers = [self._state(tensor, "momentum")["momentum"] for tensor in tensors]
        sgd(
            tensors,
            gradients,
            buffers,
            fused=True,  # the same bits in a third of the time of one operation after the other
            lr=rate,
            momentum=momentum,
            weight_decay=self.training.weight_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )

    def _adam(self, rate: float, tensors: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
        states = [self._state(tensor, "mean", "square") for tensor in tensors]
        for state in states:
            if "steps" not in state:
                state["steps"] = torch.tensor(0.0)
        adam(
            tensors,
            gradients,
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["steps"] for state in states],
            lr=rate,
            weight_decay=self.training.weight_decay,
            beta1=BETAS[0],
            beta2=BETAS[1],
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _state(self, tensor: torch.Tensor, *names: str) -> State:
        """Return what the rule keeps of a tensor: zeros of its shape at first."""
        state = self.states.setdefault(id(tensor), {})
        for name in names:
            if name not in state:
                state[name] = torch.zeros_like(tensor, memory_format=torch.preserve_format)
        return state
