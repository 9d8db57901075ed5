"""What clients meet that training did not prepare them for: wrong labels, clients that come later, classes that nobody trains on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from raysim.clients import noise
from raysim.clients.partition import SCENARIOS
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.core.types import EXTRAS, POOLED, MicroCohort
from raysim.data import load_dataset
from raysim.data.cache import resize
from raysim.engines.serial import Serial
from raysim.experiment import Experiment
from raysim.methods import METHODS
from raysim.methods.prompts.base import PromptMethod, PromptModel
from raysim.simulation.accuracy import base_to_novel, training_images
from raysim.simulation.federation import Federation
from raysim.simulation.images import held_out, images_of
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker, try_method
from tests.experiments import small, smallest

Run = Callable[..., Simulation]
NAMING = [name for name, cls in METHODS.items() if issubclass(cls, PromptMethod)]
COLOURS = {
    "brick": (200, 40, 40),
    "clay": (180, 50, 40),
    "dune": (150, 110, 40),
    "lake": (30, 40, 200),
    "sea": (30, 60, 160),
}
NEAREST = {"brick": "clay", "clay": "brick", "dune": "clay", "lake": "sea", "sea": "lake"}


def told(
    share: float, confused: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Labels of 400 images of 5 classes, the noisy ones, and clients of 1 to 160 images; 50 images belong to nobody."""
    labels = np.arange(400) % 5
    order = np.random.default_rng(3).permutation(400)
    shards = [np.sort(part) for part in np.split(order[:350], np.cumsum([1, 5, 10, 24, 150]))]
    return labels, noise.told(labels, shards, share, 5, confused, seed), shards


# label noise


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("confused", [None, np.array([1, 0, 1, 4, 3])])
def test_every_client_has_exactly_its_share_of_wrong_labels(
    share: float, confused: np.ndarray | None
) -> None:
    labels, noisy, shards = told(share, confused)
    for shard in shards:
        assert (noisy[shard] != labels[shard]).sum() == round(share * len(shard))
    nobody = np.setdiff1d(np.arange(400), np.concatenate(shards))
    assert len(nobody) == 50 and (noisy[nobody] == labels[nobody]).all() and set(noisy) <= set(range(5))
    if confused is not None:
        wrong = noisy != labels
        assert (noisy[wrong] == confused[labels[wrong]]).all()


def test_symmetric_noise_takes_every_other_class_alike() -> None:
    counts = np.zeros((5, 5))
    for seed in range(40):
        labels, noisy, shards = told(0.5, seed=seed)
        held = np.concatenate(shards)
        np.add.at(counts, (labels[held], noisy[held]), 1)
    wrong = counts[~np.eye(5, dtype=bool)].reshape(5, 4)
    assert (wrong / wrong.sum(axis=1, keepdims=True) == pytest.approx(0.25, abs=0.035)) and wrong.sum() > 6000


