"""Scenes of roads, rails and runways. Each function draws on an empty canvas and marks its foreground.

Shapes: S pixels a side (see `canvas`).
"""

from __future__ import annotations

import numpy as np

from raysim.data.scenes import ground as g
from raysim.data.scenes.canvas import Array, Canvas, Frame, box


def _aeroplane(canvas: Canvas, frame: Frame, size: float) -> None:
    """Draw a white aeroplane at the frame's origin, nose along u, with its shadow."""

    def cover(at: Frame) -> Array:
        u, v = at.u / np.float32(size), np.abs(at.v) / np.float32(size)
        body = np.maximum(np.abs(u) - 1, v - 0.13)
        wing = np.maximum(np.abs(u - 0.15 + v * 0.55) - 0.2, v - 0.95)
        tail = np.maximum(np.abs(u + 0.85 + v * 0.5) - 0.12, v - 0.4)
        return canvas.cover(np.minimum(np.minimum(body, wing), tail) * np.float32(size))

    canvas.paint(canvas.cover_with_shadow(cover, frame, 1.2, 0.5), g.PAINT)


def runway(canvas: Canvas) -> None:
    """A wide straight strip with a dashed middle line and marks at its ends. Foreground: the strip."""
    g.terrain(canvas, [g.LAWN, g.GRASS, g.DRY_GRASS, g.SOIL], 0.07)
    frame = canvas.random_frame(5)
    half = canvas.uniform(6, 9)
    surface = canvas.vary_colour(g.ASPHALT if canvas.chance(0.7) else g.CONCRETE, 0.12)
    beside = frame._replace(
        v=frame.v - np.float32((half + canvas.uniform(9, 13)) * (1 if canvas.chance(0.5) else -1))
    )
    if canvas.chance(0.7):
        taxi = canvas.cover(
            np.minimum(np.abs(beside.v), np.maximum(np.abs(frame.u - 8) * 0.8, np.abs(frame.v) - 15)) - 2.2
        )
        canvas.paint(taxi, canvas.vary_colour(g.CONCRETE))
        canvas.paint(canvas.cover(np.abs(beside.v) - 0.2) * np.float32(0.8), g.material(0.95, 0.8, 0.2, 0.6))
    strip = canvas.cover(np.abs(frame.v) - np.float32(half))
    canvas.paint(strip, surface, mark=True)
    canvas.shade(
        1 - 0.16 * strip * np.exp(-((frame.v / (half * 0.4)) ** 2)) * np.clip(canvas.noise(3) + 0.8, 0, 1)
    )
    end = np.float32(canvas.uniform(-24, -4) if canvas.chance(0.75) else -90)
    marks = np.where((frame.u > end + 12) & ((frame.u / 9) % 1 < 0.6), np.abs(frame.v) - 0.5, 9)
    keys = np.maximum(np.abs(frame.u - end - 4) - 3, np.abs((np.abs(frame.v) - 0.3) % 2.1 - 1.05) - 0.6)
    keys = np.maximum(keys, np.abs(frame.v) - half + 1)
    touch = np.maximum(np.abs(frame.u - end - 22) - 3.5, np.abs(np.abs(frame.v) - half * 0.45) - 0.9)
    edge = np.abs(np.abs(frame.v) - half + 0.8) - 0.3
    for shape in (marks, keys, touch, edge):
        canvas.paint(canvas.cover(shape) * strip * np.float32(0.95), g.PAINT)
    g.lamps(canvas, frame, half + 0.3, 5)
    if canvas.chance(0.45):
        _aeroplane(
            canvas, frame._replace(u=frame.u - np.float32(canvas.uniform(-12, 12))), canvas.uniform(4.5, 6)
        )


def highway(canvas: Canvas) -> None:
    """Two carriageways with lanes, a green median and traffic. Foreground: carriageways."""
    g.open_land(canvas)
    frame = g.winding_frame(canvas, canvas.random_frame(8), canvas.uniform(0, 5), canvas.uniform(70, 110))
    half, median = canvas.uniform(3.2, 5), canvas.uniform(0.7, 2)
    middle = np.float32(half + median)
    surface = canvas.vary_colour(g.ASPHALT if canvas.chance(0.7) else g.CONCRETE, 0.08)
    canvas.paint(canvas.cover(np.abs(frame.v) - middle - half - 0.9), canvas.vary_colour(g.GRAVEL))
    canvas.paint(canvas.cover(np.abs(frame.v) - np.float32(median)), canvas.vary_colour(g.GRASS))
    lane = np.abs(frame.v) - middle
    road = canvas.cover(np.abs(lane) - np.float32(half))
    canvas.paint(road, surface, mark=True)
    canvas.paint(canvas.cover(np.abs(lane) - 0.25) * ((frame.u / 4.5) % 1 < 0.5), g.PAINT)
    canvas.paint(canvas.cover(np.abs(np.abs(lane) - half + 0.5) - 0.2) * np.float32(0.8), g.PAINT)
    lanes = frame._replace(
        v=np.where(np.abs(lane) < half, lane, np.float32(half)) + np.float32(20 * half) * (frame.v > 0)
    )
    g.cars(canvas, lanes, (10.0, half), canvas.uniform(0.2, 0.6), canvas.uniform(2.8, 4.5), road)
    g.lamps(canvas, frame, float(middle + half), 8)


