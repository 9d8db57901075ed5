"""The bundled backbone: it loads, notices damage, and does what its card says on scenes that it never saw."""

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg

from raysim.backbones import bundled, pretrain, registry
from raysim.backbones.registry import load_backbone
from raysim.core.errors import UserError
from raysim.data.scenes import VERSION, SceneDataset
from raysim.nn.text import TextTower


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, dict[str, Any]]:
    return bundled.load()


def test_loads_frozen(loaded: tuple[Any, dict[str, Any]]) -> None:
    clip, card = loaded
    assert not clip.training
    assert all(weight.dtype == torch.float32 and not weight.requires_grad for weight in clip.parameters())
    assert card["preprocessing"]["size"] == 64 and len(card["sha256"]) == 64
    assert clip.token_embedding.weight.shape == (49408, 64)
    assert (bundled.FOLDER / bundled.WEIGHTS).stat().st_size < 6e6


def test_unseen_tokens_differ_and_are_the_same_every_time(loaded: tuple[Any, dict[str, Any]]) -> None:
    clip, card = loaded
    unseen = sorted(set(range(2000)) - card["seen_tokens"])
    rows = clip.token_embedding.weight[unseen]
    assert torch.equal(rows, bundled.load()[0].token_embedding.weight[unseen])
    assert len(torch.unique(rows, dim=0)) == len(unseen)
    assert rows.std() == pytest.approx(0.02, rel=0.02)


def test_its_words_are_the_scenes_words() -> None:
    backbone, scenes = load_backbone(), SceneDataset(1)
    texts = [template.format(name) for template in scenes.templates for name in scenes.classes]
    assert backbone.unseen_words([*texts, "satellite image seen from", *scenes.domains]) == []
    assert backbone.unseen_words(["a photo of a volcano"]) == ["volcano"]


def test_prompts_are_trained_without_open_clip() -> None:
    """Its import takes two seconds of every process; the tower and the fingerprint are the whole model's."""
    whole, loaded = bundled.load()[0], load_backbone()
    settings = loaded.preprocessing
    words = loaded.tokenize(["a river.", "a tennis court."])
    plain = TextTower.from_clip(whole)
    assert loaded.fingerprint == registry._fingerprint(
        whole.state_dict(), "scenes-clip", loaded.preprocessing
    )
    assert vars(PreprocessCfg(**settings)) == settings
    prompts = torch.randn(2, 4, plain.width, generator=torch.Generator().manual_seed(0))
    one, two = (
        tower.encode(prompts, tower.prepare(tower.strip(words), 4)) for tower in (plain, loaded.tower)
    )
    assert torch.equal(one, two)
    assert torch.equal(words, open_clip.SimpleTokenizer()(["a river.", "a tennis court."]))


def test_damage_is_noticed(tmp_path: Path) -> None:
    for name in (bundled.WEIGHTS, bundled.CARD):
        shutil.copy(bundled.FOLDER / name, tmp_path / name)
    bundled.load(tmp_path)
    file = tmp_path / bundled.WEIGHTS
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{bundled.WEIGHTS} is damaged"):
        bundled.load(tmp_path)
    (tmp_path / bundled.CARD).write_text('{"sha256": ')
    with pytest.raises(UserError, match=f"{bundled.CARD} is damaged"):
        bundled.load(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=f"{bundled.WEIGHTS} is missing"):
        bundled.load(tmp_path)


def test_zero_shot_is_in_the_cards_band() -> None:
    backbone, scenes = load_backbone(), SceneDataset(5)
    with torch.no_grad():
        text = backbone.clip.encode_text(
            backbone.tokenize([scenes.templates[0].format(name) for name in scenes.classes]), normalize=True
        )
    images = torch.stack([backbone.preprocess(scenes.image(i)) for i in range(len(scenes))])
    right = (backbone.encode_images(images) @ text.T).argmax(1) == torch.from_numpy(scenes.labels)
    domains = torch.from_numpy(scenes.attributes)
    assert 0.45 <= right.float().mean() <= 0.75
    assert right[domains == 0].float().mean() > 0.85  # clear summer: what it was trained for


def test_made_from_scenes_that_no_federation_sees(loaded: tuple[Any, dict[str, Any]]) -> None:
    made = loaded[1]["pretraining"]
    scenes = SceneDataset(1)
    assert made["stream"] == pretrain.STREAM != scenes.stream
    assert made["scenes_version"] == VERSION
    assert {
        name: made[name] for name in pretrain.Pretraining.model_fields
    } == pretrain.Pretraining().model_dump()
    plan = pretrain.Pretraining(scenes=256, clear=1.0)
    images, labels, _ = pretrain.pairs(plan)
    federation = {scenes.image(i).tobytes() for i in range(24)}
    assert sorted(set(labels.tolist())) == list(range(24))
    assert not federation & {image.tobytes() for image in images}


def test_cut_captions_have_the_plain_towers_features(loaded: tuple[Any, dict[str, Any]]) -> None:
    clip = loaded[0]
    ids = load_backbone().tokenize(["a satellite photo of a river.", "in winter, a lake.", "a tennis court."])
    with torch.no_grad():
        assert torch.allclose(
            pretrain.text_features(clip, ids), F.normalize(clip.encode_text(ids), dim=-1), atol=1e-5
        )


def test_pretraining_learns_and_repeats(tmp_path: Path) -> None:
    plan = pretrain.Pretraining(scenes=256, batch=64, passes=2)
    data = pretrain.pairs(plan)
    cards = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        clip, words = pretrain.train(plan, data)
        pretrain.save(clip, words, plan, folder)
        cards.append(json.loads((folder / bundled.CARD).read_text()))
        assert bundled.load(folder)[0].visual.output_dim == plan.embed_dim
    assert cards[0] == cards[1]
