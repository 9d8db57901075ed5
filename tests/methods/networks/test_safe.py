"""SAFE: its merge and schedules on paper, what is sent and kept, and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import Batch, MicroCohort, ServerState, nbytes
from raysim.engines.serial import Serial
from raysim.experiment import Experiment
from raysim.experiment.records import identity
from raysim.methods import METHODS, signatures
from raysim.methods.networks import safe
from raysim.methods.networks.safe import SAFE
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from raysim.storage.vault import fetch
from tests.experiments import small

TINY = {
    "task__classes": 4,
    "task__shots": 20,
    "task__image_size": 32,
    "task__ses": 3,
    "method__width": 8,
    "training__lr": 0.1,
    "scenario__clients": 4,
    "rounds": 3,
    "evaluation__every": 3,
}


def tiny(method: str = "safe", **changes: Any) -> Experiment:
    """A federation of four clients and four classes whose network trains in a second."""
    sizes = {"method__d": 16, "method__d_e": 8} if method == "safe" else {}
    return small(method=method, **{**TINY, **sizes, **changes})


@pytest.mark.parametrize(
    ("dmr", "expected"),
    [
        ("cosine", [0.0, 0.1464, 0.5, 0.8536, 1.0]),
        ("linear", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("constant", [1.0] * 5),
        ("reversed", [1.0, 0.8536, 0.5, 0.1464, 0.0]),
    ],
)
def test_dmr_on_paper(dmr: str, expected: list[float]) -> None:
    method = SAFE(dmr=dmr, beta_max=0.6)  # type: ignore[arg-type]
    assert [method.beta(t) for t in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(
        [0.6 * value for value in expected], abs=1e-4
    )


def test_warm_up_keeps_beta_at_zero() -> None:
    method = SAFE(warmup=0.2)
    assert method.beta(0.1) == 0.0 and method.beta(0.2) == 0.0 and method.beta(1.0) == 1.0
    assert method.beta(0.6) == pytest.approx(0.5)


def test_the_temperature_is_annealed() -> None:
    assert [SAFE().temperature(t) for t in (0.0, 0.5, 1.0)] == [1.0, 0.75, 0.5]
    assert SAFE(tau_g_schedule="constant").temperature(1.0) == 1.0


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(tiny(method__ace=False)))


@pytest.mark.parametrize(
    ("kappa", "divergence", "mu"),
    [(1.0, 0.4, 0.2), (4.0, 0.4, 0.8), (20.0, 0.4, 1.0), (0.0, 0.4, 0.0), (1.0, 0.0, 0.0)],
)
def test_fau_on_paper(
    kappa: float, divergence: float, mu: float, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mu = clip(kappa beta D, 0, 1) at half of the rounds, where beta is 0.5; BatchNorm's statistics come from the server."""
    method = SAFE(ace=False, kappa=kappa, width=8)
    monkeypatch.setattr(SAFE, "_divergence", lambda *_: divergence)
    state = worker.initial().state
    received = {**method.broadcast(state, 0), safe.PROGRESS: torch.tensor(0.5)}
    private = {f"own/{name}": tensor + 1.0 for name, tensor in state.shared.items()}
    samples = Batch(
        torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1),
    )
    row, measured = method.receive(worker.model, received, private, 0, samples)
    assert measured == {"beta": pytest.approx(0.5), "d_cka": divergence, "mu": pytest.approx(mu)}
    for name, tensor in state.shared.items():
        moved = 0.0 if "running" in name else mu
        torch.testing.assert_close(row[name], tensor + moved, msg=name)


def test_the_autoscaler_brings_the_first_divergence_to_its_value(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = SAFE(ace=False, width=8, autoscale=0.7, dmr="constant")
    state = worker.initial().state
    samples = Batch(
        torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1),
    )
    private = {f"own/{name}": tensor for name, tensor in state.shared.items()}
    seen = []
    for divergence in (0.02, 0.01, 0.04):
        monkeypatch.setattr(SAFE, "_divergence", lambda *_, value=divergence: value)
        row, measured = method.receive(worker.model, method.broadcast(state, 0), private, 0, samples)
        private = method.finish(worker.model, row, method.broadcast(state, 0), private, 1, 0.1).private
        seen.append(measured["mu"])
    assert seen == pytest.approx([0.7, 0.35, 1.0])


