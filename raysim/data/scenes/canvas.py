"""Drawing surface of a scene: six bands, ground coordinates, and the basic drawing operations.

Shapes: S = 64 pixels a side, B = 6 bands (red, green, blue, near infrared, vegetation, lamps). Distances on
the ground are in pixels at zoom 1. Every operation is one NumPy pass over the picture, for any number of
houses, trees or cars: repeated objects are cells of a lattice, and each cell has its own random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

SIZE = 64
CELLS = 64  # a lattice repeats its random numbers after this many cells, more than a picture shows

Array = NDArray[np.floating]  # float32, except for a few intermediate results
T = TypeVar("T")


def material(
    red: float, green: float, blue: float, near: float, vegetation: float = 0.0, lamp: float = 0.0
) -> Array:
    """Return a colour in the six bands: four reflectances 0 to 1, and the shares of vegetation and lamps."""
    return np.array([red, green, blue, near, vegetation, lamp], np.float32)


class Frame(NamedTuple):
    """Ground coordinates of every pixel, and the direction of the sun in these coordinates."""

    u: Array
    v: Array
    sun_u: float
    sun_v: float
    angle: float

    def shifted(self, height: float) -> Frame:
        """Return the coordinates moved towards the sun: an object there of this height shades the pixel."""
        return self._replace(
            u=self.u + np.float32(height * self.sun_u), v=self.v + np.float32(height * self.sun_v)
        )


@lru_cache(maxsize=64)
def _spread(knots: int) -> Array:
    """Return the weights [S, knots + 3] of a uniform cubic B-spline through a small random grid."""
    place = (np.arange(SIZE) + 0.5) / SIZE * knots
    left = np.floor(place).astype(int)
    t = place - left
    weights = np.zeros((SIZE, knots + 3))
    for offset, value in enumerate(
        ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    ):
        weights[np.arange(SIZE), left + offset] = value / 6
    # a B-spline of unit noise has about this standard deviation in one dimension
    return (weights / 0.69).astype(np.float32)


@lru_cache(maxsize=1)
def _pixels() -> tuple[Array, Array]:
    """Return x and y of every pixel from the middle of the picture, each [S, S]."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) - np.float32(SIZE / 2 - 0.5)
    return x, y


