"""The figures that recipes declare: numbers to the digit, sentences from intervals, queries that give the same numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.declared import adjusted, against, convergence, differences, domains
from analysis.figures.outcomes import curves, methods
from analysis.look.page import Table
from analysis.look.style import VERDICT_COLOUR
from analysis.stats.intervals import paired, t_interval
from tests.fakes.recipe import NOISE, SEEDS, Recipe, Row, at, drawn, marks, query
from tests.fakes.results import write

# --- against
# -----------------------------------------------------------------------------------------------------------------------


def clients_recipe(folder: Path) -> Recipe:
    """Two families of scenarios; the subject falls by 1 point from 5 to 10 and 2 to 20 clients, its rival stays."""
    places = {
        f"{name}, {n} clients": {"scenario": {"name": name, "clients": n}, "task": {"dataset": "scenes"}}
        for name in ("even", "disjoint")
        for n in (5, 10, 20)
    }
    made = Recipe(
        folder,
        places,
        [{"kind": "against", "x": "scenario.clients", "name": "clients"}],
        ["fedrsclip", "promptfl", "zeroshot"],
    )
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
    own = [
        r
        for r in rows
        if (r["family"], r["label"], r["metric"]) == ("even", "fedrsclip (tuned)", "acc_personal_own")
    ]
    assert [(r["x"], round(r["mean"], 9)) for r in own] == [(5.0, 0.78), (10.0, 0.77), (20.0, 0.75)]
    assert len(exhibit.panels) == 4 and [marks(p, "#0072B2") for p in exhibit.panels] == [3] * 4
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "log"
    found = query(exhibit.source, tmp_path, monkeypatch)
    assert {(r["scenario"], r["x"], r["label"]): round(r["personal_own"], 9) for r in found} == {
        (r["scenario"], r["x"], r["label"]): round(r["mean"], 9)
        for r in rows
        if r["metric"] == "acc_personal_own"
    }
    gaps = [t_interval([0.78 - step - 0.7642 + NOISE[s] for s in SEEDS]) for step in (0, 0.01, 0.03)]
    assert [g.verdict for g in gaps if g] == ["helps", "helps", "hurts"]
    assert said == [
        f"From 5 to 20 clients ({name}), fedrsclip (tuned) changes by \u22123.0 points, which is undecided "
        "(90% interval \u22123.0 to "
        "\u22123.0, paired by seed); against promptfl (tuned), the strongest of its rivals on validation, "
        "it is ahead at 5 (+1.6) and 10 "
        "(+0.6), behind at 20 (\u22121.4) clients."
        for name in ("even", "disjoint")
    ]


def test_a_change_that_is_decided_is_gained_or_lost(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in (10, 20)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m"])
    made.trial("m", "even, 10 clients", at(0.7, 0.0))
    made.trial("m", "even, 20 clients", at(0.68, 1.0))
    _, (exhibit,), said = drawn(made.open())
    low = paired({s: 0.68 + NOISE[s] for s in SEEDS}, dict.fromkeys(SEEDS, 0.7))
    assert low is not None and low.low is not None and low.high is not None
    assert said == [
        "From 10 to 20 clients (even), m loses 2.0 points of accuracy on its clients' own distributions "
        "(90% interval "
        f"{-100 * low.high:.1f} to {-100 * low.low:.1f}, paired by seed)."
    ]
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "linear"
    assert "may differ along a line" not in exhibit.caption  # nothing was tuned


def test_validation_says_which_rival_is_the_strongest_and_what_does_not_stand_may_be(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in range(10, 110, 10)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m", "a", "b"])
    for scenario, settings in places.items():
        clients = settings["scenario"]["clients"]
        ours = at(0.7046, 2.0) if clients == 100 else at(0.7)
        lead = {10: 0.0046, 20: 0.05}.get(clients, 0.0)
        made.trial("m (tuned)", scenario, ours)
        made.trial(
            "a (tuned)", scenario, at(0.9, 0.0), method="promptfl", validated=-0.3
        )  # strong on test alone
        made.trial(
            "b (tuned)",
            scenario,
            lambda seed, ours=ours, lead=lead: ours(seed) - lead - NOISE[seed],
            method="local",
        )  # type: ignore[misc]
    results = made.open()
    compared, (exhibit,), said = drawn(results)
    told = against.table_told(results, against.table_against(results, compared, "scenario.clients"))
    hint = t_interval([0.0046 + NOISE[s] for s in SEEDS])  # excludes zero, but is one of eleven
    assert hint and hint.low and hint.high and hint.p and 0.1 * 3 / 11 < hint.p < 0.1
    assert len(told) == 11 and [(r["rival"], r["x"]) for r in told if r["firm"]] == [("b (tuned)", 20)]
    assert said == [
        "From 10 to 100 clients (even), m (tuned) may gain 0.5 points of accuracy on its clients' own "
        "distributions (90% interval "
        f"{100 * hint.low:.1f} to {100 * hint.high:.1f}, paired by seed); against b (tuned), the strongest "
        "of its rivals on validation, it "
        "is ahead at 20 (+5.0), level (within 1 point) at 30, 40, 50, 60, 70, 80, 90 and 100; it may be "
        "ahead at 10 (+0.5) clients."
    ]
    for words in (
        "Fewer images per client are also fewer steps per round.",
        "tuned settings may differ along a line",
        "The paired differences that sentences speak of: of 11 intervals of 90% shown, 3 exclude zero",
        "1 of them stands. Of those that do not stand, sentences say \u201cmay\u201d.",
    ):
        assert words in exhibit.caption


# --- differences
# -------------------------------------------------------------------------------------------------------------------


def ablation(folder: Path, to: str = "fedrsclip") -> Recipe:
    """Leaving out the private prompt costs 3 points on own and global; OT is level; 'OT alone' is undecided."""
    made = Recipe(
        folder,
        {"even": {"scenario": {"name": "even", "clients": 4}}},
        [{"kind": "differences", "to": to}],
        ["fedrsclip", "without private prompt", "without OT", "OT alone"],
    )
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
        "Under even, on the clients' own distributions, compared with fedrsclip (tuned), leaving out "
        "private prompt costs 3.0 points (90% "
        f"interval {-100 * costs.high:.1f} to {-100 * costs.low:.1f}); leaving out OT does not matter "
        "(within 1 point).",
        "Under even, on the global split, leaving out private prompt gains 4.0 points "
        f"({100 * (costs.low + 0.07):.1f} to {100 * (costs.high + 0.07):.1f}).",
        "Under even, on the clients' own distributions, \u201cOT alone\u201d (+0.2 points, "
        f"\u2212{-100 * wide.low:.1f} to "
        f"+{100 * wide.high:.1f}) is undecided.",
    ]
    own_panel, world_panel = exhibit.panels
    assert [marks(own_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [
        0,
        1,
        1,
        1,
    ]
    assert [marks(world_panel, VERDICT_COLOUR[v]) for v in ("helps", "hurts", "level", "undecided")] == [
        1,
        0,
        1,
        1,
    ]
    found = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert {k: r["own"] for k, r in found.items()} == pytest.approx({k: r["mean"] for k, r in own.items()})
    assert found["without OT (tuned)"]["sd_own"] > 0 and found["without OT (tuned)"]["seeds"] == 4


def test_differences_that_do_not_stand_may_cost(tmp_path: Path) -> None:
    grid = ["whole", "without 0", "other 0", *(f"other {i}" for i in range(1, 5))]
    made = Recipe(tmp_path, {"even": {}}, [{"kind": "differences", "to": "whole"}], grid)
    for label in grid:
        step = {"whole": 0.0, "without 0": -0.0046, "other 0": 0.0046, "other 1": 0.05}.get(label, 0.0)
        made.trial(
            label, "even", lambda s, step=step, label=label: 0.7 + step + (label != "whole") * NOISE[s]
        )  # type: ignore[misc]
    results = made.open()
    compared, (exhibit,), said = drawn(results)
    assert "leaving out 0 may cost 0.5 points (" in said[0]
    assert (
        "\u201cother 1\u201d gains 5.0 points (4.6 to 5.4); \u201cother 0\u201d may gain 0.5 points ("
        in said[1]
    )
    assert "Of those that do not stand, sentences say \u201cmay\u201d." in exhibit.caption
    assert {r["label"] for r in differences.table_pairs(results, compared, "whole") if r["firm"]} == {
        "other 1"
    }


def test_nothing_is_left_out_of_a_reference_that_is_not_the_whole(tmp_path: Path) -> None:
    _, _, said = drawn(ablation(tmp_path, to="OT alone").open())
    assert "\u201cwithout OT\u201d" in said[0] and "leaving out" not in said[0]


# --- domains
# -----------------------------------------------------------------------------------------------------------------------


def domains_recipe(folder: Path) -> Recipe:
    """Clients 0, 1 and 3 are summer's, client 2 is haze's: the subject is 2 points ahead of local in summer and 3 behind in haze."""
    made = Recipe(
        folder,
        {"domain per client": {"scenario": {"name": "domain"}}},
        [{"kind": "domains"}],
        ["fedrsclip", "local"],
    )

    def rows(summer: float, haze: float, wobble: float) -> Any:
        def of(seed: int) -> list[Row]:
            own = {0: summer - 0.01, 1: summer + 0.01, 2: haze, 3: summer}
            return [
                {
                    "split": split,
                    "client": c,
                    "examples": 5,
                    "acc_personal_own": v + wobble * NOISE[seed] - (split != "test"),
                    "acc_personal_global": 0.5,
                }
                for c, v in own.items()
                for split in ("test", "validation")
            ]

        return of

    made.trial("fedrsclip (tuned)", "domain per client", at(0.7), clients=rows(0.72, 0.6, 2.0))
    made.trial(
        "local (tuned)",
        "domain per client",
        at(0.7),
        method="local",
        clients=rows(0.70, 0.63, 1.0),
        parameters=0,
    )
    return made


def test_clients_count_for_the_domain_of_most_of_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = domains_recipe(tmp_path).open()
    assert domains.main_domains(results, "r000s1000") == {0: (0, 1.0), 1: (0, 1.0), 2: (1, 0.8), 3: (0, 0.5)}
    compared, (exhibit, table), said = drawn(results)
    rows = domains.table_main_domains(results, compared)
    own = {(r["domain"], r["label"]): r for r in rows if r["metric"] == "acc_personal_own"}
    assert [r["mean"] for r in own.values()] == pytest.approx([0.72, 0.70, 0.60, 0.63])
    assert own[("summer", "local (tuned)")]["values"] == pytest.approx({s: 0.70 + NOISE[s] for s in SEEDS})
    assert own[("summer", "local (tuned)")]["clients"] == 3 and rows[0]["share"] == pytest.approx(
        (1 + 1 + 0.8 + 0.5) / 4
    )
    assert said == [
        "Under domain per client, fedrsclip (tuned) is ahead of local (tuned) for clients of summer "
        "(+2.0), behind it for "
        "clients of haze (\u22123.0) (points; decided by 90% intervals, paired by seed)."
    ]
    assert (
        "that sentences speak of: of 2 intervals of 90% shown, 2 exclude zero; by chance alone"
        in exhibit.caption
    )
    assert [marks(p, c) for p in exhibit.panels for c in ("#0072B2", "#009E73")] == [2, 2, 2, 2]
    found = {(r["domain"], r["label"]): r["personal_own"] for r in query(table.source, tmp_path, monkeypatch)}
    assert found == pytest.approx({place: r["mean"] for place, r in own.items()})
    assert [line[1] for line in table.rows] == ["summer", "haze"]


def test_leads_that_do_not_stand_may_be_leads() -> None:
    gaps = {"summer": 0.02, "haze": 0.0046, "winter": -0.03, "spring": 0.0, "autumn": 0.0}
    rows = [
        {"label": "m", "rival": "local", "domain": d, "interval": t_interval([g + NOISE[s] for s in SEEDS])}
        for d, g in gaps.items()
    ]
    said = domains._leads(adjusted.with_firm(rows, 0.9))
    assert said == (
        "is ahead of local for clients of summer (+2.0), behind it for clients of winter (\u22123.0), "
        "level (within 1 point) "
        "with it for clients of spring and autumn; it may be ahead of it for clients of haze (+0.5)"
    )


def test_a_scenario_whose_clients_are_mixed_is_not_drawn(tmp_path: Path) -> None:
    made = domains_recipe(tmp_path)
    for part in tmp_path.glob("runs/*/partition.parquet"):
        write(
            part, [{"client": c, "image": i, "label": 0, "domain": i % 3} for c in range(4) for i in range(9)]
        )
    _, (exhibit,), said = drawn(made.open())
    assert (
        exhibit.missing == "In no scenario do clients hold most of their images of one domain." and said == []
    )


# --- convergence and communication
# -------------------------------------------------------------------------------------------------


def test_shared_parameters_start_end_and_best_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Recipe(
        tmp_path, {"even": {}, "disjoint": {}}, [{"kind": "convergence"}], ["fedrsclip", "promptfl", "local"]
    )
    for scenario, end in (("even", 0.75), ("disjoint", 0.58)):
        for label, method in (
            ("fedrsclip (tuned)", "fedrsclip"),
            ("promptfl (tuned)", "promptfl"),
            ("local (tuned)", "local"),
        ):
            path = {0: 0.60, 2: 0.70, 4: end} if method != "promptfl" else {0: 0.60, 2: 0.65, 4: 0.64}

            def rounds(
                seed: int, path: dict[int, float] = path, nothing: bool = method == "local"
            ) -> list[Row]:
                return [
                    {
                        "round": n,
                        "acc_shared_global": None if nothing else v + n * NOISE[seed] / 4,
                        "acc_personal_own": v,
                        "bytes_up": 8,
                        "bytes_down": 8,
                        "flops": 1.0,
                        "seconds": 1.0,
                    }
                    for n, v in path.items()
                ]

            made.trial(
                label,
                scenario,
                at(0.7),
                method=method,
                parameters=0 if method == "local" else 256,
                rounds=rounds,
            )
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
        "On the global validation split, what fedrsclip (tuned) shares ends above its start under even "
        "(+15.0 points, 90% interval "
        f"+{100 * gain.low:.1f} to +{100 * gain.high:.1f}), below its start under disjoint (\u22122.0 "
        "points, "
    )
    assert "; 12.0 below round 2)" in said[0]
    assert said[1].startswith("Under even, what is shared ends above its start for promptfl (tuned) (")
    assert [marks(p, "#E69F00") for p in exhibit.panels] == [3, 3] and len(table.rows) == 4
    assert "End minus start: of 4 intervals of 90% shown, 4 exclude zero" in exhibit.caption
    assert (
        [line[4].text.endswith(" *") for line in table.rows]
        == [r["firm"] for r in rows.values()]
        == [True] * 4
    )
    hint = {**ours, "firm": False}
    assert convergence._ends([hint], "under", "scenario").startswith(
        "may end below its start under disjoint (\u22122.0 points, "
    )
    found = {
        (r["scenario"], r["label"], r["round"]): r["mean"]
        for r in query(exhibit.source, tmp_path, monkeypatch)
    }
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
    assert (rows["fedrsclip"]["up"], rows["fedrsclip"]["each"], rows["fedrsclip"]["parameters"]) == (
        1024,
        2048,
        256,
    )
    assert [panel.title for panel in exhibit.panels] == ["Bytes", "Parameters"]
    assert [marks(exhibit.panels[0], c) for c in ("#0072B2", "#E69F00", "#009E73")] == [1, 1, 1]
    found = {r["label"]: r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert found["fedavg, small CNN"]["total"] == 2 * 16 * 100_000 * 4 and found["local"]["each"] == 0
    texts = [t.get_text() for t in exhibit.panels[1].figure.axes[0].texts]
    assert sorted(texts) == ["fedavg, small CNN", "fedrsclip", "local"]


# --- what is declared
# --------------------------------------------------------------------------------------------------------------

ALL = [
    {"kind": "against", "x": "scenario.clients"},
    {"kind": "differences", "to": "plain"},
    {"kind": "domains"},
    {"kind": "convergence"},
    {"kind": "cost", "reference": "plain", "x": ["method.lam", "training.batch"]},
]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            {"kind": "cake"},
            r"run\.json: figures\[0\]: the kind 'cake' is unknown; known kinds are against, convergence, "
            r"cost, diff.*, domains",
        ),
        ({"kind": "against"}, r"figures\[0\]: a figure of kind 'against' lacks x; it takes x, name, title"),
        (
            {"kind": "domains", "to": "a"},
            r"figures\[0\]: a figure of kind 'domains' has the unknown key to; it takes title",
        ),
        ("cost", r"figures\[0\] is 'cost'; it should be an object with a kind"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_named(tmp_path: Path, figure: Any, said: str) -> None:
    results = Recipe(tmp_path, {"even": {}}, [figure], ["a"]).open()
    for ask in (lambda: recipes.exhibits(results, [], []), lambda: recipes.sentences(results, [])):
        with pytest.raises(ValueError, match=said):
            ask()


@pytest.mark.parametrize("done", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_half_finished_recipe_does_not_fail(tmp_path: Path, done: int, seeds: int) -> None:
    places = {
        f"even, {n} clients": {"scenario": {"name": "even", "clients": n}, "training": {"batch": 8}}
        for n in (5, 10)
    }
    made = Recipe(
        tmp_path,
        places,
        ALL,
        ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot"],
        SEEDS[:seeds],
    )
    planned = [
        (label, scenario)
        for scenario in places
        for label in ("plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot")
    ]
    for label, scenario in planned[:done]:
        value = at(0.7)
        lam = float(label.split()[-1]) if "lambda" in label else 0.1
        tested = [
            {"split": "test", "client": c, "acc_personal_own": 0.7, "acc_personal_global": 0.6}
            for c in range(4)
        ]
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
