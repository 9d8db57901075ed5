"""Sections of docs/results.md: run a recipe, and keep the answer of its report.

    python -m benchmarks.results fedrsclip_rivals
    python -m benchmarks.results --list

A section is the first part of the report's Markdown, word by word: the answer, its tables, and the figures of
the questions that the recipe asks. It lies in docs/results/NAME.md, its drawings in docs/results/figures/.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

from analysis.look.page import Exhibit, Part, Text
from analysis.look.style import svg
from analysis.read.results import Results, open_results
from analysis.report import PAGES, markdown, markdown_text
from analysis.verdicts import verdict_tables

RECIPES = (
    "fedrsclip_rivals", "fedrsclip_centralized", "fedrsclip_communication", "fedrsclip_ablation",
    "fedrsclip_label_skew", "fedrsclip_domains", "fedrsclip_origins", "fedrsclip_ot_cost",
    "fedrsclip_clients",
    "safe_rivals", "safe_baselines", "safe_cro", "safe_ablation", "safe_schedule", "safe_ses",
    "safe_communication", "safe_architectures", "safe_segmentation", "safe_masks", "safe_pretrained",
)  # fmt: skip
SWEEP = ("-m", "raysim.sweep")
# What is run for each section, after the name of Python; the folder of results is added.
SECTIONS: dict[str, tuple[str, ...]] = {
    "first_study": SWEEP,
    **{recipe: (*SWEEP, recipe) for recipe in RECIPES},
    "stress_quick": ("-m", "raysim", "stress", "--quick"),
    "stress": ("-m", "raysim", "stress", "--minutes", "60"),
}
# Recipes that time runs: one trial at once, because two would slow each other.
ALONE = {"fedrsclip_ot_cost": ("--workers", "1")}
DOCS = Path(__file__).parents[1] / "docs" / "results"


def run(section: str, folder: Path, more: list[str]) -> None:
    """Run a section's command; a folder that is there is gone on with.

    Raises:
        SystemExit: The command failed.
    """
    resume = ["--resume"] if (folder / "run.json").exists() else []
    command = [
        sys.executable,
        *SECTIONS[section],
        *ALONE.get(section, ()),
        "--out",
        str(folder),
        *resume,
        *more,
    ]
    print(shlex.join(["python", *command[1:]]), flush=True)
    if code := subprocess.run(command, check=False).returncode:
        raise SystemExit(f"{section} ended with status {code}")


def write(section: str, folder: Path, docs: Path = DOCS) -> Path:
    """Write the section from a folder of results; return its file."""
    results = open_results(folder)
    verdict_tables(results)
    whole = PAGES[results.kind](results)
    # images of a folder are not the project's to pass on
    foreign = any(dataset.get("path") for dataset in results.meta.get("datasets") or [])
    kept = _without_images if foreign else _bare
    sections = [
        dataclasses.replace(section, parts=[kept(part) for part in section.parts])
        for section in whole.sections
        if not section.folded
    ]
    answer = [_bare(part) for part in whole.answer]
    shown = dataclasses.replace(whole, answer=answer, sections=sections, links=(), glossary={})
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    panels = [panel for exhibit in shown.exhibits() for panel in exhibit.panels]
    for panel in panels:
        (figures / f"{section}-{panel.key}.svg").write_text(svg(panel.figure, panel.key), encoding="utf-8")
    text = markdown(shown)
    for panel in panels:
        text = text.replace(f"(figures/{panel.key}.svg)", f"(figures/{section}-{panel.key}.svg)")
    text = re.sub(r"\[([^\[\]]*)\]\(explore\.html[^)]*\)", r"\1", text)  # the page is beside the report only
    for words in (str, markdown_text):  # in a command, and escaped
        text = text.replace(words(str(folder)), words(f"results/{section}"))
    path = docs / f"{section}.md"
    path.write_text(f"{_head(section, results)}\n{text}", encoding="utf-8")
    return path


def _bare(part: Part) -> Part:
    """Return the part without its query and its numbers; the report has them."""
    if isinstance(part, Text):
        return part
    return dataclasses.replace(part, source="", **({"numbers": None} if isinstance(part, Exhibit) else {}))


def _without_images(part: Part) -> Part:
    """Return the bare part, or a sentence in its place where it shows images of the dataset."""
    if not isinstance(part, Exhibit) or not any(
        "<image" in svg(panel.figure, panel.key) for panel in part.panels
    ):
        return _bare(part)
    return Text([f"{part.title}: left out here, because it shows images of the dataset; the report has it."])


def _head(section: str, results: Results) -> str:
    """Write how the section came about: command, commit, versions, hardware, minutes."""
    made, minutes = results.meta, float(results.meta.get("seconds") or 0) / 60
    versions, machine = made.get("versions") or {}, made.get("hardware") or {}
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "ray", "optuna") if name in versions
    )
    gpus = ", ".join(machine.get("gpus") or []) or "no GPU"
    return (
        f"<!-- Written by `python -m benchmarks.results {section}`; do not edit. -->\n"
        f"`python -m benchmarks.results {section}`: {minutes:.0f} minutes, commit {made.get('commit')}, "
        f"{machine.get('cores')} cores of {machine.get('cpu')}, {gpus}; {libraries}.\n"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run a recipe and write its section of docs/results.md.")
    parser.add_argument("section", nargs="?", choices=SECTIONS, help="one of --list")
    parser.add_argument(
        "--list", action="store_true", help="print the sections and the commands that they run"
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the folders of results")
    parser.add_argument(
        "--written", action="store_true", help="do not run: write from the results that are there"
    )
    parser.add_argument("words", nargs="*", help="overrides of the command, such as training.epochs=2")
    options = parser.parse_args(arguments)
    if options.list or options.section is None:
        for name, words in SECTIONS.items():
            print(f"{name}: python {' '.join([*words, *ALONE.get(name, ())])}")
        return 0
    folder = options.out / options.section
    if not options.written:
        run(options.section, folder, options.words)
    print(write(options.section, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