def test_a_client_that_did_not_move_does_not_diverge(worker: Worker) -> None:
    state = worker.initial().state
    private = {f"own/{name}": tensor for name, tensor in state.shared.items()}
    method: Any = worker.method
    _, measured = method.receive(worker.model, method.broadcast(state, 0), private, 0, worker._samples())
    assert measured["d_cka"] == pytest.approx(0.0, abs=1e-6)
    other = {
        name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)) * 0.3
        if "running" not in name
        else tensor
        for name, tensor in private.items()
    }
    _, measured = method.receive(worker.model, method.broadcast(state, 0), other, 0, worker._samples())
    assert 0.05 < measured["d_cka"] <= 1.0


def test_without_its_mechanisms_safe_is_fedavg(simulate: Any) -> None:
    plain = simulate(tiny("fedavg"))
    bare = simulate(tiny(method__cro=False, method__fau=False, method__ace=False))
    for name, tensor in plain.state.shared.items():
        assert torch.equal(tensor, bare.state.shared[name]), name


def test_each_mechanism_changes_the_outcome(simulate: Any) -> None:
    everything = {"method__cro": False, "method__fau": False, "method__ace": False}
    digests = {simulate(tiny(**everything)).result()["state_sha256"]}
    for name in everything:
        digests.add(simulate(tiny(**{**everything, name: True})).result()["state_sha256"])
    assert len(digests) == 4


def test_beta_zero_is_the_global_network(simulate: Any) -> None:
    row = simulate(tiny(method__beta_max=0.0)).last
    assert row["acc_personal_global"] == pytest.approx(row["acc_shared_global"])


@pytest.mark.parametrize("reference", ["own", "all"])
def test_what_is_sent_is_counted_to_the_byte(reference: str, simulate: Any, tmp_path: Path) -> None:
    simulation = simulate(
        tiny(method__reference=reference, rounds=2, evaluation__every=2), folder=tmp_path / "run"
    )
    rows = simulation.store.rounds()
    clients, samples = 4, len(simulation.federation.samples)
    weights = nbytes(simulation.state.shared) * clients
    beside = 4 * (1 + 4 + samples * 32 + clients * 8) * clients  # progress, CR, A_g of 4 x 8 channels, E
    assert rows[1]["bytes_weights_up"] == rows[1]["bytes_weights_down"] == weights
    assert rows[1]["bytes_down"] == weights + beside
    assert rows[1]["bytes_up"] == weights + 4 * 8 * clients  # e_i
    assert simulation.result()["bytes_setup"] == samples * 32 * 32 * 3 * clients


def test_a_client_moves_its_own_embedding_only(simulate: Any) -> None:
    experiment = tiny(participation=0.5, rounds=1, evaluation__every=1)
    before = Worker(Federation.of(experiment)).initial().state.extra[safe.CONTEXTS]
    simulation = simulate(experiment)
    after, cohort = simulation.state.extra[safe.CONTEXTS], simulation._cohort(0)
    assert len(cohort) == 2
    for client in range(4):
        assert torch.equal(before[client], after[client]) == (client not in cohort)


def test_the_servers_samples_belong_to_nobody_else() -> None:
    federation = Federation.of(tiny(task__ses=5))
    labels = federation.images.labels[federation.samples]
    assert np.bincount(labels).tolist() == [5, 5, 5, 5]
    assert not set(federation.samples) & {image for shard in federation.shards for image in shard}
    assert set(federation.images.parts[federation.samples]) == {0}  # of the training side
    same = Federation.of(tiny("fedavg", task__ses=5))
    assert all(np.array_equal(one, other) for one, other in zip(federation.shards, same.shards, strict=True))
    skewed = Federation.of(tiny(task__ses=10, task__ses_imbalance=10.0))
    assert sorted(np.bincount(skewed.images.labels[skewed.samples]).tolist()) == [1, 2, 5, 10]


