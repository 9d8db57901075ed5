"""Scenes of nature and farmland. Each function draws on an empty canvas and marks its foreground.

Shapes: S pixels a side (see `canvas`).
"""

from __future__ import annotations

import numpy as np

from raysim.data.scenes import ground as g
from raysim.data.scenes.canvas import Array, Canvas, box, colours_of, lattice


def forest(canvas: Canvas) -> None:
    """Dense crowns of several species, sometimes a clearing. Foreground: crowns."""
    g.terrain(canvas, [g.CONIFER, g.TREE, g.GRASS])
    canvas.shade(0.6)
    kinds = canvas.pick([[g.TREE], [g.TREE, g.CONIFER], [g.CONIFER], [g.TREE, g.AUTUMN], [g.TREE, g.GRASS]])
    clearing = canvas.noise(3) > canvas.uniform(1.2, 3)
    density = np.where(clearing, np.float32(0.05), np.float32(canvas.uniform(0.85, 1.0)))
    size = canvas.uniform(4.5, 8)
    for part in (1.0, 0.85, 0.7):
        g.crowns(canvas, size * part, density, kinds, mark=True)


def river(canvas: Canvas) -> None:
    """One meandering band of water with sandy banks and trees along it. Foreground: water."""
    g.open_land(canvas)
    frame = g.winding_frame(canvas, canvas.random_frame(10), canvas.uniform(3, 10), canvas.uniform(50, 80))
    half = canvas.uniform(3.5, 8) + canvas.noise(3) * 0.7
    distance = np.abs(frame.v) - half
    g.crowns(
        canvas,
        5.5,
        np.clip(np.float32(0.75) - np.abs(distance - 4) * 0.12, 0, 1) * np.float32(canvas.uniform(0.2, 1)),
    )
    banks = canvas.cover(distance - canvas.uniform(0.5, 1.8) - canvas.noise(5) * 0.6)
    canvas.paint(banks, canvas.vary_colour(g.SAND if canvas.chance(0.5) else g.DARK_SOIL))
    g.water(canvas, canvas.cover(distance), mark=True)
    if canvas.chance(0.35):
        canvas.paint(
            canvas.cover(np.abs(frame.v) + canvas.noise(4) * 1.2 - half * 0.1 + 1.2),
            canvas.vary_colour(g.SAND),
            clear=True,
        )


def lake(canvas: Canvas) -> None:
    """A closed body of water with a shore of sand or reeds. Foreground: water."""
    g.open_land(canvas)
    distance = g.blob_distance(
        canvas, canvas.random_frame(6), canvas.uniform(13, 23), canvas.uniform(0.2, 0.5)
    ) + canvas.noise(5) * np.float32(0.9)
    g.crowns(
        canvas,
        6,
        np.clip(np.float32(0.8) - np.abs(distance - 6) * 0.1, 0, 1) * np.float32(canvas.uniform(0, 1)),
    )
    canvas.paint(
        canvas.cover(distance - canvas.uniform(0.8, 2.0)),
        canvas.vary_colour(canvas.pick([g.SAND, g.REED, g.DARK_SOIL])),
    )
    g.water(canvas, canvas.cover(distance), mark=True)
    canvas.shade(1 - np.clip(-distance / 25, 0, 0.35))


def _sea(canvas: Canvas, distance: Array) -> None:
    """Draw open water that is deeper with the distance [S, S] from the shore, with swell and foam."""
    g.water(canvas, g.WHOLE, colour=g.WATER if canvas.chance(0.7) else g.GREEN_WATER)
    near = np.exp(-np.maximum(distance, 0) / np.float32(canvas.uniform(3, 8)))
    canvas.paint(near * np.float32(canvas.uniform(0.5, 0.95)), canvas.vary_colour(g.SHALLOWS))
    swell = canvas.random_frame()
    canvas.shade(1 + 0.05 * np.sin(swell.u * np.float32(canvas.uniform(0.9, 1.5)) + canvas.noise(3)))
    for line in range(int(canvas.rng.integers(1, 4))):
        ripple = np.abs(distance - line * 2.6 - 0.5 + canvas.noise(6) * 0.5) - 0.45
        canvas.paint(
            canvas.cover(ripple) * np.clip(canvas.noise(6) + 0.6, 0, 1) * np.float32(0.9 - 0.2 * line),
            g.FOAM,
        )


