"""The report: numbers on paper, sentences that follow from intervals, pages from whole, partial and damaged folders."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import fake_results
import pyarrow as pa
import pytest

from analysis import clients, commands, contrasts, curves, methods, search, stats, sweep_page, write_report
from analysis.results import Results, open_results

ROOT = Path(__file__).parents[1]


def contrast(scenario: str, factor: str | None, level: str | None, values: list[float], **more: Any) -> dict[str, Any]:
    """A complete contrast trial of method m."""
    return {"study": f"m | {scenario}", "method": "m", "scenario": scenario, "kind": "contrast", "state": "COMPLETE", "factor": factor,
            "level": level, "label": "anchor" if factor is None else f"{factor}={level}", "seeds": [1, 2, 3][: len(values)],
            "acc_personal_own": values, **more}  # fmt: skip


def confirm(label: str, scenario: str, values: list[float], seeds: list[int]) -> dict[str, Any]:
    """A complete confirm trial."""
    return {"study": f"{label.split()[0]} | {scenario}", "method": label.split()[0], "scenario": scenario, "kind": "confirm",
            "state": "COMPLETE", "label": label, "seeds": seeds, "test_acc_personal_own": values, "test_acc_personal_global": values,
            "acc_personal_own": values, "params": "{}", "bytes_up": 10, "bytes_down": 10,
            "runs": [f"{label}{s}" for s in seeds]}  # fmt: skip


def sweep_of(trials: list[dict[str, Any]], **meta: Any) -> Results:
    """A sweep that holds these trials."""
    results = Results(Path("nowhere"), {"kind": "sweep", "confidence": 0.9, "space": "m", **meta})
    results.__dict__["trials"] = trials
    return results


# --- statistics --------------------------------------------------------------------------------------------------------------------


def test_t_interval_on_paper() -> None:
    interval = stats.t_interval([1.0, 2.0, 3.0], 0.9)
    assert interval is not None and interval.low is not None and interval.high is not None
    half = 2.919986 / 3**0.5  # t quantile 0.95 with 2 degrees of freedom; the standard deviation is 1
    assert interval.mean == pytest.approx(2) and interval.low == pytest.approx(2 - half, abs=1e-6)
    assert interval.high == pytest.approx(2 + half, abs=1e-6) and interval.n == 3
    # t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2)
    assert interval.p == pytest.approx(1 - 12**0.5 / 14**0.5)


@pytest.mark.parametrize(("values", "verdict"), [
    ([0.02, 0.03, 0.025], "helps"), ([-0.02, -0.03, -0.025], "hurts"), ([0.02, -0.01, 0.01], "undecided"),
    ([0.5], "undecided"), ([0.01, 0.01, 0.01], "undecided"), ([0.0, 0.0], "undecided"),
])  # fmt: skip
def test_verdict_follows_from_the_interval(values: list[float], verdict: str) -> None:
    interval = stats.t_interval(values)
    assert interval is not None and interval.verdict == verdict


def test_one_seed_has_no_interval_and_missing_values_do_not_count() -> None:
    assert stats.t_interval([0.5]) == stats.Interval(0.5, None, None, 1)
    assert stats.t_interval([0.5, float("nan"), None]) == stats.Interval(0.5, None, None, 1)  # type: ignore[list-item]
    assert stats.t_interval([float("nan")]) is None
    flat = stats.t_interval([0.5, 0.5])
    assert flat is not None and (flat.low, flat.high, flat.p) == (0.5, 0.5, None)


def test_pairs_are_made_by_seed() -> None:
    interval = stats.paired({1: 0.5, 2: 0.7, 9: 0.0}, {2: 0.6, 1: 0.3, 8: 1.0})
    assert interval is not None and interval.n == 2 and interval.mean == pytest.approx(0.15)
    assert stats.paired({1: 0.5}, {2: 0.5}) is None


def with_p(*values: float | None) -> list[stats.Interval]:
    return [stats.Interval(1.0, 0.5, 1.5, 3, p) for p in values]


def test_false_discovery_rate_on_paper() -> None:
    # thresholds 0.025, 0.05, 0.075, 0.1: the largest k with p(k) below its own is 2
    assert stats.firm(with_p(0.5, 0.01, 0.08, 0.04), 0.1) == [False, True, False, True]
    assert stats.firm(with_p(0.09, 0.095), 0.1) == [True, True]  # step up: the second carries the first
    assert stats.firm(with_p(None, 0.06), 0.1) == [False, False]  # an interval without spread is shown, so it counts
    assert stats.firm([], 0.1) == []


def test_multiplicity_counts() -> None:
    made = [stats.t_interval(v) for v in ([0.02, 0.03, 0.025], [0.02, -0.01, 0.01], [0.3])]
    m = stats.multiplicity([i for i in made if i], 0.9)
    assert (m.shown, m.decided) == (2, 1) and m.by_chance == pytest.approx(0.2)


# --- sentences ---------------------------------------------------------------------------------------------------------------------

FACTORS = [{"path": f"method.{s}", "symbol": s, "levels": [1, 2, 3], "anchor": 1, "basis": "guess", "doc": ""} for s in ("lam", "h", "w")]
SCENARIOS = [{"label": "A"}, {"label": "B"}]


def decided_sweep() -> Results:
    return sweep_of([
        contrast("A", None, None, [0.50, 0.60, 0.70]),
        contrast("A", "method.lam", "3", [0.47, 0.56, 0.68]),
        contrast("A", "method.lam", "2", [0.52, 0.6211, 0.7189]),
        contrast("A", "method.h", "2", [0.52, 0.59, 0.70]),
        contrast("B", None, None, [0.50, 0.60, 0.70]),
        contrast("B", "method.lam", "2", [0.52, 0.59, 0.70]),
        contrast("B", "method.h", "2", [0.9, 0.9, 0.9], state="PRUNED"),
    ], factors=FACTORS, scenarios=SCENARIOS)  # fmt: skip


def test_contrasts_are_paired_differences_to_the_anchor() -> None:
    rows = contrasts.table_contrasts(decided_sweep())
    names = [" ".join((r["scenario"], r["symbol"], r["level"])) for r in rows]
    assert names == ["A lam 2", "A lam 3", "A h 2", "B lam 2"]
    assert [r["mean"] for r in rows] == pytest.approx([0.02, -0.03, 0.01 / 3, 0.01 / 3])
    assert [r["verdict"] for r in rows] == ["helps", "hurts", "undecided", "undecided"]
    assert [r["firm"] for r in rows] == [True, True, False, False]  # p 0.001 and 0.037 of 4: thresholds 0.025 and 0.05


def test_sentence_says_what_the_intervals_say() -> None:
    results = decided_sweep()
    rows, paths = contrasts.table_contrasts(results), [f["path"] for f in FACTORS]
    assert contrasts.sentence([r for r in rows if r["scenario"] == "A"], paths, 0.9) == (
        "Under A, lam changes validation accuracy (best 2: +2.0 points, 90% interval +1.8 to +2.2); 1 of 3 open choices is undecided; "
        "1 not tried yet.")  # fmt: skip
    assert contrasts.sentence([r for r in rows if r["scenario"] == "B"], paths, 0.9) == (
        "Under B, none of 3 open choices is decided (2 not tried yet): every 90% interval includes zero.")  # fmt: skip
    lead, points = sweep_page.summary(results, [], rows)
    assert lead[0] == "lam (under A) changes validation accuracy; 1 of 3 open choices is undecided everywhere, 1 not tried yet."
    assert "Of 4 intervals of 90% shown, 2 exclude zero" in lead[-1] and "all of them stand" in lead[-1]
    assert len(points[0][1]) == 2 and points[1][1] == []


def test_a_verdict_that_does_not_stand_is_only_a_hint() -> None:
    trials = [contrast("A", None, None, [0.5, 0.6, 0.7]), contrast("A", "method.lam", "2", [0.51, 0.6105, 0.7235])]
    trials += [contrast("A", "method.h", str(i), [0.5 + 0.01 * i, 0.6 - 0.01 * i, 0.7]) for i in range(1, 7)]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS, scenarios=SCENARIOS))
    assert rows[0]["verdict"] == "helps" and not rows[0]["firm"]
    assert contrasts.sentence(rows, [], 0.9).startswith("Under A, lam may change validation accuracy (best 2: +1.5 points, ")
    lead = sweep_page.headline(rows, [], 2)
    assert lead.startswith("No open choice is shown to change validation accuracy in any of 1 scenario; lam (under A) hints at it")


def test_one_seed_decides_nothing() -> None:
    trials = [contrast("A", None, None, [0.5]), contrast("A", "method.lam", "2", [0.9])]
    rows = contrasts.table_contrasts(sweep_of(trials, factors=FACTORS[:1], scenarios=SCENARIOS))
    assert contrasts.sentence(rows, [], 0.9) == "Under A, none of 1 open choices is decided: one seed gives no interval."


def test_methods_are_compared_by_seed_and_named_untuned() -> None:
    results = sweep_of([
        confirm("m (tuned)", "A", [0.80, 0.82, 0.84], [11, 12, 13]),
        confirm("promptfl (untuned)", "A", [0.803, 0.770, 0.785], [13, 11, 12]),  # seeds in another order
        confirm("local (untuned)", "A", [0.80, 0.83, 0.83], [11, 12, 13]),
    ], scenarios=SCENARIOS)  # fmt: skip
    rows = methods.table_methods(results)
    pairs = methods.rivalry(results, rows)
    assert {p["label"]: p["interval"].verdict for p in pairs} == {"promptfl (untuned)": "helps", "local (untuned)": "undecided"}
    assert next(p["interval"].mean for p in pairs if p["label"] == "promptfl (untuned)") == pytest.approx((0.03 + 0.035 + 0.037) / 3)
    said = methods.sentences(pairs, 0.9)
    assert said[0].startswith("Under A, m (tuned) beats promptfl (untuned) (+3.4 points, 90% interval +2.8 to +4.0); it is undecided "
                              "against local (untuned) (")  # fmt: skip
    lead = methods.headline(pairs, 0.9)
    assert lead.startswith("On fresh seeds and the test split, m (tuned) is undecided against local (untuned) under A (0.0 points, 90% ")
    assert lead.endswith("local (untuned) is the strongest of 2 rivals on average.")
    table = methods.table_of_methods(results, rows)
    assert table is not None
    assert [line[7].text for line in table.rows] == ["0.0 \u00b1 1.7 undecided", "reference", "\u22123.4 \u00b1 0.6 behind"]
    assert methods.opposite(pairs[-1]["interval"]).verdict == "hurts" and pairs[-1]["label"] == "promptfl (untuned)"
    trust = " ".join(sweep_page.trust(results, rows, []))
    assert "m (tuned) had a search behind it, local (untuned) and promptfl (untuned) did not" in trust


def test_a_recipe_compares_its_first_with_the_others_and_speaks_of_no_search(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, recipe=True, rounds=2)
    write_report(folder)
    text = " ".join(text_of(folder).split())
    assert "On fresh seeds and the test split, fedrsclip beats promptfl_ft under " in text and "strongest of 4 rivals" in text
    for word in ("contrast is finished", "Optimism gap", "The search ", "untuned", "had a search behind it"):
        assert word not in text.replace("Hollow marks are untuned", "").replace("Dashed and hollow: untuned", "")


def test_a_search_until_its_time_is_over_has_no_plan_to_count_against() -> None:
    results = sweep_of([], planned={"contrast": 3, "search": None, "confirm": 2}, dropped_contrasts=2)
    assert sweep_page.progress(results) == "0 trials finished"
    results.trials.append(contrast("A", None, None, [0.5]))
    table = sweep_page.trial_counts(results)
    assert "2 contrasts were left out because the time limit was near" in table.caption  # type: ignore[union-attr]


# --- tables ------------------------------------------------------------------------------------------------------------------------


def test_optimism_gap_uses_the_configuration_that_was_confirmed() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "state": "COMPLETE", "seeds": [1, 2]}
    trials = [
        {**base, "kind": "search", "label": "a", "params": '{"x": 1}', "objective": 0.9, "acc_personal_own": [0.9, 0.9]},
        {**base, "kind": "search", "label": "b", "params": '{"x": 2}', "objective": 0.8, "acc_personal_own": [0.7, 0.9]},
        {**confirm("m (tuned)", "A", [0.6, 0.7], [8, 9]), "params": '{"x": 2}', "acc_personal_own": [0.65, 0.75]},
    ]
    (row,) = search.table_optimism(sweep_of(trials))
    assert row["chosen"] == "b" and row["exact"]
    assert [row[k].mean for k in ("search", "validation", "test")] == pytest.approx([0.8, 0.7, 0.65])
    assert row["gap"].mean == pytest.approx(-0.05)


def test_best_so_far_counts_complete_trials_only() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "kind": "search", "label": "", "factor": None}
    states = [("COMPLETE", 0.5), ("PRUNED", 0.9), ("FAIL", None), ("FAIL", float("nan")), ("COMPLETE", 0.4), ("COMPLETE", 0.6)]
    rows = search.table_search(sweep_of([{**base, "state": s, "objective": v} for s, v in states]))
    assert [r["best"] for r in rows] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6] and rows[3]["objective"] is None


def test_bytes_per_client_and_round() -> None:
    rows = methods.table_methods(sweep_of([confirm("m (tuned)", "A", [0.5, 0.6], [1, 2])]))
    rounds = [{"run": "m (tuned)1", "round": r, "clients": 4, "bytes_up": 40 * (r > 0), "bytes_down": 80 * (r > 0)} for r in range(3)]
    (row,) = curves.table_communication(rows, rounds)
    assert row["each"] == 30 and row["total"] == 20


def test_partition_table_on_paper() -> None:
    made = pa.table({"client": [0, 0, 2, 2, 2], "label": [0, 1, 1, 1, 1], "domain": [0, 0, 1, 1, 0]})
    table = clients.table_partition(made, 3, 2)
    assert table["clients"].tolist() == [0, 2] and table["counts"].tolist() == [[1, 1, 0], [0, 3, 0]]
    assert table["domains"].tolist() == [[2, 0], [1, 2]]
    many = clients.table_partition(pa.table({"client": list(range(500)), "label": [0] * 500}), 1, 1)
    assert len(many["clients"]) == clients.SHOWN_CLIENTS and many["total"] == 500 and many["clients"][-1] == 499


def test_accuracy_by_class_sums_domains(tmp_path: Path) -> None:
    rows = [{"run": "r", "round": n, "split": "validation", "label": 0, "class_name": "river", "domain": d, "domain_name": str(d),
             "scope": "shared", "correct": c, "total": t}
            for n, d, c, t in ((1, 0, 0.0, 9.0), (2, 0, 1.0, 2.0), (2, 1, 2.0, 4.0))]  # fmt: skip
    fake_results.write(tmp_path / "tables" / "classes" / "0.parquet", rows)
    assert clients.table_classes(Results(tmp_path, {"kind": "run"})) == [{"name": "river", "round": 2, "shared": 0.5}]


# --- pages -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished synthetic sweep with its report."""
    folder = fake_results.fake_sweep(tmp_path_factory.mktemp("sweep"), search=6)
    write_report(folder)
    return folder


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


