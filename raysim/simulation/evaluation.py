"""Evaluation of a run's state: scores from the engine, summarised as one record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysim.core.columns import FLOORS, TableRow
from raysim.core.types import MicroCohort, RoundRecord, Score, ServerState, Split
from raysim.simulation.accuracy import accuracies, base_to_novel, newcomer_accuracies
from raysim.simulation.cohorts import evaluation_sample, micro_cohorts
from raysim.simulation.contributions import image_rows
from raysim.simulation.engine import Engine
from raysim.simulation.federation import Federation
from raysim.simulation.floors import Floors
from raysim.storage.store import Privates

SERVER = MicroCohort(-1, (), ())  # a cohort without clients asks for the score of the server's own models


class Evaluator:
    """Measures the four accuracies of a state, and what they stand above."""

    def __init__(
        self, engine: Engine, experiment_text: str, federation: Federation, personal: bool, vault: str
    ) -> None:
        """Remember what stays the same over the rounds.

        Args:
            engine: Where models are scored.
            experiment_text: The experiment as engines take it (`raysim.experiment.records.identity`).
            federation: The clients.
            personal: Whether clients have models of their own.
            vault: The folder of the large private states.
        """
        self.engine, self.experiment_text, self.federation = engine, experiment_text, federation
        self.personal, self.vault = personal, vault
        self._floors: dict[Split, tuple[Floors, TableRow]] = {}  # they are the same in every round

    def measure(self, state: ServerState, privates: Privates, split: Split) -> RoundRecord:
        """Score the server's models and the clients' own models on a split."""
        federation = self.federation
        sample = evaluation_sample(federation, federation.trainers)
        newcomers = evaluation_sample(federation, federation.newcomers)
        cohorts = [SERVER]
        if self.personal:  # newcomers never share a stack with clients that trained
            for clients in (sample, newcomers):
                cohorts += micro_cohorts(federation, clients.tolist(), privates, self.vault)
        shared, *scores = self.engine.evaluate(self.experiment_text, state, cohorts, split)
        client_scores = [score for score in scores if score is not None]
        personal = correct_by_client(client_scores) if self.personal else None
        summary, client_rows, class_rows = accuracies(federation, split, sample, shared, personal)
        floors, floor_columns = self._floors_of(split, sample, newcomers, state)
        summary |= floor_columns
        if len(newcomers):
            summary |= newcomer_accuracies(federation, split, newcomers, shared, personal)
        if federation.experiment.task.novel:
            novel = None if shared is None else shared.novel
            summary |= base_to_novel(summary["acc_shared_global"], novel)
        observed = observed_by_client(client_scores, set(sample.tolist()))
        for name in {name for values in observed.values() for name in values}:
            summary[name] = float(np.mean([observed[client][name] for client in sorted(observed)]))
        for row in client_rows:
            client = row["client"]
            row |= {"examples": len(federation.shards[client]), **observed.get(client, {})}
        # clients tune a model before they use it, and use the final one only: so its FLOPs count once
        final = state.round == federation.experiment.total_rounds
        summary["flops"] = sum(score.flops for score in client_scores) if final else 0.0
        images = image_rows(federation, split, sample, shared, client_scores, floors)
        return RoundRecord(
            round=state.round, row=summary, clients=client_rows, classes=class_rows, images=images
        )

    def _floors_of(
        self, split: Split, sample: np.ndarray, newcomers: np.ndarray, state: ServerState
    ) -> tuple[Floors, TableRow]:
        """Return the floors of a split and their columns, computed at its first evaluation."""
        if split not in self._floors:
            floors = Floors.of(self.engine, self.experiment_text, self.federation, split, state)
            columns = floors.columns(sample)
            if len(newcomers):
                theirs = floors.columns(newcomers)
                columns |= {f"acc_{floor}_newcomers": theirs[f"acc_{floor}_own"] for floor in FLOORS}
            self._floors[split] = (floors, columns)
        return self._floors[split]


def correct_by_client(scores: Sequence[Score]) -> dict[int, np.ndarray]:
    """Return the counts of correct predictions of each client."""
    return {
        client: counts
        for score in scores
        for client, counts in zip(score.clients, score.correct, strict=True)
    }


def observed_by_client(scores: Sequence[Score], clients: set[int]) -> dict[int, dict[str, float]]:
    """Return the method's own measures of the models of these clients, by client."""
    return {
        client: {name: float(values[k]) for name, values in score.observed.items()}
        for score in scores
        for k, client in enumerate(score.clients)
        if client in clients
    }