def test_noise_has_an_address_and_grows() -> None:
    labels, some, _ = told(0.2)
    _, more, _ = told(0.4)
    _, other, _ = told(0.2, seed=1)
    wrong = some != labels
    assert (more[wrong] != labels[wrong]).all() and (more != labels).sum() > wrong.sum()
    assert not np.array_equal(some, other) and np.array_equal(some, told(0.2)[1])


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """Class folders of eight images each, of one colour with some noise, so that the nearest class is known."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        folder = tmp_path / "coloured" / name
        folder.mkdir(parents=True)
        for index in range(8):
            picture = np.clip(np.array(colour) + rng.integers(-20, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{index}.png")
    return tmp_path / "coloured"


def test_pairs_are_the_nearest_classes(coloured: Path) -> None:
    experiment = small(
        task__dataset="folder",
        task__path=str(coloured),
        task__shots=None,
        scenario="even",
        scenario__clients=2,
        scenario__label_noise=0.5,
        scenario__noise_kind="pairs",
    )
    federation = Federation.of(experiment)
    names, labels = federation.images.class_names, federation.images.labels
    wrong = np.flatnonzero(federation.told != labels)
    assert len(wrong) == sum(round(0.5 * len(shard)) for shard in federation.shards) > 10
    assert {names[labels[image]]: names[federation.told[image]] for image in wrong} == NEAREST


def test_class_means_are_those_of_the_training_images_and_read_once(
    coloured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset("folder", str(coloured))
    train = np.flatnonzero(np.arange(len(dataset)) % 3 > 0)
    means = noise.class_means(dataset, train)
    for label in range(5):
        mine = [
            resize(dataset.image(int(index)), 8).ravel() for index in train if dataset.labels[index] == label
        ]
        np.testing.assert_allclose(means[label], np.mean(mine, axis=0), rtol=1e-12)
    monkeypatch.setattr(type(dataset), "image", lambda self, index: pytest.fail("read again"))
    assert np.array_equal(noise.class_means(dataset, train), means)


def test_a_class_without_images_is_nobodys_pair() -> None:
    means = np.array([[0.0, 0.0], [np.nan, np.nan], [9.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
    assert noise.most_confusable(means)[[0, 2, 3, 4]].tolist() == [3, 3, 4, 3]
    with pytest.raises(UserError, match="at least two classes with training images"):
        noise.most_confusable(means[:2])


def test_only_what_clients_train_with_is_noisy() -> None:
    clean, noisy = (
        Worker(Federation.of(small(task__ses=2, scenario__label_noise=share))) for share in (0.0, 0.4)
    )
    federation = noisy.federation
    assert federation.noisy is not None and clean.federation.noisy is None
    for name in ("labels", "parts"):
        assert np.array_equal(getattr(federation.images, name), getattr(clean.images, name))
    for mine, theirs in zip(federation.shards, clean.federation.shards, strict=True):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(federation.frequencies, clean.federation.frequencies)
    assert np.array_equal(noisy.initial().totals, clean.initial().totals)
    assert np.array_equal(training_images(federation), training_images(clean.federation))
    assert torch.equal(noisy._samples().y, clean._samples().y) and noisy._samples().y.shape == (1, 48)
    for split in ("validation", "test"):
        assert torch.equal(held_out(noisy.experiment, split)[1], held_out(clean.experiment, split)[1])
    shard = federation.shards[1]
    everything = np.stack([shard, np.zeros_like(shard)], axis=1)
    assert (
        noisy._batch([everything]).y[0].numpy() != clean._batch([everything]).y[0].numpy()
    ).sum() == round(0.4 * len(shard))
    assert (noisy._batch([everything]).y[0].numpy() == federation.told[shard]).all()


def test_noise_is_on_record(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(rounds=1, scenario__label_noise=0.25), folder=tmp_path / "run")
    described = json.loads((tmp_path / "run/run.json").read_text())
    shards = simulation.federation.shards
    expected = sum(round(0.25 * len(shard)) for shard in shards) / sum(map(len, shards))
    assert described["heterogeneity"]["achieved"]["label_noise"] == pytest.approx(expected)
    assert described["scenario_label"] == "dirichlet alpha=0.3, 25 % noisy labels"
    rows = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    assert np.mean([row["label"] != row["told"] for row in rows]) == pytest.approx(expected)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_its_noise(name: str) -> None:
    plain = SCENARIOS[name]().label
    assert SCENARIOS[name](label_noise=0.2, noise_kind="pairs").label == f"{plain}, 20 % noisy pairs"
    assert SCENARIOS[name](noise_kind="pairs").label == plain


# newcomers


def test_newcomers_are_a_seeded_share() -> None:
    counts = {
        share: Federation.of(small(evaluation__newcomers=share)).newcomers.tolist()
        for share in (0.0, 0.01, 0.4, 0.6, 0.9)
    }
    assert [len(found) for found in counts.values()] == [
        0,
        1,
        2,
        3,
        4,
    ]  # of five clients: above 0 at least one, and one is left
    assert set(counts[0.4]) < set(counts[0.6]) and counts[0.6] == sorted(counts[0.6])
    others = [
        Federation.of(small(seed=seed, evaluation__newcomers=0.4)).newcomers.tolist() for seed in range(1, 6)
    ]
    assert any(found != counts[0.4] for found in others)
    federation = Federation.of(small(evaluation__newcomers=0.4))
    assert sorted([*federation.trainers, *federation.newcomers]) == [0, 1, 2, 3, 4]
    pooled = federation.shard(POOLED)
    assert not set(pooled) & {image for client in federation.newcomers for image in federation.shards[client]}
    assert (
        len(pooled)
        == sum(len(federation.shards[client]) for client in federation.trainers)
        == training_images(federation).sum()
    )


class Watching(Serial):
    """Remembers who was trained, and who was evaluated with what of its own."""

    def __init__(self) -> None:
        self.trained: set[int] = set()
        self.fresh: list[int] = []

    def train(self, experiment: str, state: Any, cohorts: Any) -> Any:
        self.trained |= {client for cohort in cohorts for client in cohort.clients}
        return super().train(experiment, state, cohorts)

    def evaluate(self, experiment: str, state: Any, cohorts: Any, split: Any) -> Any:
        self.fresh = [
            c
            for cohort in cohorts
            for c, private in zip(cohort.clients, cohort.private, strict=True)
            if private is None
        ]
        return super().evaluate(experiment, state, cohorts, split)


@pytest.mark.parametrize(
    "name", ["fedrsclip", "promptfl_ft", "local", "centralized", "fedavg", "safe", "fedcac"]
)
def test_newcomers_are_measured_and_never_train(name: str, simulate: Run, tmp_path: Path) -> None:
    engine = Watching()
    simulation = simulate(
        smallest(name, rounds=2, evaluation__newcomers=0.4), engine=engine, folder=tmp_path / "run"
    )
    newcomers = set(simulation.federation.newcomers.tolist())
    assert engine.trained == ({POOLED} if name == "centralized" else {0, 1, 2, 3, 4} - newcomers)
    assert not newcomers & set(simulation.privates)
    if simulation.privates:  # else nobody keeps anything between rounds
        assert set(engine.fresh) == newcomers
    rounds = ds.dataset(tmp_path / "run/tables/rounds").to_table().sort_by("round").to_pylist()
    shared, mine = ([row[f"acc_{scope}_newcomers"] for row in rounds] for scope in ("shared", "personal"))
    assert [value is None for value in mine] == [False, True, False]
    assert [value is None for value in shared] == ([True] * 3 if name == "local" else [False, True, False])
    if name in ("centralized", "fedavg"):  # nobody has anything of its own
        assert shared == mine
    if name == "promptfl_ft":  # newcomers tune before use, like the others
        assert shared[-1] != mine[-1]
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    assert {row["client"] for row in clients} == {0, 1, 2, 3, 4} - newcomers
    last = [row for row in clients if row["round"] == 2]
    assert rounds[-1]["worst_client_accuracy"] == min(row["acc_personal_own"] for row in last)
    assert json.loads((tmp_path / "run/run.json").read_text())["result"]["acc_personal_newcomers"] == mine[-1]


@pytest.mark.parametrize("name", ["fedrsclip", "fedavg"])
def test_newcomers_change_nothing_but_their_absence(
    name: str, simulate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cohorts without newcomers give the same bits, and the same accuracies of those who train."""
    apart = simulate(smallest(name, rounds=2, evaluation__newcomers=0.4))
    monkeypatch.setattr(Simulation, "_cohort", lambda self, round_: apart.federation.trainers.tolist())
    plain = simulate(smallest(name, rounds=2))
    assert apart.result()["state_sha256"] == plain.result()["state_sha256"]
    measured = [{row["client"]: row for row in run._measure("validation").clients} for run in (apart, plain)]
    for client in apart.federation.trainers.tolist():
        assert measured[0][client] == measured[1][client]
    news = [measured[1][client]["acc_personal_own"] for client in apart.federation.newcomers.tolist()]
    assert apart.result()["acc_personal_newcomers"] == pytest.approx(np.mean(news))


