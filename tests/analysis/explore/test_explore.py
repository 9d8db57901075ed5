"""The explore page: what its data holds, what was left out, and that no text can break it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.explore import data as explore_data
from analysis.explore.data import parameters_of
from analysis.explore.page import data_of, in_script, render, write_explore
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import stress_results
from tests.fakes.trials import contrast, written


def embedded(page: str) -> Any:
    """The data inside a page, as a browser reads it."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_report_has_the_page_the_link_and_the_library_once(reported_sweep: Path) -> None:
    report = reported_sweep / "report"
    assert 'href="explore.html"' in (report / "index.html").read_text(encoding="utf-8")
    assert "](explore.html)" in (report / "index.md").read_text(encoding="utf-8")
    library = (report / "plotly.min.js").stat()
    page = (report / "explore.html").read_text(encoding="utf-8")
    assert library.st_size > 1e6 and page.count('<script src="plotly.min.js">') == 1
    assert len(page) < 1e6 and "http:" not in page and "https:" not in page and "<noscript>" in page
    write_explore(open_results(reported_sweep), report)
    assert (report / "plotly.min.js").stat().st_mtime_ns == library.st_mtime_ns  # not written again


def test_every_trial_is_there_as_it_ended(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_sweep(tmp_path, search=6))
    trials = data_of(results)["trials"]
    assert trials["count"] == len(results.trials)
    states = dict(zip(*np.unique(trials["columns"]["state"], return_counts=True), strict=True))
    assert (
        states["pruned"] == 3 and states["diverged"] == 3
    )  # of six search trials in each of three scenarios
    place = trials["columns"]["state"].index("diverged")
    assert trials["validation"]["objective"][place] is None and "NaN" in trials["columns"]["reason"][place]
    complete = next(i for i, row in enumerate(results.trials) if row["state"] == "COMPLETE")
    expected = np.mean(results.trials[complete]["acc_personal_own"])
    assert trials["validation"]["acc_personal_own"][complete] == pytest.approx(expected, abs=1e-6)


def test_states_lost_seeds_and_means(tmp_path: Path) -> None:
    ended = [("COMPLETE", ""), ("PRUNED", "halving"), ("FAIL", "diverged: 2 of 3 seeds"), ("FAIL", "killed")]
    rows = [
        contrast("A", "f", str(i), [0.5, float("nan"), 0.6], state=state, reason=reason)
        for i, (state, reason) in enumerate(ended)
    ]
    rows[1]["outcomes"] = ["complete", "diverged", "failed", "pruned"]
    trials = data_of(written(tmp_path, rows))["trials"]
    assert trials["columns"]["state"] == ["complete", "pruned", "diverged", "failed"]
    assert trials["lost"] == [0, 2, 0, 0] and trials["seeds"] == [3] * 4
    assert trials["validation"] == {"acc_personal_own": [0.55] * 4}


def test_test_values_belong_to_confirmed_trials_only(tmp_path: Path) -> None:
    sweep = fake_results.FakeSweep(tmp_path)
    sweep.fill()
    search = next(t for t in sweep.trials if t["kind"] == "search" and t["state"] == "COMPLETE")
    search["test_acc_personal_own"] = [0.99]  # no sweep writes it
    sweep.fill = lambda: None  # type: ignore[method-assign]
    trials = data_of(open_results(sweep.save()))["trials"]
    for kind, value, known in zip(
        trials["columns"]["kind"],
        trials["test"]["acc_personal_own"],
        trials["validation"]["objective"],
        strict=True,
    ):
        assert (value is not None) == (kind == "confirm" and known is not None)


