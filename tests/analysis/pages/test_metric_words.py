"""Pages of segmentation runs: where runs measure mIoU, no text, table or drawing says accuracy."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

import analysis
from analysis import write_report
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes import sensitivity as fake_sensitivity
from tests.fakes import stress_results as fake_stress

ACCURACY = re.compile(r"\baccurac(?:y|ies)\b", re.IGNORECASE)  # whole words: columns keep their names
HOME = Path(analysis.__file__).parent
OF_SAFE = [
    {"kind": "differences", "to": "safe"},
    {"kind": "against", "x": "scenario.imbalance", "name": "imbalance"},
    {"kind": "groups", "to": "fedavg"},
    {"kind": "convergence"},
    {"kind": "domains"},
    {"kind": "traffic"},
    {"kind": "masks"},
]


def segments(folder: Path) -> Path:
    """The folder, with mIoU as the metric of all its runs."""
    for trial in open_results(folder).trials:
        for run in trial.get("runs") or []:
            path = folder / "runs" / run / "run.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            described = json.loads(path.read_text()) if path.is_file() else {}
            path.write_text(json.dumps({**described, "metric": "mIoU"}))
    assert open_results(folder).metric.name == "mIoU"
    return folder


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "run": lambda folder: fake_safe.safe_run(folder, metric="mIoU"),
    "sweep": lambda folder: segments(fake_results.fake_sweep(folder, search=6)),
    "one seed": lambda folder: segments(fake_results.fake_sweep(folder, seeds=1)),
    "recipe": lambda folder: segments(fake_safe.safe_recipe(folder, OF_SAFE).folder),
    "sensitivity": lambda folder: segments(fake_sensitivity.write(folder, fake_sensitivity.full())),
    "stress": lambda folder: segments(fake_stress.folder(folder / "made")),
}


def shown(page: str) -> str:
    """Text of an HTML page and of its drawings, without queries and commands."""
    hidden = r"<details class=\"source\">.*?</details>|<pre>.*?</pre>|<style>.*?</style>|<[^>]+>"
    return unescape(re.sub(hidden, " ", page, flags=re.DOTALL))


@pytest.mark.parametrize("kind", FOLDERS)
def test_no_page_of_a_segmentation_run_says_accuracy(kind: str, tmp_path: Path) -> None:
    report = write_report(FOLDERS[kind](tmp_path)).parent
    texts = {file.name: shown(file.read_text(encoding="utf-8")) for file in report.glob("*.html")}
    texts |= {file.name: shown(file.read_text(encoding="utf-8")) for file in report.glob("figures/*.svg")}
    for file in report.glob("*.md"):
        texts[file.name] = re.sub(
            r"^(`{3,}).*?^\1$", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
    said = {
        name: [text[max(0, m.start() - 40) : m.end() + 20] for m in ACCURACY.finditer(text)]
        for name, text in texts.items()
    }
    assert {name: words for name, words in said.items() if words} == {}
    assert "mIoU" in texts["index.html"] and "mIoU" in texts["index.md"]


def test_words_of_a_segmentation_run(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path, metric="mIoU")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "73.0% validation mIoU" in shown(page) and "IoU by class" in shown(page)
    assert "IoU of each class" in shown(page) and "mIoUs on a client's own distribution" in shown(page)
    assert "training images of the class" in shown(page)  # the partition has images, not pixels
    assert "worst_client_accuracy" in page and "acc_personal_own" in page  # columns keep their names
    assert ">validation mIoU, %</text>" in (folder / "report" / "figures" / "curve.svg").read_text()


def test_words_of_a_classification_run(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path)
    page = shown(write_report(folder).read_text(encoding="utf-8"))
    assert "mIoU" not in page and "73.0% validation accuracy" in page
    assert "Accuracy by class" in page and "Accuracies on a client's own distribution" in page


def test_a_sweep_takes_the_metric_of_its_runs(tmp_path: Path) -> None:
    made = fake_safe.safe_recipe(tmp_path, [{"kind": "differences", "to": "safe"}])
    assert open_results(tmp_path).metric.name == "accuracy"
    some_runs = sorted(tmp_path.glob("runs/r00[012]*/run.json"))
    for path in some_runs:
        path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "mIoU"}))
    assert open_results(tmp_path).metric.name == "accuracy or mIoU"
    text = shown(write_report(made.folder).read_text(encoding="utf-8"))
    assert "Test accuracy or mIoU of each configuration minus that of safe" in text
    text = shown(write_report(segments(made.folder)).read_text(encoding="utf-8"))
    assert "Test mIoU of each configuration minus that of safe" in text
    assert "Personal mIoU on each client's own distribution" in text


@pytest.mark.parametrize(
    "path", sorted(set(HOME.rglob("*.py")) - {HOME / "read" / "metric.py"}), ids=lambda p: p.name
)
def test_no_text_in_the_code_fixes_the_metric(path: Path) -> None:
    """A text takes the word of the metric from `Results.metric`; docstrings, SQL and keys are free."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, scopes) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    free = re.compile(r"\bAS accuracy\b|\b\w\.accuracy\b|^[a-z]+(-[a-z]+)+$")  # names in SQL, keys of parts
    assert [text for text in texts if ACCURACY.search(free.sub("", text))] == []
