"""Scenes of buildings and facilities. Each function draws on an empty canvas and marks its foreground.

Shapes: S pixels a side (see `canvas`).
"""

from __future__ import annotations

import numpy as np

from raysim.data.scenes import ground as g
from raysim.data.scenes.canvas import Array, Canvas, Frame, box, colours_of, lattice


def dense_residential(canvas: Canvas) -> None:
    """Blocks of small gabled houses wall to wall, narrow streets between. Foreground: roofs."""
    g.terrain(canvas, [g.GRAVEL, g.LAWN, g.SOIL])
    frame, plot = canvas.random_frame(20), (canvas.uniform(6.5, 9), canvas.uniform(6.5, 9))
    g.crowns(canvas, 4, canvas.uniform(0.1, 0.4))
    g.houses(canvas, frame, plot, 0.95, g.HOUSE_ROOFS, fill=(0.33, 0.46), height=2.2)
    gap = plot[1] * 2
    street = frame._replace(v=(frame.v + np.float32(gap / 2)) % np.float32(gap) - np.float32(gap / 2))
    cover = canvas.cover(np.abs(street.v) - np.float32(canvas.uniform(1.2, 2.0)))
    canvas.paint(cover, canvas.vary_colour(g.ASPHALT), clear=True)
    g.lamps(canvas, street, 1.5, 9)
    long = plot[0] * int(canvas.rng.integers(4, 7))
    cross = (frame.u + np.float32(long / 2)) % np.float32(long) - np.float32(long / 2)
    canvas.paint(canvas.cover(np.abs(cross) - 1.3), canvas.vary_colour(g.ASPHALT), clear=True)


def sparse_residential(canvas: Canvas) -> None:
    """A few large houses among lawns and trees, a winding road, drives and pools. Foreground: roofs."""
    g.terrain(canvas, [g.LAWN, g.GRASS, g.GRASS])
    g.crowns(canvas, canvas.uniform(5, 7), canvas.uniform(0.15, 0.5))
    way = g.winding_frame(canvas, canvas.random_frame(8), canvas.uniform(2, 6), 60)
    g.road(canvas, way, 1.7, g.ASPHALT if canvas.chance(0.6) else g.GRAVEL, line=False)
    plots, plot = canvas.random_frame(10), (canvas.uniform(18, 24), canvas.uniform(16, 21))
    share = np.where(np.abs(way.v) > 6.5, np.float32(0.8), np.float32(0))
    cell, u, v = lattice(plots, *plot)
    there = canvas.at_cell_middle(share, plots, u, v) > 0
    drive = (
        canvas.cover(np.maximum(np.abs(u) - 0.9, np.abs(v - 6) - 6))
        * there
        * (canvas.cell_values()[cell] < 0.7)
    )
    canvas.paint(drive, canvas.vary_colour(g.CONCRETE))
    pool = canvas.cover(box(u - 6.5, v + 4, 1.8, 1.2)) * there * (canvas.cell_values()[cell] < 0.4)
    canvas.paint(pool, g.POOL)
    g.houses(canvas, plots, plot, share, g.HOUSE_ROOFS, fill=(0.17, 0.27), height=3.2, turn=0.5)