def test_sweep_page_is_complete_and_self_contained(sweep: Path) -> None:
    page = (sweep / "report" / "index.html").read_text(encoding="utf-8")
    order = ["summary", "what-was-run", "figures", "tables", "what-can-be-trusted", "how-to-reproduce-each-number"]
    places = [page.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)
    for figure in ("methods", "heterogeneity", "curves", "partition", "contrasts", "communication", "optimism", "search"):
        inside = page[page.index(f'<figure id="{figure}"') :].split("</figure>")[0]
        assert "<svg" in inside and "<figcaption>" in inside and 'class="missing"' not in inside
    assert not re.search(r"<script|<link|<iframe|@import|url\(\s*['\"]?(?!#)|(src|href)=\"(?!#|data:image/png)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_figures_are_files_of_text_and_vectors(sweep: Path) -> None:
    files = sorted((sweep / "report" / "figures").glob("*.svg"))
    assert len(files) == 2 + 3 + 2 + 3 + 3 + 2 + 1 + 3  # a panel each
    for file in files:
        root = ET.parse(file).getroot()
        assert root.tag.endswith("svg") and any(e.tag.endswith("text") for e in root.iter())
    assert "fedrsclip (tuned)" in (sweep / "report" / "figures" / "methods-acc-personal-own.svg").read_text()


def test_report_is_the_same_each_time(sweep: Path) -> None:
    import matplotlib

    first, settings = (sweep / "report" / "index.html").read_bytes(), dict(matplotlib.rcParams)
    (sweep / "report" / "figures" / "stale.svg").write_text("left by an earlier report")
    assert write_report(sweep).read_bytes() == first
    assert not (sweep / "report" / "figures" / "stale.svg").exists()
    assert dict(matplotlib.rcParams) == settings


def test_sweep_page_says_what_cannot_be_trusted(sweep: Path) -> None:
    text = text_of(sweep)
    for said in ("alike across clients", "scenes-clip, a small CLIP", "had a search behind it", "by chance alone", "saw validation only"):
        assert said in text
    assert "still running" not in text


@pytest.mark.parametrize("stop", [0, 1, 2, 21, 60, 64])
def test_unfinished_sweep(tmp_path: Path, stop: int) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=stop, status="running", rounds=4)
    write_report(folder)
    text = text_of(folder)
    assert f"still running: {stop} of 81 planned trials are finished" in text
    assert ("the test split is still closed" in text) == (stop < 61)
    assert ("No contrast is finished yet" in text) == (stop < 2)


