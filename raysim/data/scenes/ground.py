"""Materials and the objects of many scenes: terrain, tree crowns, houses, roads, cars, water.

Shapes: S pixels a side, B bands (see `canvas`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysim.data.scenes.canvas import SIZE, Array, Canvas, Frame, box, colours_of, lattice, material

GRASS = material(0.33, 0.46, 0.20, 0.72, 1.0)
LAWN = material(0.31, 0.50, 0.21, 0.80, 1.0)
DRY_GRASS = material(0.60, 0.56, 0.32, 0.58, 0.7)
TREE = material(0.14, 0.27, 0.12, 0.60, 1.0)
CONIFER = material(0.08, 0.20, 0.12, 0.45, 0.6)
AUTUMN = material(0.48, 0.33, 0.12, 0.60, 0.9)
REED = material(0.40, 0.44, 0.20, 0.55, 0.9)
RIPE_GRAIN = material(0.78, 0.70, 0.35, 0.62, 0.8)
MAIZE = material(0.22, 0.42, 0.16, 0.70, 1.0)
SOIL = material(0.50, 0.38, 0.27, 0.45, 0.15)
DARK_SOIL = material(0.34, 0.26, 0.19, 0.34, 0.15)
SAND = material(0.87, 0.77, 0.56, 0.72)
DUNE = material(0.86, 0.66, 0.40, 0.74)
ROCK = material(0.43, 0.40, 0.38, 0.42)
SNOW = material(0.94, 0.96, 0.99, 0.85)
WATER = material(0.10, 0.25, 0.40, 0.04)
GREEN_WATER = material(0.16, 0.34, 0.33, 0.06)
SHALLOWS = material(0.25, 0.62, 0.64, 0.10)
FOAM = material(0.95, 0.97, 0.97, 0.80)
ASPHALT = material(0.33, 0.33, 0.35, 0.28)
CONCRETE = material(0.66, 0.65, 0.61, 0.58)
GRAVEL = material(0.55, 0.51, 0.46, 0.46)
PAINT = material(0.96, 0.96, 0.94, 0.80)
TILE = material(0.66, 0.30, 0.20, 0.50)
SLATE = material(0.36, 0.36, 0.40, 0.33)
BROWN_ROOF = material(0.46, 0.34, 0.27, 0.40)
PALE_ROOF = material(0.82, 0.81, 0.78, 0.66)
BLUE_ROOF = material(0.30, 0.46, 0.66, 0.40)
YELLOW = material(0.80, 0.65, 0.20, 0.50)
POOL = material(0.20, 0.70, 0.85, 0.06)
CARS = [
    material(0.93, 0.93, 0.93, 0.7),
    material(0.12, 0.12, 0.14, 0.15),
    material(0.62, 0.10, 0.10, 0.45),
    material(0.16, 0.25, 0.55, 0.3),
    material(0.66, 0.68, 0.70, 0.5),
]
HOUSE_ROOFS = [TILE, TILE, BROWN_ROOF, SLATE, PALE_ROOF]

WHOLE = np.ones((SIZE, SIZE), np.float32)


def terrain(canvas: Canvas, kinds: list[Array], contrast: float = 0.10) -> None:
    """Cover the whole canvas with one of the materials `kinds`, varied at several scales."""
    first, second = (canvas.vary_colour(canvas.pick(kinds), 0.12) for _ in range(2))
    canvas.paint(WHOLE, first)
    canvas.paint(np.clip(0.35 + 0.35 * canvas.noise(4, 2), 0, 1) * np.float32(canvas.uniform(0, 0.6)), second)
    canvas.shade(np.clip(1 + contrast * (0.6 * canvas.noise(7, 3) + 0.35 * canvas.grain()), 0.5, 1.5))


def open_land(canvas: Canvas) -> None:
    """Cover the canvas with ground that is common to many classes: grass, dry grass or soil, maybe bushes."""
    terrain(canvas, [GRASS, GRASS, DRY_GRASS, SOIL, LAWN])
    if canvas.chance(0.6):
        crowns(canvas, canvas.uniform(4, 7), canvas.noise(4) * 0.3 + np.float32(canvas.uniform(-0.1, 0.3)))


def crowns(
    canvas: Canvas,
    size: float,
    density: Array | float,
    kinds: list[Array] | None = None,
    *,
    mark: bool = False,
    clear: bool = False,
) -> None:
    """Draw round tree crowns, lit by the sun, with their shadows.

    Args:
        canvas: Canvas of the scene.
        size: Width of a crown's cell in pixels.
        density: Share of cells with a tree, a number or a field [S, S].
        kinds: Materials of the crowns; None takes trees and conifers.
        mark: Whether crowns become foreground.
        clear: Whether crowns hide the foreground.
    """
    frame = canvas.random_frame(across=20)
    chance, radius = canvas.cell_values(), canvas.cell_values(0.30, 0.48) * np.float32(size)
    move_u, move_v = ((np.float32(size / 2) - radius) * canvas.cell_values(-1, 1) for _ in range(2))
    paint = canvas.cell_colours(kinds or [TREE, TREE, CONIFER], 0.18)

    def place(at: Frame) -> tuple[NDArray[np.intp], Array, Array, Array]:
        cell, u, v = lattice(at, size, size)
        return cell, u - move_u[cell], v - move_v[cell], radius[cell]

    def cover(at: Frame) -> Array:
        cell, u, v, reach = place(at)
        dense = density if isinstance(density, float) else canvas.at_cell_middle(density, at, u, v)
        return canvas.cover(np.sqrt(u * u + v * v) - reach) * (chance[cell] < dense)

    shape = canvas.cover_with_shadow(cover, frame, size * 0.35, 0.5)
    cell, u, v, reach = place(frame)
    canvas.paint(shape, colours_of(paint, cell), mark=mark, clear=clear)
    canvas.shade(
        1
        + shape
        * np.clip((frame.sun_u * u + frame.sun_v * v) / (reach * canvas.low_sun), -1, 1)
        * np.float32(0.38)
    )


def houses(
    canvas: Canvas,
    frame: Frame,
    cell_size: tuple[float, float],
    share: Array | float,
    roofs: list[Array],
    *,
    fill: tuple[float, float] = (0.30, 0.42),
    height: float = 3.0,
    turn: float = 0.0,
) -> Array:
    """Draw buildings with gabled roofs and shadows as foreground, at most one per cell.

    Args:
        canvas: Canvas of the scene.
        frame: Coordinates of the grid of plots.
        cell_size: Width and height of a plot in pixels.
        share: Share of plots with a house, a number or a field [S, S].
        roofs: Materials of the roofs.
        fill: Least and greatest half-width of a house over its plot's width.
        height: Height in pixels, the length of the shadow at a medium sun.
        turn: Largest rotation of single houses against the grid, in radians.

    Returns:
        Cover [S, S] of the roofs.
    """
    chance, paint, angle = (
        canvas.cell_values(),
        canvas.cell_colours(roofs, 0.14),
        canvas.cell_values(-turn, turn),
    )
    half_u, half_v = (
        canvas.cell_values(*fill) * np.float32(cell_size[0]),
        canvas.cell_values(*fill) * np.float32(cell_size[1]),
    )

    def place(at: Frame) -> tuple[NDArray[np.intp], Array, Array]:
        cell, u, v = lattice(at, *cell_size)
        cos, sin = np.cos(angle)[cell], np.sin(angle)[cell]
        return cell, cos * u + sin * v, cos * v - sin * u

    def cover(at: Frame) -> Array:
        cell, u, v = place(at)
        dense = share if isinstance(share, float) else canvas.at_cell_middle(share, at, u, v)
        return canvas.cover(box(u, v, half_u[cell], half_v[cell])) * (chance[cell] < dense)

    shape = canvas.cover_with_shadow(cover, frame, height, 0.62)
    cell, _, v = place(frame)
    canvas.paint(shape, colours_of(paint, cell), mark=True)
    # a gable: one slope is lit, the other is not
    canvas.shade(1 + shape * np.clip(v, -1, 1) * np.float32(0.26 * np.sign(frame.sun_v)))
    canvas.bands[5] = np.maximum(
        canvas.bands[5], 0.55 * shape * (np.abs(v) > half_v[cell] * 0.55) * (chance[cell] * 7 % 1 < 0.6)
    )
    return shape


def road(
    canvas: Canvas,
    frame: Frame,
    half: float,
    surface: Array = ASPHALT,
    *,
    line: bool = True,
    mark: bool = False,
) -> Array:
    """Draw a road along v = 0 with a dashed middle line and street lamps; return its cover [S, S]."""
    cover = canvas.cover(np.abs(frame.v) - np.float32(half))
    canvas.paint(cover, canvas.vary_colour(surface, 0.06), mark=mark)
    if line:
        dash = canvas.cover(np.abs(frame.v) - np.float32(0.35)) * ((frame.u / 5) % 1 < 0.5)
        canvas.paint(dash * np.float32(0.8), PAINT)
    lamps(canvas, frame, half + 0.5, 9)
    return cover


def lamps(canvas: Canvas, frame: Frame, beside: float, gap: float) -> None:
    """Draw street lamps on both sides of v = 0, `gap` pixels apart; they are visible at night only."""
    along = (frame.u / np.float32(gap)) % 1 - 0.5
    glow = np.exp(-((along * np.float32(gap)) ** 2 + (np.abs(frame.v) - np.float32(beside)) ** 2) / 3)
    canvas.bands[5] = np.maximum(canvas.bands[5], glow.astype(np.float32))


def cars(
    canvas: Canvas,
    frame: Frame,
    cell_size: tuple[float, float],
    share: float,
    length: float = 3.2,
    within: Array | None = None,
) -> None:
    """Draw vehicles along u in the cells of a grid, only within the cover `within` [S, S]."""
    chance, paint = canvas.cell_values(), canvas.cell_colours(CARS, 0.1)
    move = canvas.cell_values(-0.5, 0.5) * np.float32(max(cell_size[0] - length, 0) * 0.8)

    def cover(at: Frame) -> Array:
        cell, u, v = lattice(at, *cell_size)
        there = chance[cell] < share
        return canvas.cover(box(u - move[cell], v, length / 2, 0.85)) * (
            there if within is None else there & (within > 0.5)
        )

    shape = canvas.cover_with_shadow(cover, frame, 0.8, 0.4)
    cell, _, _ = lattice(frame, *cell_size)
    canvas.paint(shape, colours_of(paint, cell))


def wave(canvas: Canvas, u: Array, height: float, length: float) -> tuple[Array, Array]:
    """Return the values and slopes [S, S] of a random winding line v = f(u)."""
    value, slope = np.zeros_like(u), np.zeros_like(u)
    for part in (1.0, 0.45):
        rate, phase = (
            np.float32(2 * np.pi / (length * part) * canvas.uniform(0.85, 1.15)),
            np.float32(canvas.uniform(0, 2 * np.pi)),
        )
        size = np.float32(min(height, length * 0.14) * part * canvas.uniform(0.6, 1.1))
        value += size * np.sin(rate * u + phase)
        slope += size * rate * np.cos(rate * u + phase)
    return value, slope


def winding_frame(canvas: Canvas, frame: Frame, height: float, length: float) -> Frame:
    """Return the frame with its u axis bent into a winding line; distances from the line stay right."""
    value, slope = wave(canvas, frame.u, height, length)
    return frame._replace(v=(frame.v - value) / np.sqrt(1 + slope * slope))


def blob_distance(canvas: Canvas, frame: Frame, radius: float, rough: float = 0.25) -> Array:
    """Return the distance [S, S] to the edge of an irregular round shape at the origin, negative inside."""
    angle = np.arctan2(frame.v, frame.u)
    reach = np.ones_like(frame.u)
    for order in (2, 3, 5):
        reach += np.float32(rough * canvas.uniform(0.2, 1.0) * 1.6 / order) * np.cos(
            order * angle + np.float32(canvas.uniform(0, 6.3))
        )
    return np.sqrt(frame.u**2 + frame.v**2) - np.float32(radius) * reach


def water(canvas: Canvas, cover: Array, *, colour: Array | None = None, mark: bool = False) -> None:
    """Fill a shape [S, S] with water, with ripples and soft variations of depth."""
    body = canvas.vary_colour(
        colour if colour is not None else (WATER if canvas.chance(0.6) else GREEN_WATER), 0.15
    )
    canvas.paint(cover, body, mark=mark, clear=not mark)
    canvas.shade(1 + cover * (np.float32(0.10) * canvas.noise(5, 2) + np.float32(0.05) * canvas.grain()))