def test_cohorts_of_all_are_drawn_as_ever(simulate: Run) -> None:
    """Without newcomers the draw is the one of a count of clients."""
    simulation = simulate(small(participation=0.6, rounds=1, evaluation__clients=3))
    drawn = [numpy_rng(0, "cohort", round_).choice(5, 3, replace=False) for round_ in range(5)]
    assert [simulation._cohort(round_) for round_ in range(5)] == [sorted(found.tolist()) for found in drawn]
    sample = np.sort(numpy_rng(0, "evaluation").choice(5, 3, replace=False))
    assert np.array_equal(simulation._sample(simulation.federation.trainers), sample)
    assert all(simulation.result()[name] is None for name in EXTRAS) and not set(EXTRAS) & set(
        simulation.store.rounds()[0]
    )


# base to novel


@pytest.mark.parametrize(
    ("base", "novel", "harmonic"),
    [
        (69.34, 74.22, 71.70),
        (82.69, 63.22, 71.66),
        (80.47, 71.69, 75.83),
        (56.48, 64.05, 60.03),
        (92.19, 54.74, 68.69),
        (87.49, 60.04, 71.21),
    ],
)
def test_the_harmonic_mean_is_that_of_the_paper(base: float, novel: float, harmonic: float) -> None:
    """CLIP, CoOp and CoCoOp in CoCoOp's Table 1: the mean of 11 datasets, and EuroSAT."""
    found = base_to_novel(base / 100, novel / 100)
    assert round(100 * found["acc_harmonic"], 2) == harmonic