def test_samples_are_needed() -> None:
    with pytest.raises(UserError, match=r"task.ses = 0 is not allowed: 'safe' needs samples"):
        tiny(task__ses=0)
    assert tiny(task__ses=0, method__cro=False, method__fau=False).samples_per_class == 0
    assert tiny(task__ses=None).samples_per_class == 10
    with pytest.raises(
        UserError, match=r"method: d = 10 is not allowed: it should be a multiple of heads = 4"
    ):
        tiny(method__d=10)
    with pytest.raises(UserError, match="cannot classify the pixels of 'scene_masks'"):
        small(task__dataset="scene_masks")


def test_too_few_samples_for_cka_are_refused() -> None:
    with pytest.raises(UserError, match=r"task.ses: 3 samples are too few for CKA; at least 4"):
        Worker(Federation.of(tiny(task__classes=3, task__ses=1))).initial()


@pytest.mark.parametrize("scope", ["head", "row", "all"])
@pytest.mark.parametrize("estimator", ["proportion", "composition", "ratio"])
def test_every_estimator_gives_ratios_of_mean_one(scope: str, estimator: str) -> None:
    worker = Worker(
        Federation.of(
            tiny(method__scope=scope, method__estimator=estimator, method__m=0.0, method__ace=scope == "all")
        )
    )
    state = worker.initial().state
    state = worker.serve(ServerState(1, state.shared, state.extra))
    assert state.extra[safe.CR].mean() == pytest.approx(1.0, abs=1e-5) and state.extra[safe.CR].min() > 0


def test_ratios_are_smoothed_and_fade(worker: Worker) -> None:
    sharp, smooth = SAFE(ace=False, width=8, m=0.0), SAFE(ace=False, width=8, m=0.75)
    state = worker.initial().state
    now = sharp.server_step(worker.model, ServerState(2, state.shared, state.extra), worker._samples(), 4)
    mixed = smooth.server_step(worker.model, ServerState(2, state.shared, state.extra), worker._samples(), 4)
    torch.testing.assert_close(mixed.extra[safe.CR], 0.75 * torch.ones(4) + 0.25 * now.extra[safe.CR])
    faded = SAFE(ace=False, width=8, dmr_on_cro=True).class_ratios(now)
    torch.testing.assert_close(faded, 0.5 * now.extra[safe.CR] + 0.5)  # alpha = 0.5 at half of the rounds


def test_the_rank_of_ratios_is_logged_every_round(simulate: Any, tmp_path: Path) -> None:
    changes = {"scenario": "long_tail", "scenario__imbalance": 5.0, "scenario__clients": 4, "task__shots": 30}
    simulation = simulate(tiny(**changes), folder=tmp_path / "run")
    rows = simulation.store.rounds()
    assert all(row["cr_spearman"] is not None and -1 <= row["cr_spearman"] <= 1 for row in rows[1:])
    assert rows[1]["cr_jump"] > 0 and rows[0]["cr_jump"] is None
    import pyarrow.parquet as pq

    ratios = pq.read_table(tmp_path / "run" / "tables" / "ratios").to_pylist()
    assert len(ratios) == 4 * 4  # classes, rounds with the first state
    totals = {row["label"]: row["images"] for row in ratios}
    held = np.bincount(
        simulation.federation.images.labels[np.concatenate(simulation.federation.shards)], minlength=4
    )
    assert [totals[label] for label in range(4)] == held.tolist()


