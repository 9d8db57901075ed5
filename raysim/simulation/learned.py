"""What a finished run says of its model: the values of the card (`raysim.storage.model_card`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysim.core.columns import MEASURED_COLUMNS
from raysim.core.types import InitialState, StoredState
from raysim.experiment.records import foreign_code, to_dict
from raysim.simulation.datasets import dataset_of
from raysim.simulation.federation import Federation
from raysim.simulation.images import contents_of
from raysim.storage.plugin_files import plugin_record
from raysim.storage.provenance import versions
from raysim.storage.store import Privates


def learned(
    federation: Federation, initial: InitialState, privates: Privates, result: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of a run's card.

    Args:
        federation: The clients.
        initial: What the run started from.
        privates: The private state of every client that has one.
        result: The run's result.

    Returns:
        By name: name; run (its id); raysim (version); round; experiment; classes, templates (of the names);
        kind; image_size (pixels); backbone (its fingerprint); dataset (record of its images); code and
        plugins (what does not come with raysim); clients (their number); client_names (where they exist);
        personal (whether clients have models of their own); trained_clients (those with a private state);
        large_states (whether private states are files of their own); measures (validation); state_sha256.
    """
    experiment, images = federation.experiment, federation.images
    task, method = experiment.task, experiment.method
    return {
        "name": f"{method.name}-{task.dataset}-{experiment.id}",
        "run": experiment.id,
        "raysim": versions()["raysim"],
        "round": experiment.total_rounds,
        "experiment": to_dict(experiment),
        "classes": list(images.class_names),
        "templates": list(dataset_of(task).templates),
        "kind": task.kind,
        "image_size": initial.image_size,
        "backbone": initial.backbone,
        "dataset": contents_of([task])[0],
        "code": foreign_code(experiment),
        "plugins": plugin_record(),
        "clients": federation.clients,
        "client_names": list(images.given.names) if images.given else [],
        "personal": initial.personal,
        "trained_clients": sorted(privates),
        "large_states": any(isinstance(private, StoredState) for private in privates.values()),
        "measures": {name: result.get(name) for name in MEASURED_COLUMNS if result.get(name) is not None},
        "state_sha256": result["state_sha256"],
    }