def test_the_harmonic_mean_of_nothing() -> None:
    assert base_to_novel(0.0, 0.0)["acc_harmonic"] == 0.0 and base_to_novel(0.5, None)["acc_harmonic"] is None
    assert base_to_novel(0.5, 0.0) == {"acc_base": 0.5, "acc_novel": 0.0, "acc_harmonic": 0.0}


def test_novel_classes_are_nowhere_in_training() -> None:
    experiment = small(task__novel=8, task__ses=2, scenario="even")
    federation, whole = Federation.of(experiment), images_of(small().task)
    base, novel = federation.images, images_of(experiment.task, novel=True)
    assert (
        sorted(base.class_names + novel.class_names) == sorted(whole.class_names)
        and len(novel.class_names) == 8
    )
    names = np.array(whole.class_names)[whole.labels]
    for images in (base, novel):
        known = images.labels >= 0
        assert (np.array(images.class_names)[images.labels[known]] == names[known]).all() and set(
            names[known]
        ) == set(images.class_names)
    held = np.concatenate([*federation.shards, federation.samples])
    assert not set(names[held]) & set(novel.class_names) and len(set(names[held])) == 16
    assert not (novel.parts == 0).any() and (base.parts[novel.labels >= 0] == -1).all()
    for part in (1, 2):  # every held-out image is either's
        assert ((base.parts == part) ^ (novel.parts == part))[whole.parts == part].all()
    fewer = images_of(small(task__novel=4).task, novel=True)
    other = images_of(small(task__novel=8, task__split_seed=1).task, novel=True)
    assert set(fewer.class_names) < set(novel.class_names) != set(other.class_names)


def test_novel_names_never_reach_what_trains(simulate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, set[str]] = {"loss": set(), "receive": set(), "predict": set()}
    for name, found in seen.items():
        plain = getattr(METHODS["fedpgp"], name)

        def spy(
            self: Any, model: PromptModel, *rest: Any, _plain: Any = plain, _found: set[str] = found
        ) -> Any:
            _found |= set(model.context.classes)
            assert len(model.class_tokens) == len(model.zero_shot) == len(model.context.classes)
            return _plain(self, model, *rest)

        monkeypatch.setattr(METHODS["fedpgp"], name, spy)
    experiment = small(method="fedpgp", rounds=1, task__novel=8)
    simulate(experiment)
    base, novel = (set(images_of(experiment.task, novel=which).class_names) for which in (False, True))
    assert seen["loss"] == seen["receive"] == base and seen["predict"] == base | novel


@pytest.mark.parametrize("name", NAMING)
def test_base_and_novel_images_are_told_apart_among_their_own_names(
    name: str, simulate: Run, tmp_path: Path
) -> None:
    """The reference knows all names at once; what it says of each group of classes alone must agree."""
    experiment = small(method=name, rounds=1, task__classes=6, task__novel=2)
    simulation = simulate(experiment, folder=tmp_path / "run")
    result = simulation.result()
    if name == "local":
        assert [result[f"acc_{part}"] for part in ("base", "novel", "harmonic")] == [None] * 3
        return
    worker = Worker(Federation.of(experiment))
    groups = [images_of(experiment.task, novel=which) for which in (False, True)]
    everything = worker.method.build(
        type(worker.frozen.context)(
            groups[0].class_names + groups[1].class_names,
            *(
                getattr(worker.frozen.context, field)
                for field in (
                    "templates",
                    "backbone",
                    "image_size",
                    "device",
                    "kind",
                )
            ),
        )
    )
    params = {key: tensor[None] for key, tensor in simulation.state.shared.items()}
    found = []
    for images, columns in zip(groups, (slice(0, 4), slice(4, 6)), strict=True):
        where = images.where("validation")
        with torch.no_grad():
            logits = worker.method.predict(
                everything, params, torch.from_numpy(np.array(worker.frozen.x[where, 0])), "shared"
            )
        found.append((logits[0][:, columns].argmax(1).numpy() == images.labels[where]).mean())
    assert [result["acc_base"], result["acc_novel"]] == pytest.approx(found)
    assert result["acc_base"] == pytest.approx(result["acc_shared_global"])
    assert result["acc_harmonic"] == pytest.approx(2 / sum(1 / value for value in found))
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert tuple(described["class_names"] + described["novel_class_names"]) == everything.context.classes
    assert {
        row["class_name"] for row in ds.dataset(tmp_path / "run/tables/classes").to_table().to_pylist()
    } == set(groups[0].class_names)