def test_no_method_can_read_class_frequencies() -> None:
    """Training images per class are in `InitialState`, for the driver's log; no hook of a method is given it, and none imports the federation."""
    for path in Path(safe.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert ".totals" not in text and "import First" not in text and "bincount" not in text, path


def test_a_gate_that_is_stuck_is_seen_through_its_noise(simulate: Any) -> None:
    rows = simulate(tiny(method__open_bias=3.0, method__gate_rate=0.001, rounds=4)).store.rounds()
    assert rows[-1]["mask_full"] > 0.9 and rows[-1]["mask_ratio"] < 1  # noise closes some positions
    failures = SAFE().failures(rows)
    assert "mask_full" in [failure.name for failure in failures]
    shut = simulate(tiny(method__open_bias=-3.0, method__gate_rate=0.001, rounds=4)).store.rounds()
    assert shut[-1]["mask_empty"] > 0.9 and shut[-1]["mask_ratio"] > 0


def test_the_gallery_measures_overlap(simulate: Any, tmp_path: Path) -> None:
    from safetensors import safe_open

    simulation = simulate(tiny(rounds=1, evaluation__every=1), folder=tmp_path / "run")
    with safe_open(tmp_path / "run" / "gallery.safetensors", framework="np") as file:
        shapes = {name: file.get_tensor(name).shape for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert (
        shapes["image"] == (12, 32, 32, 3)
        and shapes["hard"] == (12, 4, 4)
        and shapes["foreground"] == (12, 32, 32)
    )
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "run" / "tables" / "masks").to_pylist()
    assert len(rows) == len(simulation.federation.images.where("validation"))
    assert all(0 <= row[name] <= 1 for row in rows for name in ("open", "iou", "iou_untrained", "iou_random"))


def test_overlaps_on_paper() -> None:
    from raysim.simulation.gallery import enlarged, overlap

    one, other = np.array([[1, 1], [0, 0]], bool), np.array([[1, 0], [1, 0]], bool)
    assert overlap(one, other) == pytest.approx(1 / 3)
    assert overlap(one & False, one & False) == 1.0
    assert enlarged(one, 4).tolist() == [[True] * 4, [True] * 4, [False] * 4, [False] * 4]


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"cr_spearman": [0.0, 0.9, 0.5, -0.4, -0.2]}, ["cr_inverse"]),
        ({"cr_spearman": [0.0, -0.9, 0.5, 0.4, 0.2]}, []),
        ({"cr_jump": [0.0, 0.1, 0.1, 0.5, 0.4]}, ["cr_erratic"]),
        ({"cr_jump": [0.0, 0.9, 0.9, 0.1, 0.1]}, []),
        ({"d_cka": [0.5, 0.5, 0.0, 0.001, 0.002]}, ["d_cka_zero"]),
        ({"d_cka": [0.5, 0.5, 1.0, 0.999, 0.998]}, ["d_cka_one"]),
        ({"d_cka": [0.5, 0.0, 0.1, 0.2, 0.2]}, []),
        ({"mask_empty": [0.0, 0.0, 0.0, 0.9, 0.8], "mask_full": [0.0] * 5}, ["mask_empty"]),
        ({"mask_full": [0.0, 1.0, 1.0, 1.0, 1.0], "mask_empty": [0.0] * 5}, ["mask_full"]),
        ({"mask_full": [0.0, 1.0, 1.0, 0.1, 0.1]}, []),
    ],
)
def test_failures_are_seen_in_the_second_half(columns: dict[str, list[float]], found: list[str]) -> None:
    assert [signature.name for signature in SAFE().failures(rounds(**columns))] == found
    assert set(found) <= set(SAFE.watched) and set(SAFE.watched) <= set(signatures.WATCHED)


@pytest.mark.parametrize(
    "changes",
    [{}, {"method__batchnorm": "local", "method__autoscale": 0.7}, {"method__network": "cnn+small_resnet"}],
)
def test_resume_equals_uninterrupted(changes: dict[str, Any], simulate: Any, tmp_path: Path) -> None:
    experiment = tiny(participation=0.5, rounds=4, evaluation__every=2, **changes)
    whole = simulate(experiment).result()
    begun = Simulation(experiment, Serial(), Store(tmp_path / "cut", experiment)).rounds()
    for _ in range(3):
        next(begun)
    again = simulate(experiment, folder=tmp_path / "cut", resume=True).result()
    assert {name: again[name] for name in again if name != "seconds"} == {
        name: whole[name] for name in whole if name != "seconds"
    }


