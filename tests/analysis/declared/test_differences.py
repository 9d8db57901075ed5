"""Differences to one entry, and against a number: rows of the table of verdicts, plots, and sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.declared import differences
from analysis.declared.answers import headline
from analysis.figures.choices.verdicts import LABEL_LETTERS
from analysis.figures.outcomes import classes
from analysis.look.style import VERDICTS
from analysis.read.results import open_results
from analysis.verdicts import verdict_tables
from analysis.verdicts.tables import digest_of, write_rows
from tests.fakes import answers as fake
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, Recipe, Row, at, drawn, headlines, marks, query
from tests.fakes.whole import whole_sweep


def ablation(folder: Path, to: str = "fedrsclip") -> Recipe:
    """Leaving out the private prompt costs 3 points on own and gains 4 on global.

    OT is level; 'OT alone' is undecided.
    """
    grid = ["fedrsclip", "without private prompt", "without OT", "OT alone"]
    place = {"even": {"scenario": {"name": "even", "clients": 4}}}
    made = Recipe(folder, place, [{"kind": "differences", "to": to}], grid)
    made.trial("fedrsclip (tuned)", "even", at(0.75, 5.0))
    made.trial("without private prompt (tuned)", "even", lambda s: at(0.72, 5.0)(s) + NOISE[s], shift=0.02)
    made.trial("without OT (tuned)", "even", lambda s: at(0.7501, 5.0)(s) + NOISE[s])
    made.trial("OT alone (tuned)", "even", lambda s: at(0.752, 5.0)(s) + 10 * NOISE[s])
    return made


def test_differences_are_those_of_the_table_and_said_by_verdict(tmp_path: Path) -> None:
    results = ablation(tmp_path).open()
    (exhibit,), sentences = drawn(results)
    rows = differences.table_pairs(results, "fedrsclip", ["acc_personal_own", "acc_personal_global"])
    own = {row["a"]: row for row in rows if row["metric"] == "acc_personal_own"}
    assert list(own) == ["without private prompt (tuned)", "without OT (tuned)", "OT alone (tuned)"]
    assert [row["estimate"] for row in own.values()] == pytest.approx([-0.03, 0.0001, 0.002])
    assert [row["removed"] for row in own.values()] == [True, True, False]
    assert own["without private prompt (tuned)"]["verdict"] == "behind"
    assert "compared with fedrsclip (tuned), leaving out private prompt (\u22123.0 points [" in sentences[0]
    assert "] costs points" in sentences[0].replace("])", "]") and "\u201cOT alone\u201d" in sentences[0]
    assert "on the global split, leaving out private prompt (+4.0 points [" in sentences[1]
    for panel in exhibit.panels:
        shown = [row for row in rows if row["metric"].replace("_", "-") in panel.key]
        for verdict in ("ahead", "behind"):
            number = sum(row["verdict"] == verdict for row in shown)
            assert marks(panel, VERDICTS[verdict].colour) == number


def test_one_difference_has_one_verdict_wherever_it_stands(tmp_path: Path) -> None:
    """The main configuration against a rival, and the rival against it in a declared figure."""
    results = ablation(tmp_path).open()
    drawn(results)
    for row in differences.table_pairs(results, "fedrsclip", ["acc_personal_own"]):
        (same,) = results.sql(
            "SELECT verdict, estimate FROM verdicts WHERE b = $a AND a = $b AND metric = 'acc_personal_own'",
            a=row["a"], b=row["b"],
        )  # fmt: skip
        other = {"ahead": "behind", "behind": "ahead"}.get(same["verdict"], same["verdict"])
        assert (row["verdict"], row["estimate"]) == (other, pytest.approx(-same["estimate"]))


def test_sentences_follow_the_verdicts(tmp_path: Path) -> None:
    """Also where seeds diverged: every decided difference is named with its verdict."""
    figure = {"kind": "differences", "to": "promptfl"}
    results = open_results(whole_sweep(tmp_path, figures=[figure]))
    _, sentences = drawn(results)
    (answer,) = recipes.answers(results)
    said = " ".join(sentences)
    own = [row for row in answer.rows if row["metric"] == "acc_personal_own"]
    for row in own:
        before = said.partition(f"\u201c{differences.short_label(row)}\u201d")[0]
        assert max(differences.BESIDE, key=lambda verdict: before.rfind(f"{verdict}: ")) == row["verdict"]
    assert own and "helps" not in said and "hurts" not in said and "may " not in said


@pytest.mark.parametrize(
    ("without", "over"),
    [((), "over seeds and images, adjusted for"), (("images",), "over seeds, adjusted for")],
)
def test_brackets_say_whether_they_hold_for_other_images(
    tmp_path: Path, without: tuple[str, ...], over: str
) -> None:
    """On the test split the adjusted interval is over images too, where these were kept."""
    figure = {"kind": "differences", "to": "promptfl"}
    _, sentences = drawn(open_results(whole_sweep(tmp_path, without=without, figures=[figure])))
    assert f"In brackets: 90% intervals {over}" in sentences[0]


def test_the_headline_is_the_surest_difference_in_one_clause(tmp_path: Path) -> None:
    results = ablation(tmp_path).open()
    drawn(results)
    (first,) = headlines(results)
    said = (
        "Under even, leaving out private prompt (\u22123.0 points [\u22125.5, \u22120.5]) costs points in "
        "test accuracy on the clients' own distributions. Of 3 differences to fedrsclip (tuned), 1 behind "
        "and 2 undecided. In brackets: 90% intervals over seeds, adjusted for 6 differences."
    )
    assert first == said


def test_what_is_said_above_the_figures_is_not_said_again(tmp_path: Path) -> None:
    """The page begins with headlines; the sentences of a figure stand above it and nowhere else."""
    figures: list[Row] = [{"kind": "groups", "to": "fedavg"}, {"kind": "convergence"}, {"kind": "traffic"}]
    made = fake_safe.safe_recipe(tmp_path, figures)
    _, sentences = drawn(made.open())
    text = (write_report(made.folder).parent / "index.md").read_text().replace("\\[", "[").replace("\\]", "]")
    for sentence in sentences:
        assert text.count(sentence) == 1


def test_floors_stand_beside_the_groups(tmp_path: Path) -> None:
    """They are measured on the global split, over all classes; the caption says so."""
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}]).open()
    verdict_tables(results)
    assert "Thin lines" not in drawn(results)[0][0].caption  # none was measured
    file = results.folder / "tables" / "estimates" / "estimates.parquet"
    rows = results.sql("FROM estimates ORDER BY number")
    floor = {"kind": "floor", "label": "zero-shot", "metric": "acc_personal_global", "mean": 0.3, "low": None}
    write_rows(
        file, [*rows, *({**r, **floor} for r in rows if r["split"] == "test")], digest_of(results.folder)
    )
    results.forget("estimates")
    (reached, _, table), _ = drawn(results)
    for panel in reached.panels:
        (line,) = [line for line in panel.figure.axes[0].lines if line.get_label() == "zero-shot"]
        assert set(line.get_ydata()) == {0.3}
    assert "floors are not measured on a third" in reached.caption
    assert "zero-shot" not in [row[1].text for row in table.rows]


def test_nothing_is_left_out_of_a_reference_that_is_not_the_whole(tmp_path: Path) -> None:
    _, sentences = drawn(ablation(tmp_path, to="OT alone").open())
    assert "\u201cwithout OT\u201d" in sentences[0] and "leaving out" not in sentences[0]


def test_differences_by_declared_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail", "acc_personal_own"]
    figure = {"kind": "differences", "to": "safe", "metrics": [*wanted, "acc_personal_tail"]}
    (exhibit,), said = drawn(fake_safe.safe_recipe(tmp_path, [figure]).open())
    assert [panel.title for panel in exhibit.panels] == [
        "Shared accuracy on the global split",
        "Shared accuracy in the mean over classes",
        "Shared accuracy on tail classes",
        "Personal accuracy on each client's own distribution",
    ]  # no run has a personal accuracy on tail classes
    found = {(r["scenario"], r["a"], r["metric"]): r for r in query(exhibit.source, tmp_path, monkeypatch)}
    assert len(found) == 2 * 2 * 4
    assert found["imbalance 10", "without CRO", "acc_shared_tail"]["estimate"] == pytest.approx(-0.059)
    assert said[0].startswith(
        "Under imbalance 10, on the global split with the shared model alone, compared with safe, leaving "
        "out CRO (\u22123.0 points ["
    )
    assert not any("tail" in sentence for sentence in said)  # it says what the first metric says


def test_head_medium_and_tail_classes(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}]).open()
    (reached, gap, table), said = drawn(results)
    assert said[0].startswith(
        "Under imbalance 10, on tail classes with the shared model alone, compared with fedavg, ahead: "
        "\u201csafe\u201d (+6.0 points ["
    )
    assert "on head classes, behind: \u201csafe\u201d (\u22121.0 points [" in said[2]
    assert len(reached.panels) == 2
    assert [marks(reached.panels[0], colour) for colour in ("#0072B2", "#B87A00")] == [3, 3]
    assert [p.title for p in gap.panels] == [
        f"Shared accuracy on {g} classes" for g in ("tail", "medium", "head")
    ]
    cells = [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    assert cells[0][:2] == ["imbalance 10", "safe"] and cells[0][-1].startswith("+6.0 [")
    assert cells[0][-1].endswith("] ahead") and cells[2][-3:] == ["reference"] * 3


def test_groups_need_classes_of_different_frequency(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}], groups=False).open()
    (missing,), said = drawn(results)
    assert "1.5 times the training images of others" in missing.missing and said == []
    assert classes.exhibit_groups(results) is None


def test_what_a_recipe_draws_itself_is_not_drawn_twice(tmp_path: Path) -> None:
    figures: list[Row] = [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}]
    for name, wanted in (("plain", []), ("declared", figures)):
        made = fake_safe.safe_recipe(tmp_path / name, wanted)
        page = write_report(made.folder).read_text(encoding="utf-8")
        for key in ("groups", "masks"):
            assert page.count(f'<figure id="{key}"') == 1
        assert recipes.kinds_of(made.open()) == {figure["kind"] for figure in wanted}


def test_a_long_name_leaves_room_for_the_plot(tmp_path: Path) -> None:
    name = "a common head and the features of all networks"
    made = Recipe(
        tmp_path,
        {"even": {"scenario": {"name": "even", "clients": 4}}},
        [{"kind": "differences", "to": "fedrsclip"}],
        ["fedrsclip", name],
    )
    made.trial("fedrsclip (tuned)", "even", at(0.75, 5.0))
    made.trial(f"{name} (tuned)", "even", lambda s: at(0.72, 5.0)(s) + NOISE[s])
    (exhibit,), sentences = drawn(made.open())
    [label] = [text.get_text() for text in exhibit.panels[0].figure.axes[0].get_yticklabels()]
    assert len(label) <= LABEL_LETTERS and label.startswith("a common") and name in sentences[0]


def test_what_diverges_is_named_and_the_surest_size_comes_first() -> None:
    rows = [
        fake.verdict("recipe", "diverges", a="ratio_loss", b="safe"),
        fake.verdict("recipe", "behind", -0.13, a="fedema", b="safe"),
        fake.verdict("recipe", "undecided", 0.01, a="without ACE", b="safe"),
    ]
    rows = [{**row, "seeds": len(row["seeds"])} for row in rows]
    sentence = headline(rows, "in test accuracy")
    assert sentence.startswith("Under even, fedema is behind safe (\u221213.0 points [")
    assert sentence.endswith("Of 3 differences to safe, 1 diverges (ratio_loss), 1 behind and 1 undecided.")
    alone = headline([rows[0], rows[2]], "in test accuracy")
    assert alone.startswith("Under even, ratio_loss diverges beside safe (diverged on 3 of 3 seeds)")
    other = {**rows[0], "a": "safe", "b": "ratio_loss", "reason": "the other side diverged on 3 of 5 seeds"}
    assert "1 diverges (ratio_loss)" in headline([other, rows[1]], "in test accuracy")


def clients_recipe(folder: Path) -> Recipe:
    """Two families of scenarios.

    The subject falls by 1 point from 5 to 10 clients and by 3 to 20 clients; its rival stays.
    """
    places = {
        f"{name}, {n} clients": {"scenario": {"name": name, "clients": n}, "task": {"dataset": "scenes"}}
        for name in ("even", "disjoint")
        for n in (5, 10, 20)
    }
    figure = {"kind": "against", "x": "scenario.clients", "name": "clients"}
    made = Recipe(folder, places, [figure], ["fedrsclip", "promptfl", "zeroshot"])
    for scenario, settings in places.items():
        steps = {5: 0, 10: 1, 20: 3}[settings["scenario"]["clients"]]
        floor = 0.4 + 0.01 * steps
        made.trial("fedrsclip (tuned)", scenario, at(0.78 - 0.01 * steps, 2.0 + 0.1 * steps), floor=floor)
        made.trial("promptfl (tuned)", scenario, at(0.7642), method="promptfl")
        made.trial("zeroshot (untuned)", scenario, at(0.6, 0.0), method="zeroshot", parameters=0)
    return made


def test_accuracy_against_a_number(tmp_path: Path) -> None:
    results = clients_recipe(tmp_path).open()
    (exhibit,), sentences = drawn(results)
    rows = differences.table_against(results, "scenario.clients")
    assert {row["family"] for row in rows} == {"even", "disjoint"} and len(rows) == 2 * 3 * 4 * 2
    own = {
        row["x"]: round(row["mean"], 9)
        for row in rows
        if (row["family"], row["label"], row["metric"]) == ("even", "fedrsclip (tuned)", "acc_personal_own")
    }
    assert own == {5.0: 0.78, 10.0: 0.77, 20.0: 0.75}
    assert len(exhibit.panels) == 4 and [marks(panel, "#0072B2") for panel in exhibit.panels] == [3] * 4
    axes = exhibit.panels[0].figure.axes[0]
    assert axes.get_xscale() == "log"
    (floor,) = [line for line in axes.lines if line.get_label() == "most frequent class"]
    assert list(floor.get_ydata()) == pytest.approx([0.40, 0.41, 0.43])
    assert "Thin grey lines: what no method should fall below" in exhibit.caption
    assert len(sentences) == 2 and sentences[0].startswith(
        "even: fedrsclip (tuned) at 20 clients is behind fedrsclip (tuned) at 5 clients (\u22123.0 points ["
    )
    assert "intervals over seeds, adjusted for" in sentences[0]


def test_a_line_is_not_said_to_be_tuned_where_nothing_was(tmp_path: Path) -> None:
    places = {f"even, {n} clients": {"scenario": {"name": "even", "clients": n}} for n in (10, 20)}
    made = Recipe(tmp_path, places, [{"kind": "against", "x": "scenario.clients"}], ["m"])
    made.trial("m", "even, 10 clients", at(0.7, 0.0))
    made.trial("m", "even, 20 clients", at(0.68, 1.0))
    (exhibit,), sentences = drawn(made.open())
    assert sentences[0].startswith("even: m at 20 clients is behind m at 10 clients (\u22122.0 points [")
    assert exhibit.panels[0].figure.axes[0].get_xscale() == "linear"
    assert "may differ along a line" not in exhibit.caption