def test_parameters_have_the_values_of_the_experiment_and_conditional_ones_are_missing() -> None:
    def row(params: dict[str, Any], **method: Any) -> dict[str, Any]:
        return {"params": json.dumps(params), "experiment": json.dumps({"method": method, "rounds": 4})}

    rows = [
        row({}, name="safe", lam=0.01, rule="mean"),
        row({"method.lam": 1.5}, name="safe", lam=1.5, rule="mean"),
        row({"method.lam": 0.2}, name="safe", lam=0.2, rule=None),
        row({"method": "fedavg", "rounds": 4}, name="fedavg"),
        row({"method.rule": "trim", "method.s": [1, 2]}, name="safe", lam=0.01, rule="trim", s=[1, 2]),
    ]
    parameters, fixed = parameters_of(rows, [])
    found = {p["path"]: p for p in parameters}
    assert list(found) == ["method.lam", "method", "method.rule", "method.s"] and fixed == {"rounds": 4}
    assert found["method.lam"]["values"] == [0.01, 1.5, 0.2, None, 0.01] and found["method.lam"]["log"]
    assert found["method.rule"]["values"] == ["mean", "mean", "none", None, "trim"]
    assert found["method"]["values"] == ["safe", "safe", "safe", "fedavg", "safe"]
    assert found["method.s"]["values"][-1] == "[1, 2]" and not found["method.rule"]["log"]


def test_a_declared_logarithm_needs_positive_values() -> None:
    rows = [{"params": json.dumps({"a": v, "b": v + 1})} for v in (0.0, 1.0, 2.0)]
    factors = [{"path": "a", "search": "log-U [1e-3, 2]"}, {"path": "b", "search": "log-U [1, 3]"}]
    parameters, _ = parameters_of(rows, factors)
    assert [(p["path"], p["log"]) for p in parameters] == [("a", False), ("b", True)]


def test_equal_configurations_share_their_curves(tmp_path: Path) -> None:
    sweep = fake_results.FakeSweep(tmp_path, search=0)
    sweep.fill()
    first, second = sweep.trials[:2]
    second["runs"] = first["runs"]
    sweep.fill = lambda: None  # type: ignore[method-assign]
    curves = data_of(open_results(sweep.save()))["curves"]
    shared = [run for run in curves["runs"] if run["run"] in first["runs"]]
    assert len(shared) == len(first["runs"]) and all(run["trials"] == [0, 1] for run in shared)
    assert all(len(run["round"]) == len(run["values"]["acc_personal_own"]) for run in curves["runs"])


def test_long_curves_are_thinned_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore_data, "MAX_NUMBERS", 30)
    curves = data_of(open_results(fake_results.fake_run(tmp_path, rounds=20)))["curves"]
    (run,) = curves["runs"]
    assert run["round"] == [0, 4, 10, 16, 20]
    assert curves["notes"] == [
        "At most 5 of up to 11 evaluated rounds of a run are on this page, evenly spread."
    ]


def test_many_clients_are_thinned_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_results.fake_run(tmp_path / "run", clients=40)
    monkeypatch.setattr(explore_data, "MAX_PER_RUN", 10)
    (group,) = data_of(open_results(folder))["clients"]["groups"]
    assert len(group["columns"]["client"]) == 10 and group["columns"]["client"][-1] == 39
    assert group["notes"] == ["10 clients of 40 are on this page, evenly spread."]
    monkeypatch.setattr(explore_data, "MAX_POINTS", 25)
    sweep = data_of(open_results(fake_results.fake_sweep(tmp_path / "sweep", search=0)))["clients"]
    assert len(sweep["groups"]) == 2 and sweep["notes"][0].startswith("Clients of 2 evaluations of ")


def test_clients_have_images_skew_and_accuracy(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_run(tmp_path))
    (group,) = data_of(results)["clients"]["groups"]
    assert {"images", "classes", "largest", "js", "acc_personal_own"} <= set(group["columns"])
    skew = {"client": [0, 0, 0, 1, 1, 1, 2, 2], "label": [0, 0, 0, 1, 1, 1, 0, 1], "domain": [0] * 8}
    pq.write_table(pa.table(skew), tmp_path / "partition.parquet")
    (group,) = data_of(open_results(tmp_path))["clients"]["groups"]
    columns = {name: values[:3] for name, values in group["columns"].items()}
    assert columns["client"] == [0, 1, 2] and columns["images"] == [3, 3, 2]
    assert columns["classes"] == [1, 1, 2] and columns["largest"] == [1.0, 1.0, 0.5]
    assert columns["js"] == [pytest.approx(0.311278, abs=1e-5)] * 2 + [0.0]


