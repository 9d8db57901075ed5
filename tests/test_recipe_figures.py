"""The figures that recipes declare: numbers to the digit, sentences from intervals, queries that give the same numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from math import exp, log, prod
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_recipe import NOISE, SEEDS, Recipe, Row, at
from fake_results import write

from analysis import entries, recipes, write_report
from analysis.figures import curves, methods
from analysis.page import Table
from analysis.recipes import against, convergence, cost, differences, domains
from analysis.results import Results
from analysis.stats import paired, t_interval
from analysis.style import VERDICT_COLOUR, svg


def drawn(results: Results) -> tuple[list[Row], list[Any], list[str]]:
    """Rows of methods, the parts that the recipe declares, and its sentences."""
    compared = methods.table_methods(results)
    rounds = results.rounds([run for t in entries.shown_trials(results) for run in t["runs"]])
    return compared, recipes.exhibits(results, compared, rounds), recipes.sentences(results, compared)


def query(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What a part's SQL gives."""
    monkeypatch.chdir(folder)
    found = duckdb.sql(source)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def marks(panel: Any, colour: str) -> int:
    """Filled markers of a colour in a panel's SVG, without the legend's and without bands."""
    root = ET.fromstring(svg(panel.figure, panel.key))
    styles = [e.get("style", "") for e in root.iter() if e.tag.endswith("}use")]
    handles = [handle for legend in panel.figure.legends for handle in legend.legend_handles]
    filled = [style for style in styles if f"fill: {colour.lower()}" in style and "opacity" not in style]
    return len(filled) - sum(handle.get_markerfacecolor() == colour for handle in handles)


# --- against -----------------------------------------------------------------------------------------------------------------------


def clients_recipe(folder: Path) -> Recipe:
    """Two families of scenarios; the subject falls by 1 point from 5 to 10 and 2 to 20 clients, its rival stays."""
    places = {f"{name}, {n} clients": {"scenario": {"name": name, "clients": n}, "task": {"dataset": "scenes"}}
              for name in ("even", "disjoint") for n in (5, 10, 20)}  # fmt: skip
    made = Recipe(folder, places, [{"kind": "against", "x": "scenario.clients", "name": "clients"}], ["fedrsclip", "promptfl", "zeroshot"])
    for scenario, settings in places.items():
        steps = {5: 0, 10: 1, 20: 3}[settings["scenario"]["clients"]]
        made.trial("fedrsclip (tuned)", scenario, at(0.78 - 0.01 * steps, 2.0))
        made.trial("promptfl (tuned)", scenario, at(0.7642), method="promptfl")
        made.trial("zeroshot (untuned)", scenario, at(0.6, 0.0), method="zeroshot", parameters=0)
    return made


def test_accuracy_against_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = clients_recipe(tmp_path).open()
    compared, (exhibit,), said = drawn(results)
    rows = against.table_against(results, compared, "scenario.clients")
    assert {r["family"] for r in rows} == {"even", "disjoint"} and len(rows) == 2 * 3 * 3 * 2
    own = [r for r in rows if (r["family"], r["label"], r["metric"]) == ("even", "fedrsclip (tuned)", "acc_personal_own")]
    assert [(r["x"], round(r["mean"], 9)) for r in own] == [(5.0, 0.78), (10.0, 0.77), (20.0, 0.75)]
    assert len(exhibit.panels) == 4 and [marks(p, "#0072B2") for p in exhibit.panels] == [3] * 4
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "log"
    found = query(exhibit.source, tmp_path, monkeypatch)
    assert {(r["scenario"], r["x"], r["label"]): round(r["personal_own"], 9) for r in found} == {
        (r["scenario"], r["x"], r["label"]): round(r["mean"], 9) for r in rows if r["metric"] == "acc_personal_own"}  # fmt: skip
    gaps = [t_interval([0.78 - step - 0.7642 + NOISE[s] for s in SEEDS]) for step in (0, 0.01, 0.03)]
    assert [g.verdict for g in gaps if g] == ["helps", "helps", "hurts"]
    assert said == [
        f"From 5 to 20 clients ({name}), fedrsclip (tuned) changes by \u22123.0 points, which is undecided (90% interval \u22123.0 to "
        "\u22123.0, paired by seed); against promptfl (tuned), the strongest of its rivals on average, it is ahead at 5 (+1.6) and 10 "
        "(+0.6), behind at 20 (\u22121.4) clients." for name in ("even", "disjoint")]  # fmt: skip