def parking_lot(canvas: Canvas) -> None:
    """Rows of bays with cars on asphalt, lines between them, aisles. Foreground: cars."""
    g.terrain(canvas, [g.ASPHALT, g.ASPHALT, g.CONCRETE], 0.05)
    frame = canvas.random_frame(10)
    bay, deep, aisle = 2.9, 5.4, canvas.uniform(4.5, 6.5)
    period = 2 * deep + aisle
    along = frame.v % np.float32(period)  # two rows of bays, then an aisle
    in_bays = along < 2 * deep
    lines = canvas.cover(np.float32(bay / 2 - 0.3) - np.abs((frame.u % bay) - bay / 2)) * in_bays
    canvas.paint(np.maximum(lines, canvas.cover(np.abs(along - deep) - 0.25)) * np.float32(0.75), g.PAINT)
    share, chance, paint = canvas.uniform(0.45, 0.95), canvas.cell_values(), canvas.cell_colours(g.CARS, 0.1)

    def cover(at: Frame) -> Array:
        u = at.u % np.float32(bay) - np.float32(bay / 2)
        place = at.v % np.float32(period)
        inside = np.where(place < deep, place - deep / 2, place - 1.5 * deep)
        return canvas.cover(box(u, inside, 0.95, 2.1)) * (place < 2 * deep) * (chance[number(at)] < share)

    def number(at: Frame) -> np.ndarray:
        place = at.v / np.float32(period)
        rows = 2 * np.floor(place) + (place % 1 * period >= deep)
        return (rows.astype(np.intp) & 63) * 64 + (np.floor(at.u / np.float32(bay)).astype(np.intp) & 63)

    shape = canvas.cover_with_shadow(cover, frame, 0.9, 0.45)
    canvas.paint(shape, colours_of(paint, number(frame)), mark=True)
    if canvas.chance(0.5):
        middle = np.abs(along - np.float32(deep)) < 1.5
        g.crowns(canvas, 4.5, np.where(middle, np.float32(0.3), np.float32(0)), clear=True)
    g.lamps(canvas, frame._replace(v=along - np.float32(deep)), 0.0, 14)


def industrial_area(canvas: Canvas) -> None:
    """Large flat ribbed roofs with skylights, yards, lorries and containers. Foreground: roofs."""
    g.terrain(canvas, [g.CONCRETE, g.ASPHALT, g.GRAVEL], 0.06)
    frame, plot = canvas.random_frame(20), (canvas.uniform(22, 32), canvas.uniform(17, 24))
    g.cars(canvas, frame._replace(u=frame.u + 3), (6.5, 3.1), 0.3, 4.6)
    chance, half_u, half_v = (
        canvas.cell_values(),
        canvas.cell_values(0.32, 0.45) * np.float32(plot[0]),
        canvas.cell_values(0.26, 0.42) * np.float32(plot[1]),
    )
    paint = canvas.cell_colours(
        [g.PALE_ROOF, g.PALE_ROOF, g.BLUE_ROOF, g.SLATE, g.CONCRETE, g.BROWN_ROOF], 0.1
    )

    def cover(at: Frame) -> Array:
        cell, u, v = lattice(at, *plot)
        notch = box(
            u - half_u[cell] * 0.7, v - half_v[cell] * 0.7, plot[0] * 0.16, plot[1] * 0.16
        )  # some are L-shaped
        walls = np.maximum(box(u, v, half_u[cell], half_v[cell]), np.where(chance[cell] < 0.4, -notch, -99))
        return canvas.cover(walls) * (chance[cell] < 0.94)

    shape = canvas.cover_with_shadow(cover, frame, 4.0, 0.62)
    cell, u, v = lattice(frame, *plot)
    canvas.paint(shape, colours_of(paint, cell), mark=True)
    ribs = np.sin(u * np.float32(canvas.uniform(1.8, 2.6)))
    canvas.shade(1 + 0.10 * shape * ribs)
    inner = canvas.cover(box(u, v, half_u[cell] - 1.2, half_v[cell] - 1.2))
    lights = inner * ((u / 4.2 % 1) < 0.3) * (np.abs(np.abs(v) - half_v[cell] * 0.45) < 1.0)
    canvas.paint(lights * (chance[cell] < 0.7), g.material(0.9, 0.93, 0.95, 0.6, 0, 0.8))
    canvas.shade(1 - 0.35 * shape * (1 - canvas.cover(box(u, v, half_u[cell] - 0.6, half_v[cell] - 0.6))))


