"""Plug-in files: what is loaded, replaced, refused, and what travels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysim.clients.partition import SCENARIOS
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.core.plugins import load_plugin
from raysim.experiment import Experiment, override
from raysim.methods import METHODS
from tests.fakes.plugin import METHOD, write_plugin

pytestmark = pytest.mark.usefixtures("no_plugin_stays")


def test_what_a_file_adds_is_used_like_what_is_built_in(tmp_path: Path) -> None:
    path = write_plugin(tmp_path)
    module = plugins.load_plugin(path)
    assert METHODS["slow"] is module.Slow and SCENARIOS["fair"] is module.Fair
    experiment = override(Experiment(), {"method": "slow", "method.keep": 0.25, "scenario": "fair"})
    assert experiment.method.name == "slow" and experiment.scenario.label == "fair"
    assert [file.path for file in plugins.active()] == [str(path)]
    assert os.environ[plugins.VARIABLE] == str(path)
    plugins.unload(path)
    with pytest.raises(UserError, match=r"unknown method 'slow'\. Known: .*--plugin FILE\.py"):
        override(Experiment(), {"method": "slow"})


def test_the_environment_names_files_for_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (
        write_plugin(tmp_path),
        write_plugin(tmp_path, "two", METHOD.replace('"slow"', '"slower"').replace('"fair"', '"fairer"')),
    )
    monkeypatch.setenv(plugins.VARIABLE, f"{one}{os.pathsep}{two}")
    plugins.load_from_environment()
    assert {"slow", "slower"} <= set(METHODS)


def test_the_digest_of_the_text_is_part_of_the_identity(tmp_path: Path) -> None:
    path = write_plugin(tmp_path)
    plugins.load_plugin(path)
    ids = [override(Experiment(), {"method": "slow"}).id, override(Experiment(), {"scenario": "fair"}).id]
    builtin = Experiment().id
    path.write_text(METHOD + "# another text\n")
    plugins.load_plugin(path)
    changed = [override(Experiment(), {"method": "slow"}).id, override(Experiment(), {"scenario": "fair"}).id]
    assert not set(ids) & set(changed) and Experiment().id == builtin
    path.write_text(METHOD)
    plugins.load_plugin(path)
    assert [
        override(Experiment(), {"method": "slow"}).id,
        override(Experiment(), {"scenario": "fair"}).id,
    ] == ids


def test_a_changed_text_drops_what_it_no_longer_adds(tmp_path: Path) -> None:
    path = write_plugin(tmp_path)
    plugins.load_plugin(path)
    path.write_text(METHOD.replace("@SCENARIOS.add\n", ""))
    plugins.load_plugin(path)
    assert "slow" in METHODS and "fair" not in SCENARIOS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "registers nothing"),
        ("import nowhere_to_be_found\n", r"mine\.py:1: ModuleNotFoundError.*in: import nowhere"),
        ("def f(:\n", r"mine\.py:1: SyntaxError"),
        ("from raysim import METHODS\nMETHODS.add(3)\n", "its name is None"),
        ("from raysim import METHODS\nMETHODS.add(int, name='a')\n", "subclass of raysim.Method"),
        (METHOD.replace('"slow"', '"fedavg"'), r"method 'fedavg'.*belongs to raysim"),
        (METHOD.replace("def table", "def tabel"), r"Fair \('fair'\) lacks table"),
        (METHOD.replace("keep: float =", "keep: float\n    other: float ="), "keep without a default"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_and_leaves_nothing(tmp_path: Path, text: str, message: str) -> None:
    before = set(METHODS), set(SCENARIOS)
    with pytest.raises(UserError, match=message):
        plugins.load_plugin(write_plugin(tmp_path, "mine", text))
    assert (set(METHODS), set(SCENARIOS)) == before and plugins.active() == ()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.py: cannot be read"):
        plugins.load_plugin(tmp_path / "none.py")


def test_two_files_cannot_have_one_name(tmp_path: Path) -> None:
    plugins.load_plugin(write_plugin(tmp_path))
    with pytest.raises(
        UserError, match=r"method 'slow' of .*other\.py: this name belongs to .*slow_method\.py"
    ):
        plugins.load_plugin(write_plugin(tmp_path, "other"))


def test_two_things_of_one_file_cannot_have_one_name(tmp_path: Path) -> None:
    twice = METHOD + METHOD[METHOD.index("@METHODS.add") : METHOD.index("@SCENARIOS.add")]
    with pytest.raises(UserError, match=r"method 'slow' of .*mine\.py: it is added twice"):
        plugins.load_plugin(write_plugin(tmp_path, "mine", twice))
    assert "slow" not in METHODS and plugins.active() == ()
    again = write_plugin(tmp_path, "mine", METHOD + "METHODS.add(Slow)\n")
    plugins.load_plugin(again)
    plugins.load_plugin(tmp_path / "there" / ".." / "mine.py")  # the same file
    assert [file.path for file in plugins.active()] == [str(again)]


def test_files_that_the_environment_names_stay_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = write_plugin(tmp_path, "one", METHOD.replace('"slow"', '"slower"').replace('"fair"', '"fairer"'))
    two = write_plugin(tmp_path, "two")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "one.py")
    plugins.load_plugin("two.py")
    assert os.environ[plugins.VARIABLE] == f"{one}{os.pathsep}{two}" and "slower" not in METHODS
    plugins.load_plugins([])
    assert {"slow", "slower"} <= set(METHODS)
    plugins.unload(one)
    assert os.environ[plugins.VARIABLE] == str(two)


def test_a_file_that_needs_a_file_beside_it_is_refused_for_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins.load_plugin(write_plugin(tmp_path, "mine", "import beside\n" + METHOD))
    with pytest.raises(UserError, match=r"mine\.py cannot be loaded in a worker: .*beside.*one file"):
        plugins.check_loadable()
    plugins.load_plugin(write_plugin(tmp_path, "mine"))
    plugins.check_loadable()


def test_a_plug_in_cannot_end_the_program(tmp_path: Path) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(UserError, match=r"leaves\.py:2: SystemExit"):
        load_plugin(path)
