"""What a user does with a finished run: files and arrays, masks, prompts, exported files, and mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raysim.cli.main import main
from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.mask_files import read_mask
from raysim.data.registry import load_dataset
from raysim.data.views import resize
from raysim.methods import METHODS
from raysim.prediction.masks import mask_of
from raysim.prediction.model import open_model
from raysim.simulation.accuracy import intersection_union
from raysim.simulation.datasets import dataset_of
from raysim.simulation.rounds import Simulation
from tests.drawn_places import draw_masks
from tests.experiments import four_clients, small

Simulate = Callable[..., Simulation]
FEW = {"task__classes": 3, "scenario__clients": 3, "rounds": 1}
PLUGIN = """
from raysim import METHODS
from raysim.methods.prompts.promptfl import PromptFL

@METHODS.add
class Lent(PromptFL):
    name = "lent"
"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG of 40 x 56 pixels."""
    path = tmp_path / "tiles" / "a.png"
    path.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(path)
    return path


def test_a_file_and_its_array_agree_and_an_unreadable_one_is_named(
    simulate: Simulate, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = simulate(small(**FEW)).store.folder
    model = open_model(folder)
    damaged = picture.with_name("b.jpg")
    damaged.write_bytes(b"\xff\xd8\xff and no more")
    table = model.predict(picture.parent, top=3)
    assert table.column_names[:5] == ["file", "class", "probability", "class_2", "probability_2"]
    first, second = table.to_pylist()
    assert second["class"] is None and "damaged or truncated JPEG" in second["problem"]
    assert sum(first[name] for name in ("probability", "probability_2", "probability_3")) == pytest.approx(1)
    pixels = np.asarray(Image.open(picture))
    [line] = model.predict(pixels, top=3).to_pylist()
    assert line["class"] == first["class"]
    assert line["probability"] == pytest.approx(
        first["probability"], abs=1e-5
    )  # another batch rounds otherwise
    assert main(["predict", str(folder), str(picture.parent), "--json", "--client", "1", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["predictions"][0]["class"] in model.classes
    assert "1 of 2 images cannot be read" in err and "b.jpg" in err
    csv = picture.parent / "classes.csv"
    assert main(["predict", str(folder), str(picture), "--csv", str(csv)]) == 0
    assert csv.read_text().splitlines()[0] == '"file","class","probability","problem"'
    prompts, words = model.prompts(client=1), model.nearest_words(client=1, k=2)
    assert {name: len(prompt) for name, prompt in prompts.items()} == {"shared": 4, "private": 4}
    assert words.num_rows == 16 and words["distance"].to_numpy().min() >= 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{run}", "{tile}", "--client", "9"], "client = 9 is not allowed: it should be 0 to 2"),
        (["{run}", "{tile}", "--top", "4"], "top = 4 is not allowed: it should be 1 to 3"),
        (["{run}", "nowhere.png"], "no such file or folder: nowhere.png"),
        (["{run}", "{tile}", "--out", "masks"], "--out is not possible"),
        (["nowhere", "{tile}"], "nowhere: there is no such folder"),
        (["{tiles}", "{tile}"], "no run is here"),
    ],
)
def test_a_mistake_is_told_before_any_work(
    words: list[str], message: str, finished: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"run": finished, "tile": picture, "tiles": picture.parent}
    assert main(["predict", *(word.format(**places) for word in words)]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trains nothing."""
    from raysim.engines.serial import Serial
    from raysim.storage.store import Store

    folder, experiment = tmp_path_factory.mktemp("run"), small(method="zeroshot", **{**FEW, "rounds": 3})
    list(Simulation(experiment, Serial(), Store(folder, experiment)).open().rounds())
    return folder


def test_floats_are_refused_and_whole_numbers_read_as_in_a_file(finished: Path, tmp_path: Path) -> None:
    model = open_model(finished)
    with pytest.raises(UserError, match="does not say which values are black and white"):
        model.predict(np.zeros((1, 8, 8, 3), dtype=np.float32))
    values = np.random.default_rng(1).integers(0, 3000, (8, 8), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "gray.png")
    [from_file], [from_array] = (model.predict(one).to_pylist() for one in (tmp_path / "gray.png", values))
    assert from_file["probability"] == from_array["probability"]


def test_damage_is_named_and_an_older_run_is_mended(simulate: Simulate, picture: Path) -> None:
    simulation = simulate(small(**FEW))
    folder = simulation.store.folder
    card = json.loads((folder / "model.json").read_text())
    assert card["state_sha256"] == simulation.result()["state_sha256"]
    (folder / "model.json").unlink()
    with pytest.raises(UserError, match=r"made before models were saved; repeat .* --resume"):
        open_model(folder)
    simulate(simulation.experiment, folder=folder, resume=True)
    assert json.loads((folder / "model.json").read_text()) == card
    whole = (folder / "model.json").read_bytes()
    for text, why in [
        (b"5", "it is no JSON object"),
        (b'{"format": 1}', "files = None is not allowed"),
        (whole.replace(b'"fedrsclip"', b'"promptfl"'), "the digest in it differs"),
    ]:
        assert text != whole
        (folder / "model.json").write_bytes(text)
        with pytest.raises(UserError, match=rf"model.json is damaged .*{why}.*repeat .* --resume"):
            open_model(folder)
    (folder / "model.json").write_bytes(whole)
    [state] = (folder / "checkpoints").glob("*.safetensors")
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with pytest.raises(UserError, match=rf"damaged: .*{state.name} is not what the run wrote"):
        open_model(folder).predict(picture)


def test_checkpoints_of_another_run_are_no_saved_model(simulate: Simulate, picture: Path) -> None:
    folder, other = (simulate(small(**FEW, seed=seed)).store.folder for seed in (0, 1))
    (folder / "checkpoints/manifest.json").write_bytes((other / "checkpoints/manifest.json").read_bytes())
    for state in (other / "checkpoints").glob("*.safetensors"):
        if not (folder / "checkpoints" / state.name).exists():
            (folder / "checkpoints" / state.name).write_bytes(state.read_bytes())
    with pytest.raises(UserError, match=r"manifest\.json is damaged \(it is of run"):
        open_model(folder).predict(picture)


def test_the_networks_of_clients_that_a_sweep_removed(simulate: Simulate, picture: Path) -> None:
    simulation = simulate(four_clients("safe", task__classes=3, rounds=1, scenario__clients=3))
    simulation.store.drop_vault()
    model = open_model(simulation.store.folder)
    assert model.predict(picture).num_rows == 1
    with pytest.raises(UserError, match=r"client 0: its own network is not in .* repeat this configuration"):
        model.predict(picture, client=0)


def test_code_of_a_plugin_is_run_on_the_users_word_only(
    simulate: Simulate, picture: Path, tmp_path: Path
) -> None:
    source = tmp_path / "lent.py"
    source.write_text(PLUGIN)
    plugins.load_plugin(source)
    try:
        folder = simulate(small(method="lent", **FEW)).store.folder
        expected = open_model(folder).predict(picture)
    finally:
        plugins.unload(source)
    assert "lent" not in METHODS
    with pytest.raises(UserError, match=r"used the plug-in lent\.py.* look at .*add --plugin"):
        open_model(folder)
    copy = tmp_path / "copy.py"
    copy.write_text(PLUGIN)
    plugins.load_plugin(copy)
    try:
        assert open_model(folder).predict(picture).equals(expected)
    finally:
        plugins.unload(copy)


def test_the_masks_give_the_miou_of_the_run(simulate: Simulate, tmp_path: Path) -> None:
    draw_masks(tmp_path / "source", np.random.default_rng(0))
    changes = {
        "task__dataset": "image_masks",
        "task__path": str(tmp_path / "source"),
        "task__image_size": 128,  # of the images: in other sizes the run measures masks of that size
        "task__classes": None,
        "task__ses": None,
    }
    simulation = simulate(four_clients("fedavg", **{**changes, "rounds": 1, "task__shots": 4}))
    images, dataset = simulation.federation.images, dataset_of(simulation.experiment.task)
    indices, classes = images.indices("validation"), len(images.class_names)
    assert len(indices) == 8
    tiles = tmp_path / "seen" / "images"
    tiles.mkdir(parents=True)
    for index in indices:
        Image.fromarray(dataset.image(int(index))).save(tiles / f"{index:05d}.png")
    table = open_model(simulation.store.folder).predict(tiles, masks=tmp_path / "seen" / "masks")
    read = load_dataset("image_masks", str(tmp_path / "seen"))
    assert read.classes == images.class_names and not read.left_out
    predicted = np.stack([read.mask(place) for place in range(len(read))])
    assert (predicted == np.stack([read_mask(Path(path)) for path in table["mask"].to_pylist()])).all()
    true = np.stack([dataset.mask(int(index)) for index in indices])
    areas = intersection_union(predicted, true, np.zeros(len(indices), dtype=np.int64), 1, classes)[0]
    shown = areas[:, 1] > 0
    miou = float((areas[shown, 0] / areas[shown, 1]).mean())
    assert miou == pytest.approx(simulation.result()["acc_shared_global"], abs=1e-9)


def test_a_mask_lies_on_its_image() -> None:
    """A network that says 1 where red is strong; what it does not look at is 255."""
    image = np.zeros((30, 50, 3), dtype=np.uint8)
    image[:, 25:] = 255

    def bright(parts: object) -> np.ndarray:
        return np.stack([resize(part, 10)[:, :, 0] > 127 for part in parts.sources])  # type: ignore[attr-defined]

    whole, cut = mask_of(image, None, 10, bright), mask_of(image, 20, 10, bright)
    assert (whole[:, :9] == IGNORE).all() and (whole[:, 38:] == IGNORE).all()  # 3 of 17, 4 of 17
    assert (whole[:, 9:24] == 0).all() and (whole[:, 27:38] == 1).all()
    assert (cut[:, :24] == 0).all() and (cut[:, 27:] == 1).all()


@pytest.mark.parametrize("experiment", [small(**FEW), four_clients("safe", **FEW)], ids=["prompt", "network"])
def test_an_exported_model_gives_the_same_logits(
    simulate: Simulate, tmp_path: Path, experiment: object
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = open_model(simulate(experiment).store.folder)
    size = model.card["image_size"]
    x = np.random.default_rng(0).integers(0, 255, (3, size, size, 3), dtype=np.uint8)
    expected = model.predict(x, top=3)
    for form in ("torchscript", "onnx"):
        path = model.export(tmp_path / f"model.{form}", form)  # type: ignore[arg-type]
        if form == "onnx":
            logits = torch.tensor(onnxruntime.InferenceSession(path).run(None, {"images": x})[0])
        else:
            logits = torch.jit.load(path)(torch.tensor(x))
        chances, labels = logits.softmax(-1).max(-1)
        about = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert [about["classes"][label] for label in labels] == expected["class"].to_pylist()
        np.testing.assert_allclose(chances, expected["probability"].to_numpy(), atol=1e-4)


def test_transported_logits_are_not_exported(simulate: Simulate, tmp_path: Path) -> None:
    model = open_model(simulate(small(method__fusion="pair", **{**FEW, "rounds": 1})).store.folder)
    with pytest.raises(UserError, match="is not exported: its logits are no product"):
        model.export(tmp_path / "model.pt", client=0)
