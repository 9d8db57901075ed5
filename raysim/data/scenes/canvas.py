"""The drawing surface of a scene: six bands, coordinates on the ground, and primitives that paint them.

Shapes: S = 64 pixels a side, B = 6 bands (red, green, blue, near infrared, vegetation, lamps). Distances on
the ground are in pixels at zoom 1. Everything is one NumPy pass over the picture, however many houses, trees
or cars it holds: repeated objects live in a lattice whose cells have their own random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

SIZE = 64
CELLS = 64  # a lattice repeats its random numbers after this many cells, beyond every picture's reach

Array = NDArray[np.floating]  # float32 but for a few wider steps in between
T = TypeVar("T")


def material(
    red: float, green: float, blue: float, near: float, vegetation: float = 0.0, lamp: float = 0.0
) -> Array:
    """One colour in the six bands; reflectances 0 to 1, vegetation and lamps are cover fractions."""
    return np.array([red, green, blue, near, vegetation, lamp], np.float32)


class Frame(NamedTuple):
    """Ground coordinates of every pixel, and the direction of the sun in them."""

    u: Array
    v: Array
    sun_u: float
    sun_v: float
    angle: float

    def shifted(self, height: float) -> Frame:
        """The coordinates from which a point looks towards the sun: what stands there, `height` tall, shades it."""
        return self._replace(
            u=self.u + np.float32(height * self.sun_u), v=self.v + np.float32(height * self.sun_v)
        )


@lru_cache(maxsize=64)
def _spread(knots: int) -> Array:
    """[S, knots + 3] weights of a uniform cubic B-spline: a smooth surface through a small random grid."""
    place = (np.arange(SIZE) + 0.5) / SIZE * knots
    left = np.floor(place).astype(int)
    t = place - left
    weights = np.zeros((SIZE, knots + 3))
    for offset, value in enumerate(
        ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    ):
        weights[np.arange(SIZE), left + offset] = value / 6
    return (weights / 0.69).astype(
        np.float32
    )  # a B-spline of unit noise has about this standard deviation in 1-D


@lru_cache(maxsize=1)
def _pixels() -> tuple[Array, Array]:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) - np.float32(SIZE / 2 - 0.5)
    return x, y


class Canvas:
    """A scene being drawn: `bands` [B, S, S] reflectances and `mask` [S, S] foreground, 0 to 1."""

    def __init__(self, rng: np.random.Generator) -> None:
        """An empty canvas with a random ground resolution, heading and sun.

        Args:
            rng: The scene's own generator; nothing else is random.
        """
        self.rng = rng
        self.bands: Array = np.zeros((6, SIZE, SIZE), np.float32)
        self.mask: Array = np.zeros((SIZE, SIZE), np.float32)
        self.zoom = float(np.exp(rng.uniform(-0.25, 0.25)))
        self.sun = float(rng.uniform(0, 2 * np.pi))
        self.low_sun = float(rng.uniform(0.6, 1.4))  # length of a shadow over the height of what throws it
        self.frame = self.turned(float(rng.uniform(0, 2 * np.pi)))

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return float(self.rng.random()) < probability

    def one_of(self, things: list[T]) -> T:
        """One of them, all alike."""
        return things[int(self.rng.integers(len(things)))]

    def turned(self, angle: float, across: float = 0.0) -> Frame:
        """Ground coordinates turned by `angle` (radians) about the middle, moved by up to `across` pixels."""
        x, y = _pixels()
        cos, sin = np.float32(np.cos(angle) / self.zoom), np.float32(np.sin(angle) / self.zoom)
        move_u, move_v = (np.float32(self.uniform(-across, across)) for _ in range(2))
        sun = self.sun - angle
        reach = self.low_sun
        return Frame(
            cos * x + sin * y + move_u,
            cos * y - sin * x + move_v,
            reach * float(np.cos(sun)),
            reach * float(np.sin(sun)),
            angle,
        )

    def anywhere(self, across: float = 0.0) -> Frame:
        """Ground coordinates with a random heading and offset."""
        return self.turned(self.uniform(0, 2 * np.pi), across)

    def at_middle(self, field: Array, frame: Frame, u: Array, v: Array) -> Array:
        """[S, S] the value that a field has at the middle of each pixel's cell, `u` and `v` being the place in the cell."""
        x, y = _pixels()
        cos, sin = np.float32(np.cos(frame.angle) * self.zoom), np.float32(np.sin(frame.angle) * self.zoom)
        column = np.clip(x - cos * u + sin * v + SIZE / 2, 0, SIZE - 1).astype(np.intp)
        row = np.clip(y - sin * u - cos * v + SIZE / 2, 0, SIZE - 1).astype(np.intp)
        return field[row, column]

    def soft(self, distance: Array) -> Array:
        """[S, S] cover of a shape from the signed distance to its edge (negative inside), antialiased."""
        return np.clip(np.float32(0.5) - distance * np.float32(self.zoom), 0, 1)

    def noise(self, knots: int, octaves: int = 1) -> Array:
        """[S, S] smooth noise of about unit deviation; `knots` features across, each octave half as strong."""
        total = np.zeros((SIZE, SIZE), np.float32)
        for octave in range(octaves):
            spread = _spread(knots << octave)
            grid = self.rng.standard_normal((spread.shape[1],) * 2, dtype=np.float32)
            total += np.float32(0.5**octave) * (spread @ grid @ spread.T)
        return total

    def grain(self) -> Array:
        """[S, S] independent noise of unit deviation."""
        return self.rng.standard_normal((SIZE, SIZE), dtype=np.float32)

    def vary(self, colour: Array, spread: float = 0.1) -> Array:
        """The colour in another light: brightness and hue moved by a relative `spread`."""
        factor = 1 + spread * (self.rng.standard_normal() + 0.3 * self.rng.standard_normal(4))
        return np.concatenate([np.clip(colour[:4] * np.clip(factor, 0.5, 1.6), 0, 1), colour[4:]]).astype(
            np.float32
        )

    def paint(self, cover: Array, colour: Array, *, mark: bool = False, clear: bool = False) -> Self:
        """Lay a colour, [B] or [B, S, S], over the canvas.

        Args:
            cover: Where, [S, S] from 0 to 1.
            colour: What.
            mark: It becomes foreground.
            clear: It becomes background.

        Returns:
            The canvas.
        """
        paint = colour if colour.ndim == 3 else colour[:, None, None]
        self.bands += cover * (paint - self.bands)
        if mark:
            self.mask = np.maximum(self.mask, cover)
        elif clear:
            self.mask = self.mask * (1 - cover)
        return self

    def shade(self, factor: Array | float) -> Self:
        """Multiply the reflected bands, [S, S] or a number."""
        self.bands[:4] *= np.asarray(factor, np.float32)
        return self

    def shadow(self, cover: Array, depth: float = 0.55) -> Self:
        """Darken where `cover` [S, S] keeps the sun away."""
        return self.shade(1 - np.float32(depth) * cover)

    def relief(self, height: Array, strength: float) -> Self:
        """Shade a surface [S, S] by its slope towards the sun."""
        slope_y, slope_x = np.gradient(height)
        lit = np.cos(self.sun) * slope_x + np.sin(self.sun) * slope_y
        return self.shade(np.clip(1 - np.float32(strength) * lit.astype(np.float32), 0.35, 1.6))

    def table(self, low: float = 0.0, high: float = 1.0) -> Array:
        """[CELLS**2] a random number for each cell of a lattice."""
        return (low + (high - low) * self.rng.random(CELLS * CELLS, dtype=np.float32)).astype(np.float32)

    def choice(self, colours: list[Array], spread: float = 0.08) -> Array:
        """[CELLS**2, B] a colour for each cell, out of a few, each in its own light."""
        picked = np.stack(colours)[self.rng.integers(len(colours), size=CELLS * CELLS)]
        light = 1 + np.float32(spread) * self.rng.standard_normal((CELLS * CELLS, 1), dtype=np.float32)
        return np.concatenate([np.clip(picked[:, :4] * light, 0, 1), picked[:, 4:]], axis=1)

    def standing(
        self, shape: Callable[[Frame], Array], frame: Frame, height: float, depth: float = 0.55
    ) -> Array:
        """Throw the shadow of a shape and return its cover; `shape` maps a frame to the cover [S, S]."""
        cover = shape(frame)
        self.shadow(
            np.maximum(shape(frame.shifted(height)), shape(frame.shifted(height / 2))) * (1 - cover), depth
        )
        return cover


