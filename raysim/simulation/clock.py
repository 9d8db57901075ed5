"""The virtual clock of a run: what `raysim.clients.faults` decides about its rounds, and what is written down about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysim.clients.faults import Turn, client_seconds, corrupt_clients, drawn, turn
from raysim.core.errors import Diverged
from raysim.core.types import Payload, ServerState, Update
from raysim.experiment.records import Experiment
from raysim.simulation.federation import Federation


class Clock:
    """Decides rounds and holds nothing that a resumed run would miss."""

    def __init__(self, federation: Federation, payloads: Mapping[str, Payload]) -> None:
        """Take what stays the same over the rounds.

        Args:
            federation: The clients.
            payloads: What each architecture's client gets and sends in a round (`InitialState.payloads`).
        """
        self.experiment: Experiment = federation.experiment
        self.federation, self.payloads = federation, payloads
        self.corrupt = corrupt_clients(self.experiment.faults, self.experiment.seed, federation.trainers)

    def wanted(self) -> int:
        """Updates that the server waits for in a round."""
        return max(1, round(self.experiment.participation * len(self.federation.trainers)))

    def drawn(self) -> int:
        """Clients that are drawn for a round."""
        return drawn(self.experiment.faults, self.wanted(), len(self.federation.trainers))

    def turn(self, round_: int, cohort: Sequence[int]) -> Turn:
        """Who of a cohort arrives in the round and when, where there is a clock; else all do."""
        experiment = self.experiment
        if not experiment.clocked:
            return Turn(tuple(cohort))
        seconds = {
            client: client_seconds(
                experiment.faults, experiment.seed, client, self._steps(client), self._payload(client)
            )
            for client in cohort
        }
        return turn(experiment.faults, experiment.seed, round_, seconds, self.wanted())

    def _steps(self, client: int) -> int:
        training = self.experiment.training
        return training.epochs * -(-len(self.federation.shard(client)) // training.batch)

    def _payload(self, client: int) -> Payload:
        return self.payloads[self.experiment.method.architecture(client)]

    def columns(self, now: Turn, stale: Sequence[Update], rejected: int) -> dict[str, float]:
        """What a round adds to its row; nothing without a clock. What clients got that dropped out is traffic too."""
        if not self.experiment.clocked:
            return {}
        added = [*now.arrived, *(client for update in stale for client in update.clients)]
        lost = [self._payload(client) for client in now.dropped]
        return {
            "virtual_seconds": now.seconds,
            "arrived": len(now.arrived),
            "dropped": len(now.dropped),
            "late": len(now.late),
            "stale": len(stale),
            "corrupt": sum(client in self.corrupt for client in added),
            "rejected": rejected,
            "bytes_down": sum(payload.down for payload in lost),
            "bytes_weights_down": sum(payload.weights for payload in lost),
        }

    def check(self, state: ServerState, columns: Mapping[str, float]) -> None:
        """Where updates may be anything, their aggregate must be finite: the clients that would get it are not to blame.

        Raises:
            Diverged: it is not.
        """
        if not self.corrupt or all(bool(tensor.isfinite().all()) for tensor in state.shared.values()):
            return
        rule, kind = self.experiment.server.aggregation, self.experiment.faults.corruption
        raise Diverged(
            f"round {state.round}: the clients' {rule} became infinite or NaN; {columns['corrupt']} of the "
            f"{columns['arrived'] + columns['stale']} updates in it were corrupt (faults.corruption = "
            f"'{kind}')"
            + (
                "; server.aggregation = 'median', 'trimmed' or 'clip' leaves out what is not finite"
                if rule == "mean"
                else ""
            )
        )