def test_a_change_that_is_decided_is_gained_or_lost(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in (10, 20)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m"])
    made.trial("m", "even, 10 clients", at(0.7, 0.0))
    made.trial("m", "even, 20 clients", at(0.68, 1.0))
    _, (exhibit,), said = drawn(made.open())
    low = paired({s: 0.68 + NOISE[s] for s in SEEDS}, dict.fromkeys(SEEDS, 0.7))
    assert low is not None and low.low is not None and low.high is not None
    assert said == [f"From 10 to 20 clients (even), m loses 2.0 points of accuracy on its clients' own distributions (90% interval "
                    f"{-100 * low.high:.1f} to {-100 * low.low:.1f}, paired by seed)."]  # fmt: skip
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "linear"


# --- differences -------------------------------------------------------------------------------------------------------------------


def ablation(folder: Path, to: str = "fedrsclip") -> Recipe:
    """Leaving out the private prompt costs 3 points on own and global; OT is level; 'OT alone' is undecided."""
    made = Recipe(folder, {"even": {"scenario": {"name": "even", "clients": 4}}}, [{"kind": "differences", "to": to}],
                  ["fedrsclip", "without private prompt", "without OT", "OT alone"])  # fmt: skip
    made.trial("fedrsclip (tuned)", "even", at(0.75, 5.0))
    made.trial("without private prompt (tuned)", "even", lambda s: at(0.72, 5.0)(s) + NOISE[s], shift=0.02)
    made.trial("without OT (tuned)", "even", lambda s: at(0.7501, 5.0)(s) + NOISE[s])
    made.trial("OT alone (tuned)", "even", lambda s: at(0.752, 5.0)(s) + 10 * NOISE[s])
    return made


def test_differences_are_paired_and_said_by_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = ablation(tmp_path).open()
    compared, (exhibit,), said = drawn(results)
    rows = differences.table_pairs(results, compared, "fedrsclip")
    own = {r["label"]: r for r in rows if r["metric"] == "acc_personal_own"}
    assert list(own) == ["without private prompt (tuned)", "without OT (tuned)", "OT alone (tuned)"]
    assert [r["mean"] for r in own.values()] == pytest.approx([-0.03, 0.0001, 0.002])
    assert [r["verdict"] for r in own.values()] == ["hurts", "level", "undecided"]
    costs = t_interval([-0.03 + NOISE[s] for s in SEEDS])
    wide = t_interval([0.002 + 10 * NOISE[s] for s in SEEDS])
    assert costs and wide and costs.low and costs.high and wide.low and wide.high
    assert said == [
        f"Under even, compared with fedrsclip (tuned), leaving out private prompt costs 3.0 points (90% interval {-100 * costs.high:.1f} "
        f"to {-100 * costs.low:.1f}); leaving out OT does not matter (within 1 point); \u201cOT alone\u201d (+0.2 points, "
        f"\u2212{-100 * wide.low:.1f} to +{100 * wide.high:.1f}) is undecided; on the global split leaving out private prompt gains "
        f"4.0 points ({100 * (costs.low + 0.07):.1f} to {100 * (costs.high + 0.07):.1f})."]  # fmt: skip
    own_panel, world_panel = exhibit.panels
    assert [marks(own_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [0, 1, 1, 1]
    assert [marks(world_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [1, 0, 1, 1]
    found = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert {k: r["own"] for k, r in found.items()} == pytest.approx({k: r["mean"] for k, r in own.items()})
    assert found["without OT (tuned)"]["sd_own"] > 0 and found["without OT (tuned)"]["seeds"] == 4


def test_nothing_is_left_out_of_a_reference_that_is_not_the_whole(tmp_path: Path) -> None:
    _, _, said = drawn(ablation(tmp_path, to="OT alone").open())
    assert "\u201cwithout OT\u201d" in said[0] and "leaving out" not in said[0]


# --- cost --------------------------------------------------------------------------------------------------------------------------

X = ["method.lam", "training.batch"]


def cost_recipe(folder: Path) -> Recipe:
    """`plain` takes 0.1 s and 1 GFLOP; OT takes more the smaller lambda and the larger the batch are."""
    places = {f"even, batches of {b}": {"scenario": {"name": "even"}, "training": {"batch": b}} for b in (32, 8)}
    grid = ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "batch, lambda 0.1"]
    made = Recipe(folder, places, [{"kind": "cost", "reference": "plain", "x": X}], grid, SEEDS[:3])
    for scenario, settings in places.items():
        for label in grid:
            lam = None if label == "plain" else float(label.split()[-1])
            extra = 0.0 if lam is None else {0.01: 0.5, 0.02: 0.25, 0.1: 0.0}[lam] * settings["training"]["batch"] / 32

            def rounds(seed: int, lam: float | None = lam, extra: float = extra) -> list[Row]:
                slow = 1 + extra * (1 + 10 * NOISE[seed])
                solved = (1 / lam, lam / 1000, 0.125 if lam == 0.01 else 0.0) if lam else (None, None, None)
                seen = dict(zip(cost.OBSERVED, solved, strict=True))
                shown = {0: 0.5, 4: 0.7}  # rounds with an evaluation: they do not count
                seconds = [9.0, 0.1 * slow, 0.3 * slow, 0.1 * slow, 9.0]
                return [{"round": n, "acc_personal_own": shown.get(n), "flops": 9e9 if n in shown else 1e9 * (1 + extra / 10),
                         "seconds": seconds[n], "bytes_up": 0, "bytes_down": 0, **seen} for n in range(5)]  # fmt: skip

            made.trial(label, scenario, at(0.7), settings={"lam": lam or 0.02, "w_ot": float(lam is not None)}, rounds=rounds)
    return made


def test_cost_is_a_ratio_paired_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = cost_recipe(tmp_path).open()
    _, (exhibit, table), said = drawn(results)
    rounds = results.rounds()
    rows = {(r["scenario"], r["label"]): r for r in cost.table_cost(results, rounds, "plain", X)}
    row = rows[("even, batches of 32", "batch, lambda 0.02")]
    assert row["seconds"] == pytest.approx(0.125 + 0.25 * sum(NOISE[s] for s in SEEDS[:3]) / 3)  # the median round, not the slow one
    assert row["pairs"] == pytest.approx({s: 1.25 + 2.5 * NOISE[s] for s in SEEDS[:3]}) and row["flops"] == pytest.approx(1.025e9)
    assert (row["line"], row["x"]) == ("batch", {"method.lam": 0.02, "training.batch": 32.0})
    geometric = prod(1.125 + 1.25 * NOISE[s] for s in SEEDS[:3]) ** (1 / 3)
    assert rows[("even, batches of 8", "batch, lambda 0.01")]["time"].mean == pytest.approx(geometric)
    assert (row["ot_iterations"], row["ot_unconverged"]) == (50, 0) and rows[("even, batches of 8", "plain")]["ot_iterations"] is None
    usual = cost.typical(results, list(rows.values()), X)  # a tie everywhere: the base has lambda 0.02 and says nothing of the batch
    assert usual == {"method.lam": 0.02, "training.batch": 32.0}
    assert [r["label"] for r in cost.against(list(rows.values()), "training.batch", usual)] == ["batch, lambda 0.02"] * 2
    assert [marks(p, "#0072B2") for p in exhibit.panels] == [3, 2]  # filled: time; FLOPs are hollow
    found = {(r["scenario"], r["label"]): r for r in query(table.source, tmp_path, monkeypatch)}
    for place, r in rows.items():
        sql = found[place]
        assert [sql["seconds"], sql["time"], sql["work"]] == pytest.approx([r["seconds"], r["time"].mean, r["work"].mean])
        assert sql["ot_iterations"] == r["ot_iterations"] or sql["ot_iterations"] == pytest.approx(r["ot_iterations"])
    time = t_interval([log(1.25 + 2.5 * NOISE[s]) for s in SEEDS[:3]])
    assert time and time.low and time.high
    assert said[0] == (
        "Compared with plain (even, batches of 32), \u201cbatch, lambda 0.02\u201d takes 2.5% more FLOPs and 25% more time per training "
        f"round (time +{100 * (exp(time.low) - 1):.0f}% to +{100 * (exp(time.high) - 1):.0f}%, 90% interval).")  # fmt: skip
    assert said[1].startswith("Time against lam, as a multiple of that of plain: batch 1.50 at 0.01, 1.00 at 0.1 (\u00d7 0.67, 0.6")
    assert said[2].startswith("Time against batch, as a multiple of that of plain: batch 1.06 at 8, 1.25 at 32 (\u00d7 1.18, 1.1")
    assert said[3] == "Up to 12.5% of the optimal-transport problems stop over their tolerance (batch, lambda 0.01, even, batches of 32)."


# --- domains -----------------------------------------------------------------------------------------------------------------------


def domains_recipe(folder: Path) -> Recipe:
    """Clients 0, 1 and 3 are summer's, client 2 is haze's: the subject is 2 points ahead of local in summer and 3 behind in haze."""
    made = Recipe(folder, {"domain per client": {"scenario": {"name": "domain"}}}, [{"kind": "domains"}], ["fedrsclip", "local"])

    def rows(summer: float, haze: float, wobble: float) -> Any:
        def of(seed: int) -> list[Row]:
            own = {0: summer - 0.01, 1: summer + 0.01, 2: haze, 3: summer}
            return [{"split": split, "client": c, "examples": 5, "acc_personal_own": v + wobble * NOISE[seed] - (split != "test"),
                     "acc_personal_global": 0.5} for c, v in own.items() for split in ("test", "validation")]  # fmt: skip

        return of

    made.trial("fedrsclip (tuned)", "domain per client", at(0.7), clients=rows(0.72, 0.6, 2.0))
    made.trial("local (tuned)", "domain per client", at(0.7), method="local", clients=rows(0.70, 0.63, 1.0), parameters=0)
    return made


def test_clients_count_for_the_domain_of_most_of_their_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = domains_recipe(tmp_path).open()
    assert domains.main_domains(results, "r000s1000") == {0: (0, 1.0), 1: (0, 1.0), 2: (1, 0.8), 3: (0, 0.5)}
    compared, (exhibit, table), said = drawn(results)
    rows = domains.table_main_domains(results, compared)
    own = {(r["domain"], r["label"]): r for r in rows if r["metric"] == "acc_personal_own"}
    assert [r["mean"] for r in own.values()] == pytest.approx([0.72, 0.70, 0.60, 0.63])
    assert own[("summer", "local (tuned)")]["values"] == pytest.approx({s: 0.70 + NOISE[s] for s in SEEDS})
    assert own[("summer", "local (tuned)")]["clients"] == 3 and rows[0]["share"] == pytest.approx((1 + 1 + 0.8 + 0.5) / 4)
    assert said == ["Under domain per client, fedrsclip (tuned) is ahead of local (tuned) for clients of summer (+2.0), behind it for "
                    "clients of haze (\u22123.0) (points; decided by 90% intervals, paired by seed)."]  # fmt: skip
    assert [marks(p, c) for p in exhibit.panels for c in ("#0072B2", "#009E73")] == [2, 2, 2, 2]
    found = {(r["domain"], r["label"]): r["personal_own"] for r in query(table.source, tmp_path, monkeypatch)}
    assert found == pytest.approx({place: r["mean"] for place, r in own.items()})
    assert [line[1] for line in table.rows] == ["summer", "haze"]


def test_a_scenario_whose_clients_are_mixed_is_not_drawn(tmp_path: Path) -> None:
    made = domains_recipe(tmp_path)
    for part in tmp_path.glob("runs/*/partition.parquet"):
        write(part, [{"client": c, "image": i, "label": 0, "domain": i % 3} for c in range(4) for i in range(9)])
    _, (exhibit,), said = drawn(made.open())
    assert exhibit.missing == "In no scenario do clients hold most of their images of one domain." and said == []


# --- convergence and communication -------------------------------------------------------------------------------------------------


def test_shared_parameters_start_end_and_best_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe(tmp_path, {"even": {}, "disjoint": {}}, [{"kind": "convergence"}], ["fedrsclip", "promptfl", "local"])
    for scenario, end in (("even", 0.75), ("disjoint", 0.58)):
        for label, method in (("fedrsclip (tuned)", "fedrsclip"), ("promptfl (tuned)", "promptfl"), ("local (tuned)", "local")):
            path = {0: 0.60, 2: 0.70, 4: end} if method != "promptfl" else {0: 0.60, 2: 0.65, 4: 0.64}

            def rounds(seed: int, path: dict[int, float] = path, nothing: bool = method == "local") -> list[Row]:
                return [{"round": n, "acc_shared_global": None if nothing else v + n * NOISE[seed] / 4, "acc_personal_own": v,
                         "bytes_up": 8, "bytes_down": 8, "flops": 1.0, "seconds": 1.0} for n, v in path.items()]  # fmt: skip

            made.trial(label, scenario, at(0.7), method=method, parameters=0 if method == "local" else 256, rounds=rounds)
    results = made.open()
    _, (exhibit, table), said = drawn(results)
    rows = {(r["scenario"], r["label"]): r for r in convergence.table_convergence(results, results.rounds())}
    assert len(rows) == 4  # local shares nothing
    ours = rows[("disjoint", "fedrsclip (tuned)")]
    assert (ours["best"], ours["start"], ours["end"]) == (2, pytest.approx(0.60), pytest.approx(0.58))
    assert ours["gain"].verdict == "hurts" and ours["lost"].mean == pytest.approx(0.12)
    gain = t_interval([0.15 + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high
    assert said[0].startswith(
        "On the global validation split, what fedrsclip (tuned) shares ends above its start under even (+15.0 points, 90% interval "
        f"+{100 * gain.low:.1f} to +{100 * gain.high:.1f}), below its start under disjoint (\u22122.0 points, ")  # fmt: skip
    assert "; 12.0 below round 2)" in said[0]
    assert said[1].startswith("Under even, what is shared ends above its start for promptfl (tuned) (")
    assert [marks(p, "#E69F00") for p in exhibit.panels] == [3, 3] and len(table.rows) == 4
    found = {(r["scenario"], r["label"], r["round"]): r["mean"] for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert found[("disjoint", "fedrsclip (tuned)", 4)] == pytest.approx(0.58)


def test_what_is_sent_stands_beside_what_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe(tmp_path, {"even": {}}, [], ["fedrsclip", "fedavg, small CNN", "local"])
    made.trial("fedrsclip", "even", at(0.7), parameters=256)
    made.trial("fedavg, small CNN", "even", at(0.6), method="fedavg", parameters=100_000)
    made.trial("local", "even", at(0.65), method="local", parameters=0)
    results = made.open()
    compared = methods.table_methods(results)
    exhibit = curves.exhibit_communication(results, compared, results.rounds(), (0.5, 0.8))
    rows = {r["label"]: r for r in curves.table_communication(compared, results.rounds())}
    assert (rows["fedrsclip"]["up"], rows["fedrsclip"]["each"], rows["fedrsclip"]["parameters"]) == (1024, 2048, 256)
    assert [panel.title for panel in exhibit.panels] == ["Bytes", "Parameters"]
    assert [marks(exhibit.panels[0], c) for c in ("#0072B2", "#E69F00", "#009E73")] == [1, 1, 1]
    found = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert found["fedavg, small CNN"]["total"] == 2 * 16 * 100_000 * 4 and found["local"]["each"] == 0
    texts = [t.get_text() for t in exhibit.panels[1].figure.axes[0].texts]
    assert sorted(texts) == ["fedavg, small CNN", "fedrsclip", "local"]


# --- what is declared --------------------------------------------------------------------------------------------------------------

ALL = [
    {"kind": "against", "x": "scenario.clients"}, {"kind": "differences", "to": "plain"}, {"kind": "domains"}, {"kind": "convergence"},
    {"kind": "cost", "reference": "plain", "x": X},
]  # fmt: skip


@pytest.mark.parametrize(("figure", "said"), [
    ({"kind": "cake"}, r"run\.json: figures\[0\]: the kind 'cake' is unknown; known kinds are against, convergence, cost, diff.*, domains"),
    ({"kind": "against"}, r"figures\[0\]: a figure of kind 'against' lacks x; it takes x, name, title"),
    ({"kind": "domains", "to": "a"}, r"figures\[0\]: a figure of kind 'domains' has the unknown key to; it takes title"),
    ("cost", r"figures\[0\] is 'cost'; it should be an object with a kind"),
])  # fmt: skip
def test_a_figure_that_cannot_be_drawn_is_named(tmp_path: Path, figure: Any, said: str) -> None:
    results = Recipe(tmp_path, {"even": {}}, [figure], ["a"]).open()
    for ask in (lambda: recipes.exhibits(results, [], []), lambda: recipes.sentences(results, [])):
        with pytest.raises(ValueError, match=said):
            ask()


@pytest.mark.parametrize("done", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_half_finished_recipe_does_not_fail(tmp_path: Path, done: int, seeds: int) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}, "training": {"batch": 8}} for n in (5, 10)}
    made = Recipe(tmp_path, places, ALL, ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot"], SEEDS[:seeds])
    planned = [(label, scenario) for scenario in places for label in ("plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot")]
    for label, scenario in planned[:done]:
        value = at(0.7)
        lam = float(label.split()[-1]) if "lambda" in label else 0.1
        tested = [{"split": "test", "client": c, "acc_personal_own": 0.7, "acc_personal_global": 0.6} for c in range(4)]
        made.trial(
            label,
            scenario,
            value,
            method="zeroshot" if label == "zeroshot" else "fedrsclip",
            settings={"lam": lam},
            parameters=0 if label == "zeroshot" else 256,
            clients=lambda _, rows=tested: rows,
        )  # type: ignore[misc]
    _, parts, said = drawn(made.open())
    assert len([p for p in parts if not isinstance(p, Table)]) == len(ALL)
    assert all(p.missing for p in parts) if done == 0 else any(not getattr(p, "missing", "") for p in parts)
    assert "interval None" not in " ".join(said) and "nan" not in " ".join(said)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