@pytest.mark.parametrize("tables", [(), ("rounds",), ("rounds", "clients", "classes")])
def test_run_page(tmp_path: Path, tables: tuple[str, ...]) -> None:
    status = "done" if len(tables) == 3 else "running"
    folder = fake_results.fake_run(tmp_path, status=status, tables=tables, rounds=6)
    page = write_report(folder).read_text(encoding="utf-8")
    missing = set(re.findall(r'<figure id="(\w+)"[^>]*>\s*<h3>[^<]*</h3>\s*<p class="missing">', page))
    assert missing == {
        (): {"four", "distribution", "curve", "losses", "partition", "classes"}, ("rounds",): {"four", "distribution", "classes"},
    }.get(tables, set())  # fmt: skip
    said = {(): "has not been evaluated yet", ("rounds",): "6 of 6 rounds are finished"}.get(tables, "reaches 73.0% validation accuracy")
    assert said in text_of(folder)


def test_damaged_parts_are_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=10, status="interrupted", rounds=4)
    (folder / "tables" / "trials" / "00005.parquet").write_bytes(b"PAR1 cut off")
    (folder / "tables" / "trials" / ".00099.parquet").write_bytes(b"being written")
    write_report(folder)
    text = text_of(folder)
    assert "9 of 81 planned trials" in text and "cannot be read: tables/trials/00005.parquet" in text and "--resume" in text