def storage_tanks(canvas: Canvas) -> None:
    """Round white tanks with shaded walls and rims inside dikes, pipes between. Foreground: tanks."""
    g.terrain(canvas, [g.GRAVEL, g.CONCRETE, g.GRASS, g.SOIL], 0.07)
    frame, size = canvas.random_frame(20), canvas.uniform(12, 22)
    cell, u, v = lattice(frame, size, size)
    canvas.paint(
        canvas.cover(np.abs(box(u, v, size * 0.47, size * 0.47)) - 0.35) * np.float32(0.7),
        canvas.vary_colour(g.DARK_SOIL),
    )
    canvas.paint(canvas.cover(np.abs(v - size * 0.38) - 0.4) * np.float32(0.8), g.PALE_ROOF)
    radius, chance = canvas.cell_values(0.26, 0.40) * np.float32(size), canvas.cell_values()

    def cover(at: Frame) -> Array:
        cell, u, v = lattice(at, size, size)
        return canvas.cover(np.sqrt(u * u + v * v) - radius[cell]) * (chance[cell] < 0.9)

    shape = canvas.cover_with_shadow(cover, frame, size * 0.2, 0.62)
    away = np.sqrt(u * u + v * v)
    canvas.paint(
        shape,
        colours_of(canvas.cell_colours([g.PAINT, g.PAINT, g.PALE_ROOF, g.CONCRETE], 0.06), cell),
        mark=True,
    )
    rim = shape * (1 - canvas.cover(away - radius[cell] + 0.9))
    canvas.shade(1 - 0.42 * rim)
    canvas.shade(
        1
        + shape
        * np.clip(-(frame.sun_u * u + frame.sun_v * v) / (radius[cell] * canvas.low_sun), -1, 1)
        * 0.13
    )
    canvas.paint(shape * canvas.cover(away - radius[cell] * 0.12), g.SLATE)
    canvas.bands[5] = np.maximum(canvas.bands[5], rim * 0.6)


def harbor(canvas: Canvas) -> None:
    """Jetties with boats moored on both sides, water and a quay. Foreground: boats."""
    g.water(canvas, g.WHOLE)
    frame = canvas.random_frame(6)
    gap, berth = canvas.uniform(16, 21), canvas.uniform(3.0, 4.4)
    across = (frame.u + 500 * gap) % np.float32(gap) - np.float32(gap / 2)
    quay = frame.v - np.float32(canvas.uniform(13, 22))
    jetty = canvas.cover(np.maximum(np.abs(across) - 0.75, quay))
    canvas.shadow(canvas.cover(np.abs(across + 0.8) - 0.8) * (quay < 0), 0.3)
    canvas.paint(jetty, canvas.vary_colour(g.CONCRETE))
    hulls = [g.PAINT, g.PAINT, g.PAINT, g.PALE_ROOF, g.PALE_ROOF, g.BLUE_ROOF, g.TILE]
    share, chance, paint = canvas.uniform(0.45, 0.85), canvas.cell_values(), canvas.cell_colours(hulls, 0.07)
    length = canvas.cell_values(0.30, 0.42) * np.float32(gap)

    def boat(at: Frame) -> tuple[np.ndarray, Array]:
        shifted = at._replace(
            u=at.u + np.float32(500.5 * gap)
        )  # cells between the jetties' middles, halved at the jetty
        cell, u, v = lattice(shifted._replace(u=shifted.u - np.float32(gap / 2)), gap / 2, berth)
        side = np.where((cell & 1) == 0, u, -u)
        place = side + np.float32(gap / 4) - 1.0 - length[cell] / 2
        taper = (
            berth * 0.36 * np.sqrt(np.clip(1 - (place / (length[cell] / 2 + 0.1)).clip(0, 1) ** 2, 0.02, 1))
        )
        hull = canvas.cover(np.maximum(np.abs(place) - length[cell] / 2, np.abs(v) - taper))
        return cell, hull * (chance[cell] < share) * (at.v < quay_line)

    quay_line = np.float32(frame.v[0, 0] - quay[0, 0]) - np.float32(2)
    shape = canvas.cover_with_shadow(lambda at: boat(at)[1], frame, 0.8, 0.4)
    cell, _ = boat(frame)
    canvas.paint(shape, colours_of(paint, cell), mark=True)
    canvas.paint(
        canvas.cover(-quay),
        canvas.vary_colour(g.CONCRETE if canvas.chance(0.6) else g.GRAVEL),
        clear=True,
    )
    g.lamps(canvas, frame._replace(u=frame.v, v=across), 0.6, 8)