def beach(canvas: Canvas) -> None:
    """Sea, surf, sand and the land behind it, in bands. Foreground: sand."""
    frame = g.winding_frame(canvas, canvas.random_frame(7), canvas.uniform(1, 5), canvas.uniform(40, 80))
    distance = frame.v + canvas.noise(8) * np.float32(0.8)  # positive: sea
    _sea(canvas, distance)
    inland = canvas.uniform(9, 16)
    sand = canvas.vary_colour(g.SAND, 0.08)
    canvas.paint(canvas.cover(distance), sand, mark=True)
    canvas.paint(canvas.cover(np.abs(distance + 1) - 1.2) * np.float32(0.45), g.DARK_SOIL)
    canvas.shade(1 + 0.04 * canvas.cover(distance) * canvas.grain())
    if canvas.chance(0.6):
        shades = canvas.cover(np.abs(frame.v + inland * 0.5) - 2.5) > 0
        g.crowns(
            canvas, 3.2, np.where(shades, np.float32(0.45), np.float32(0)), [g.PAINT, g.TILE, g.BLUE_ROOF]
        )
    back = canvas.cover(distance + np.float32(inland) + canvas.noise(6))
    canvas.paint(back, canvas.vary_colour(canvas.pick([g.GRASS, g.DRY_GRASS, g.LAWN])), clear=True)
    g.crowns(
        canvas, 5.5, np.where(back > 0.5, np.float32(canvas.uniform(0.1, 0.9)), np.float32(0)), clear=True
    )


def island(canvas: Canvas) -> None:
    """Land all round in the sea: a ring of sand, green inside. Foreground: land."""
    distance = g.blob_distance(
        canvas, canvas.random_frame(6), canvas.uniform(10, 19), canvas.uniform(0.25, 0.6)
    ) + canvas.noise(5) * np.float32(0.9)
    _sea(canvas, distance)
    canvas.paint(canvas.cover(distance), canvas.vary_colour(g.SAND), mark=True)
    inner = distance + np.float32(canvas.uniform(1.5, 3.5))
    canvas.paint(canvas.cover(inner), canvas.vary_colour(g.GRASS if canvas.chance(0.7) else g.ROCK))
    g.crowns(
        canvas,
        canvas.uniform(4, 6),
        np.where(inner < -1, np.float32(canvas.uniform(0.3, 0.95)), np.float32(0)),
    )


def wetland(canvas: Canvas) -> None:
    """Many pools and winding channels in reeds. Foreground: water."""
    g.terrain(canvas, [g.REED, g.REED, g.DRY_GRASS, g.GRASS], 0.16)
    pools = (
        np.abs(canvas.noise(5, 2)) * np.float32(1.4)
        + canvas.noise(11) * np.float32(0.35)
        - np.float32(canvas.uniform(0.35, 0.75))
    )
    canvas.paint(np.clip(0.5 - (pools - 0.25) * 4, 0, 1) * np.float32(0.6), canvas.vary_colour(g.DARK_SOIL))
    g.water(
        canvas,
        np.clip(0.5 - pools * 5, 0, 1),
        colour=g.GREEN_WATER if canvas.chance(0.7) else g.WATER,
        mark=True,
    )
    g.crowns(
        canvas,
        3.2,
        np.where(pools > 0.1, np.float32(canvas.uniform(0.1, 0.45)), np.float32(0.02)),
        [g.REED, g.TREE],
    )


def meadow(canvas: Canvas) -> None:
    """Smooth grass with flowers, a hedge or a footpath. Foreground: grass."""
    g.terrain(canvas, [g.LAWN, g.GRASS, g.GRASS], 0.07)
    canvas.mask[:] = 1
    flowers = [
        g.material(0.95, 0.85, 0.2, 0.8, 0.8),
        g.material(0.9, 0.9, 0.9, 0.8, 0.8),
        g.material(0.7, 0.4, 0.75, 0.8, 0.8),
    ]
    patch = np.clip(canvas.noise(4, 2) - 0.1, 0, 1) * (canvas.grain() > canvas.uniform(0.5, 1.1))
    canvas.paint(patch * np.float32(canvas.uniform(0.5, 0.9)), canvas.pick(flowers))
    frame = g.winding_frame(canvas, canvas.random_frame(22), canvas.uniform(1, 4), 60)
    if canvas.chance(0.5):
        canvas.paint(canvas.cover(np.abs(frame.v) - 0.7), canvas.vary_colour(g.SOIL), clear=True)
    else:
        g.crowns(canvas, 4.2, np.where(np.abs(frame.v) < 2.2, np.float32(0.9), np.float32(0)), clear=True)
    g.crowns(canvas, canvas.uniform(4, 6), canvas.uniform(0.01, 0.07), clear=True)


