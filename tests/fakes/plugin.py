"""Plug-in files and installed packages of a user, written for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

METHOD = '''"""PromptFL whose server keeps a share of its old prompt, and a scenario of its own."""

from raysim import METHODS, SCENARIOS, Scenario, knob
from raysim.clients import counts
from raysim.core.types import ServerState
from raysim.methods.prompts.promptfl import PromptFL


@METHODS.add
class Slow(PromptFL):
    """PromptFL with a slow server."""

    name = "slow"
    keep: float = knob(0.5, "share of the old prompt that the server keeps", basis="guess", ge=0, lt=1)

    def aggregate(self, state, updates):
        new = super().aggregate(state, updates)
        old, rest = state.shared, 1 - self.keep
        shared = {key: self.keep * old[key] + rest * new.shared[key] for key in new.shared}
        return ServerState(new.round, shared, new.extra)


@SCENARIOS.add
class Fair(Scenario):
    """Even shares."""

    name = "fair"

    def table(self, totals_C, rng):
        return counts.even_table(totals_C, self.clients, rng)
'''


NETWORK = '''"""A network of my own: two convolutions."""

from torch import nn

from raysim import NETWORKS, ConvBackbone


def two_steps(*, width, norm, pretrained):
    def made(channels):
        return nn.GroupNorm(4, channels) if norm == "group" else nn.BatchNorm2d(channels)

    first = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), made(width), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False), made(2 * width), nn.ReLU())
    return ConvBackbone([first, second], (width, 2 * width), 4)


NETWORKS.add(two_steps, name="two_steps")
'''


def write_tiles(folder: Path) -> Path:
    """Write 36 small images of three classes, as the dataset of `raysim new` reads them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(36):
        name = ("forest", "bare_land", "river")[number % 3]
        pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}_{number:03d}.png")
    return folder


def write_plugin(folder: Path, name: str = "slow_method", text: str = METHOD) -> Path:
    """Write a plug-in file and return its path."""
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def write_package(folder: Path, text: str = METHOD, points: str = "slow = slowlib.methods:Slow") -> Path:
    """Write an installed package with a method, as pip would leave it; its folder goes on `sys.path`."""
    package = folder / "slowlib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "methods.py").write_text(text.replace("@METHODS.add\n", "").replace("@SCENARIOS.add\n", ""))
    made = folder / "slow_lib-1.2.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-lib\nVersion: 1.2\n")
    (made / "top_level.txt").write_text("slowlib\n")
    (made / "RECORD").write_text("slowlib/__init__.py,,\nslowlib/methods.py,,\n")
    scenario = "[raysim.scenarios]\nfair = slowlib.methods:Fair\n"
    (made / "entry_points.txt").write_text(f"[raysim.methods]\n{points}\n{scenario}")
    return folder
