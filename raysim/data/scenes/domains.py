"""Domains: sensors, seasons and weather, each a function from the six bands of a scene to a picture.

Shapes: S pixels a side, B = 6 bands, rgb 3 channels first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from raysim.data.scenes.canvas import Array, Canvas

WINTER_BROWN = np.array([0.47, 0.40, 0.32, 0.45], np.float32)
SNOW = np.array([0.90, 0.93, 0.98, 0.80], np.float32)


def _blurred(bands: Array, width: float) -> Array:
    """Blur each band by a Gaussian of this width in pixels."""
    from scipy.ndimage import gaussian_filter  # `raysim data list` needs no scipy

    return gaussian_filter(bands, (0, width, width), truncate=2.5)


def _clear(canvas: Canvas) -> Array:
    """Return an ordinary colour picture [3, S, S] with a little haze and the colour cast of a sensor."""
    rgb = canvas.bands[:3] * np.float32(canvas.uniform(0.85, 1.2))
    cast = (1 + 0.04 * canvas.rng.standard_normal(3)).astype(np.float32)[:, None, None]
    veil = np.float32(canvas.uniform(0, 0.08))
    return (1 - veil) * rgb * cast + veil * np.float32(0.8)


def summer(canvas: Canvas) -> Array:
    """Clear midsummer colour."""
    return _clear(canvas)


def winter(canvas: Canvas) -> Array:
    """Bare brown vegetation, snow on open ground, low blue light."""
    green = canvas.bands[4]
    light = canvas.bands[:3].mean(axis=0)
    bare = WINTER_BROWN[:, None, None] * (light * 2.4 + 0.1)
    canvas.bands[:4] += green * np.float32(canvas.uniform(0.75, 1.0)) * (bare - canvas.bands[:4])
    land = np.clip((canvas.bands[3] - 0.12) * 10, 0, 1)
    lying = np.clip(canvas.noise(5, 3) * 0.5 + np.float32(canvas.uniform(-0.1, 1.1)), 0, 1)
    snow = lying * land * (0.35 + 0.55 * green)
    shaded = SNOW[:, None, None] * np.clip(0.45 + light * 1.6, 0.4, 1.05)
    canvas.bands[:4] += snow * (shaded - canvas.bands[:4])
    return (
        _clear(canvas)
        * np.array([0.88, 0.96, 1.08], np.float32)[:, None, None]
        * np.float32(canvas.uniform(0.75, 0.95))
    )


def infrared(canvas: Canvas) -> Array:
    """Colour infrared: near infrared, red and green as red, green and blue. Plants are red, water black."""
    red, green, _, near = canvas.bands[:4]
    gain = np.float32(canvas.uniform(0.9, 1.15))
    return np.stack([near * 1.1, red * 0.85, green * 0.85]) * gain + np.float32(0.02)


def grayscale(canvas: Canvas) -> Array:
    """One panchromatic band: a random mixture of the bands, stretched."""
    mixture = canvas.rng.dirichlet([2.0, 2.0, 1.5, 1.5]).astype(np.float32)
    gray = np.tensordot(mixture, canvas.bands[:4], axes=1)
    gray = (gray - gray.mean()) * np.float32(canvas.uniform(0.8, 1.5)) + np.float32(canvas.uniform(0.3, 0.65))
    return np.repeat(np.clip(gray, 0, 1)[None], 3, axis=0)


def night(canvas: Canvas) -> Array:
    """Moonlight, blue and noisy, with warm lamps where people live and drive."""
    dark = canvas.bands[:3].mean(axis=0, keepdims=True) * 0.6 + canvas.bands[:3] * 0.4
    moon = np.float32(canvas.uniform(0.16, 0.26)) / (dark.mean() + np.float32(0.06))  # eyes and sensors adapt
    dark = dark * np.array([0.65, 0.8, 1.1], np.float32)[:, None, None] * moon
    lamp = canvas.bands[5:6]
    glow = 0.55 * lamp + 1.0 * _blurred(lamp, 1.8)
    warm = np.array([1.0, 0.78, 0.42], np.float32)[:, None, None]
    lit = dark + glow * warm * (0.35 + canvas.bands[:3])
    return lit + np.float32(0.025) * canvas.rng.standard_normal(lit.shape, dtype=np.float32)


def haze(canvas: Canvas) -> Array:
    """Thick uneven haze, an unsharp lens and a noisy sensor."""
    rgb = _blurred(_clear(canvas), canvas.uniform(0.7, 1.4))
    veil = np.clip(np.float32(canvas.uniform(0.3, 0.55)) + 0.08 * canvas.noise(3), 0, 0.85)
    air = np.array([0.74, 0.77, 0.80], np.float32)[:, None, None]
    return (
        rgb * (1 - veil)
        + air * veil
        + np.float32(0.035) * canvas.rng.standard_normal(rgb.shape, dtype=np.float32)
    )


DOMAINS: dict[str, Callable[[Canvas], Array]] = {
    "summer": summer,
    "winter": winter,
    "infrared": infrared,
    "grayscale": grayscale,
    "night": night,
    "haze": haze,
}


def expose(canvas: Canvas, domain: str, strength: float = 1.0) -> np.ndarray:
    """Return the picture of a drawn scene in a domain.

    Args:
        canvas: Drawn scene; its bands may be changed.
        domain: Name in `DOMAINS`.
        strength: Strength of the domain: 1 in full, 0 the clear picture, in between a mixture.

    Returns:
        [S, S, 3] uint8.
    """
    clear = _clear(canvas) if strength < 1 else None
    rgb = DOMAINS[domain](canvas)
    if clear is not None:
        rgb = clear + np.float32(strength) * (rgb - clear)
    rgb = rgb + np.float32(0.008) * canvas.rng.standard_normal(rgb.shape, dtype=np.float32)
    return np.ascontiguousarray((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))
