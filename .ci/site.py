"""Hooks of mkdocs: pages of the site that come from the code, and links that lead out of `docs/`."""

from __future__ import annotations

import argparse
import inspect
import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# file of the project -> its page
TAKEN = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made here."""
    from mkdocs.structure.files import File

    pages = {page: rebased((ROOT / name).read_text(), name) for name, page in TAKEN.items()}
    pages |= {
        "glossary.md": glossary(),
        "reference/commands.md": commands(),
        "reference/settings.md": settings(),
        "reference/python.md": public_names(),
    }
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links that leave `docs/` to the page of their file; a source file is named without a link."""
    return markdown if page.file.generated_by else rebased(markdown, f"docs/{page.file.src_uri}")


def rebased(text: str, source: str) -> str:
    """Return the text of a file with its links as they are for its page.

    Args:
        text: Markdown.
        source: Its file, relative to the project.
    """
    here = posixpath.dirname(source)
    page = TAKEN.get(source) or posixpath.relpath(source, "docs")

    def lead(found: re.Match[str]) -> str:
        picture, words, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        file = posixpath.normpath(posixpath.join(here, target))
        inside = posixpath.relpath(file, "docs") if file.startswith("docs/") else TAKEN.get(file)
        if inside is None:
            return f"`{file}`" if words in (file, posixpath.basename(file)) else f"{words} (`{file}`)"
        return f"{picture}[{words}]({posixpath.relpath(inside, posixpath.dirname(page) or '.')}{anchor})"

    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(lead, part) for part in parts)


def glossary() -> str:
    """Return the words of a report and of a simulation."""
    from analysis.pages.shared import GLOSSARY

    simulation = {
        "client": "A holder of images that trains on them and never sends them.",
        "cohort": "The clients that take part in a round.",
        "micro-cohort": "A fixed number of clients whose tensors are stacked and trained together.",
        "shared": "Tensors that the server averages and sends out.",
        "private": "Tensors of a client that never leave it.",
        "run": "One simulated federation; equal experiments are the same run.",
        "trial": "A configuration under one scenario, run on a few seeds.",
        "sweep": "All trials of a study, with its report.",
        "space": "A file that declares a study: its base, scenarios, choices and rivals.",
        "recipe": "A space with a declared set of runs in place of a search.",
    }
    listed = "".join(f"**{word}**: {meaning}\n\n" for word, meaning in {**simulation, **GLOSSARY}.items())
    return f"# Glossary\n\nThe words of raysim's commands, files and reports.\n\n{listed}"


def commands() -> str:
    """Return the help of every command."""
    from raysim.cli.main import _overview, _parser
    from raysim.cli.options import COMMANDS

    os.environ["COLUMNS"] = "100"
    parts = [f"# Commands\n\n```text\n{_overview()}\n```\n"]
    for name, command in COMMANDS.items():
        parser: argparse.ArgumentParser = _parser(name, command)
        parts.append(f"## raysim {name}\n\n```text\n{parser.format_help().strip()}\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """Return every setting in tables, from the declarations that `raysim explain` reads."""
    from raysim.core.config import Config
    from raysim.experiment.records import REGISTRIES, Experiment

    records: dict[str, type[Config]] = {
        f"{block}={name}": registry[name] for block, registry in REGISTRIES.items() for name in registry
    }
    alone = []
    for name, info in Experiment.model_fields.items():
        if (
            isinstance(info.annotation, type)
            and issubclass(info.annotation, Config)
            and name not in REGISTRIES
        ):
            records[name] = info.annotation
        elif name not in REGISTRIES:
            alone.append(row(name, info))
    head = "| setting | default | allowed | what it is | default from |\n|---|---|---|---|---|\n"
    text = (
        "# Settings\n\nEvery setting is a path, such as `training.lr=0.05`. `raysim explain training.lr` "
        "says the same, and when a setting has an effect. Below, `lr` under training is `training.lr`.\n\n"
        f"## The run\n\n{head}{''.join(alone)}"
    )
    for title, cls in records.items():
        rows = "".join(row(name, info) for name, info in cls.model_fields.items())
        text += (
            f"\n## {title}\n\n{escaped(inspect.cleandoc(cls.__doc__ or ''))}\n\n{head + rows if rows else ''}"
        )
    return text


def row(name: str, info: Any) -> str:
    """Return the row of a setting."""
    from raysim.cli.explain import BASIS, _allowed, _as_typed

    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    source = "; ".join(filter(None, (BASIS.get(extra.get("basis", "")), extra.get("source"))))
    cells = (f"`{name}`", f"`{_as_typed(info.default)}`", _allowed(info), info.description or "", source)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def escaped(text: str) -> str:
    """Return a docstring whose brackets and stars Markdown leaves alone."""
    return re.sub(r"([\[\]*<>])", r"\\\1", text)


def public_names() -> str:
    """Return the reference of what `import raysim` offers."""
    import raysim

    things = {name: getattr(raysim, name) for name in raysim.__all__}
    classes = {
        name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)
    }
    rest = [name for name in things if name not in classes]
    text = "# Python\n\nWhat `import raysim` offers. "
    text += f"{', '.join(f'`{name}`' for name in rest)} are [registries](#registries): what is known by "
    text += "name, and `add`, which adds one of your own.\n"
    for thing in classes.values():
        text += f"\n::: {thing.__module__}.{thing.__qualname__}\n"
    return text + "\n## Registries\n\n::: raysim.core.registry.Registry\n"
