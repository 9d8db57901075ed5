"""The blocks of docs/python.md and the two notebooks run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import raysim

ROOT = Path(__file__).parents[2]


def test_the_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert "method.lam = 99" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["raysim.__doc__", "README.md"])
def test_the_short_example_runs_as_pasted(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if where == "README.md":
        code = (ROOT / where).read_text().split("```python\n")[1].split("```")[0]
    else:
        code = (raysim.__doc__ or "").split("\n\n")[1]
    assert "raysim.run(" in code and "rounds=5" in code
    monkeypatch.chdir(tmp_path)
    exec(code.replace("rounds=5", "rounds=1"), {})  # as it stands, but for the number of rounds
    assert "acc_personal_own" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["first_study", "own_method"])
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=250, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert any("report/index.html" in data.get("text/html", "") for data in shown)
    assert any("rounds" in data["text/plain"] and "2/2" in data["text/plain"] for data in shown)


CELL = """
import raysim
from raysim.methods.prompts.promptfl import PromptFL


@raysim.METHODS.add
class Mine(PromptFL):
    "PromptFL under another name."

    name = "mine"

    def aggregate(self, state, updates):
        return super().aggregate(state, updates)


small = {"method": "mine", "scenario.clients": 2, "task.shots": 2, "task.per_cell": 4}
result = raysim.run(small, rounds=1, out="run", progress=False)
print(result.record["started"])
"""


def test_a_class_that_is_typed_into_a_cell_works_and_the_cell_can_be_executed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    cells = [nbformat.v4.new_code_cell(CELL) for _ in range(2)]
    book = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(book, timeout=250, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second = (cell["outputs"][-1]["text"] for cell in book.cells)
    assert first == second, "the finished run is read, and not run again"
