"""Whatever a command is given, it ends with a documented status and one message, never with a traceback."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from raysim.cli.main import main
from raysim.cli.options import COMMANDS
from raysim.experiment import Experiment, paths, to_dict
from raysim.simulation.rounds import Simulation
from tests.chaos.disturbances import DAMAGES
from tests.experiments import small


def bounded(examples: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


SETTINGS = paths(to_dict(Experiment()))
OPTIONS = [
    "--rounds", "--workers", "--engine", "--out", "--resume", "--trials", "--seeds", "--minutes", "--search",
    "--objectives", "--race", "--design", "--budget", "--extend", "--constraint", "--metric", "--json",
    "--to", "--top", "--path", "--bands", "--stretch", "--quiet", "--dry-run", "--help", "--plugin",
    "--track", "--open-test", "--no-contrasts", "--quick", "--serve", "--port", "--backbone", "--sheet",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e999", "nan", "inf", "null", "true", "[1,2", "{}", '{"a":', "tpe", "even"]
    ),
    st.sampled_from(
        ["safe", "fedrsclip", "oat", "../..", "/dev/null", "/", "~", "x" * 300, "\x1b[31m", "\udc80"]
    ),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=8),
)
WORDS = st.one_of(
    VALUES,
    st.sampled_from(OPTIONS),
    st.builds("{}={}".format, st.sampled_from([*SETTINGS, "scenario", "method", "a.b", "task."]), VALUES),
)
WORK = ("raysim.cli.run.run_in_folder", "raysim.cli.sweep.sweep_in_folder", "raysim.cli.sweep.prepare")


def ends_well(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command in this process; its status must be that of an end or of a user's mistake."""
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as ended:  # argparse's, after --help
        status = int(ended.code or 0)
    out, err = capsys.readouterr()
    assert status in (0, 2), f"{words}: {status}: {err[-500:]}"
    assert "Traceback" not in out + err, words
    assert status == 0 or "raysim: " in err, words
    return err


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What would take minutes is not begun; everything before it is checked."""
    from raysim.core.errors import UserError

    def stop(*_: object, **__: object) -> None:
        raise UserError("here the work would start")

    for name in WORK:
        monkeypatch.setattr(name, stop)
    for command in ("doctor", "check", "stress", "plan"):  # they measure, train or draw
        monkeypatch.setattr(f"raysim.cli.{command}.{command}", stop, raising=False)
    monkeypatch.chdir(tmp_path)


@bounded(120)
@given(st.lists(WORDS, max_size=5), st.sampled_from([*COMMANDS, "", "-h", "--version", "sweeep"]))
def test_any_command_line(
    no_work: None, capsys: pytest.CaptureFixture[str], words: list[str], command: str
) -> None:
    if "--serve" not in words:  # it would wait for readers
        ends_well([command, *words], capsys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@bounded(60)
@given(st.sampled_from(SETTINGS), JSON, st.sampled_from(["value", "group", "whole", "cut", "extra"]))
def test_any_config_file(
    no_work: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, path: str, value: object, how: str
) -> None:
    values = json.loads(json.dumps(to_dict(Experiment())))
    group, _, field = path.rpartition(".")
    if how == "group":
        values[group or field] = value
    else:
        (values[group] if group else values)[field if how == "value" else "foreign"] = value
    text = json.dumps(value if how == "whole" else {"id": "0" * 12, "experiment": values})
    (tmp_path / "config.json").write_text(text[: len(text) // 2] if how == "cut" else text)
    ends_well(["run", str(tmp_path / "config.json"), "--engine", "serial"], capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended."""
    from raysim.engines.serial import Serial
    from raysim.storage.store import Store

    experiment, folder = small(rounds=1, scenario="even", scenario__clients=3), tmp_path_factory.mktemp("run")
    list(Simulation(experiment, Serial(), Store(folder / "run", experiment)).open().rounds())
    return folder / "run"


def foreign(draw: random.Random) -> bytes:
    """A table of another program."""
    kinds: list[Callable[[], pa.Array]] = [
        lambda: pa.array(["x", None]),
        lambda: pa.array([[1], []], pa.list_(pa.int8())),
        lambda: pa.array([1e300, float("nan")]),
        lambda: pa.array([{"a": 1}, None]),
    ]
    names = draw.sample(["run", "round", "split", "acc_personal_own", "client", "a\x1b[31mb", "label"], 3)
    sink = io.BytesIO()
    pq.write_table(pa.table({name: draw.choice(kinds)() for name in names}), sink)
    return sink.getvalue()


READERS = (
    ["report", "RUN"],
    ["compare", "RUN", "RUN"],
    ["export", "RUN", "--to", "csv"],
    ["predict", "RUN", "."],
)


@bounded(10)
@given(st.randoms(use_true_random=False), st.sampled_from([*DAMAGES, "foreign"]), st.sampled_from(READERS))
def test_any_file_of_a_run(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    finished: Path,
    draw: random.Random,
    how: str,
    reader: list[str],
) -> None:
    folder = tmp_path / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(finished, folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "report" not in path.parts]
    path = draw.choice([file for file in files if how != "foreign" or file.suffix == ".parquet"])
    data = foreign(draw) if how == "foreign" else DAMAGES[how](path.read_bytes(), draw)
    path.unlink() if data is None else path.write_bytes(data)
    ends_well([word.replace("RUN", str(folder)) for word in reader], capsys)


def picture(draw: random.Random, kind: str) -> bytes:
    """An image file of some kind."""
    mode, depth = draw.choice([("RGB", 3), ("L", 1), ("RGBA", 4), ("LA", 2)])
    shape = (draw.randint(1, 40), draw.randint(1, 40), depth)
    pixels = np.random.default_rng(draw.randrange(2**32)).integers(0, 256, shape, dtype=np.uint8)
    image, sink = Image.fromarray(pixels[..., 0] if depth == 1 else pixels, mode), io.BytesIO()
    image.convert("RGB" if kind == "JPEG" else mode).save(sink, kind)
    return sink.getvalue()


@bounded(25)
@given(st.randoms(use_true_random=False), st.sampled_from(["whole", *DAMAGES]))
def test_any_folder_of_images(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, draw: random.Random, how: str
) -> None:
    shutil.rmtree(tmp_path / "images", ignore_errors=True)
    for name in draw.sample(["forest", "river", "a\x1b[31mb", "x y", ".hidden", "\udce9"], 3):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for index in range(draw.randint(0, 5)):
            kind = draw.choice(["PNG", "JPEG", "TIFF", "GIF"])
            data: bytes | None = picture(draw, kind if kind != "GIF" else "PNG")
            if how != "whole" and draw.random() < 0.5:
                data = DAMAGES[how](data or b"x", draw)
            if data is not None:
                (folder / f"{index}.{kind.lower()}").write_bytes(data)
    ends_well(["data", "check", "folder", "--path", str(tmp_path / "images")], capsys)
