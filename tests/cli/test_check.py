"""`raysim new` and `raysim check`: written files keep the contract, and broken ones are found."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from raysim.cli import contracts, data_contracts
from raysim.cli.main import main
from raysim.cli.new import write_new
from raysim.clients.partition import SCENARIOS
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.methods import METHODS
from raysim.nn.convnets import NETWORKS
from tests.fakes.plugin import NETWORK, write_plugin, write_tiles

pytestmark = pytest.mark.usefixtures("no_plugin_stays")


@pytest.mark.parametrize("kind", ["method", "scenario", "space"])
def test_a_new_file_keeps_the_contract(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", kind, "my_own", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    path = tmp_path / "my_own.py"
    assert (
        f"raysim check {path}" in said and "CLASS" not in path.read_text() and "NAME" not in path.read_text()
    )
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "FAILS" not in said and said.count("  ok ") >= (1 if kind == "space" else 5)


def test_a_sweep_over_a_new_method_is_declared_in_a_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = write_new("method", "my_method", tmp_path)
    blocks = (Path(__file__).parents[2] / "docs/plugins.md").read_text().split("```python\n")
    study = next(block.split("```")[0] for block in blocks if '"method": "my_method"' in block)
    (tmp_path / "my_study.py").write_text(study)
    plugin = ["--plugin", str(method)]
    assert main(["sweep", str(tmp_path / "my_study.py"), *plugin, "--dry-run"]) == 0
    assert "my_study: method.decay in 0.001 | 0.01\n" in capsys.readouterr().out
    assert main(["sweep", "fedrsclip", "method=my_method", *plugin, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "This space studies fedrsclip; for method=my_method write one of its own: raysim new space" in said
    assert main(["explain", "my_method", *plugin]) == 0
    line = capsys.readouterr().out.splitlines()[-1].removesuffix(" says more about one of them.")
    assert main(line.split()[1:]) == 0 and "weight of the squared length" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "none.py: cannot be read: there is no such file" in capsys.readouterr().err


def test_a_new_dataset_keeps_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, tiles = write_new("dataset", "my_own", tmp_path), write_tiles(tmp_path / "tiles")
    assert main(["check", str(path)]) == 2
    assert "dataset 'my_own' needs its images: add --path DIR" in capsys.readouterr().err
    assert main(["check", str(path), "--path", str(tiles)]) == 0
    assert "FAILS" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("np.int64)  # [N]", "np.int32)  # [N]", "labels, classes and prompts"),
        ('"a satellite photo of a {}."', '"a satellite photo."', "labels, classes and prompts"),
        ("read_image(self.files[index])", "read_image(self.files[index])[..., 0]", "images are RGB"),
        ("read_image(self.files[index])", "np.random.randint(0, 9, (8, 8, 3), 'uint8')", "images are RGB"),
        ("total.hexdigest()", "os.urandom(8).hex()", "the fingerprint is"),
        ('glob("*_*.png")', 'glob("*_00[0-2].png")', "it can be split"),
    ],
)  # fmt: skip
def test_a_fault_of_a_dataset_is_found(old: str, new: str, check: str, tmp_path: Path) -> None:
    path, tiles = write_new("dataset", "faulty", tmp_path), write_tiles(tmp_path / "tiles")
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    plugins.load_plugin(path)
    found = [
        name for name, fault in contracts.results(data_contracts.of_dataset("faulty", str(tiles))) if fault
    ]
    assert any(name.startswith(check) for name in found)


def test_a_network_keeps_the_contract_or_its_fault_is_found(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "net", NETWORK)
    assert main(["check", str(path)]) == 0
    for old, new in (("(width, 2 * width), 4)", "(width, width), 4)"), ("2 * width), 4)", "2 * width), 8)")):
        plugins.load_plugin(write_plugin(tmp_path, "net", NETWORK.replace(old, new)))
        assert all(fault for _, fault in contracts.results(data_contracts.of_network("two_steps")))


@pytest.mark.parametrize("name", ["my-own", "1st", "class", "", "später", "_1", "_", "none", "true"])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="letters, digits and _"):
        write_new("method", name, tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("method", "fedavg", "there is a method of this name"),
        ("scenario", "dirichlet", "there is a scenario of this name"),
        ("figure", "cost", "there is a figure of this name"),
        ("figure", "figure", "the file needs another class Figure"),
    ],
)
def test_a_name_that_is_taken_is_refused(kind: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        write_new(kind, name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["MY_FILE", "TITLE_NAME_", "CLASS"])
def test_a_name_may_hold_a_word_that_is_replaced(name: str, tmp_path: Path) -> None:
    path = write_new("method", name, tmp_path)
    plugins.load_plugin(path)
    assert name in METHODS and f"raysim check {name}.py " in path.read_text()


def test_a_broken_package_does_not_hinder_the_check_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = EntryPoint("broken", "nowhere_to_be_found:Broken", NETWORKS.group)
    monkeypatch.setitem(NETWORKS._things, "broken", broken)
    with pytest.raises(UserError, match="cannot be imported"):
        NETWORKS["broken"]
    assert main(["check", str(write_plugin(tmp_path, "net", NETWORK))]) == 0
    assert "FAILS" not in capsys.readouterr().out


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n")
    with pytest.raises(UserError, match="is there already"):
        write_new("method", "mine", tmp_path)
    assert (tmp_path / "mine.py").read_text() == "x = 1\n"


ROW = 'params["bias"][:, None]\n        error_K'
SENT = """
    def finish(self, model, row, received, private, steps):
        from raysim.core.types import ClientResult

        return ClientResult({"weight": row["weight"], "bias": row["bias"]}, {}, {"bias": row["bias"]})
"""


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("error_K + self.decay", "error_K * torch.rand(1) + self.decay", "the same run gives the same bits"),
        ("error_K + self.decay", "error_K / 0 + self.decay", "two rounds give finite numbers"),
        (ROW, ROW.replace('bias"]', 'bias"].mean(0, keepdim=True)'), "clients trained together"),
        ("    def predict", SENT + "\n    def predict", "what is kept is not sent"),
        ('"weight of the squared length of the classifier in the loss"', '""', "its settings are described"),
    ],
)  # fmt: skip
def test_a_fault_of_a_method_is_found(
    old: str, new: str, check: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_new("method", "faulty", tmp_path)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace("@METHODS.add", "_calls = []\n\n\n@METHODS.add").replace(old, new))
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr()
    assert any(line.startswith(f"  FAILS {check}") for line in said.out.splitlines()), said.out
    assert "failed" in said.err


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        (
            "counts.block_table(totals_C, np.concatenate([[large], rest]), rng)",
            "np.zeros((self.clients, len(totals_C)), int)",
            "every image has at most one client",
        ),
        ("super().check(n_images, n_classes, n_domains)", "pass", "too many clients are refused"),
        ("round(self.share * images)", "round(np.random.random() * images)", "the same seed gives"),
    ],
)  # fmt: skip
def test_a_fault_of_a_scenario_is_found(old: str, new: str, check: str, tmp_path: Path) -> None:
    path = write_new("scenario", "faulty", tmp_path)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    plugins.load_plugin(path)
    found = [name for name, fault in contracts.results(contracts.of_scenario("faulty")) if fault]
    assert any(name.startswith(check) for name in found)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_built_in_scenarios_keep_the_contract(name: str) -> None:
    assert {fault for _, fault in contracts.results(contracts.of_scenario(name))} == {""}
