"""Zero-shot accuracy by template, the published figures, and the activation that is tried."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raysim.backbones import published, zeroshot
from raysim.backbones.published import PUBLISHED, published_accuracies
from raysim.backbones.registry import load_backbone
from raysim.backbones.zeroshot import ENSEMBLE, ZeroShotAccuracy
from raysim.core.errors import UserError
from raysim.data.registry import DATASETS
from raysim.data.scenes import SceneDataset


@pytest.fixture(scope="module")
def scenes() -> SceneDataset:
    return SceneDataset(per_cell=2)


def test_the_bundled_backbone_on_its_scenes(scenes: SceneDataset) -> None:
    backbone, indices = load_backbone(), zeroshot.sample(scenes, 120)
    steps: list[tuple[int, int]] = []
    result = zeroshot.zeroshot_accuracy(backbone, scenes, indices, lambda *step: steps.append(step))
    assert list(result.templates) == [*scenes.templates, ENSEMBLE] and steps[-1] == (120, 120)
    assert result.images == 120 and result.classes == 24 and result.published == {}
    assert all(value > 0.4 for value in result.templates.values()) and not result.by_chance
    # one template by hand
    images = torch.stack([backbone.preprocess(scenes.image(int(i))) for i in indices])
    text = backbone.clip.encode_text(
        backbone.tokenize([scenes.templates[0].format(c) for c in scenes.classes])
    )
    predicted = (backbone.encode_images(images) @ torch.nn.functional.normalize(text, dim=-1).T).argmax(1)
    right = (predicted.numpy() == scenes.labels[indices]).mean()
    assert result.templates[scenes.templates[0]] == pytest.approx(right, abs=1 / 119)


def test_random_weights_are_at_chance(scenes: SceneDataset) -> None:
    result = zeroshot.zeroshot_accuracy(load_backbone("tiny-vit/random"), scenes, zeroshot.sample(scenes, 96))
    assert result.by_chance and not result.below


def test_the_sample_is_fixed_and_of_all_classes(scenes: SceneDataset) -> None:
    chosen = zeroshot.sample(scenes, 200)
    assert len(np.unique(chosen)) == 200 and np.array_equal(chosen, zeroshot.sample(scenes, 200))
    assert set(scenes.labels[chosen]) == set(range(24))
    assert np.array_equal(zeroshot.sample(scenes, 10**6), np.arange(len(scenes)))


def accuracy(best: float, *known: float, images: int = 1000) -> ZeroShotAccuracy:
    return ZeroShotAccuracy(images, 45, {"t": best, "u": best / 2}, {str(i): v for i, v in enumerate(known)})


def test_below_is_below_the_lowest_published_figure_by_more_than_chance() -> None:
    assert not accuracy(0.1).below  # nothing to compare with
    assert not accuracy(0.5, 0.52, 0.7).below and not accuracy(0.9, 0.52).below
    assert accuracy(0.40, 0.52, 0.7).below and not accuracy(0.40, 0.42).below
    assert not accuracy(0.40, 0.52, images=50).below  # 14 % of sampling error
    assert accuracy(0.04).by_chance and not accuracy(0.05).by_chance


def test_the_other_activation_is_the_other_one(scenes: SceneDataset) -> None:
    plain, quick = (load_backbone(name) for name in ("tiny-vit/random", "tiny-vit-quickgelu/random"))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for backbone, other, name in ((plain, quick, "QuickGELU"), (quick, plain, "GELU")):
        changed, has = zeroshot.with_other_activation(backbone)  # type: ignore[misc]
        before = backbone.encode_images(images)
        assert has == name and torch.equal(changed.encode_images(images), other.encode_images(images))
        assert torch.equal(backbone.encode_images(images), before)  # the backbone itself is as it was


# ---- the table


def test_published_figures_are_of_known_backbones_and_datasets() -> None:
    import open_clip

    for study, name in published._ACCURACIES:
        values = published._ACCURACIES[study, name]
        assert len(values) == len(published._DATASETS[study]) and all(10 < value < 95 for value in values)
        architecture, _, tag = name.partition("/")
        assert name in PUBLISHED or tag in open_clip.list_pretrained_tags_by_model(architecture)
    assert set().union(*published._DATASETS.values()) <= set(DATASETS)


def test_figures_by_other_names_of_the_same_weights() -> None:
    expected = published_accuracies("ViT-B-32/openai", "aid")
    assert sorted(expected.values()) == [0.58, 0.664]
    assert published_accuracies("ViT-B-32-quickgelu/openai", "aid") == expected
    assert published_accuracies("hf-hub:openai/clip-vit-base-patch32@main", "aid") == expected
    assert published_accuracies("ViT-B-32", "aid") == published_accuracies("ViT-B-32/openai", "scenes") == {}
    assert len(published_accuracies("GeoRSCLIP-ViT-B-32", "resisc45")) == 3


def test_the_table_says_what_each_file_is() -> None:
    import open_clip

    for name, entry in PUBLISHED.items():
        assert entry.architecture in open_clip.list_models() and name.endswith(entry.architecture)
        assert entry.why and entry.licence and bool(entry.repo) != bool(entry.page)
        assert len(entry.sha256) in (0, 64) and bool(entry.repo) == bool(entry.file)
        assert entry.source.quick_gelu == entry.quick_gelu and entry.source.where.startswith("https://")


def test_a_downloaded_file_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "w.pt").write_bytes(b"something else")
    monkeypatch.setattr(published, "hub_file", lambda repo, file: tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt is not the published RemoteCLIP-RN50: its sha256 is"):
        load_backbone("RemoteCLIP-RN50")
    assert published.published_file("GeoRSCLIP-ViT-H-14") == tmp_path / "w.pt"  # no checksum was found
