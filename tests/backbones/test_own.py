"""A backbone that a user adds trains a prompt, is part of the id, and its faults are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.backbones.registry import load_backbone
from raysim.cli import contracts, data_contracts
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.engines.serial import Serial
from raysim.experiment import override
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import small
from tests.fakes.clips import TINY
from tests.fakes.plugin import write_plugin
from tests.fakes.rasters import class_folders

BACKBONE = f"""
import open_clip, torch
from raysim import BACKBONES

def make(path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip = open_clip.CLIP(**{TINY!r})
    clip.visual.preprocess_cfg = {{"size": 32}}
    return clip

BACKBONES.add(make, name="tiny")
"""


pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def test_it_trains_a_prompt_and_its_code_is_part_of_the_id(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "clip", BACKBONE)
    plugins.load_plugin(path)
    assert {fault for _, fault in contracts.results(data_contracts.of_backbone("tiny", None))} == {""}
    images = class_folders(tmp_path / "images", each=20)  # the bundled scenes are thousands
    changes = {"task.backbone": "tiny", "method": "promptfl", "rounds": 1, "task.dataset": "folder"}
    changes |= {"task.path": str(images), "task.shots": 4, "scenario": "even", "scenario.clients": 2}
    experiment = override(small(), changes)
    simulation = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
    [*_, last] = simulation.rounds()
    assert last.round == 1 and 0 <= last.row["acc_shared_global"] <= 1
    before = experiment.id
    path.write_text(BACKBONE.replace("manual_seed(0)", "manual_seed(1)"))
    old = load_backbone("tiny").fingerprint
    plugins.load_plugin(path)
    assert experiment.id == override(small(), changes).id != before, "an id that is known follows the code"
    assert load_backbone("tiny").fingerprint != old


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return clip", "return 3", "returned a int without visual.preprocess_cfg"),
        ("return clip", "raise OSError('no such weights')", r"'tiny' \(task.backbone_path = None\): no such"),
        ('name="tiny"', 'name="ViT-B-32"', "is the name of an architecture of open_clip"),
        ("BACKBONES.add(make,", "BACKBONES.add(3,", "should be a function of a path"),
    ],
)  # fmt: skip
def test_a_fault_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        plugins.load_plugin(write_plugin(tmp_path, "clip", BACKBONE.replace(old, new)))
        load_backbone("tiny")