def test_rows_that_a_resume_wrote_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    (folder / "tables" / "trials" / "00009.parquet").write_bytes((folder / "tables" / "trials" / "00002.parquet").read_bytes())
    assert [t["trial"] for t in open_results(folder).trials] == [0, 1, 2, 3]


def test_names_are_escaped_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "<script>alert(1)</script> & $x_1$ %"
    monkeypatch.setattr(fake_results, "CLASSES", (evil, *fake_results.CLASSES[1:]))
    folder = fake_results.fake_run(tmp_path, rounds=2)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "label": evil, "command": evil}))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<script" not in page and page.count("&lt;script&gt;") >= 5
    root = ET.parse(folder / "report" / "figures" / "classes.svg").getroot()
    drawn = ["".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("text")]
    assert evil in drawn  # and no mathematics made of it


def test_what_is_no_result_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        write_report(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"no run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match="not a JSON object"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "cake"}')
    with pytest.raises(ValueError, match="'cake', should be 'run' or 'sweep'"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


# --- commands ----------------------------------------------------------------------------------------------------------------------


def test_commands_repeat_each_trial_exactly() -> None:
    def experiment(name: str, lam: float) -> str:
        return json.dumps({"seed": 1, "rounds": 9, "task": {"dataset": "it's; $(touch x)", "shots": None}, "scenario": {"name": "even"},
                           "method": {"name": name, "lam": lam, "sizes": [1, 2]}, "resources": {"workers": 4}})  # fmt: skip

    trials = [
        {"trial": 0, "kind": "search", "label": "a\nb", "scenario": "A", "rounds": 5, "seeds": [3, 4], "experiment": experiment("m", 0.5)},
        {"trial": 1, "kind": "confirm", "label": "c", "scenario": "A", "rounds": 5, "seeds": [7], "experiment": experiment("n", 0.1)},
    ]
    results = sweep_of(trials, command="raysim sweep ../spaces/m.py --out x")
    script = 'raysim() { printf "%s\\0" "$@"; printf "\\n\\0"; }\n' + commands.commands(results).code
    ran = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, check=True).stdout
    calls = [call.strip("\0").split("\0") for call in ran.split("\n\0") if call]
    common = {"rounds=9", "task.dataset=it's; $(touch x)", "task.shots=null", "method.sizes=[1, 2]", "scenario=even"}
    assert [set(c) for c in calls] == [
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=3", *common},
        {"run", "../spaces/m.py", "method=m", "method.lam=0.5", "seed=4", *common},
        {"run", "../spaces/m.py", "--open-test", "method=n", "method.lam=0.1", "seed=7", *common},
    ]  # fmt: skip


def test_command_of_a_run_keeps_its_space(tmp_path: Path) -> None:
    meta = {"kind": "run", "command": "raysim run my_space.py scenario=even", "experiment": {"seed": 3, "method": {"name": "m", "h": 4},
            "resources": {"workers": 2}}, "test": {"acc_personal_own": 0.5}}  # fmt: skip
    assert commands.run_command(Results(tmp_path, meta)) == "raysim run my_space.py --open-test method=m seed=3 method.h=4"


# --- architecture ------------------------------------------------------------------------------------------------------------------


def test_analysis_reads_files_only() -> None:
    for file in (ROOT / "analysis").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            assert not any(name.split(".")[0] in ("raysim", "torch", "ray", "search_spaces") for name in names), file


def test_import_is_light() -> None:
    code = "import sys, analysis; print([m for m in ('matplotlib', 'scipy', 'jinja2', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"