def lattice(frame: Frame, width: float, height: float) -> tuple[NDArray[np.intp], Array, Array]:
    """The cell of every pixel and its place in it.

    Args:
        frame: Ground coordinates.
        width: Of a cell along u, in pixels.
        height: Of a cell along v, in pixels.

    Returns:
        Cell numbers [S, S] below CELLS**2, and the coordinates [S, S] from the cell's middle.
    """
    column, row = np.floor(frame.u / np.float32(width)), np.floor(frame.v / np.float32(height))
    cell = (row.astype(np.intp) & (CELLS - 1)) * CELLS + (column.astype(np.intp) & (CELLS - 1))
    return (
        cell,
        frame.u - (column + np.float32(0.5)) * np.float32(width),
        frame.v - (row + np.float32(0.5)) * np.float32(height),
    )


def box(
    u: Array, v: Array, half_u: Array | np.floating | float, half_v: Array | np.floating | float
) -> Array:
    """[S, S] signed distance to a box's edge (exact inside and beside it)."""
    return np.maximum(np.abs(u) - np.float32(half_u), np.abs(v) - np.float32(half_v))


def colours_of(table: Array, cell: NDArray[np.intp]) -> Array:
    """[B, S, S] each pixel's colour out of its cell's."""
    return np.ascontiguousarray(table.T)[:, cell]
