"""What the documents name must exist: files, links, modules, names, commands, options, spaces and settings.

Nothing is run: names are imported, commands are parsed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from raysim import BACKBONES, REPORT_FIGURES
from raysim.cli.main import _parser
from raysim.cli.new import write_new
from raysim.cli.options import COMMANDS
from raysim.core import plugins
from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.data.registry import DATASETS
from raysim.experiment.overrides import override, paths
from raysim.experiment.records import REGISTRIES, Experiment, to_dict
from raysim.nn.convnets import NETWORKS
from raysim.search.spaces.files import load_space

ROOT = Path(__file__).parents[1]
FOLDERS = ("raysim", "analysis", "search_spaces", "benchmarks", "tests", "docs", "notebooks", ".ci")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))])
GROUPS = ("task", "method", "scenario", "training", "evaluation", "faults", "server", "resources")

# kind -> the file of this kind that a user writes, in the documents `my_KIND.py`
OWN: dict[str, Path] = {kind: Path() for kind in ("method", "scenario", "dataset", "space")}
ENTRY_POINTS = {
    registry.group for registry in (*REGISTRIES.values(), DATASETS, NETWORKS, BACKBONES, REPORT_FIGURES)
}  # groups by which packages add
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
NAME = re.compile(r"(?<![\w./-])(?:raysim|analysis|benchmarks|search_spaces)(?:\.[A-Za-z_]\w*)+(?!\w*/)")
SOURCE_FILE = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*\.(?:py|svg|png|yaml|toml|txt|safetensors)")
READERS = ("classes.txt", "script.py")  # files of a reader, or that a command writes
SHELL = ("", "sh", "bash")  # languages of blocks with commands
LOOP = re.compile(r"^for (\w+) in (\S+)[^;]*; do (.*); done$")
PLACEHOLDER = re.compile(r"\.\.\.|[A-Z]+")
COMMAND = re.compile(r"(?<![\w./'\[=-])(?:raysim(?= )|python3? -m [\w.]+)")
SETTING = re.compile(rf"(?:{'|'.join(GROUPS)})\.\w+(?==|$)")


def code(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The code spans of a document, and its blocks with their languages."""
    return SPAN.findall(FENCE.sub("", text)), FENCE.findall(text)


@pytest.fixture(scope="module", autouse=True)
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The files that the documents call `my_method.py` and so on, as `raysim new` writes them."""
    folder = tmp_path_factory.mktemp("own")
    for kind in OWN:
        OWN[kind] = write_new(kind, f"my_{kind}", folder)
    before = os.environ.get(plugins.VARIABLE, "")
    loaded = [OWN[kind] for kind in ("method", "scenario", "dataset")]
    for path in loaded:
        plugins.load_plugin(path)
    yield
    for path in loaded:
        plugins.unload(path)
    os.environ[plugins.VARIABLE] = before


def is_own(word: str) -> bool:
    """Whether a word is `my_method.py` or another file that a user writes."""
    return word.removesuffix(".py").removeprefix("my_") in OWN


@cache
def files() -> frozenset[str]:
    """Files and folders of the repository, relative to its root; folders end with a slash."""
    found = {path.name for path in ROOT.iterdir() if path.is_file()}
    for name in FOLDERS:
        for path in [ROOT / name, *(ROOT / name).rglob("*")]:
            if "__pycache__" not in path.parts:
                found.add(path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else ""))
    return frozenset(found)


def missing_files(text: str) -> Iterator[str]:
    """Paths that are neither a path in the repository nor the ending of one, such as `prompts/fedotp.py`."""
    spans, blocks = code(text)
    for word in " ".join([*spans, *(block for _, block in blocks)]).split():
        word = word.strip(",;:()'\"")
        inside = word.split("/")[0] in FOLDERS and "/" in word
        if not (inside or SOURCE_FILE.fullmatch(word)) or set("{}<>=$~") & set(word):
            continue
        if (
            word.startswith("/")
            or word.removesuffix(".py").removeprefix("my_") in OWN
            or any(PLACEHOLDER.fullmatch(part) for part in word.split("/"))
            or word in READERS
        ):
            continue
        parts = "/".join(re.escape(part).replace(r"\*", "[^/]*") for part in word.rstrip("/").split("/"))
        pattern = re.compile(rf"(?:^|.*/){parts}/?" if not inside else rf"{parts}/?")
        if not any(pattern.fullmatch(path) for path in files()):
            yield f"no such file: {word}"


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_links(text: str, folder: Path) -> Iterator[str]:
    """Links to files that do not exist, and to headings that do not exist in them."""
    for target in LINK.findall(FENCE.sub("", text)):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        if name and not (folder / name).exists():
            yield f"no such file: {target}"
        elif anchor:
            page = FENCE.sub("", (folder / name).read_text() if name else text)
            if anchor not in {slug(heading) for heading in HEADING.findall(page)}:
                yield f"no such heading: {target}"


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        try:
            if importlib.util.find_spec(".".join(parts[:size])) is None:
                continue
        except ModuleNotFoundError:  # the name before it is no package
            continue
        value = importlib.import_module(".".join(parts[:size])) if parts[size:] else None
        for part in parts[size:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def missing_names(text: str) -> Iterator[str]:
    spans, blocks = code(text)
    for name in NAME.findall("\n".join([*spans, *(block for _, block in blocks)])):
        if name not in ENTRY_POINTS and not exists(name) and not SOURCE_FILE.fullmatch(name):
            yield f"no such name: {name}"


def one_turn(loop: re.Match[str]) -> str:
    """The command of a loop of the shell with the first of its values."""
    return loop[3].replace(f"${loop[1]}", loop[2])


def commands(text: str) -> Iterator[tuple[list[str], bool]]:
    """The words of every command, and whether it is complete: a code span may name a part of a command."""
    spans, blocks = code(text)
    shell = [block.replace("\\\n", " ") for language, block in blocks if language in SHELL]
    lines = [LOOP.sub(one_turn, line) for block in shell for line in block.splitlines()]
    for line, complete in [*((span, "=" in span) for span in spans), *((line, True) for line in lines)]:
        for part in re.split(r"\s{3,}(?=raysim |python)", line):
            if start := COMMAND.search(part):
                words = shlex.split(part[start.start() :].replace("...", ""), comments=True)
                yield [word if "=" in word else word.strip("[]").split("|")[0] for word in words], complete


class Built(Exception):
    """Raised where a program would parse its options."""


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that the `main` of a module builds."""
    built = []

    def parse_args(parser: argparse.ArgumentParser, arguments: object = None) -> None:
        built.append(parser)
        raise Built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(Built):
            importlib.import_module(module).main()
    return built[0]


