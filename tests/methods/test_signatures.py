"""Failure signatures: by hand, and found in runs made to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from raysim.core.types import Score
from raysim.methods import METHODS, signatures
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.accuracy import accuracies
from raysim.simulation.federation import Federation
from raysim.simulation.images import Images
from raysim.simulation.rounds import Simulation
from tests.experiments import small


def drifting(alignment: list[float | None], accuracy: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"round": number, "alignment_loss": loss, "acc_shared_global": value}
        for number, (loss, value) in enumerate(zip(alignment, accuracy, strict=True))
    ]


def test_drift_is_alignment_up_and_the_shared_model_down() -> None:
    [found] = signatures.semantic_drift(
        drifting([9.0, 0.1, None, 0.3], [0.9, 0.7, None, 0.6])
    )  # round 0 is before training
    assert (found.name, found.round, found.limit) == ("semantic_drift", 3, 0.01)
    assert found.value == pytest.approx(0.1)
    assert (
        found.detail
        == "since round 1 the alignment loss rose from 0.1 to 0.3 while acc_shared_global fell from 0.700 "
        "to 0.600"
    )


@pytest.mark.parametrize(
    ("alignment", "accuracy"),
    [
        ([None, 0.1, 0.3], [None, 0.7, 0.695]),  # less than a point
        ([None, 0.1, 0.104], [None, 0.7, 0.6]),  # the prompts stayed together
        ([None, 0.3, 0.1], [None, 0.7, 0.6]),
        ([None, 0.1, 0.3], [None, 0.6, 0.7]),
        ([None, None, None], [0.5, 0.7, 0.6]),  # no private prompt
    ],
)
def test_no_drift_without_both(alignment: list[float | None], accuracy: list[float | None]) -> None:
    assert signatures.semantic_drift(drifting(alignment, accuracy)) == []


def test_the_worst_round_of_the_transport_counts() -> None:
    rows = [
        {"round": number, "ot_unconverged": share, "ot_marginal_error": 0.01}
        for number, share in enumerate([None, 0.0, 0.5, 0.2])
    ]
    [found] = signatures.ot_not_converged(rows, 1e-3, 100)
    assert (found.round, found.value) == (2, 0.5)
    assert signatures.ot_not_converged(rows[:2], 1e-3, 100) == []


def test_a_private_part_is_unused_when_it_moves_no_client() -> None:
    [found] = signatures.private_unused([{"round": 5, "private_effect": 0.002}])
    assert (found.name, found.round, found.value) == ("private_unused", 5, 0.002)
    assert signatures.private_unused([{"round": 5, "private_effect": 0.006}]) == []
    assert signatures.private_unused([{"round": 0, "private_effect": 0.0}, {"round": 1}]) == []


def test_gains_and_losses_of_clients_do_not_cancel() -> None:
    """One client gains ten points by its private part, the other loses as many: it is used."""
    shared = Score(-1, "shared", (), np.array([[5.0, 5.0]]))
    federation = toy_federation()
    summary, _, _ = accuracies(
        federation, "validation", np.arange(2), shared, {0: np.array([6.0, 5.0]), 1: np.array([4.0, 5.0])}
    )
    assert summary["acc_personal_own"] == summary["acc_shared_own"]
    assert summary["private_effect"] == pytest.approx(0.1)


def toy_federation() -> Federation:
    """Two clients of one class each; ten validation images of both classes."""
    labels = np.repeat([0, 1], 10)
    images = Images(labels, np.zeros(20, np.int64), np.ones(20, np.int64), ("a", "b"), ("all",))
    return Federation(
        small(scenario__clients=2),
        images,
        (np.array([0]), np.array([1])),
        np.array([], int),
        np.array([[1.0, 0.0], [1.0, 0.0]]),
    )


def test_a_transport_cut_short_is_told(simulate: Any, tmp_path: Path) -> None:
    simulation: Simulation = simulate(
        small(method__ot_iterations=2, method__lam=0.005), folder=tmp_path / "run"
    )
    rows = ds.dataset(tmp_path / "run/tables/signatures").to_table().to_pylist()
    assert [row["name"] for row in rows] == ["ot_not_converged"]
    assert rows[0]["run"] == simulation.experiment.id and rows[0]["value"] > rows[0]["limit"]
    assert "after 2 iterations" in rows[0]["detail"]
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["signatures"] == ["ot_not_converged"] and set(described["signatures_watched"]) == {
        "semantic_drift",
        "ot_not_converged",
        "private_unused",
    }


WATCHED = {
    "fedrsclip": {"semantic_drift", "ot_not_converged", "private_unused"},
    "fedotp": {"ot_not_converged", "private_unused"},
    "fedpgp": {"private_unused"},
    "safe": {"cr_inverse", "cr_erratic", "d_cka_zero", "d_cka_one", "mask_empty", "mask_full"},
}


def test_a_method_watches_what_can_happen_to_it() -> None:
    for name, cls in METHODS.items():
        assert set(cls().diagnosis.watched) == WATCHED.get(name, set())
    fedrsclip, safe = METHODS["fedrsclip"], METHODS["safe"]
    assert set(fedrsclip(h_p=0).diagnosis.watched) == {"ot_not_converged"}
    assert "ot_not_converged" not in fedrsclip(w_ot=0.0).diagnosis.watched
    assert "ot_not_converged" in fedrsclip(w_ot=0.0, fusion="pair").diagnosis.watched
    assert set(safe(cro=False, ace=False).diagnosis.watched) == {"d_cka_zero", "d_cka_one"}


def test_a_mixture_without_private_share_is_unused(simulate: Any, tmp_path: Path) -> None:
    simulate(small(method__fusion="mix", method__theta=0.0, method__w_ot=0.0), folder=tmp_path / "run")
    rows = ds.dataset(tmp_path / "run/tables/signatures").to_table().to_pylist()
    assert [(row["name"], row["value"]) for row in rows] == [("private_unused", 0.0)]


def test_clients_show_how_far_their_prompts_are(simulate: Any, tmp_path: Path) -> None:
    """The observed alignment is the loss of the final prompts; the round's row has its mean over clients."""
    simulation: Simulation = simulate(small(method__w_dpa=0.0), folder=tmp_path / "run")
    clients = [
        row for row in ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist() if row["round"] == 3
    ]
    [last] = [
        row for row in ds.dataset(tmp_path / "run/tables/rounds").to_table().to_pylist() if row["round"] == 3
    ]
    for name in ("alignment_loss", "private_shift"):
        assert last[name] == pytest.approx(np.mean([row[name] for row in clients]))
    assert last.get("loss_dpa") is None  # w_dpa = 0: not in the loss, and still observed
    method = simulation.method
    assert isinstance(method, FedRSCLIP)
    from raysim.experiment.records import identity
    from raysim.simulation.device import CPU
    from raysim.simulation.worker import worker_of

    model = worker_of(identity(simulation.experiment), CPU).model
    shared = model.class_features(simulation.state.shared["prompt.shared"][None])[0]
    private = model.class_features(simulation.privates[0]["prompt.private"][None])[0]
    logits = method.s * (private @ shared.T).double().numpy()
    expected = float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))
    assert clients[0]["client"] == 0 and clients[0]["alignment_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_resumed_run_judges_all_its_rounds(simulate: Any, tmp_path: Path) -> None:
    from raysim.engines.serial import Serial
    from raysim.storage.store import Store

    experiment = small(method__ot_iterations=2, method__lam=0.005, rounds=4)
    whole: Simulation = simulate(experiment, folder=tmp_path / "whole")
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment)).open()
    for record in broken.rounds():
        if record.round == 2:
            break
    simulate(experiment, folder=tmp_path / "broken", resume=True)
    tables = [
        ds.dataset(tmp_path / name / "tables/signatures").to_table().to_pylist()
        for name in ("whole", "broken")
    ]
    assert tables[0] == tables[1] and len(tables[0]) == 1
    assert whole.store.rounds()[-1]["round"] == 4


def test_transport_behind_the_logits_of_a_pair_is_watched_too(simulate: Any, tmp_path: Path) -> None:
    simulate(
        small(method__fusion="pair", method__w_ot=0.0, method__ot_iterations=1, method__lam=0.005),
        folder=tmp_path / "run",
    )
    rows = ds.dataset(tmp_path / "run/tables/signatures").to_table().to_pylist()
    assert "ot_not_converged" in [row["name"] for row in rows]
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["patches"] == 4
