"""Resources: the machines that run an experiment. They decide nothing about its result."""

from __future__ import annotations

from pydantic import field_validator

from raysim.core.config import Config, knob

SHORTEST_PATIENCE = 5  # seconds; a process that only waits for Ray moves once a second


class Resources(Config):
    """Client actors and what each reserves; not part of an experiment's id, for no bit depends on them."""

    workers: int = knob(2, "client actors", basis="guess", ge=1, le=4096)
    cpus: float = knob(1.0, "CPUs reserved per client actor", basis="guess", ge=0, le=256)
    gpus: float = knob(0.0, "GPU share reserved per client actor, e.g. 0.25", basis="guess", ge=0, le=8)
    patience: float = knob(
        60.0,
        "seconds without a sign of life after which a process of the run is ended and its work is repeated; "
        "0: never",
        basis="guess",
        late=True,
        ge=0,
        le=86_400,
    )

    @field_validator("patience")
    @classmethod
    def check_patience(cls, patience: float) -> float:
        """Refuse a patience in which a healthy process may not move."""
        if 0 < patience < SHORTEST_PATIENCE:
            raise ValueError(f"it should be 0 or at least {SHORTEST_PATIENCE} seconds")
        return patience
