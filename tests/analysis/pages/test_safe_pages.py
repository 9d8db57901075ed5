"""What SAFE's pages show: class ratios, D_CKA, head and tail, masks, traffic; the word of the metric. Numbers by hand, and by SQL."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.declared import groups, traffic
from analysis.declared import masks as of_masks
from analysis.figures.inside import divergence, masks, ratios, signatures
from analysis.figures.outcomes import balance, methods, tested
from analysis.figures.outcomes.clients import exhibits_clients, table_clients, table_domains
from analysis.look import metric
from analysis.look.page import Exhibit, Page, Section, Text
from analysis.look.style import svg
from analysis.read.results import Results, open_results
from analysis.stats.intervals import t_interval
from tests.analysis.pages.test_signature_pages import sign, sweep
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes.recipe import NOISE, SEEDS, Row, drawn, marks, query
from tests.fakes.results import CLASSES, write
from tests.fakes.safe import CLIENTS, IMAGES, ROUNDS, SETUP, WEIGHTS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished run of SAFE."""
    return open_results(fake_safe.safe_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished recipe of SAFE that declares nothing."""
    return fake_safe.safe_recipe(tmp_path_factory.mktemp("recipe"), []).open()


def rounds_of(results: Results) -> list[Row]:
    """Rounds of the drawn runs of a recipe."""
    return results.rounds([run for t in results.trials for run in t["runs"]])


def some(exhibit: Exhibit | None) -> Exhibit:
    """An exhibit that is there, with numbers."""
    assert exhibit is not None and exhibit.numbers is not None and exhibit.panels
    return exhibit


def lines(panel: Any, axes: int) -> list[Any]:
    """The lines of an axes that hold data in more than one place."""
    return [line for line in panel.figure.axes[axes].lines if len(line.get_xdata()) > 2]


# --- class ratios
# ------------------------------------------------------------------------------------------------------------------


def test_class_ratios_of_a_run(run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = some(ratios.exhibit_ratios(run, run.rounds()))
    above = lines(exhibit.panels[0], 0)
    assert len(above) == len(CLASSES) and all(len(line.get_xdata()) == ROUNDS + 1 for line in above)
    last = {r["label"]: r for r in ratios.table_ratios(run) if r["round"] == ROUNDS}
    drawn_last = sorted(line.get_ydata()[-1] for line in above)
    assert drawn_last == sorted(r["cr"] for r in last.values())
    by_rank = sorted(last.values(), key=lambda r: r["rank"])
    assert [r["images"] for r in by_rank] == sorted(IMAGES, reverse=True) and by_rank[0]["rank"] == 1
    (below,) = lines(exhibit.panels[0], 1)
    assert list(below.get_xdata()) == list(
        range(1, ROUNDS + 1)
    )  # before training all CR are equal: no correlation
    assert below.get_ydata()[-1] == run.rounds()[-1]["cr_spearman"]
    found = query(exhibit.source, run.folder, monkeypatch)
    assert len(found) == (ROUNDS + 1) * len(CLASSES)
    assert {(r["round"], r["class"]): (r["images"], r["cr"]) for r in found} == {
        (r["round"], r["class_name"]): (r["images"], r["cr"]) for r in ratios.table_ratios(run)
    }


@pytest.mark.parametrize(
    ("images", "most", "least", "shade"),
    [
        (100, 100, 1, 0.0),
        (1, 100, 1, 1.0),
        (10, 100, 1, 0.5),
        (50, 100, 0, 0.5),
        (7, 7, 7, 0.5),
    ],
)
def test_colours_go_from_frequent_to_rare(images: float, most: float, least: float, shade: float) -> None:
    assert ratios.shade_of(images, most, least) == pytest.approx(shade)


def test_class_ratios_of_a_sweep_go_by_rank_because_seeds_order_classes_differently(
    recipe: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhibit = some(ratios.exhibit_ratios_of_sweep(recipe, rounds_of(recipe)))
    assert [p.title for p in exhibit.panels] == ["imbalance 10: CR of safe", "imbalance 100: CR of safe"]
    by_hand = []
    for seed in SEEDS:
        rows = [r for r in fake_safe.ratio_rows("x", seed) if r["round"] == ROUNDS]
        by_hand.append(
            sorted(rows, key=lambda r: (-r["images"], r["label"]))[-1]["cr"]
        )  # the rarest class of each seed
    assert (
        len({max(fake_safe.ratio_rows("x", s), key=lambda r: r["images"])["class_name"] for s in SEEDS}) > 1
    )
    found = {
        (r["scenario"], r["label"], r["what"], r["round"]): r
        for r in query(exhibit.source, recipe.folder, monkeypatch)
    }
    rarest = found["imbalance 10", "safe", f"rank {len(CLASSES)}", ROUNDS]
    assert rarest["mean"] == pytest.approx(np.mean(by_hand)) and (rarest["least"], rarest["most"]) == (
        min(by_hand),
        max(by_hand),
    )
    drawn_last = sorted(line.get_ydata()[-1] for line in lines(exhibit.panels[0], 0))
    assert drawn_last == pytest.approx(
        sorted(found["imbalance 10", "safe", f"rank {k}", ROUNDS]["mean"] for k in range(1, 17))
    )
    assert len(lines(exhibit.panels[0], 1)) == 2  # safe and without CRO; FedAvg has none
    assert found["imbalance 10", "without CRO", "cr_spearman", ROUNDS]["mean"] < -0.5


def test_what_has_no_class_ratios_shows_none(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_run(tmp_path, rounds=4))
    for draw in (ratios.exhibit_ratios, divergence.exhibit_divergence, balance.exhibit_balance):
        assert draw(results, results.rounds()) is None
    assert masks.exhibits_masks(results, results.rounds()) == []


# --- D_CKA
# -------------------------------------------------------------------------------------------------------------------------


def test_divergence_of_a_run(run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = some(divergence.exhibit_divergence(run, run.rounds()))
    thin = divergence.table_divergence(run)
    assert len({r["client"] for r in thin}) == CLIENTS and len(thin) == ROUNDS * (CLIENTS - 1)
    *clients, mean = lines(exhibit.panels[0], 0)
    assert len(clients) == CLIENTS and list(mean.get_xdata()) == list(range(1, ROUNDS + 1))
    mu, beta = lines(exhibit.panels[0], 1)
    assert beta.get_ydata()[-1] == pytest.approx(1) and list(mu.get_ydata()) == [
        r["mu"] for r in run.rounds()[1:]
    ]
    found = query(exhibit.source, run.folder, monkeypatch)
    third = [r["d_cka"] for r in thin if r["round"] == 3]
    assert [(r["least"], r["most"]) for r in found if r["round"] == 3] == [(min(third), max(third))]
    assert found[2]["d_cka"] == pytest.approx(np.mean(third))


def test_a_divergence_that_is_stuck_at_zero_looks_like_it(run: Results) -> None:
    rows = [{"client": 0, "round": n, "d_cka": 1e-4 * n} for n in range(5)]
    top = divergence.draw_divergence(rows, "#000000", []).axes[0].get_ylim()[1]
    assert top == pytest.approx(1.05 * divergence.LEAST_TOP)


def test_of_many_clients_some_are_drawn() -> None:
    rows = [{"client": c, "round": n, "d_cka": 0.5} for c in range(500) for n in range(3)]
    axes = divergence.draw_divergence(rows, "#000000", []).axes[0]
    assert len(axes.lines) == divergence.SHOWN_LINES


def test_divergence_of_a_sweep(recipe: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = some(divergence.exhibit_divergence_of_sweep(recipe, rounds_of(recipe)))
    assert [p.title for p in exhibit.panels] == ["imbalance 10", "imbalance 100"]
    assert (
        len(lines(exhibit.panels[0], 0)) == CLIENTS + 2 and len(lines(exhibit.panels[0], 1)) == 4
    )  # mu and beta of two
    found = {
        (r["scenario"], r["label"], r["what"], r["round"]): r
        for r in query(exhibit.source, recipe.folder, monkeypatch)
    }
    by_hand = [
        np.mean([r["d_cka"] for r in fake_safe.client_rows("x", s, 0.1) if r["round"] == 5]) for s in SEEDS
    ]
    assert found["imbalance 100", "without CRO", "d_cka", 5]["mean"] == pytest.approx(np.mean(by_hand))
    assert found["imbalance 100", "safe", "beta", 5]["mean"] == pytest.approx(0.5)


# --- clients that only trained
# -----------------------------------------------------------------------------------------------------


def test_clients_that_only_trained_count_in_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_safe.safe_run(tmp_path)
    write(
        folder / "tables" / "clients" / "later.parquet",
        [
            {
                "run": "0123456789ab",
                "round": ROUNDS,
                "split": "validation",
                "client": 99,
                "examples": 5,
                "loss": 0.1,
                "d_cka": 0.5,
            }
        ],
    )
    results = open_results(folder)
    rows = table_clients(results)
    assert [r["client"] for r in rows] == list(range(CLIENTS)) and all(
        r["acc_personal_own"] is not None for r in rows
    )
    for exhibit in exhibits_clients(rows):
        assert [r["client"] for r in query(exhibit.source, folder, monkeypatch)] == list(range(CLIENTS))


# --- head, medium, tail
# ------------------------------------------------------------------------------------------------------------


def test_head_medium_and_tail_of_a_run(run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = some(balance.exhibit_balance(run, run.rounds()))
    rows = balance.table_balance(run, run.rounds())
    assert [r["images"] for r in rows] == [*IMAGES, None, None, None]
    last = run.rounds()[-1]
    assert rows[-1] == {
        "name": "tail classes",
        "images": None,
        "shared": last["acc_shared_tail"],
        "personal": last["acc_personal_tail"],
    }
    left, right = exhibit.panels[0].figure.axes
    assert left.get_xscale() == "log" and sorted(left.lines[0].get_xdata()) == sorted(IMAGES)
    assert list(right.lines[1].get_ydata()) == [last[f"acc_personal_{g}"] for g in fake_safe.GROUPS]
    found = {r["name"]: r for r in query(exhibit.source, run.folder, monkeypatch)}
    for row in rows:
        assert (
            found[row["name"]]["shared"] == pytest.approx(row["shared"])
            and found[row["name"]]["images"] == row["images"]
        )


def test_groups_of_a_recipe_by_hand_and_by_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}]).open()
    compared, (reached, gap, table), said = drawn(results)
    levels = {
        (r["scenario"], r["label"], r["metric"]): r
        for r in tested.table_tested(results, compared, balance.OF_SHARED)
    }
    safe = levels["imbalance 100", "safe", "acc_shared_tail"]
    assert (
        safe["values"] == pytest.approx({s: 0.5 + 0.06 + 2 * NOISE[s] for s in SEEDS})
        and len(levels) == 2 * 3 * 3
    )
    gain = t_interval([0.06 + NOISE[s] for s in SEEDS])  # fedavg holds the noise once, SAFE twice
    cost = t_interval([-0.01 + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high and cost and cost.low and cost.high
    assert said[:3] == [
        "Under imbalance 10, on tail classes with the shared parameters alone, compared with fedavg, "
        "\u201csafe\u201d gains 6.0 points "
        f"(90% interval {100 * gain.low:.1f} to {100 * gain.high:.1f}); \u201cwithout CRO\u201d is level "
        "(within 1 point).",
        f"Under imbalance 100, on tail classes, \u201csafe\u201d gains 6.0 points ({100 * gain.low:.1f} to "
        f"{100 * gain.high:.1f}); "
        "\u201cwithout CRO\u201d is level (within 1 point).",
        f"Under imbalance 10, on head classes, \u201csafe\u201d loses 1.0 points ({-100 * cost.high:.1f} "
        f"to {-100 * cost.low:.1f}); "
        "\u201cwithout CRO\u201d is level (within 1 point).",
    ]
    assert len(reached.panels) == 2 and [marks(reached.panels[0], c) for c in ("#0072B2", "#E69F00")] == [
        3,
        3,
    ]
    assert [p.title for p in gap.panels] == [
        f"Shared accuracy on {g} classes" for g in ("tail", "medium", "head")
    ]
    assert "of 12 intervals of 90% shown, 6 exclude zero" in gap.caption.lower()
    found = {(r["scenario"], r["label"], r["metric"]): r for r in query(gap.source, tmp_path, monkeypatch)}
    assert (
        found["imbalance 10", "safe", "acc_shared_tail"]["mean"] == pytest.approx(gain.mean)
        and len(found) == 12
    )
    whole = {(r["scenario"], r["label"], r["metric"]): r for r in query(table.source, tmp_path, monkeypatch)}
    assert whole["imbalance 10", "safe", "acc_shared_head"]["difference"] == pytest.approx(-0.01)
    assert {k: r["mean"] for k, r in whole.items()} == pytest.approx(
        {k: r["mean"] for k, r in levels.items()}
    )
    first = [getattr(cell, "text", cell) for cell in table.rows[0]]
    assert first[:2] == ["imbalance 10", "safe"] and first[-1].startswith("+6.0 \u00b1 0.4 better *")
    assert [cell.text for cell in table.rows[2][-3:]] == ["reference"] * 3
    assert "groups" in recipes.kinds_of(results)


def test_groups_need_classes_of_different_frequency(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "groups", "to": "fedavg"}], groups=False).open()
    compared, (missing,), said = drawn(results)
    assert "1.5 times the training images of others" in missing.missing and said == []
    assert balance.exhibit_groups(results, compared, rounds_of(results)) is None


def test_what_a_recipe_draws_itself_is_not_drawn_twice(tmp_path: Path) -> None:
    plain = fake_safe.safe_recipe(tmp_path / "plain", [])
    declared = fake_safe.safe_recipe(
        tmp_path / "declared", [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}]
    )
    for made, keys in (
        (plain, ["curves", "groups", "ratios", "divergence", "masks"]),
        (declared, ["groups", "groups-gap", "masks"]),
    ):
        page = write_report(made.folder).read_text(encoding="utf-8")
        ids = re.findall(r'<figure id="([\w-]+)"', page)
        assert len(ids) == len(set(ids)) and [i for i in ids if i in keys] == keys


# --- other metrics
# -----------------------------------------------------------------------------------------------------------------


def test_differences_by_declared_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["acc_shared_global", "acc_shared_class_mean", "acc_shared_tail", "acc_personal_own"]
    results = fake_safe.safe_recipe(
        tmp_path, [{"kind": "differences", "to": "safe", "metrics": wanted}]
    ).open()
    _, (exhibit,), said = drawn(results)
    assert [p.title for p in exhibit.panels] == [
        "Shared accuracy on the global split",
        "Shared accuracy in the mean over classes",
        "Shared accuracy on tail classes",
        "Personal accuracy on each client's own distribution",
    ]
    found = {
        (r["scenario"], r["label"], r["metric"]): r for r in query(exhibit.source, tmp_path, monkeypatch)
    }
    assert len(found) == 2 * 2 * 4
    tail = [
        -0.059 - NOISE[s] + (3 - 2) * NOISE[s] for s in SEEDS
    ]  # `without CRO` holds the noise three times, SAFE twice
    assert found["imbalance 10", "without CRO", "acc_shared_tail"]["mean"] == pytest.approx(np.mean(tail))
    costs = t_interval([-0.03 - NOISE[s] for s in SEEDS])
    assert costs and costs.low and costs.high
    assert said[0] == (
        "Under imbalance 10, on the global split with the shared model alone, compared with safe, leaving "
        "out CRO costs 3.0 "
        f"points (90% interval {-100 * costs.high:.1f} to {-100 * costs.low:.1f})."
    )
    assert not any("tail" in sentence for sentence in said)  # it says what the first metric says


def test_a_metric_that_no_run_has_is_left_out_of_figure_and_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = {"kind": "differences", "to": "safe", "metrics": ["acc_shared_global", "acc_personal_tail"]}
    results = fake_safe.safe_recipe(tmp_path, [figure]).open()
    _, (exhibit,), _ = drawn(results)
    assert [p.title for p in exhibit.panels] == ["Shared accuracy on the global split"]
    assert {r["metric"] for r in query(exhibit.source, tmp_path, monkeypatch)} == {"acc_shared_global"}


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (
            {"kind": "differences", "to": "a", "metrics": "acc_shared_tail"},
            r"metrics = 'acc_shared_tail' should be a list of metrics",
        ),
        (
            {"kind": "differences", "to": "a", "metrics": ["acc_tail"]},
            r"metrics: acc_tail unknown; known metrics are acc_personal_own, ",
        ),
        ({"kind": "groups"}, r"a figure of kind 'groups' lacks to; it takes to, title"),
        ({"kind": "groups", "to": "b"}, r"to = 'b' is no entry of GRID; these are a"),
        ({"kind": "masks", "to": "a"}, r"a figure of kind 'masks' has the unknown key to; it takes title"),
        (
            {"kind": "traffic", "x": "a"},
            r"a figure of kind 'traffic' has the unknown key x; it takes reference, title",
        ),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(figure: Row, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        recipes.parse([figure], ["a"], "FIGURES")


# --- masks
# -------------------------------------------------------------------------------------------------------------------------


def test_pictures_of_masks_by_hand() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    arrays: dict[str, Any] = {
        "image": image[None],
        "foreground": np.eye(4, dtype=np.uint8)[None],
        "soft": np.array([[[0.0, 0.5], [1.0, 0.2]]]),
        "hard": np.array([[[1, 0], [0, 1]]], np.uint8),
    }
    assert (masks.picture(arrays, 0, "image") == 200).all()
    hard = masks.picture(arrays, 0, "hard")[..., 0]
    assert hard.tolist() == [[200, 200, 44, 44]] * 2 + [[44, 44, 200, 200]] * 2
    assert masks.picture(arrays, 0, "foreground")[..., 0].diagonal().tolist() == [200] * 4
    assert (
        masks.picture(arrays, 0, "soft")[..., 1].tolist() == [[0, 0, 128, 128]] * 2 + [[255, 255, 51, 51]] * 2
    )
    assert (
        masks.enlarged(np.arange(3)[None], 4).tolist() == [[0, 0, 1, 2]] * 4
    )  # as where overlaps are measured
    wide = masks.reduced(np.arange(300 * 300 * 3).reshape(300, 300, 3))
    assert wide.shape == (100, 100, 3) and wide[0, 0, 0] == np.mean(
        [900 * i + 3 * j for i in range(3) for j in range(3)]
    )


def test_masks_of_a_run(run: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, pictures, overlap = (some(e) for e in masks.exhibits_masks(run, run.rounds()))
    assert [len(p.figure.axes) for p in pictures.panels] == [
        20,
        20,
    ]  # of twelve images eight, five pictures of each
    first = pictures.panels[0].figure
    assert "airport: IoU 60.0, untrained 30.4, random 20.0" in [t.get_text() for t in first.texts]
    assert '"data:image/png;base64,' in svg(first, "x").replace("\n", "")
    assert len(query(pictures.source, run.folder, monkeypatch)) == 12
    level = t_interval([0.6 + 0.01 * (k % 5) for k in range(12)])
    gain = t_interval([0.2963 + 0.01 * (k % 5) - 0.02 * (k % 3) for k in range(12)])
    assert level and level.low and level.high and gain and gain.low and gain.high
    for words in (
        f"overlaps the foreground by {100 * level.mean:.1f} [{100 * level.low:.1f}, {100 * level.high:.1f}]%",
        f"+{100 * gain.mean:.1f} [+{100 * gain.low:.1f}, +{100 * gain.high:.1f}] against the untrained gate",
        "90% intervals over images, of this one model",
    ):
        assert words in overlap.caption
    found = {r["what"]: r for r in query(overlap.source, run.folder, monkeypatch)}
    assert found["iou"]["mean"] == pytest.approx(level.mean) and set(found) == {"open", *masks.OVERLAPS}
    assert [r["mask_ratio"] for r in query(gate.source, run.folder, monkeypatch)] == [
        r["mask_ratio"] for r in run.rounds()[1:]
    ]


def test_masks_without_a_known_foreground_or_before_the_end(tmp_path: Path) -> None:
    blind = open_results(fake_safe.safe_run(tmp_path / "blind", known=False))
    _, pictures = masks.exhibits_masks(blind, blind.rounds())
    assert [len(p.figure.axes) for p in pictures.panels] == [
        16,
        16,
    ] and "the foreground of these images is not known" in pictures.caption
    assert (
        "From left to right: the input; the soft" in pictures.caption
        and "intersection over union" not in pictures.caption
    )
    assert pictures.panels[0].figure.texts[0].get_text() == "airport"
    running = open_results(fake_safe.safe_run(tmp_path / "running", ended=False))
    gate, missing = masks.exhibits_masks(running, running.rounds())
    assert gate.panels and missing.missing == "Masks are drawn when the run has ended."


def test_a_damaged_gallery_is_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path)
    (folder / "gallery.safetensors").write_bytes(b"cut off")
    text = write_report(folder).read_text(encoding="utf-8")
    assert "Masks are drawn when the run has ended." in text
    results = open_results(folder)
    assert results.gallery() is None and results.unreadable[0].startswith("gallery.safetensors (")


def test_masks_of_a_recipe_over_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}]).open()
    _, (pictures, table), said = drawn(results)
    assert len(pictures.panels) == 2 and pictures.caption.startswith(
        "safe under imbalance 10, seed 1000, after the last round."
    )
    steps = (("iou", 0.6, 0.01, 5), ("iou_untrained", 0.3037, 0.02, 3), ("iou_random", 0.2, 0.01, 4))
    mean = {what: np.mean([start + step * (k % n) for k in range(12)]) for what, start, step, n in steps}
    rows = {(r["scenario"], r["label"]): r for r in of_masks.table_masks(results)}
    assert list(rows) == [(f"imbalance {n}", label) for n in (10, 100) for label in ("safe", "without CRO")]
    own = rows["imbalance 10", "safe"]
    assert own["values"]["iou"] == pytest.approx({s: mean["iou"] + NOISE[s] for s in SEEDS})
    gain = t_interval([mean["iou"] - mean["iou_untrained"] + NOISE[s] for s in SEEDS])
    assert gain and gain.low and gain.high
    assert said[0].startswith(
        "Of masks under imbalance 10, those of safe overlap the foreground more than those of the "
        "untrained gate "
        f"(+{100 * gain.mean:.1f} points of IoU, 90% interval +{100 * gain.low:.1f} to "
        f"+{100 * gain.high:.1f}) and overlap the foreground "
        "more than random masks of equal area ("
    )
    found = {(r["scenario"], r["label"]): r for r in query(table.source, tmp_path, monkeypatch)}
    assert found["imbalance 100", "without CRO"]["minus_iou_untrained"] == pytest.approx(gain.mean)
    assert (
        table.rows[0][-2].text == f"+{100 * gain.mean:.1f} \u00b1 {100 * (gain.mean - gain.low):.1f} better *"
    )
    assert "of 8 intervals of 90% shown, 8 exclude zero" in table.caption


def test_masks_of_a_recipe_without_a_known_foreground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "masks"}], known=False).open()
    _, (pictures, table), said = drawn(results)
    assert said == [] and "is not known" in table.caption and pictures.panels
    assert [cell.text for cell in table.rows[0][3:]] == ["\u2013"] * 3 + [""] * 2
    assert {tuple(r) for r in query(table.source, tmp_path, monkeypatch)} == {
        ("scenario", "label", "open", "sd_open", "seeds")
    }


# --- traffic
# -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_trials", [True, False])
def test_all_that_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_trials: bool) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic"}], setup_in_trials=in_trials).open()
    _, (exhibit, table), said = drawn(results)
    rows = {(r["scenario"], r["label"]): r for r in traffic.table_traffic(results, rounds_of(results))}
    turns = ROUNDS * (CLIENTS - 1)
    own = rows["imbalance 10", "safe"]
    assert [own[name] for name in traffic.PARTS] == [
        turns * WEIGHTS,
        turns * WEIGHTS,
        turns * 300,
        turns * 3000,
        SETUP * CLIENTS,
    ]
    total = turns * (2 * WEIGHTS + 3300) + SETUP * CLIENTS
    assert own["total"] == own["least"] == own["most"] == total and own["times"] == pytest.approx(
        total / (2 * WEIGHTS * turns)
    )
    assert (own["up"], own["down"]) == (WEIGHTS + 300, WEIGHTS + 3000)
    assert rows["imbalance 10", "fedavg"]["times"] == 1
    bars = exhibit.panels[0].figure.axes[0].containers
    assert [c.get_label() for c in bars] == [name for name, _, _ in traffic.PARTS.values()] and [
        len(c) for c in bars
    ] == [3] * 5
    assert "4.705 MB (\u00d7 1.18)" in [t.get_text() for t in exhibit.panels[0].figure.axes[0].texts]
    assert "all seeds send the same" in exhibit.caption
    found = {(r["scenario"], r["label"]): r for r in query(table.source, tmp_path, monkeypatch)}
    for place, row in rows.items():
        assert {
            k: found[place][k] for k in (*traffic.PARTS, "total", "up", "down", "times")
        } == pytest.approx({k: row[k] for k in (*traffic.PARTS, "total", "up", "down", "times")})
    assert said[0] == (
        "Under imbalance 10, safe sends 4.705 MB in a whole run, 1.18 times its weights alone (3.5% for "
        "other tensors and "
        "11.5% once at the start); as much as without CRO and 1.18 times as much as fedavg."
    )


def test_traffic_beside_one_entry(tmp_path: Path) -> None:
    results = fake_safe.safe_recipe(tmp_path, [{"kind": "traffic", "reference": "fedavg"}]).open()
    _, (_, table), said = drawn(results)
    assert table.columns[-1] == "times fedavg" and [row[-1] for row in table.rows[:3]] == [
        "1.176",
        "1.176",
        "1",
    ]
    assert said[0].endswith("once at the start); 1.18 times as much as fedavg.")


def test_runs_that_do_not_tell_weights_apart_are_left_out(tmp_path: Path) -> None:
    results = open_results(
        fake_results.fake_sweep(tmp_path, recipe=True, rounds=2, figures=[{"kind": "traffic"}])
    )
    _, (missing,), said = drawn(results)
    assert missing.missing and said == []


def test_what_is_sent_once_counts_in_the_bytes_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analysis.figures.outcomes import curves

    results = fake_safe.safe_recipe(tmp_path, []).open()
    compared = methods.table_methods(results)
    exhibit = curves.exhibit_communication(results, compared, rounds_of(results), (0.5, 0.8))
    rows = {
        (r["scenario"], r["label"]): r["total"]
        for r in curves.table_communication(compared, rounds_of(results))
    }
    assert rows["imbalance 10", "safe"] - rows["imbalance 10", "fedavg"] == SETUP * CLIENTS
    assert {
        (r["scenario"], r["label"]): r["total"] for r in query(exhibit.source, tmp_path, monkeypatch)
    } == rows


# --- the word of the metric
# --------------------------------------------------------------------------------------------------------


def test_where_runs_measure_miou_nothing_says_accuracy(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path, metric="mIoU")
    text = write_report(folder).read_text(encoding="utf-8")
    shown = unescape(
        re.sub(r"<details class=\"source\">.*?</details>|<style>.*?</style>|<[^>]+>", " ", text, flags=re.S)
    )
    assert (
        not re.search(r"\baccurac(y|ies)\b", shown, re.I)
        and "73.0% validation mIoU" in shown
        and "IoU by class" in shown
    )
    assert "training pixels of the class" in shown and "worst_client_accuracy" in text
    assert ">validation mIoU, %</text>" in (folder / "report" / "figures" / "curve.svg").read_text()
    assert "mIoU" in (folder / "report" / "index.md").read_text()


def test_a_sweep_asks_its_runs_what_they_measure(tmp_path: Path) -> None:
    made = fake_safe.safe_recipe(tmp_path, [{"kind": "differences", "to": "safe"}])
    assert open_results(tmp_path).metric == "accuracy"
    some_runs = sorted(tmp_path.glob("runs/r00[012]*/run.json"))
    for path in some_runs:
        path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "mIoU"}))
    assert open_results(tmp_path).metric == "accuracy or mIoU"
    for path in tmp_path.glob("runs/*/run.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "mIoU"}))
    assert open_results(tmp_path).metric == "mIoU"
    text = unescape(write_report(made.folder).read_text(encoding="utf-8"))
    assert (
        "Test mIoU of each configuration minus that of safe" in text
        and "Personal mIoU on each client's own distribution" in text
    )


def test_words_change_and_code_does_not() -> None:
    page = Page(
        "Sweep",
        "How accurate?",
        ["Test accuracy; accuracies"],
        "",
        [
            Section(
                "Figures",
                [
                    Exhibit(
                        "a",
                        "Accuracy by class",
                        "Accuracy of each class",
                        "SELECT 1 AS accuracy",
                        missing="no accuracy",
                    ),
                    Text(["accuracy"], code="raysim run accuracy"),
                ],
            )
        ],
    )
    found = metric.worded(page, "mIoU")
    exhibit, text = found.sections[0].parts
    assert isinstance(exhibit, Exhibit) and isinstance(text, Text)
    assert found.lead == ["Test mIoU; mIoUs"] and (exhibit.title, exhibit.caption) == (
        "IoU by class",
        "IoU of each class",
    )
    assert (exhibit.source, exhibit.missing) == ("SELECT 1 AS accuracy", "no mIoU")
    assert (text.paragraphs, text.code) == (["mIoU"], "raysim run accuracy")
    assert metric.worded(page, "accuracy") is page


def test_miou_by_domain_is_a_mean_over_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2)
    areas = [("a", "urban", 1, 2), ("b", "urban", 30, 40), ("c", "urban", 0, 0), ("a", "rural", 1, 4)]
    write(
        folder / "tables" / "classes" / "0.parquet",
        [
            {
                "run": "x",
                "round": 2,
                "split": "validation",
                "label": i,
                "class_name": name,
                "domain": 0,
                "domain_name": domain,
                "scope": "shared",
                "correct": float(i_),
                "total": float(u),
            }
            for i, (name, domain, i_, u) in enumerate(areas)
        ],
    )
    results = open_results(folder)
    assert [r[:2] for r in table_domains(results).rows] == [["urban", "73.8"], ["rural", "25.0"]]  # type: ignore[union-attr]
    results = Results(folder, {**results.meta, "metric": "mIoU"})
    table = table_domains(results)
    assert table and [r[:2] for r in table.rows] == [
        ["urban", "62.5"],
        ["rural", "25.0"],
    ]  # mean of 1/2 and 3/4
    assert {r["name"]: r["shared"] for r in query(table.source, folder, monkeypatch)} == {
        "urban": 62.5,
        "rural": 25.0,
    }


# --- signatures
# --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cr_inverse", "CR favours frequent classes"),
        ("cr_erratic", "CR erratic"),
        ("d_cka_zero", "D_CKA stuck at 0"),
        ("d_cka_one", "D_CKA stuck at 1"),
        ("mask_empty", "Masks all zero"),
        ("mask_full", "Masks all one"),
    ],
)
def test_signatures_of_safe_have_words(tmp_path: Path, name: str, words: str) -> None:
    results = sweep(
        tmp_path, [sign("confirm-fedrsclip (tuned)-skewed-1", name, 0.9, 0.5, "so it is")], {name: "meaning"}
    )
    assert signatures.sentences(results) == [
        f"{words} in 1 of 5 runs of fedrsclip (tuned) under skewed: so it is (seed 1)."
    ]
    found = signatures.exhibit(results)
    assert found is not None and f">{signatures.words(name)}</text>" in svg(found.panels[0].figure, "x")


# --- pages
# -------------------------------------------------------------------------------------------------------------------------


def test_the_page_is_the_same_each_time_and_holds_its_pictures(tmp_path: Path) -> None:
    folder = fake_safe.safe_run(tmp_path)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    page = first.decode()
    assert not re.search(r"<script|<link|<iframe|(src|href)=\"(?!#|data:image/png)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and page.count("data:image/png;base64,") >= 40
    for word in (
        "of that weights, up",
        "Head, medium and tail classes",
        "D_CKA over rounds",
        "The gate over rounds",
    ):
        assert word in page


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_half_finished_recipe_of_safe(tmp_path: Path, stop: int) -> None:
    figures = [
        {"kind": "groups", "to": "fedavg"},
        {"kind": "masks"},
        {"kind": "traffic"},
        {"kind": "differences", "to": "fedavg", "metrics": ["acc_shared_tail"]},
    ]
    made = fake_safe.safe_recipe(tmp_path, figures)
    for path in sorted((tmp_path / "tables" / "trials").glob("*.parquet"))[stop:]:
        path.unlink()
    _, parts, said = drawn(made.open())
    assert all(
        part.missing or part.panels for part in parts if isinstance(part, Exhibit)
    ) and "None" not in " ".join(said)
    write_report(tmp_path)


def test_one_seed_gives_no_interval_anywhere(tmp_path: Path) -> None:
    figures = [{"kind": "groups", "to": "fedavg"}, {"kind": "masks"}, {"kind": "traffic"}]
    made = fake_safe.safe_recipe(tmp_path, figures, seeds=SEEDS[:1])
    _, parts, said = drawn(made.open())
    assert "None" not in " ".join(said) and any("no interval: one seed" in sentence for sentence in said)
    assert groups.exhibit_groups(made.open(), [], figures[0], "groups")[0].missing  # type: ignore[union-attr]
    write_report(tmp_path)
    assert len(parts) == 7