def test_ray_gives_the_bits_of_the_serial_engine(ray_session: None, simulate: Any) -> None:
    """BatchNorm, embeddings, noise and large private states included; the shared tensors are large enough to be streamed."""
    from raysim.engines import ray_pool
    from raysim.experiment import Resources

    experiment = tiny(method__width=32, method__autoscale=0.7, rounds=2, evaluation__every=2)
    serial = simulate(experiment)
    assert nbytes(serial.state.shared) > ray_pool.LARGE and len(list(serial.store.vault.iterdir())) == 4
    pool = ray_pool.RayPool(Resources(workers=2))
    try:
        found = simulate(experiment, engine=pool).result()
    finally:
        pool.close()
    assert found["state_sha256"] == serial.result()["state_sha256"]
    assert found["acc_personal_own"] == serial.result()["acc_personal_own"]


def test_a_worker_killed_while_streaming_changes_nothing(ray_session: None, simulate: Any) -> None:
    import os
    import signal
    import threading

    import ray

    from raysim.engines import ray_pool
    from raysim.experiment import Resources

    experiment = tiny(method__width=32, rounds=3, evaluation__every=3, training__epochs=2)
    expected = simulate(experiment).result()["state_sha256"]
    pool = ray_pool.RayPool(Resources(workers=2))
    try:
        victim = ray.get(pool.actors[0].where.remote())[0]
        pool.initial(identity(experiment))
        timer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
        timer.start()
        found = simulate(experiment, engine=pool).result()["state_sha256"]
        timer.join()
        assert ray.get(pool.actors[0].where.remote())[0] != victim
    finally:
        pool.close()
    assert found == expected


def test_private_networks_never_enter_what_is_sent(tmp_path: Path) -> None:
    worker = Worker(Federation.of(tiny()))
    state = worker.initial().state
    sent = worker.train(state, MicroCohort(0, (0,), (None,), str(tmp_path)))
    assert set(sent.sums) == set(state.shared)
    assert set(sent.aside[0]) == {safe.MINE}
    assert all(name.startswith("own/") for name in fetch(sent.private[0], tmp_path))


def test_the_image_tower_stays_as_it_is() -> None:
    """CLIP's tower is shared by all clients and runs of a process: training must not write into its statistics."""
    worker = Worker(
        Federation.of(small(method="fedavg", method__network="image_tower", task__shots=2, task__classes=4))
    )
    visual = worker.frozen.context.backbone.clip.visual
    before = {name: tensor.clone() for name, tensor in visual.state_dict().items()}
    worker.train(worker.initial().state, MicroCohort(0, (0,), (None,)))
    assert any("running_mean" in name for name in before) and not visual.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in visual.state_dict().items())


def test_what_the_image_tower_cannot_do_is_refused() -> None:
    for changes in ({"method__ace": False}, {}):
        with pytest.raises(UserError, match="'image_tower' is not allowed here"):
            Worker(Federation.of(tiny(method__network="image_tower", task__image_size=None, **changes)))


def test_clients_of_two_architectures_are_measured_by_their_own(simulate: Any) -> None:
    experiment = tiny("fedavg", method__network="cnn+small_resnet", rounds=2, evaluation__every=2)
    simulation = simulate(experiment)
    assert simulation.personal
    worker = Worker(Federation.of(experiment))
    cohorts = [MicroCohort(0, (client,), (None,)) for client in (0, 1)]
    flops = [worker.train(worker.initial().state, cohort) for cohort in cohorts]
    each = [update.flops / (experiment.training.epochs * update.images) for update in flops]
    assert each[1] > 2 * each[0]  # a ResNet's step is not a CNN's
    with pytest.raises(UserError, match="one network in one place cannot be of 2 architectures"):
        tiny("centralized_network", method__network="cnn+small_resnet")
    with pytest.raises(UserError, match="1 clients cannot be of 2 architectures"):
        tiny("fedavg", method__network="cnn+small_resnet", scenario__clients=1)


def test_fau_and_its_features_cost_flops(simulate: Any) -> None:
    rows = {fau: simulate(tiny(method__fau=fau, method__ace=False)).store.rounds() for fau in (True, False)}
    assert rows[True][1]["flops"] == rows[False][1]["flops"]  # nobody has a network of its own yet
    assert rows[True][2]["flops"] > rows[False][2]["flops"]


def test_every_method_that_serves_needs_samples() -> None:
    for method in METHODS.values():
        assert not method.serves or method().needs_samples