def desert(canvas: Canvas) -> None:
    """Dunes with a lit and a shaded flank, bare rock here and there. Foreground: sand."""
    g.terrain(canvas, [g.DUNE, g.DUNE, g.SAND], 0.05)
    canvas.mask[:] = 1
    frame = canvas.random_frame()
    phase = frame.v / np.float32(canvas.uniform(6, 14)) + canvas.noise(3, 2) * np.float32(
        canvas.uniform(0.25, 0.5)
    )
    part = phase % 1
    # a gentle windward side, a steep lee side
    crest = np.where(part < 0.72, part / 0.72, (1 - part) / 0.28).astype(np.float32)
    canvas.shade(0.80 + 0.26 * crest - 0.22 * (part >= 0.72) * (1 - 0.5 * crest))
    canvas.shade(1 + 0.03 * np.sin(frame.u * 2.2 + canvas.noise(8)))
    rough = canvas.noise(4, 3)
    rock = np.clip(0.5 + (rough - np.quantile(rough, canvas.uniform(0.88, 0.97))) * 4, 0, 1)
    canvas.paint(rock, canvas.vary_colour(g.ROCK), clear=True)
    g.crowns(canvas, 3, canvas.uniform(0.0, 0.05), [g.DRY_GRASS], clear=True)


def snowy_mountain(canvas: Canvas) -> None:
    """Ridges in hard light, snow above and rock or forest below. Foreground: snow."""
    height = (
        canvas.noise(2) * 0.6
        - np.abs(canvas.noise(2)) * 1.6
        - np.abs(canvas.noise(4)) * 0.7
        - np.abs(canvas.noise(8, 2)) * 0.25
    )
    g.terrain(canvas, [g.ROCK, g.ROCK, g.CONIFER], 0.15)
    line = (
        height
        - np.float32(np.quantile(height, canvas.uniform(0.1, 0.45)))
        + canvas.noise(11, 2) * np.float32(0.2)
    )
    canvas.paint(np.clip(0.5 + line * 6, 0, 1), canvas.vary_colour(g.SNOW, 0.03) * np.float32(0.8), mark=True)
    canvas.relief(height, canvas.uniform(1.6, 2.6))
    canvas.shade(1 + 0.03 * canvas.grain())
    if canvas.chance(0.4):
        g.crowns(canvas, 3, np.where(line < -0.2, np.float32(0.8), np.float32(0)), [g.CONIFER])


def farmland(canvas: Canvas) -> None:
    """A patchwork of rectangular fields with furrows, tracks and hedges between. Foreground: fields."""
    crops = [g.GRASS, g.LAWN, g.DRY_GRASS, g.SOIL, g.DARK_SOIL, g.RIPE_GRAIN, g.MAIZE]
    frame = canvas.random_frame(20)
    size = canvas.uniform(15, 26), canvas.uniform(15, 40)
    row_shift = canvas.cell_values(0, size[0])[(np.floor(frame.v / np.float32(size[1])).astype(int) & 63)]
    split = frame._replace(u=frame.u + row_shift)
    cell, u, v = lattice(split, *size)
    canvas.paint(g.WHOLE, colours_of(canvas.cell_colours(crops, 0.14), cell))
    across, rate, depth = (
        canvas.cell_values()[cell],
        canvas.cell_values(1.6, 2.9)[cell],
        canvas.cell_values(0.0, 0.22)[cell],
    )
    canvas.shade(1 + depth * np.sin(np.where(across < 0.6, frame.u, frame.v) * rate))
    canvas.shade(1 + 0.05 * canvas.noise(7, 2) + 0.03 * canvas.grain())
    canvas.mask[:] = 1
    edge = box(u, v, size[0] / 2, size[1] / 2)
    track = canvas.cover(-edge - np.float32(canvas.uniform(0.25, 0.8)))
    canvas.paint(
        track * np.float32(0.85), canvas.vary_colour(canvas.pick([g.SOIL, g.TREE, g.GRAVEL])), clear=True
    )
    if canvas.chance(0.5):
        g.crowns(
            canvas,
            3.6,
            np.where(edge > -1.2, np.float32(canvas.uniform(0.2, 0.7)), np.float32(0)),
            clear=True,
        )