def test_a_label_cannot_end_the_script(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><!-- & \u2028 {{ 7 * 7 }}"
    sweep = fake_results.FakeSweep(tmp_path, search=2)
    sweep.fill()
    sweep.trials[0]["label"] = evil
    sweep.trials[0]["params"] = json.dumps({evil: evil})
    sweep.fill = lambda: None  # type: ignore[method-assign]
    folder = sweep.save()
    rewrite(folder / "run.json", spaces=[evil])
    page = render(open_results(folder))
    assert page.count("</script>") == 5 and "alert(1)</script>" not in page and "<!--" not in page
    data = embedded(page)
    assert data["trials"]["columns"]["label"][0] == evil and data["name"] == evil
    assert json.loads(in_script([evil])) == [evil]


def test_the_script_makes_text_of_no_data() -> None:
    templates = Path(explore_data.__file__).parent / "templates"
    script = "".join(path.read_text(encoding="utf-8") for path in templates.glob("*.js"))
    assert "textContent" in script
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function", "document.write"):
        assert way not in script


def test_no_data_leaves_the_page(reported_sweep: Path) -> None:
    page = (reported_sweep / "report" / "explore.html").read_text(encoding="utf-8")
    assert """content="connect-src 'self'; form-action 'none'">""" in page
    assert "modeBarButtons: [[" in page and 'plotlyServerURL: ""' in page  # no button that uploads a figure


def test_numbers_that_json_cannot_say_are_missing(tmp_path: Path) -> None:
    sweep = fake_results.FakeSweep(tmp_path, search=2)
    sweep.fill()
    sweep.trials[0]["acc_personal_own"] = [float("nan"), 0.5, 0.7]
    sweep.trials[0]["objective"] = float("inf")
    sweep.fill = lambda: None  # type: ignore[method-assign]
    trials = embedded(render(open_results(sweep.save())))["trials"]
    assert trials["validation"]["acc_personal_own"][0] == pytest.approx(0.6)
    assert trials["validation"]["objective"][0] is None


def test_a_sweep_without_trials_and_one_that_runs(tmp_path: Path) -> None:
    empty = data_of(open_results(fake_results.FakeSweep(tmp_path / "a", stop=0).save("running")))
    assert (
        empty["trials"]["count"] == 0 and empty["curves"]["runs"] == [] and empty["clients"]["groups"] == []
    )
    assert "still running" in empty["notice"][0]
    folder = fake_results.fake_sweep(tmp_path / "b", stop=20, status="running")
    (folder / "tables" / "trials" / "00019.parquet").unlink()  # its runs are under way
    rewrite(next((folder / "runs").glob("r0019*")) / "run.json", label="promptfl", scenario_label="even")
    under_way = [run for run in data_of(open_results(folder))["curves"]["runs"] if not run["trials"]]
    assert under_way and "promptfl (in no ended trial)" in {run["label"] for run in under_way}


def test_damaged_parts_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=0)
    whole = data_of(open_results(folder))["trials"]["count"]
    (folder / "tables" / "trials" / "00003.parquet").write_bytes(b"PAR1 cut off")
    run = data_of(open_results(folder))["clients"]["groups"][0]["run"]
    (folder / "runs" / run / "partition.parquet").write_bytes(b"PAR1 cut off")
    data = data_of(open_results(folder))
    assert data["trials"]["count"] == whole - 1
    (notice,) = data["notice"]
    assert "tables/trials/00003.parquet (" in notice and f"runs/{run}/partition.parquet (" in notice
    group = next(group for group in data["clients"]["groups"] if group["run"] == run)
    assert group["notes"] == [
        "The file partition.parquet of this run is missing or damaged, so skew is not shown."
    ]
    assert "images" in group["columns"] and "js" not in group["columns"]


def test_a_single_run_has_curves_and_clients_only(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path)
    data = embedded(write_explore(open_results(folder), folder / "report").read_text(encoding="utf-8"))
    assert data["trials"] is None and len(data["curves"]["runs"]) == 1 and len(data["clients"]["groups"]) == 1
    assert data["curves"]["runs"][0]["label"] == "fedrsclip"


def test_a_stress_run_has_its_cases_and_levels(tmp_path: Path) -> None:
    trials = data_of(open_results(stress_results.folder(tmp_path / "stress")))["trials"]
    assert set(trials["columns"]["case"]) == {"corrupt_nan"} and len(set(trials["columns"]["level"])) > 1