class Canvas:
    """Picture of a scene: `bands` [B, S, S], and its foreground `mask` [S, S] from 0 to 1."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Start an empty canvas with a random ground resolution, heading and position of the sun.

        Args:
            rng: Generator of the scene, the only source of randomness.
        """
        self.rng = rng
        self.bands: Array = np.zeros((6, SIZE, SIZE), np.float32)
        self.mask: Array = np.zeros((SIZE, SIZE), np.float32)
        self.zoom = float(np.exp(rng.uniform(-0.25, 0.25)))
        self.sun = float(rng.uniform(0, 2 * np.pi))
        self.low_sun = float(rng.uniform(0.6, 1.4))  # length of a shadow over the height of its object
        self.frame = self.rotated_frame(float(rng.uniform(0, 2 * np.pi)))

    def uniform(self, low: float, high: float) -> float:
        """Draw a number between `low` and `high`."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, probability: float) -> bool:
        """Draw True with this probability."""
        return float(self.rng.random()) < probability

    def pick(self, things: list[T]) -> T:
        """Draw one of the things with equal probability."""
        return things[int(self.rng.integers(len(things)))]

    def rotated_frame(self, angle: float, across: float = 0.0) -> Frame:
        """Return coordinates rotated about the middle by `angle` radians and moved by up to `across` px."""
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

    def random_frame(self, across: float = 0.0) -> Frame:
        """Return coordinates with a random heading, moved by up to `across` pixels."""
        return self.rotated_frame(self.uniform(0, 2 * np.pi), across)

    def at_cell_middle(self, field: Array, frame: Frame, u: Array, v: Array) -> Array:
        """Return the value [S, S] of a field at the middle of each pixel's cell.

        Args:
            field: Values. [S, S]
            frame: Coordinates of the lattice.
            u: First coordinate of each pixel from the middle of its cell. [S, S]
            v: Second coordinate of each pixel from the middle of its cell. [S, S]
        """
        x, y = _pixels()
        cos, sin = np.float32(np.cos(frame.angle) * self.zoom), np.float32(np.sin(frame.angle) * self.zoom)
        column = np.clip(x - cos * u + sin * v + SIZE / 2, 0, SIZE - 1).astype(np.intp)
        row = np.clip(y - sin * u - cos * v + SIZE / 2, 0, SIZE - 1).astype(np.intp)
        return field[row, column]

    def cover(self, distance: Array) -> Array:
        """Return the cover [S, S] of a shape from the signed distance to its edge (negative inside)."""
        return np.clip(np.float32(0.5) - distance * np.float32(self.zoom), 0, 1)

    def noise(self, knots: int, octaves: int = 1) -> Array:
        """Draw smooth noise [S, S] of deviation about 1.

        It has `knots` features across the picture; each further octave has twice as many, half as strong.
        """
        total = np.zeros((SIZE, SIZE), np.float32)
        for octave in range(octaves):
            spread = _spread(knots << octave)
            grid = self.rng.standard_normal((spread.shape[1],) * 2, dtype=np.float32)
            total += np.float32(0.5**octave) * (spread @ grid @ spread.T)
        return total

    def grain(self) -> Array:
        """Draw independent noise [S, S] of deviation 1."""
        return self.rng.standard_normal((SIZE, SIZE), dtype=np.float32)

    def vary_colour(self, colour: Array, spread: float = 0.1) -> Array:
        """Return the colour with brightness and hue changed at random by a relative `spread`."""
        factor = 1 + spread * (self.rng.standard_normal() + 0.3 * self.rng.standard_normal(4))
        return np.concatenate([np.clip(colour[:4] * np.clip(factor, 0.5, 1.6), 0, 1), colour[4:]]).astype(
            np.float32
        )

    def paint(self, cover: Array, colour: Array, *, mark: bool = False, clear: bool = False) -> Self:
        """Paint a colour over the canvas.

        Args:
            cover: Opacity from 0 to 1. [S, S]
            colour: Colour. [B] or [B, S, S]
            mark: Whether the painted pixels become foreground.
            clear: Whether they become background.

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
        """Multiply the reflectances by a factor, [S, S] or a number."""
        self.bands[:4] *= np.asarray(factor, np.float32)
        return self

    def shadow(self, cover: Array, depth: float = 0.55) -> Self:
        """Darken the pixels in the shadow `cover` [S, S]."""
        return self.shade(1 - np.float32(depth) * cover)

    def relief(self, height: Array, strength: float) -> Self:
        """Shade a surface of this height [S, S] by its slope towards the sun."""
        slope_y, slope_x = np.gradient(height)
        lit = np.cos(self.sun) * slope_x + np.sin(self.sun) * slope_y
        return self.shade(np.clip(1 - np.float32(strength) * lit.astype(np.float32), 0.35, 1.6))

    def cell_values(self, low: float = 0.0, high: float = 1.0) -> Array:
        """Draw a number [CELLS**2] between `low` and `high` for each cell of a lattice."""
        return (low + (high - low) * self.rng.random(CELLS * CELLS, dtype=np.float32)).astype(np.float32)

    def cell_colours(self, colours: list[Array], spread: float = 0.08) -> Array:
        """Draw a colour [CELLS**2, B] for each cell of a lattice, each with its own brightness."""
        picked = np.stack(colours)[self.rng.integers(len(colours), size=CELLS * CELLS)]
        light = 1 + np.float32(spread) * self.rng.standard_normal((CELLS * CELLS, 1), dtype=np.float32)
        return np.concatenate([np.clip(picked[:, :4] * light, 0, 1), picked[:, 4:]], axis=1)

    def cover_with_shadow(
        self, shape: Callable[[Frame], Array], frame: Frame, height: float, depth: float = 0.55
    ) -> Array:
        """Draw the shadow of an object and return the object's cover [S, S].

        Args:
            shape: Function from a frame to the cover [S, S] of the object.
            frame: Coordinates of the object.
            height: Height of the object in pixels.
            depth: Darkness of the shadow, 0 to 1.
        """
        cover = shape(frame)
        self.shadow(
            np.maximum(shape(frame.shifted(height)), shape(frame.shifted(height / 2))) * (1 - cover), depth
        )
        return cover


def lattice(frame: Frame, width: float, height: float) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the cell of every pixel and the pixel's place in it.

    Args:
        frame: Ground coordinates.
        width: Width of a cell along u, in pixels.
        height: Height of a cell along v, in pixels.

    Returns:
        Cell numbers [S, S] below CELLS**2, and two coordinates [S, S] from the cell's middle.
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
    """Return the signed distance [S, S] to the edge of a box (exact inside and beside it)."""
    return np.maximum(np.abs(u) - np.float32(half_u), np.abs(v) - np.float32(half_v))


def colours_of(colours: Array, cell: NDArray[np.intp]) -> Array:
    """Return each pixel's colour [B, S, S] from the colours [CELLS**2, B] of the cells."""
    return np.ascontiguousarray(colours.T)[:, cell]
