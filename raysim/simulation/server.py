"""The server's step of a round: aggregation, the server's optimiser, and the server's own work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from raysim.clients.faults import LATE_PREFIX, RoundOutcome, pack_late_update, unpack_arrived
from raysim.core.types import ServerState, Tensors, Update
from raysim.experiment.records import Experiment
from raysim.methods.aggregation import robust_updates, server_update
from raysim.simulation.clock import Clock
from raysim.simulation.engine import Engine
from raysim.simulation.worker import Worker


@dataclass(frozen=True, kw_only=True)
class ServerStep:
    """Result of the server's step.

    Attributes:
        state: The next state.
        late: Late updates that have still not arrived, as tensors (`raysim.clients.faults.pack_late_update`).
        updates: The updates of all clients that trained in this round, without what they sent.
        columns: What the virtual clock, the aggregation and the server's own work add to the row of the
            round.
    """

    state: ServerState
    late: Tensors
    updates: list[Update]
    columns: dict[str, float]


class Server:
    """Server of a run, for any method. It holds no state, so a resumed run makes a new one."""

    def __init__(
        self,
        experiment: Experiment,
        engine: Engine,
        experiment_text: str,
        clock: Clock,
        buffers: frozenset[str],
    ) -> None:
        """Remember what stays the same over the rounds.

        Args:
            experiment: The experiment.
            engine: The engine that does the method's server work (`Method.server_step`).
            experiment_text: The experiment as engines take it (`raysim.experiment.records.identity`).
            clock: The virtual clock.
            buffers: Names of shared tensors that are no trained weights; the server's optimiser skips them.
        """
        self.experiment, self.engine, self.experiment_text, self.clock = (
            experiment,
            engine,
            experiment_text,
            clock,
        )
        self.method, self.buffers = experiment.method, buffers

    def step(
        self, state: ServerState, outcome: RoundOutcome, updates: Iterable[Update], late: Tensors
    ) -> ServerStep:
        """Aggregate the updates of a round.

        Args:
            state: The state that the clients got.
            outcome: The clients of the round: which arrived in time, are late or dropped out.
            updates: The updates; they can be iterated over once.
            late: Late updates of earlier rounds.
        """
        stale, waiting = unpack_arrived(late, state.round, outcome.seconds)
        trained: list[Update] = []
        arrived = chain(self._in_time(updates, outcome, state.round, trained, waiting), stale)
        optimiser, rejected = self.experiment.server, 0
        aggregated: Iterable[Update] = arrived
        if optimiser.robust:
            aggregated, rejected = robust_updates(optimiser, state.shared, arrived)
        next_state = self.method.aggregate(state, aggregated)
        # `arrived` is used up now, so `trained` and `waiting` are complete
        if len(outcome.arrived) + len(stale) > rejected:  # momentum moves the weights even without an update
            next_state = server_update(optimiser, state, next_state, self.buffers)
        columns = self.clock.columns(outcome, stale, rejected)
        self.clock.check(next_state, columns)
        if self.method.traits.serves:
            served = self.engine.run(self.experiment_text, Worker.serve, next_state)
            next_state, columns["flops_server"] = served.state, served.flops
        return ServerStep(state=next_state, late=waiting, updates=trained, columns=columns)

    def _in_time(
        self,
        updates: Iterable[Update],
        outcome: RoundOutcome,
        round_: int,
        trained: list[Update],
        waiting: Tensors,
    ) -> Iterator[Update]:
        """Yield the updates that arrive in time; add all to `trained`, and late ones to `waiting`."""
        for update in updates:
            trained.append(update.light())
            if update.clients[0] not in outcome.late:
                yield update
            elif self.experiment.faults.stale == "keep":
                waiting.update(pack_late_update(update, outcome.late, round_))


def with_late(state: ServerState, late: Tensors) -> ServerState:
    """Return the state with the late updates, for a checkpoint."""
    return replace(state, extra={**state.extra, **late})


def without_late(state: ServerState) -> tuple[ServerState, Tensors]:
    """Split a state of a checkpoint into the state and the late updates: the inverse of `with_late`."""
    late = {name: tensor for name, tensor in state.extra.items() if name.startswith(LATE_PREFIX)}
    extra = {name: tensor for name, tensor in state.extra.items() if name not in late}
    return replace(state, extra=extra), late
