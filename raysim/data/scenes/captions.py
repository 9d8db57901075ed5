"""Captions of scenes: class names and their synonyms, words for domains, and the sentences around them."""

from __future__ import annotations

import numpy as np

# the first sentence is the best for zero-shot classification with the bundled backbone (see its model card)
TEMPLATES = (
    "a satellite photo of a {}.",
    "a satellite image of a {}.",
    "an aerial photo of a {}.",
    "a remote sensing image of a {}.",
    "a photo of a {} seen from above.",
    "satellite image seen from space of a {}.",
    "satellite image seen from above, a {}.",
    "a {}.",
)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "forest": ("forest", "woodland"),
    "river": ("river", "winding river"),
    "lake": ("lake", "pond"),
    "beach": ("beach", "sandy coast"),
    "island": ("island", "small island in the sea"),
    "wetland": ("wetland", "marsh"),
    "meadow": ("meadow", "grass field"),
    "desert": ("desert", "field of sand dunes"),
    "snowy mountain": ("snowy mountain", "mountain"),
    "farmland": ("farmland", "rectangular farmland", "patchwork of crop fields"),
    "circular farmland": ("circular farmland", "group of circular fields"),
    "golf course": ("golf course", "golf course with bunkers"),
    "dense residential": ("dense residential", "dense residential area", "crowded housing area"),
    "sparse residential": ("sparse residential", "sparse residential area", "suburb with few houses"),
    "industrial area": ("industrial area", "group of industrial buildings"),
    "storage tanks": ("storage tanks", "tank farm"),
    "parking lot": ("parking lot", "car park"),
    "harbor": ("harbor", "marina with boats"),
    "stadium": ("stadium", "running track"),
    "tennis court": ("tennis court", "row of tennis courts"),
    "runway": ("runway", "airport runway"),
    "highway": ("highway", "freeway"),
    "intersection": ("intersection", "crossroads"),
    "railway": ("railway", "railway line with trains"),
}

DOMAIN_WORDS: dict[str, tuple[str, ...]] = {
    "summer": ("in summer", "in clear summer light", "in colour"),
    "winter": ("in winter", "in winter with snow", "in the cold season"),
    "infrared": ("in infrared", "in false colour infrared", "in near infrared"),
    "grayscale": ("in grayscale", "in black and white", "in panchromatic gray"),
    "night": ("at night", "at night with lights", "in the dark"),
    "haze": ("in haze", "in blurred haze", "in fog and noise"),
}


def caption(rng: np.random.Generator, class_name: str, domain: str | None) -> str:
    """Draw a caption of a scene.

    Args:
        rng: Generator of the choices.
        class_name: Key of `SYNONYMS`; half of the captions use the class name, the others any synonym.
        domain: Key of `DOMAIN_WORDS`, or None for a caption without the domain.

    Returns:
        The caption; the words of the domain are first or last.
    """
    words = class_name if rng.random() < 0.5 else str(rng.choice(SYNONYMS[class_name]))
    sentence = TEMPLATES[int(rng.integers(len(TEMPLATES)))]
    if domain is None:
        return sentence.format(words)
    when = str(rng.choice(DOMAIN_WORDS[domain]))
    if rng.random() < 0.5:
        return f"{when}, {sentence.format(words)}"
    return f"{sentence.rstrip('.').format(words)} {when}."
