"""Dry run of the stress suite."""

from __future__ import annotations

from raysim.search.spaces.files import load_space
from raysim.simulation.federation import Federation
from raysim.stress.overview import dry_run
from raysim.stress.plan import StressOptions, StressPlan

QUICK = StressOptions(seeds=2, slots=2, quick=True)


def test_quick_federations_can_be_dealt() -> None:
    plan = StressPlan([load_space("fedrsclip"), load_space("safe")], QUICK)
    dealt = {
        spec.study: Federation.of(spec.experiments[0])
        for spec in plan.specs()
        if "+" not in spec.experiments[0].task.dataset
    }
    sizes = [len(shard) for shard in dealt["fedrsclip | one_image | 1"].shards]
    assert sizes == [1] * 64
    alone = dealt["safe | one_class | 1"]
    assert all(len(set(alone.images.labels[shard].tolist())) == 1 for shard in alone.shards)
    assert "not possible" not in "".join(
        text for text in dry_run(StressPlan([load_space("fedrsclip")], QUICK)).splitlines()
    )
