"""Who holds what, and how single clients and classes fare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.page import Exhibit, Panel, Table, numbers, slug
from ...look.style import INK, NARROW, SOFT, WIDTH, blank, drawing, legend_below, percent_axis
from ...look.words import percent
from ...read.queries import parts
from ...read.results import Results, Row, finished

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

SHOWN_CLIENTS = 60
FOUR = ("acc_personal_own", "acc_personal_global", "acc_shared_own", "acc_shared_global")
FOUR_NAMES = ("personal, own", "personal, global", "shared alone, own", "shared alone, global")
PERSONAL, SHARED = "#0072B2", "#D55E00"


def table_partition(partition: pa.Table, classes: int, domains: int) -> dict[str, Any]:
    """Images by client and class, and by client and domain.

    Args:
        partition: `partition.parquet`.
        classes: How many classes there are.
        domains: How many domains there are.

    Returns:
        clients [n], counts [n, classes], domains [n, domains] and total (clients in all); above 60 clients
        every so many-th is shown.
    """
    client, label = partition["client"].to_numpy(), partition["label"].to_numpy()
    everyone = np.unique(client)
    place = np.searchsorted(everyone, client)
    counts = np.zeros((len(everyone), max(classes, int(label.max(initial=0)) + 1)), np.int64)
    np.add.at(counts, (place, label), 1)
    domain = partition["domain"].to_numpy() if "domain" in partition.column_names else np.zeros_like(label)
    by_domain = np.zeros((len(everyone), max(domains, int(domain.max(initial=0)) + 1)), np.int64)
    np.add.at(by_domain, (place, domain), 1)
    keep = np.unique(np.linspace(0, len(everyone) - 1, min(SHOWN_CLIENTS, len(everyone))).round().astype(int))
    return {
        "clients": everyone[keep],
        "counts": counts[keep],
        "domains": by_domain[keep],
        "total": len(everyone),
    }


@drawing
def draw_partition(
    table: dict[str, Any],
    class_names: Sequence[str],
    domain_names: Sequence[str],
    largest: int,
    width: float = WIDTH,
) -> Figure:
    """A map of clients (rows) by classes, with domains beside it when there are several; the darker, the more images.

    Args:
        table: What `table_partition` gives.
        class_names: Names of the columns.
        domain_names: Names of the domains.
        largest: The count that is darkest, the same in all panels.
        width: Of the panel, inches.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure as NewFigure

    counts, domains = table["counts"], table["domains"]
    several = domains.shape[1] > 1
    figure = NewFigure(figsize=(width, 1.75 + 0.055 * max(16, len(counts))), layout="constrained")
    ratio = [counts.shape[1], max(2.0, domains.shape[1])] if several else [1]
    grid = figure.subplots(1, len(ratio), width_ratios=ratio, squeeze=False, sharey=True)[0]
    shown = [(grid[0], counts, class_names, max(1, largest))]
    shown += [(grid[1], domains, domain_names, max(1, int(domains.max(initial=1))))] if several else []
    images = []
    for axes, values, names, top in shown:
        images.append(
            axes.imshow(
                values, cmap="Blues", norm=PowerNorm(0.5, 0, top), aspect="auto", interpolation="none"
            )
        )
        titles = [names[i] if i < len(names) else str(i) for i in range(values.shape[1])]
        step = -(-len(titles) // 30)
        axes.set_xticks(
            range(0, len(titles), step), titles[::step], rotation=90, fontsize=6.5 if len(titles) > 12 else 7
        )
        axes.tick_params(length=0)
        for edge in axes.spines.values():
            edge.set(visible=True, linewidth=0.5, color="#bbbbbb")
    step = max(1, -(-len(counts) // 10))
    grid[0].set_yticks(range(0, len(counts), step), [str(c) for c in table["clients"][::step]])
    grid[0].set_ylabel("client")
    bar = figure.colorbar(images[0], ax=list(grid), shrink=0.8, aspect=30, pad=0.015)
    bar.set_label("images of a class", fontsize=7)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2)
    return figure


def _panels(
    found: Sequence[tuple[str, pa.Table, Sequence[str], Sequence[str]]],
) -> tuple[list[Panel], bool, bool]:
    tables = [
        (name, table_partition(p, len(classes), len(domains)), classes, domains)
        for name, p, classes, domains in found
    ]
    largest = max(int(max(t["counts"].max(initial=0), 1)) for _, t, _, _ in tables)
    width = NARROW if len(tables) > 2 else WIDTH
    panels = [
        Panel(f"partition-{slug(name)}", name, draw_partition(t, own, theirs, largest, width))
        for name, t, own, theirs in tables
    ]
    return (
        panels,
        any(t["total"] > len(t["clients"]) for _, t, _, _ in tables),
        any(t["domains"].shape[1] > 1 for _, t, _, _ in tables),
    )


def exhibit_partition(results: Results) -> Exhibit:
    """Clients by classes: of a run, or of the first run on disk of each scenario of a sweep."""
    title, found = "Clients by classes", []
    if results.kind == "run":
        own = results.partition()
        if own is not None:
            found.append(
                (
                    str(results.meta.get("scenario_label") or ""),
                    own,
                    results.meta.get("class_names") or [],
                    results.meta.get("domain_names") or [],
                )
            )
        source = (
            "SELECT client, label, domain, count(*) AS images FROM 'partition.parquet' GROUP BY ALL "
            "ORDER BY ALL"
        )
    else:
        chosen = first_runs(results)
        for scenario, run in chosen.items():
            partition, meta = results.partition(run), results.run_meta(run)
            if partition is not None:
                found.append(
                    (scenario, partition, meta.get("class_names") or [], meta.get("domain_names") or [])
                )
        files = ", ".join(f"'runs/{run}/partition.parquet'" for run in chosen.values())
        source = f"""SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run, client, label, domain, count(*) AS images
FROM read_parquet([{files}], filename = true) GROUP BY ALL ORDER BY ALL"""
    if not found:
        return Exhibit("partition", title, missing="No partition is on disk yet.")
    panels, sampled, several = _panels(found)
    caption = (
        "Training images of each client (row) and class (column); colour grows with the square root "
        "of the count, the same in all panels."
    )
    caption += " The columns on the right are domains, on a scale of their own." if several else ""
    caption += " An image counts for the class of most of its pixels." if results.metric != "accuracy" else ""
    caption += (
        f" Of more than {SHOWN_CLIENTS} clients, {SHOWN_CLIENTS} evenly spaced ones are shown."
        if sampled
        else ""
    )
    caption += " One seed is shown; other seeds draw other partitions." if results.kind == "sweep" else ""
    behind = [
        {"scenario": name, **row}
        for name, partition, classes, _ in found
        for row in counted(partition, classes)
    ]
    return Exhibit(
        "partition",
        title,
        caption,
        source,
        panels,
        numbers(behind, ("scenario", "client", "class", "domain", "images")),
    )


def counted(partition: pa.Table, classes: Sequence[str]) -> list[Row]:
    """Images by client, class and domain; what a client does not hold has no row."""
    keys = [key for key in ("client", "label", "domain") if key in partition.column_names]
    rows = (
        partition.group_by(keys)
        .aggregate([([], "count_all")])
        .sort_by([(key, "ascending") for key in keys])
        .to_pylist()
    )
    return [
        {
            **r,
            "class": classes[r["label"]] if r["label"] < len(classes) else r["label"],
            "images": r["count_all"],
        }
        for r in rows
    ]


def first_runs(results: Results) -> dict[str, str]:
    """Scenario -> the first run whose partition is on disk, in the order of the sweep's scenarios."""
    found: dict[str, str] = {}
    for trial in finished(results.trials, "contrast", "confirm", "search"):
        for run in trial.get("runs") or []:
            if (
                trial["scenario"] not in found
                and (results.folder / "runs" / run / "partition.parquet").is_file()
            ):
                found[trial["scenario"]] = run
    order = [s["label"] for s in results.meta.get("scenarios") or []]
    return dict(
        sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    )


def table_clients(results: Results) -> list[Row]:
    """Rows of the clients table at the last evaluated round, on validation; clients that only trained have rows without accuracies."""
    rows = [
        r
        for r in results.table("clients").to_pylist()
        if r.get("split", "validation") == "validation" and r.get("acc_personal_own") is not None
    ]
    last = max((r["round"] for r in rows), default=0)
    unique = {r["client"]: r for r in rows if r["round"] == last}
    return [unique[c] for c in sorted(unique)]


@drawing
def draw_four(rows: Sequence[Row]) -> Figure:
    """The four accuracies: a dot per client, the middle 80% as a bar, the mean as a mark."""
    figure, axes = blank(2.3)
    for i, key in enumerate(FOUR):
        values = np.array([r[key] for r in rows if r.get(key) is not None])
        if not len(values):
            continue
        tint = PERSONAL if "personal" in key else SHARED
        wobble = 0.16 * np.sin(
            np.arange(len(values)) * 2.399963
        )  # the golden angle spreads dots without chance
        axes.plot(values, i + 0.05 + wobble, "o", color=tint, markersize=2.4, alpha=0.45, markeredgewidth=0)
        low, high = np.quantile(values, [0.1, 0.9])
        axes.plot([low, high], [i - 0.28] * 2, color=tint, linewidth=2.2, solid_capstyle="butt")
        axes.plot(
            [values.mean()],
            [i - 0.28],
            "D",
            color=tint,
            markersize=4.6,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        axes.annotate(
            percent(values.mean()),
            (1, i),
            xycoords=("axes fraction", "data"),
            xytext=(24, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=7,
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(FOUR)), FOUR_NAMES)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(3.6, -0.6), xlabel="validation accuracy, %")
    percent_axis(axes.xaxis)
    return figure


@drawing
def draw_distribution(rows: Sequence[Row]) -> Figure:
    """Clients sorted by accuracy: which share of the clients stays below an accuracy, personal and shared."""
    figure, axes = blank(2.6)
    for key, tint, name in (
        ("acc_personal_own", PERSONAL, "personal"),
        ("acc_shared_own", SHARED, "shared alone"),
    ):
        values = np.sort([r[key] for r in rows if r.get(key) is not None])
        if len(values):
            axes.step(
                values, np.arange(1, len(values) + 1) / len(values), where="post", color=tint, label=name
            )
    axes.axhline(0.1, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.grid(axis="x")
    axes.set(
        ylim=(0, 1.02),
        xlabel="validation accuracy on the client's own distribution, %",
        ylabel="clients at or below, %",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibits_clients(rows: Sequence[Row]) -> list[Exhibit]:
    """The four accuracies with their spread, and the distribution over clients."""
    titles = (
        ("four", "Four accuracies and the spread between clients"),
        ("distribution", "How accuracy is distributed over clients"),
    )
    if not rows:
        return [
            Exhibit(key, title, missing="No evaluation of single clients is on disk yet.")
            for key, title in titles
        ]
    query = f"""SELECT DISTINCT client, examples, {", ".join(k for k in FOUR if k in rows[0])} FROM {parts("clients")}
WHERE split = 'validation' AND round = {rows[0]["round"]} AND acc_personal_own IS NOT NULL ORDER BY client"""
    behind = numbers(rows, ("client", "examples", *FOUR))
    four = Exhibit(
        "four",
        titles[0][1],
        f"{len(rows)} clients after round {rows[0]['round']}: a dot each, the middle 80% of them as a bar, "
        "the mean as a diamond. The "
        "spread is between clients; it is no confidence interval of the run, which has one seed.",
        query,
        [Panel("four", "", draw_four(rows))],
        behind,
    )
    spread = Exhibit(
        "distribution",
        titles[1][1],
        "The share of clients at or below an accuracy. The further right, the better; a long left foot "
        "means clients left behind. "
        "Dotted: the tenth percentile.",
        query,
        [Panel("distribution", "", draw_distribution(rows))],
        behind,
    )
    return [four, spread]


def table_classes(results: Results, by: str = "class_name") -> list[Row]:
    """Accuracy by class (or by `domain_name`) at the last evaluated round, shared and personal, best gain first."""
    rows = [r for r in results.table("classes").to_pylist() if r.get("split", "validation") == "validation"]
    last = max((r["round"] for r in rows), default=0)
    sums: dict[str, dict[str, list[float]]] = {}
    for row in (r for r in rows if r["round"] == last):
        correct_total = sums.setdefault(row[by], {}).setdefault(row["scope"], [0.0, 0.0])
        correct_total[0] += row["correct"] or 0.0
        correct_total[1] += row["total"] or 0.0
    found = [
        {"name": name, "round": last, **{scope: c / t for scope, (c, t) in scopes.items() if t > 0}}
        for name, scopes in sums.items()
    ]
    return sorted(
        (r for r in found if "personal" in r or "shared" in r),
        key=lambda r: -(r.get("personal") or r.get("shared") or 0.0),
    )


@drawing
def draw_classes(rows: Sequence[Row]) -> Figure:
    """Class by class: shared (square) and personal (circle), joined by a line."""
    figure, axes = blank(0.75 + 0.15 * len(rows))
    for i, row in enumerate(rows):
        if "shared" in row and "personal" in row:
            axes.plot([row["shared"], row["personal"]], [i, i], color="#bbbbbb", linewidth=1.2, zorder=1)
        for scope, mark, tint in (("shared", "s", SHARED), ("personal", "o", PERSONAL)):
            if scope in row:
                name = {"shared": "shared alone", "personal": "personal"}[scope] if i == 0 else None
                axes.plot(
                    [row[scope]], [i], mark, color=tint, markersize=4, label=name, linestyle="", zorder=2
                )
    axes.set_yticks(range(len(rows)), [r["name"] for r in rows], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="validation accuracy of each class, %")
    percent_axis(axes.xaxis)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def exhibit_classes(results: Results) -> Exhibit:
    """Accuracy by class, shared against personal."""
    title, rows = "Accuracy by class", table_classes(results)
    if not rows:
        return Exhibit("classes", title, missing="No evaluation by class is on disk yet.")
    caption = (
        f"After round {rows[0]['round']}, over all evaluated clients and domains: squares the shared "
        "parameters alone, circles "
        "with the private ones."
    )
    query, panel = _query(rows, "class_name"), Panel("classes", "", draw_classes(rows))
    return Exhibit("classes", title, caption, query, [panel], numbers(rows, ("name", "shared", "personal")))


def table_domains(results: Results) -> Table | None:
    """Accuracy by domain, when there are several; in segmentation the mean over classes of their overlap in the domain."""
    rows = _mean_over_classes(results) if results.metric == "mIoU" else table_classes(results, "domain_name")
    if len(rows) < 2:
        return None
    body = [[r["name"], percent(r.get("shared")), percent(r.get("personal"))] for r in rows]
    head, caption = (
        ["domain", "shared alone, %", "personal, %"],
        "After the last evaluated round, over all evaluated clients and classes.",
    )
    query = MEANS.format(last=rows[0]["round"]) if results.metric == "mIoU" else _query(rows, "domain_name")
    return Table(head, body, caption, query, key="table-domains", title="Accuracy by domain")


MEANS = f"""SELECT domain_name AS name, 100 * avg(correct / total) FILTER (scope = 'shared') AS shared,
  100 * avg(correct / total) FILTER (scope = 'personal') AS personal
FROM {parts("classes")} WHERE split = 'validation' AND round = {{last}} AND total > 0 GROUP BY ALL ORDER BY ALL"""


def _mean_over_classes(results: Results) -> list[Row]:
    """Mean over classes of correct / total by domain and scope at the last evaluated round, best first."""
    rows = [
        r
        for r in results.table("classes").to_pylist()
        if r.get("split", "validation") == "validation" and r["total"]
    ]
    last = max((r["round"] for r in rows), default=0)
    shares: dict[str, dict[str, list[float]]] = {}
    for row in (r for r in rows if r["round"] == last):
        shares.setdefault(row["domain_name"], {}).setdefault(row["scope"], []).append(
            row["correct"] / row["total"]
        )
    found = [
        {"name": name, "round": last, **{scope: sum(v) / len(v) for scope, v in scopes.items()}}
        for name, scopes in shares.items()
    ]
    return sorted(found, key=lambda r: -(r.get("personal") or r.get("shared") or 0.0))


def _query(rows: Sequence[Row], by: str) -> str:
    """The numbers of `table_classes` as SQL."""
    columns = [
        f"sum(correct) FILTER (scope = '{s}') / sum(total) FILTER (scope = '{s}') AS {s}"
        for s in ("shared", "personal")
    ]
    return f"""SELECT {by} AS name, {", ".join(columns)} FROM {parts("classes")}
WHERE split = 'validation' AND round = {rows[0]["round"]} GROUP BY ALL ORDER BY ALL"""