def stadium(canvas: Canvas) -> None:
    """An oval running track round a pitch, stands about it. Foreground: track and pitch."""
    g.terrain(canvas, [g.LAWN, g.CONCRETE, g.ASPHALT, g.GRASS])
    if canvas.chance(0.5):
        g.crowns(canvas, 5, 0.25)
    frame = canvas.random_frame(4)
    straight, radius = canvas.uniform(6, 10), canvas.uniform(8.5, 11)
    away = np.sqrt(np.maximum(np.abs(frame.u) - np.float32(straight), 0) ** 2 + frame.v**2)
    ring = away - np.float32(radius)
    if canvas.chance(0.65):
        stand = canvas.cover(np.abs(ring - 5.6) - np.float32(canvas.uniform(1.8, 2.6)))
        canvas.shadow(canvas.cover(np.abs(ring - 5) - 4.2), 0.25)
        canvas.paint(stand, canvas.vary_colour(canvas.pick([g.PALE_ROOF, g.CONCRETE, g.BLUE_ROOF])))
        canvas.shade(1 - 0.2 * stand * np.sign(np.sin(ring * 3)))
    lane = canvas.vary_colour(canvas.pick([g.TILE, g.TILE, g.material(0.75, 0.42, 0.30, 0.5), g.BLUE_ROOF]))
    canvas.paint(canvas.cover(ring - 2.6), lane, mark=True)
    canvas.paint(
        canvas.cover(np.abs((ring + 0.2) % 1.3 - 0.65) - 0.12) * canvas.cover(ring - 2.6) * np.float32(0.5),
        g.PAINT,
    )
    pitch = canvas.cover(ring + 1.6)
    canvas.paint(pitch, canvas.vary_colour(g.LAWN), mark=True)
    canvas.shade(1 + 0.09 * pitch * np.sign(np.sin(frame.u * 1.25)))
    inner = box(frame.u, frame.v, straight + 2.5, radius * 0.58)
    marks = np.minimum(
        np.minimum(np.abs(inner), np.maximum(np.abs(frame.u), inner)),
        np.abs(np.sqrt(frame.u**2 + frame.v**2) - 2.5),
    )
    canvas.paint(canvas.cover(marks - 0.3) * np.float32(0.8), g.PAINT)
    masts = (np.abs(frame.u) - straight - 6) ** 2 + (np.abs(frame.v) - radius) ** 2
    canvas.bands[5] = np.maximum(canvas.bands[5], 0.7 * np.exp(-masts / 5))


def tennis_court(canvas: Canvas) -> None:
    """Courts side by side with white lines and nets on a coloured surround. Foreground: the paved courts."""
    g.terrain(canvas, [g.LAWN, g.GRASS, g.CONCRETE, g.ASPHALT])
    g.crowns(canvas, 5, canvas.uniform(0.0, 0.4))
    frame = canvas.random_frame(5)
    size = canvas.uniform(0.9, 1.25)
    wide, long = np.float32(13 * size), np.float32(24 * size)
    number = int(canvas.rng.integers(1, 5))
    paved = canvas.cover(box(frame.u, frame.v, wide * number / 2, long / 2))
    outer = [g.material(0.22, 0.42, 0.30, 0.30), g.TILE, g.SLATE, g.material(0.25, 0.36, 0.55, 0.3)]
    court = [
        g.material(0.20, 0.36, 0.62, 0.30),
        g.material(0.70, 0.38, 0.24, 0.5),
        g.material(0.20, 0.50, 0.34, 0.32),
    ]
    canvas.paint(paved, canvas.vary_colour(canvas.pick(outer)), mark=True)
    u = (frame.u + wide * number / 2) % wide - wide / 2
    half_u, half_v = wide * 0.33, long * 0.38
    play = box(u, frame.v, half_u, half_v)
    canvas.paint(canvas.cover(play) * paved, canvas.vary_colour(canvas.pick(court)))
    single, service = np.abs(np.abs(u) - half_u * 0.75), np.abs(np.abs(frame.v) - half_v * 0.52)
    middle = np.maximum(np.abs(u), np.abs(frame.v) - half_v * 0.52)
    lines = np.minimum(np.minimum(single, service), np.minimum(middle, np.abs(frame.v)))
    lines = np.minimum(np.maximum(lines, play), np.abs(play))
    canvas.paint(canvas.cover(lines - 0.3) * paved * np.float32(0.95), g.PAINT)
    canvas.shadow(canvas.cover(np.maximum(np.abs(frame.v + 0.7) - 0.5, np.abs(u) - half_u)) * paved, 0.45)
