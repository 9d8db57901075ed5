"""FLOPs of steps, rounds and evaluations, against counts of every size and sums by hand."""

from __future__ import annotations

from dataclasses import replace
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
from tests.experiments import one_stack, smallest

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
    if method == "fedrsclip":  # Newton's method has products, and reports them itself
        changes = {**changes, "method__ot_solver": "sinkhorn"}
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


STACKED = [
    (name, changes)
    for name, changes in FORMS
    if (traits := smallest(name, **changes).method.traits).stackable and not traits.pooled
]


@pytest.mark.parametrize(("method", "changes"), STACKED, ids=str)
def test_a_stack_costs_what_is_executed_padding_included(method: str, changes: dict[str, Any]) -> None:
    """Clients of unequal size in one stack: rows are padded, short clients leave it; all of it is counted."""
    worker = worker_of(method, training__micro_cohort=8, **changes)
    cohort = one_stack(worker.federation)
    state, sizes = worker.initial().state, [len(worker.federation.shard(k)) for k in cohort.clients]
    assert len({-(-size // worker.experiment.training.batch) for size in sizes}) > 1  # some leave earlier
    worker.training.fit(state, cohort, 1, "batches")  # what a step costs is known, and counted no more
    with FlopCounter() as executed:
        trained = worker.training.fit(state, cohort, 1, "batches")
    transport = trained.metrics["flops_ot"][0].sum() if "flops_ot" in trained.metrics else 0
    assert trained.flops - transport == executed.total > 0
    assert (transport > 0) == (method in ("fedrsclip", "fedotp"))
    per_image = StepFlops.counted(lambda images: worker.training.count_step(0, images)).per_image
    assert per_image == 0 or max(sizes) % 16 != min(sizes) % 16  # there is padding that costs something


@pytest.mark.parametrize(
    ("method", "changes"), [("safe", {}), ("ratio_loss", {}), ("safe", {"method__scope": "all"})]
)
def test_the_servers_own_work_has_a_column_of_its_own(
    method: str, changes: dict[str, Any], simulate: Any
) -> None:
    run = simulate(smallest(method, rounds=3, evaluation__every=3, **changes))
    worker, rows = Worker(run.federation), run.store.rounds()
    assert rows[0]["flops_server"] == worker.initial().flops_server
    assert (rows[0]["flops_server"] > 0) == (method == "safe")  # activations; ratios come after a round
    state = replace(run.initial.state, round=1)
    samples = worker.batches.server_samples
    with FlopCounter() as executed:
        worker.method.server_step(worker.model, state, samples, 3)
    assert executed.unknown == set() and executed.total > rows[0]["flops_server"]
    assert [row["flops_server"] for row in rows[1:]] == [executed.total] * 3
    assert run.totals["flops_server"] == sum(row["flops_server"] for row in rows)
    assert run.result()["flops_server"] == run.totals["flops_server"]
    clients = [row["flops"] for row in rows]
    assert clients[0] == 0 and all(value > 0 for value in clients[1:])
    assert simulate(smallest("fedavg", rounds=1)).totals["flops_server"] == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: compares its counts with the CPU's")
@by_form
def test_a_gpu_executes_the_flops_that_a_cpu_does(method: str, changes: dict[str, Any]) -> None:
    """Kernels have other names there; the formulas and the sums are the same."""
    cpu = worker_of(method, **changes)
    gpu = Worker(cpu.federation, torch.device("cuda"))
    steps = [
        StepFlops.counted(lambda images, worker=worker: worker.training.count_step(0, images))
        for worker in (cpu, gpu)
    ]
    assert steps[0] == steps[1]
    for worker in (cpu, gpu):
        count_step(*step_of(worker, 1, 3))
    served = [worker.initial().flops_server for worker in (cpu, gpu)]
    assert served[0] == served[1]
    assert count_step(*step_of(cpu, 1, 3)) == count_step(*step_of(gpu, 1, 3)) > 0


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