def wrong_commands(text: str) -> Iterator[str]:
    for words, complete in commands(text):
        try:
            check_command(words, complete)
        except (UserError, SystemExit, argparse.ArgumentError) as error:
            yield f"{shlex.join(words)}: {error}"


def check_command(words: list[str], complete: bool) -> None:
    """Raise where a command is wrong: the module, the command, an option, a space or a setting."""
    if words[0].startswith("python"):
        module, words = words[2], words[3:]
        if module not in ("raysim", "raysim.sweep"):
            if not exists(module):
                raise UserError("no such module")
            if module.startswith(("raysim", "benchmarks")):
                parser_of(module).parse_args(words)
            return
        words = ["raysim", *(["sweep"] if module == "raysim.sweep" else []), *words]
    if len(words) < 2 or words[1].startswith("-") or PLACEHOLDER.fullmatch(words[1]):
        return
    if words[1] not in COMMANDS:
        raise UserError(f"unknown command {words[1]}")
    if words[1] == "check" and len(words) > 2:
        assert is_own(words[2]), words
    parser = _parser(words[1], COMMANDS[words[1]])
    if not complete:
        known = {option for action in parser._actions for option in action.option_strings}
        if unknown := {word.partition("=")[0] for word in words[2:] if word.startswith("--")} - known:
            raise UserError(f"unknown options {unknown}")
        return
    arguments = parser.parse_intermixed_args(words[2:])
    named = [
        word
        for word in getattr(arguments, "words", [])
        if not PLACEHOLDER.fullmatch(word.removesuffix("/config.json"))
    ]
    changes = dict(parse_assignment(word) for word in named if "=" in word)
    for space in [word for word in named if "=" not in word] or ["fedrsclip"]:
        space = str(OWN["space"]) if space == "my_space.py" else space
        load_space(space, changes, base_only=words[1] in ("run", "plan"))


@cache
def settings() -> frozenset[str]:
    """The paths of all experiments, of every method and scenario."""
    found = set(paths(to_dict(Experiment())))
    for block, registry in REGISTRIES.items():
        for name in registry:
            found |= {block, *paths(to_dict(override(Experiment(), {block: name})))}
    return frozenset(found)


def unknown_settings(text: str) -> Iterator[str]:
    for span in code(text)[0]:
        if (start := SETTING.match(span)) and start[0] not in settings():
            yield f"no such setting: {span}"


def problems(text: str, folder: Path = ROOT) -> list[str]:
    return [
        *missing_files(text),
        *broken_links(text, folder),
        *missing_names(text),
        *wrong_commands(text),
        *unknown_settings(text),
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_names_exists(path: Path) -> None:
    assert problems(path.read_text(), path.parent) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("`raysim/nn/flops.py`", "`raysim/flops.py`"),
        ("`prompts/fedotp.py`", "`prompts/fedtop.py`"),
        ("`raysim/stress/`", "`raysim/strain/`"),
        ("`search_spaces/safe_*.py`", "`search_spaces/sage_*.py`"),
        ("[tables](docs/tables.md)", "[tables](docs/table.md)"),
        ("# A b: `c`\n[x](#a-b-c)", "# A b: `c`\n[x](#a-b)"),
        ("`raysim.nn.flops.count_flops`", "`raysim.nn.flops.flop_count`"),
        ("`raysim.search.spaces.discovery.discover`", "`raysim.designs.discover`"),
        ("```python\nfrom raysim.nn import flops\n```", "```python\nfrom raysim.flops import flops\n```"),
        ("`python -m benchmarks.memory --rounds 5`", "`python -m benchmarks.memory --round-count 5`"),
        ("`python -m raysim.backbones.evaluate`", "`python -m raysim.evaluate`"),
        ("```\npython -m raysim.sweep safe_cro --seeds 5\n```", "```\npython -m raysim.sweep safe_crow\n```"),
        ("`raysim run --json`", "`raysim run --jason`"),
        ("`raysim doctor`", "`raysim nurse`"),
        (
            "```\nraysim data list          raysim doctor\n```",
            "```\nraysim data list          raysim nurse\n```",
        ),
        ("```\nraysim export DIR --to csv\n```", "```\nraysim export DIR --to xls\n```"),
        ("`raysim run method=fedotp`", "`raysim run method=fedtop`"),
        (
            "```\nraysim run task.shots=4 \\\n  rounds=2\n```",
            "```\nraysim run task.shots=4 \\\n  round=2\n```",
        ),
        ("`faults.dropout=0.1`", "`faults.drop=0.1`"),
        ("`method.gate_rate`", "`method.gate_speed`"),
    ],
)
def test_the_checks_can_fail(right: str, wrong: str) -> None:
    assert problems(right) == []
    assert problems(wrong) != []


def test_every_document_is_on_the_site() -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f" {path.name}\n" not in listed] == []