def circular_farmland(canvas: Canvas) -> None:
    """Irrigated circles in dry land, with sectors and wheel tracks. Foreground: circles."""
    g.terrain(canvas, [g.SOIL, g.DUNE, g.DRY_GRASS])
    crops = [g.GRASS, g.LAWN, g.TREE, g.DRY_GRASS, g.MAIZE, g.DARK_SOIL]
    frame, size = canvas.random_frame(20), canvas.uniform(19, 36)
    cell, u, v = lattice(frame, size, size)
    radius, angle = np.sqrt(u * u + v * v), np.arctan2(v, u)
    cover = canvas.cover(radius - canvas.cell_values(0.42, 0.49)[cell] * np.float32(size)) * (
        canvas.cell_values()[cell] < 0.93
    )
    canvas.paint(cover, colours_of(canvas.cell_colours(crops, 0.14), cell), mark=True)
    direction = (angle + canvas.cell_values(0, 6.28)[cell]) % np.float32(2 * np.pi)
    canvas.paint(
        cover * (direction < canvas.cell_values(-2.5, 2.2)[cell]),
        colours_of(canvas.cell_colours([*crops, g.SOIL], 0.14), cell),
    )
    canvas.shade(1 + cover * 0.10 * np.sin(radius * np.float32(canvas.uniform(1.6, 2.6))))
    canvas.shade(1 - 0.3 * cover * canvas.cover(np.abs(np.sin(direction) * radius) - 0.2) * (direction < 1.5))
    lines = canvas.cover(-box(u, v, size / 2, size / 2) - 0.4)
    canvas.paint(lines * np.float32(canvas.uniform(0, 0.8)), canvas.vary_colour(g.GRAVEL))


def golf_course(canvas: Canvas) -> None:
    """Pale fairways, round greens, white bunkers, trees, a pond. Foreground: fairways, greens, bunkers."""
    g.terrain(canvas, [g.GRASS, g.TREE], 0.12)
    g.crowns(canvas, 5, np.clip(canvas.noise(4) * 0.5 + 0.45, 0, 0.9))
    mown = canvas.vary_colour(g.material(0.48, 0.68, 0.30, 0.84, 1.0), 0.07)
    for _ in range(2):
        frame = g.winding_frame(canvas, canvas.random_frame(16), canvas.uniform(2, 6), 55)
        cover = canvas.cover(
            np.hypot(frame.v, np.maximum(np.abs(frame.u) - 20, 0)) - 5 - canvas.noise(4) * np.float32(1.2)
        )
        canvas.paint(cover, mown, mark=True)
        canvas.shade(1 + 0.07 * cover * np.sign(np.sin(frame.u * 1.3)))
    if canvas.chance(0.5):
        g.water(
            canvas,
            canvas.cover(g.blob_distance(canvas, canvas.random_frame(22), canvas.uniform(4, 7), 0.4)),
        )
    for _ in range(2):
        frame = canvas.random_frame(18)
        canvas.paint(
            canvas.cover(g.blob_distance(canvas, frame, canvas.uniform(4, 6), 0.25)),
            g.material(0.55, 0.80, 0.38, 0.88, 1.0),
            mark=True,
        )
        for _ in range(2):
            side = canvas.uniform(0, 2 * np.pi)
            spot = frame._replace(
                u=frame.u - np.float32(8 * np.cos(side)), v=frame.v - np.float32(8 * np.sin(side))
            )
            canvas.paint(
                canvas.cover(g.blob_distance(canvas, spot, canvas.uniform(2, 3.2), 0.7)),
                g.SAND,
                mark=True,
            )