def intersection(canvas: Canvas) -> None:
    """Two roads that cross, with zebra crossings, buildings or lawns at the corners. Foreground: roads."""
    g.terrain(canvas, [g.LAWN, g.GRAVEL, g.CONCRETE])
    frame = canvas.random_frame(5)
    slant = np.float32(canvas.uniform(-0.25, 0.25))
    other = frame._replace(u=frame.v, v=(frame.u + slant * frame.v) / np.float32(np.sqrt(1 + slant**2)))
    half = np.float32(canvas.uniform(4, 6)), np.float32(canvas.uniform(3.5, 6))
    free = np.minimum(np.abs(frame.v) - half[0], np.abs(other.v) - half[1])
    if canvas.chance(0.7):
        plots = canvas.rotated_frame(frame.angle, 6)
        g.houses(
            canvas,
            plots,
            (13, 13),
            np.where(free > 6.5, np.float32(0.9), np.float32(0)),
            g.HOUSE_ROOFS,
            height=3.5,
        )
        canvas.mask[:] = 0
    g.crowns(canvas, 4.5, np.where(free > 3.5, np.float32(canvas.uniform(0.1, 0.5)), np.float32(0)))
    canvas.paint(canvas.cover(free - 1.2), canvas.vary_colour(g.CONCRETE))
    canvas.paint(canvas.cover(free), canvas.vary_colour(g.ASPHALT), mark=True)
    for line, half_width, other_half in ((frame, half[0], half[1]), (other, half[1], half[0])):
        far = np.abs(line.u) - other_half
        on = canvas.cover(np.abs(line.v) - half_width + 0.5)
        canvas.paint(canvas.cover(np.abs(line.v) - 0.35) * (far > 6) * on * ((line.u / 4) % 1 < 0.6), g.PAINT)
        canvas.paint(canvas.cover(np.abs(far - 2.4) - 1.4) * on * ((line.v / 1.9) % 1 < 0.5), g.PAINT)
        g.cars(canvas, line, (7.5, float(half_width)), canvas.uniform(0.2, 0.7), 3.2, on * (far > 4.5))
        g.lamps(canvas, line, float(half_width) + 0.8, 10)


def railway(canvas: Canvas) -> None:
    """Parallel tracks with sleepers on ballast, trains, maybe a platform. Foreground: ballast and trains."""
    g.open_land(canvas)
    frame = g.winding_frame(canvas, canvas.random_frame(8), canvas.uniform(0, 5), canvas.uniform(80, 120))
    tracks, gap = int(canvas.rng.integers(2, 7)), canvas.uniform(4.2, 5)
    half = np.float32(tracks * gap / 2)
    bed = canvas.cover(np.abs(frame.v) - half)
    canvas.paint(bed, canvas.vary_colour(g.material(0.44, 0.38, 0.33, 0.40), 0.1), mark=True)
    canvas.shade(1 + 0.10 * bed * canvas.grain())
    across = (frame.v + half) % np.float32(gap) - np.float32(gap / 2)
    sleepers = canvas.cover(np.abs(across) - 1.5) * ((frame.u / 1.9) % 1 < 0.45) * bed
    canvas.paint(sleepers * np.float32(0.75), g.material(0.24, 0.19, 0.16, 0.25))
    canvas.paint(
        canvas.cover(np.abs(np.abs(across) - 0.95) - 0.2) * bed * np.float32(0.9),
        g.material(0.72, 0.72, 0.75, 0.5),
    )
    if canvas.chance(0.4):
        platform = canvas.cover(box(frame.u, frame.v - half - 2, 26, 2))
        canvas.shadow(canvas.cover(box(frame.u, frame.v - half, 26, 1)), 0.4)
        canvas.paint(platform, g.CONCRETE)
    for _ in range(int(canvas.rng.integers(1, 3))):
        row = (float(canvas.rng.integers(tracks)) + 0.5) * gap - float(half)
        train = frame._replace(u=frame.u - np.float32(canvas.uniform(-22, 22)), v=frame.v - np.float32(row))
        long = canvas.uniform(12, 32)

        def coach(at: Frame, long: float = long) -> np.ndarray:
            return canvas.cover(box(at.u, at.v, long, 1.45))

        cover = canvas.cover_with_shadow(coach, train, 1.6, 0.5)
        canvas.paint(
            cover, canvas.vary_colour(canvas.pick([g.TILE, g.PALE_ROOF, g.BLUE_ROOF, g.SLATE, g.YELLOW]))
        )
        canvas.shade(1 - 0.4 * cover * ((train.u / 9) % 1 < 0.12))
        canvas.shade(1 + 0.18 * cover * canvas.cover(np.abs(train.v) - 0.5))
    g.lamps(canvas, frame, float(half) + 0.8, 11)
