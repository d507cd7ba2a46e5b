"""Drawings in one or two inks: pencil, ink, engraving, woodcut. `styles` has what they share."""

import numpy as np

from .style_parts import blur, even, hsv, outline, paper, pick, sharpen, stripes, tone, two_tone
from .texture import Picture, smooth_noise, smoothstep


def pencil(image: Picture, rng: np.random.Generator) -> Picture:
    """Soft grey graphite on white paper: outlines and one direction of hatching."""
    size, light = len(image), tone(image)
    wobble = 0.8 * smooth_noise(rng, size, 6)
    hatch = stripes(size, rng.uniform(0.5, 1.1), rng.uniform(2.8, 3.3), wobble)
    grain = 0.5 + 0.3 * smooth_noise(rng, size, 60)
    shade = 1 - sharpen(blur(even(light, 5), 0.3), 0.6)
    strokes = np.clip(0.75 * hatch + 0.5 * grain - 0.05, 0, 1)
    drawn = 1 - rng.uniform(0.8, 1.0) * shade * strokes
    drawn = drawn * (0.15 + 0.85 * outline(even(light, 12), 0.55, 34, 0.012))
    graphite = pick(rng, [(0.20, 0.20, 0.22), (0.14, 0.14, 0.15), (0.28, 0.27, 0.28)])
    white = pick(rng, [(0.97, 0.96, 0.94), (0.94, 0.94, 0.95), (0.95, 0.93, 0.88)])
    sheet = paper(rng, size, white)
    return graphite + (sheet - graphite) * np.clip(drawn, 0, 1)[..., None]


def ink(image: Picture, rng: np.random.Generator) -> Picture:
    """Brush and pen, pure black on white, with cross-hatching and one flat spot colour."""
    size, light = len(image), sharpen(even(tone(image), 12), 0.8)
    soft = blur(light, 0.4)
    drawn = outline(light, 0.6, 60, 0.012)
    first = rng.uniform(0.4, 1.1)
    for darkness, angle in ((0.46, first), (0.28, first + np.pi / 2)):
        hatch = stripes(size, angle, rng.uniform(2.7, 3.1), 0.3 * smooth_noise(rng, size, 5))
        line = smoothstep(0.62, 0.82, hatch) * smoothstep(darkness + 0.03, darkness - 0.03, soft)
        drawn = drawn * (1 - line)
    drawn = drawn * smoothstep(0.13, 0.18, soft)
    white = pick(rng, [(1.0, 1.0, 1.0), (0.98, 0.97, 0.92)])
    spot = pick(rng, [(0.93, 0.25, 0.20), (0.98, 0.80, 0.15), (0.25, 0.62, 0.85), (1.0, 1.0, 1.0)])
    level = rng.uniform(0.5, 0.62)
    ground = np.where((soft < level)[..., None], spot, white)
    return two_tone(drawn, np.array([0.03, 0.03, 0.05]), ground)


def engraving(image: Picture, rng: np.random.Generator) -> Picture:
    """Fine lines that swell with the shadows and bend over the form, brown or blue on cream."""
    size, light = len(image), sharpen(even(tone(image), 12), 1.2)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 64 - 32
    bow = 0.006 * rng.choice([-1, 1]) * axis[None, :] ** 2 + 1.0 * blur(light, 1.5)
    slant, period = rng.uniform(-0.15, 0.15), rng.uniform(2.6, 3.0)
    wave = stripes(size, np.pi / 2 + slant, period, bow)
    shade = np.clip(1.0 * (1 - blur(light, 0.3)) - 0.06, 0, 1.3)  # share of the paper under ink
    drawn = smoothstep(-0.25, 0.25, wave - shade)
    crossed = stripes(size, slant + 0.6, period, bow)
    drawn = drawn * smoothstep(-0.3, 0.3, crossed - 2.2 * (shade - 0.62))
    drawn = drawn * (0.1 + 0.9 * outline(light, 0.5, 40, 0.012))
    inks = [(0.27, 0.14, 0.06), (0.10, 0.16, 0.36), (0.10, 0.24, 0.16), (0.36, 0.08, 0.08)]
    creams = [(0.95, 0.88, 0.70), (0.93, 0.90, 0.78), (0.88, 0.82, 0.66)]
    return two_tone(drawn, pick(rng, inks), paper(rng, size, pick(rng, creams), 0.04))


def woodcut(image: Picture, rng: np.random.Generator) -> Picture:
    """White gouges in a black block, printed over one flat colour."""
    size, light = len(image), sharpen(even(tone(image), 10), 1.0)
    soft = blur(light, 0.5)
    axis = np.arange(size, dtype=np.float32) / size
    down, right = axis[:, None] - rng.uniform(0.35, 0.65), axis[None, :] - rng.uniform(0.4, 0.6)
    rays = np.arctan2(down, right) * int(rng.integers(30, 42))
    gouge = 0.5 + 0.5 * np.sin(rays + 0.8 * smooth_noise(rng, size, 7))
    cut = smoothstep(-0.12, 0.12, gouge - (1.4 - 2.3 * soft)) * outline(light, 0.8, 50, 0.01)
    colour = hsv(rng.uniform(), rng.uniform(0.45, 0.8), rng.uniform(0.75, 0.95))
    printed = np.where((soft > rng.uniform(0.62, 0.75))[..., None], np.float32(0.96), colour)
    return two_tone(cut, np.array([0.07, 0.05, 0.05], np.float32), printed)