def test_zero_shot_of_novel_classes_is_open_clips() -> None:
    experiment = small(method="zeroshot", task__novel=8)
    worker = Worker(Federation.of(experiment))
    score = worker.evaluate(worker.initial().state, MicroCohort(-1, (), ()), "test")
    novel, context = images_of(experiment.task, novel=True), worker.frozen.context
    before = context.templates[0].split("{")[0].strip()
    with torch.no_grad():
        text = context.backbone.clip.encode_text(
            context.backbone.tokenize([f"{before} {name}." for name in novel.class_names]), normalize=True
        )
    x = torch.from_numpy(np.array(worker.frozen.x[novel.where("test"), 0]))
    right = ((x @ text.T).argmax(1).numpy() == novel.labels[novel.where("test")]).mean()
    assert (
        score is not None and score.novel == pytest.approx(right) and len(x) == (novel.parts == 2).sum() > 500
    )


def test_the_image_tower_names_novel_classes(simulate: Run) -> None:
    result = simulate(
        small(
            method="fedavg",
            method__network="image_tower",
            rounds=1,
            task__classes=6,
            task__novel=3,
            task__shots=2,
        )
    ).result()
    assert 0 < result["acc_novel"] <= 1 and result["acc_base"] == pytest.approx(result["acc_shared_global"])


# all together, and what is refused


def test_a_trial_has_them_as_lists(tmp_path: Path) -> None:
    from raysim.search.trial import SeedGroup
    from raysim.storage.trials import TRIAL_COLUMNS

    asked = {"rounds": 1, "task__novel": 8, "evaluation__newcomers": 0.4, "scenario__label_noise": 0.2}
    group = SeedGroup([small(seed=seed, **asked) for seed in range(2)], tmp_path, Serial(), {}, test=True)  # type: ignore[arg-type]
    state, _ = group.advance()
    row = group.numbers(state)
    group.close()
    for name in EXTRAS:
        for column in (name, f"test_{name}"):
            assert (
                column in TRIAL_COLUMNS
                and len(row[column]) == 2
                and all(0 < value <= 1 for value in row[column])
            )


def refused(**changes: Any) -> Experiment:
    """Checked as far as `raysim run` does before work."""
    experiment = small(**changes)
    Federation.of(experiment)
    try_method(experiment)
    return experiment


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(NAMING)))
def test_a_trained_head_cannot_name_unseen_classes(name: str) -> None:
    with pytest.raises(
        UserError,
        match=f"task.novel = 2 is not allowed: '{name}' trains a head .* methods that can: fedrsclip, "
        "promptfl",
    ):
        smallest(name, task__novel=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task__novel": 1}, "novel = 1 is not allowed: a single name is always right"),
        ({"task__novel": 23}, r"task\.novel = 23 is not allowed: .* of the 24 classes .* at most 22"),
        ({"task__novel": 5, "task__classes": 6}, "novel = 5 is not allowed: at least 2 of the 6 classes"),
        ({"scenario__label_noise": 1.0}, r"scenario\.label_noise = 1\.0 is not allowed"),
        ({"scenario__noise_kind": "pair"}, r"scenario\.noise_kind = 'pair' is not allowed"),
        ({"evaluation__newcomers": 0.95}, r"evaluation\.newcomers = 0\.95 is not allowed"),
        (
            {"evaluation__newcomers": 0.2, "scenario__clients": 1},
            r"evaluation\.newcomers = 0\.2 is not allowed with a single client",
        ),
        (
            {"method": "safe", "task__dataset": "scene_masks", "scenario__label_noise": 0.2},
            r"scenario\.label_noise = 0\.2 .* masks",
        ),
        (
            {"method": "safe", "task__dataset": "scene_masks", "task__novel": 2},
            "novel = 2 is not allowed: 'scene_masks' classifies pixels",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        refused(**changes)
