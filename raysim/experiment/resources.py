"""Resources: the machines that run an experiment. They decide nothing about its result."""

from __future__ import annotations

from raysim.core.config import Config, knob


class Resources(Config):
    """Client actors and what each reserves; not part of an experiment's id, for no bit depends on them."""

    workers: int = knob(2, "client actors", basis="guess", ge=1, le=4096)
    cpus: float = knob(1.0, "CPUs reserved per client actor", basis="guess", ge=0, le=256)
    gpus: float = knob(0.0, "GPU share reserved per client actor, e.g. 0.25", basis="guess", ge=0, le=8)
