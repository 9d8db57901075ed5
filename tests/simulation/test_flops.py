"""FLOPs of steps, rounds and evaluations, against counts of every size and sums by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop, sdpa_flop

from raysim.core.seeds import torch_rng
from raysim.core.types import MicroCohort
from raysim.methods import METHODS
from raysim.nn.flops import FlopCounter, count_flops
from raysim.nn.rows import stack
from raysim.simulation import flops
from raysim.simulation.federation import Federation
from raysim.simulation.flops import StepFlops, count_step
from raysim.simulation.training import LocalTraining
from raysim.simulation.worker import Worker
from tests.experiments import smallest

ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
ATTENTION_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
CPU_ATTENTION = {  # PyTorch's own formulas for a kernel that not every version of its counter knows
    ATTENTION: lambda q, k, v, *_, **__: sdpa_flop(q, k, v),
    ATTENTION_BACKWARD: lambda gradient, q, k, v, *_, **__: sdpa_backward_flop(gradient, q, k, v),
}
FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name, cls in METHODS.items() if cls().traits.trains),
    ("fedrsclip", {"method__fusion": "pair"}),
    ("fedrsclip", {"method__fusion": "mix", "method__dpa_form": "token"}),
    ("fedrsclip", {"method__ot_level": "patch", "method__h_p": 0}),
    ("safe", {"method__ace": False}),
    ("fedavg", {"method__network": "cnn", "method__norm": "group"}),
    ("fedavg", {"method__network": "image_tower", "task__image_size": None}),
    ("moon", {"method__network": "image_tower", "task__image_size": None}),
]
by_form = pytest.mark.parametrize("method, changes", FORMS, ids=str)


def worker_of(method: str, **changes: Any) -> Worker:
    return Worker(Federation.of(smallest(method, **changes)))


def step_of(worker: Worker, clients: int, images: int) -> tuple[Any, ...]:
    """Arguments of `count_step`: the first client's row and first images, once for each of `clients`."""
    start = worker.training.start(worker.initial().state, MicroCohort(0, (0,), (None,)))
    shard = worker.federation.shard(0)
    plan = np.stack([np.resize(shard, images), np.zeros(images, np.int64)], axis=1)
    rngs = tuple(torch_rng(0, "noise", client) for client in range(clients))
    batch = worker.batches.stack([plan] * clients, rngs)
    return worker.method, worker.model, start.rows * clients, start.received, batch


@by_form
def test_two_counts_give_a_step_of_any_size(method: str, changes: dict[str, Any]) -> None:
    worker = worker_of(method, **changes)
    count_step(*step_of(worker, 1, 1))  # what a model prepares once is not part of a step
    step = StepFlops.counted(lambda images: worker.training.count_step(0, images))
    for clients, images in ((1, 1), (1, 5), (3, 1), (3, 5)):
        if clients == 1 or worker.method.traits.stackable:
            assert step.of(clients, images) == count_step(*step_of(worker, clients, images)) > 0


@by_form
def test_a_step_costs_what_the_counter_of_pytorch_sees(method: str, changes: dict[str, Any]) -> None:
    """And nothing that looks like a product is left without a formula."""
    worker = worker_of(method, **changes)
    model, received, batch = worker.model, *step_of(worker, 1, 3)[3:]
    rows = stack(step_of(worker, 1, 3)[2], worker.device)
    buffers = worker.method.buffers(model)
    params = {name: tensor.requires_grad_(name not in buffers) for name, tensor in rows.items()}
    with FlopCounter() as ours, FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as theirs:
        worker.method.loss(model, params, received, batch)[0].sum().backward()
    assert ours.total == theirs.get_total_flops() > 0
    assert ours.unknown == set()


def test_a_round_of_prompts_by_hand() -> None:
    """Each step of two epochs: text forward and backward to the prompt, logits and their gradient."""
    worker = worker_of("promptfl", training__epochs=2, method__h=4)
    images = len(worker.federation.shard(0))
    update = worker.train(worker.initial().state, MicroCohort(0, (0,), (None,)))
    tower, suffixes = worker.model.tower, worker.model.suffixes(4)
    text = tower.flops(1, suffixes) + tower.flops(1, suffixes, backward=True)
    steps = -(-images // worker.experiment.training.batch)
    logits = 2 * 2 * images * suffixes.classes * tower.embed_dim
    assert images % worker.experiment.training.batch and steps > 1
    assert update.flops == 2 * (steps * text + logits)


def test_tuning_at_evaluation_costs_its_steps() -> None:
    worker = worker_of("promptfl_ft")
    cohort, state = MicroCohort(0, (0,), (None,)), worker.initial().state
    score, update = worker.evaluate(state, cohort, "validation"), worker.train(state, cohort)
    assert score is not None and update.flops > 0
    epochs = worker.method.traits.tuning_epochs / worker.experiment.training.epochs
    assert score.flops == epochs * update.flops


def test_three_passes_of_moon_are_one_step_and_two_forward_passes() -> None:
    fedavg, moon = (count_step(*step_of(worker_of(name), 1, 2)) for name in ("fedavg", "moon"))
    worker = worker_of("fedavg")
    method, model, [row], _, batch = step_of(worker, 1, 2)
    forward = count_flops(lambda: method.predict(model, stack([row], worker.device), batch.x[0], "shared"))
    assert moon == fedavg + 2 * forward


def test_kernels_without_a_formula_would_be_seen() -> None:
    """The checks above can fail: without the formula of attention the sum falls and the kernel is named."""
    args = step_of(worker_of("promptfl"), 1, 2)
    whole = count_step(*args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raysim.nn.flops.ATTENTION", "no such kernel")
        assert count_step(*args) < whole
        with FlopCounter() as counter:
            args[0].loss(*args[1:2], stack(args[2], args[4].y.device), *args[3:])
    assert counter.unknown == {"scaled_dot_product_flash_attention_for_cpu"}


def test_steps_are_counted_once_per_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    flops.STEPS.clear()
    counts: list[int] = []
    monkeypatch.setattr(
        LocalTraining, "count_step", lambda self, client, images: counts.append(images) or 10 + images
    )
    worker = worker_of("fedavg")
    for client in (0, 1):
        worker.train(worker.initial().state, MicroCohort(0, (client,), (None,)))
    assert counts == [1, 2]
    key = (worker.experiment.task, worker.method, worker.federation.clients, worker.method.architecture(0))
    assert flops.STEPS.get(key, dict) == StepFlops(fixed=10, per_image=1) and len(flops.STEPS) == 1
    flops.STEPS.clear()
