"""The virtual clock of a run: who answers in time in each round, by `raysim.clients.faults`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysim.clients.faults import RoundOutcome, client_seconds, corrupt_clients, decide_round, draw_count
from raysim.core.errors import Diverged
from raysim.core.types import Payload, ServerState, Update
from raysim.experiment.records import Experiment
from raysim.simulation.federation import Federation
from raysim.simulation.finite import advice, not_finite


class Clock:
    """Decides the outcome of each round. It holds nothing that a resumed run would miss."""

    def __init__(self, federation: Federation, payloads: Mapping[str, Payload]) -> None:
        """Remember what stays the same over the rounds.

        Args:
            federation: The clients.
            payloads: Bytes that a client of each architecture gets and sends in a round.
        """
        self.experiment: Experiment = federation.experiment
        self.federation, self.payloads = federation, payloads
        self.corrupt = corrupt_clients(self.experiment.faults, self.experiment.seed, federation.trainers)

    def wanted(self) -> int:
        """Number of updates that the server waits for in a round."""
        return max(1, round(self.experiment.participation * len(self.federation.trainers)))

    def draw_count(self) -> int:
        """Number of clients that are drawn for a round."""
        return draw_count(self.experiment.faults, self.wanted(), len(self.federation.trainers))

    def decide_round(self, round_: int, cohort: Sequence[int]) -> RoundOutcome:
        """Decide who of a cohort arrives in time, is late or drops out; without a clock all arrive."""
        experiment = self.experiment
        if not experiment.clocked:
            return RoundOutcome(tuple(cohort))
        seconds = {
            client: client_seconds(
                experiment.faults, experiment.seed, client, self._steps(client), self._payload(client)
            )
            for client in cohort
        }
        return decide_round(experiment.faults, experiment.seed, round_, seconds, self.wanted())

    def _steps(self, client: int) -> int:
        training = self.experiment.training
        return training.epochs * -(-len(self.federation.shard(client)) // training.batch)

    def _payload(self, client: int) -> Payload:
        return self.payloads[self.experiment.method.architecture(client)]

    def columns(self, outcome: RoundOutcome, stale: Sequence[Update], rejected: int) -> dict[str, float]:
        """Columns that the clock adds to the row of a round; none without a clock.

        Clients that dropped out cost the bytes that they had received.

        Args:
            outcome: Who arrived, who is late, who dropped out.
            stale: Late updates of earlier rounds that arrived in this one.
            rejected: Number of clients whose updates were left out.
        """
        if not self.experiment.clocked:
            return {}
        added = [*outcome.arrived, *(client for update in stale for client in update.clients)]
        lost = [self._payload(client) for client in outcome.dropped]
        return {
            "virtual_seconds": outcome.seconds,
            "arrived": len(outcome.arrived),
            "dropped": len(outcome.dropped),
            "late": len(outcome.late),
            "stale": len(stale),
            "corrupt": sum(client in self.corrupt for client in added),
            "rejected": rejected,
            "bytes_down": sum(payload.down for payload in lost),
            "bytes_weights_down": sum(payload.weights for payload in lost),
        }

    def check(self, state: ServerState, columns: Mapping[str, float]) -> None:
        """Check that the server's state is finite after the aggregation and the server's optimiser.

        It is checked here, because the clients that would get it next are not the cause, and after the last
        round nobody gets it.

        Raises:
            Diverged: It is not finite.
        """
        name = not_finite({**state.shared, **state.extra})
        if name is None:
            return
        if not (self.corrupt and self.experiment.clocked):
            raise Diverged(
                f"round {state.round}: the server's '{name}' became infinite or NaN by the aggregation; "
                f"{advice(self.experiment)}"
            )
        rule, kind = self.experiment.server.aggregation, self.experiment.faults.corruption
        raise Diverged(
            f"round {state.round}: the clients' {rule} became infinite or NaN; {columns['corrupt']} of the "
            f"{columns['arrived'] + columns['stale']} updates in it were corrupt (faults.corruption = "
            f"'{kind}')"
            + (
                "; server.aggregation = 'median', 'trimmed' or 'clip' leaves out updates that are not finite"
                if rule == "mean"
                else ""
            )
        )
