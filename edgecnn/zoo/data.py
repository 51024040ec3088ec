"""Data for the reference networks: generated from a seed, or loaded from files of strokes.

Every generator gives the same arrays for the same arguments: float32 images (N, C, H, W), or
signals (N, C, L).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgecnn.ir import Array

Rng = np.random.Generator


class Split(NamedTuple):
    """Samples and labels to train and to test with; ``x`` is a tuple where there are two inputs."""

    train_x: Array | tuple[Array, ...]
    train_y: Array
    test_x: Array | tuple[Array, ...]
    test_y: Array


def _grid(height: int, width: int) -> tuple[Array, Array]:
    """Coordinates of the pixels, from -1 to 1, as (height, 1) and (1, width)."""
    return np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]


def _columns(*values: Array) -> list[Array]:
    """Numbers of N samples as (N, 1, 1), to be combined with a grid."""
    return [np.asarray(v)[:, None, None] for v in values]


def _noisy(rng: Rng, x: Array, sigma: float) -> Array:
    return (x + rng.normal(0, sigma, x.shape)).astype(np.float32)


# --- shapes -----------------------------------------------------------------------------------


def _shape_masks(rng: Rng, kinds: Array, size: int) -> Array:
    """Booleans (N, size, size): a disc (0), a square (1), a cross (2) or a ring (3) somewhere."""
    v, u = _grid(size, size)
    count = len(kinds)
    x, y = _columns(*rng.uniform(-0.2, 0.2, (2, count)))
    (radius,) = _columns(rng.uniform(0.5, 0.7, count))
    dx, dy = np.abs(u - x), np.abs(v - y)
    distance = np.hypot(dx, dy)
    square = np.maximum(dx, dy) < 0.85 * radius
    every = np.stack(
        [
            distance < radius,
            square,
            square & (np.minimum(dx, dy) < 0.25 * radius),
            (distance < radius) & (distance > 0.55 * radius),
        ]
    )
    chosen: Array = every[kinds, np.arange(count)]
    return chosen


def _coloured(rng: Rng, masks: Array, hues: Array) -> Array:
    """Images (N, 3, H, W) of shapes whose strongest channel is their hue, on a dark slope."""
    count, height, width = masks.shape
    v, u = _grid(height, width)
    a, b = _columns(*rng.uniform(-0.15, 0.15, (2, count)))
    back = (0.25 + a * u + b * v)[:, None] * rng.uniform(0.5, 1, (count, 3, 1, 1))
    colours = rng.uniform(0.1, 0.45, (count, 3))
    colours[np.arange(count), hues] = rng.uniform(0.7, 1, count)
    images = np.where(masks[:, None], colours[:, :, None, None], back)
    return _noisy(rng, images, 0.04)


def coloured_shapes(train: int = 1000, test: int = 400, size: int = 20, seed: int = 0) -> Split:
    """Twelve classes: four shapes, each red, green or blue; images (N, 3, size, size)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(12, size=train + test)
    x = _coloured(rng, _shape_masks(rng, labels // 3, size), labels % 3)
    return Split(x[:train], labels[:train], x[train:], labels[train:])


def shapes_to_segment(train: int = 250, test: int = 60, size: int = 24, seed: int = 0) -> Split:
    """Images (N, 3, size, size); labels (N, size, size): background, disc or square."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(2, size=train + test)
    masks = _shape_masks(rng, kinds, size)
    x = _coloured(rng, masks, rng.integers(3, size=train + test))
    y = np.where(masks, kinds[:, None, None] + 1, 0)
    return Split(x[:train], y[:train], x[train:], y[train:])


# --- sound, spectra ---------------------------------------------------------------------------


def keyword_spectrograms(train: int = 800, test: int = 400, words: int = 8, seed: int = 0) -> Split:
    """Spectrogram-like images (N, 1, 32 frames, 20 bands): two formants that glide, per word.

    Samples of a word differ in onset, speed, pitch and loudness, and in their noise.
    """
    rng = np.random.default_rng(seed)
    glides = rng.uniform(0.1, 0.9, (words, 2, 2))
    labels = rng.integers(words, size=train + test)
    count = len(labels)
    time, band = np.arange(32)[None, :, None] / 32, np.arange(20)[None, None, :] / 20
    onset, length = _columns(rng.uniform(0, 0.4, count), rng.uniform(0.4, 0.6, count))
    pitch, loudness = _columns(rng.normal(0, 0.03, count), rng.uniform(0.6, 1.2, count))
    position = (time - onset) / length
    voiced = (position > 0) & (position < 1)
    x = np.zeros((count, 32, 20))
    for formant in range(2):
        start, end = _columns(*glides[labels, formant].T)
        track = start + (end - start) * position + pitch
        x += voiced * loudness * np.exp(-(((band - track) / 0.06) ** 2))
    x = _noisy(rng, x[:, None], 0.15)
    return Split(x[:train], labels[:train], x[train:], labels[train:])


def hyperspectral_patches(
    train: int = 700, test: int = 400, bands: int = 32, size: int = 5, seed: int = 0
) -> Split:
    """Patches (N, 1, bands, size * size) of eight covers: four materials, even or in stripes.

    The label is that of the middle pixel; illumination varies, and materials mix a little.
    Stripes alternate with a material that all covers share.
    """
    rng = np.random.default_rng(seed)
    wave = np.linspace(0, 1, bands)[:, None]
    centres, widths = rng.uniform(0, 1, (5, 1, 4)), rng.uniform(0.05, 0.2, (5, 1, 4))
    spectra = np.exp(-(((wave[None] - centres) / widths) ** 2)).sum(axis=2) / 2
    labels = rng.integers(8, size=train + test)
    count = len(labels)
    material, striped = labels // 2, labels % 2
    row, column = np.mgrid[:size, :size].reshape(2, -1)
    across = np.where(rng.random(count)[:, None] < 0.5, row, column) - size // 2
    shared = (striped[:, None] * (across % 2))[:, None, :]
    own = spectra[material][:, :, None]
    other = spectra[rng.integers(5, size=count)][:, :, None]
    mixed = 0.85 * own + 0.15 * other
    x = np.where(shared > 0, spectra[4][None, :, None], mixed)
    x = x * rng.uniform(0.7, 1.2, (count, 1, 1)) * rng.normal(1, 0.05, (count, 1, size * size))
    x = _noisy(rng, x[:, None], 0.08)
    return Split(x[:train], labels[:train], x[train:], labels[train:])


# --- faces, fingers ---------------------------------------------------------------------------


def _faces(rng: Rng, traits: Array, size: int) -> Array:
    """Images (N, 1, size, size) from seven traits each, in [-1, 1]."""
    v, u = _grid(size, size)
    shift_x, shift_y = _columns(*rng.uniform(-0.06, 0.06, (2, len(traits))))
    u, v = u - shift_x, v - shift_y
    broad, apart, eyes, nose, wide, mouth, skin = _columns(*traits.T)

    def blob(x: Array, y: Array, width: Array | float, height: Array | float) -> Array:
        result: Array = np.exp(-(((u - x) / width) ** 2) - ((v - y) / height) ** 2)
        return result

    head = 1 / (1 + np.exp(14 * (np.hypot(u / (0.65 + 0.15 * broad), v / 0.85) - 1)))
    face = head * (0.65 + 0.2 * skin)
    for side in (-1, 1):
        face = face - 0.6 * blob(side * (0.32 + 0.1 * apart), -0.25 + 0.15 * eyes, 0.12, 0.08)
    face = face - 0.35 * blob(
        np.zeros_like(nose), np.full_like(nose, 0.05), 0.06, 0.14 + 0.08 * nose
    )
    face = face - 0.5 * blob(np.zeros_like(wide), 0.45 + 0.12 * mouth, 0.25 + 0.14 * wide, 0.07)
    light = rng.uniform(0.85, 1.15, (len(traits), 1, 1)) + 0.1 * u * rng.normal(0, 1, (1, 1, 1))
    return _noisy(rng, (face * light)[:, None], 0.04)


def faces(
    people: int = 60, strangers: int = 20, each: int = 20, size: int = 24, seed: int = 0
) -> Split:
    """Face-like images (N, 1, size, size), labelled by person; tested on people never seen."""
    rng = np.random.default_rng(seed)
    traits = rng.uniform(-1, 1, (people + strangers, 7))
    labels = np.repeat(np.arange(people + strangers), each)
    x = _faces(rng, traits[labels] + rng.normal(0, 0.06, (len(labels), 7)), size)
    known = people * each
    return Split(x[:known], labels[:known], x[known:], labels[known:])


def _prints(rng: Rng, fingers: Array, size: int) -> Array:
    """Ridges (N, 1, size, size): stripes bent by the three waves of a finger, moved a little."""
    v, u = _grid(size, size)
    turn, zoom = _columns(rng.normal(0, 0.05, len(fingers)), rng.normal(1, 0.02, len(fingers)))
    x, y = _columns(*rng.uniform(-0.06, 0.06, (2, len(fingers))))
    a = zoom * (np.cos(turn) * u - np.sin(turn) * v) + x
    b = zoom * (np.sin(turn) * u + np.cos(turn) * v) + y
    angle, phase, *waves = _columns(*fingers.T)
    ridges = 13 * (np.cos(angle) * a + np.sin(angle) * b) + phase
    for kx, ky, strength in zip(waves[::3], waves[1::3], waves[2::3], strict=True):
        ridges = ridges + 2.2 * strength * np.sin(2 * (kx * a + ky * b))
    return _noisy(rng, (0.5 + 0.5 * np.cos(ridges))[:, None], 0.1)


def fingerprint_pairs(train: int = 1500, test: int = 500, size: int = 24, seed: int = 0) -> Split:
    """Two inputs of ridge patterns (N, 1, size, size); label 1 where both are of one finger.

    No finger of the test was seen in training.
    """
    rng = np.random.default_rng(seed)
    count = train + test
    shapes = rng.uniform(-1, 1, (2, count, 11)) * np.array([np.pi, np.pi, *[1.5, 1.5, 1] * 3])
    labels = rng.integers(2, size=count)
    first = shapes[0]
    second = np.where(labels[:, None] == 1, first, shapes[1])
    left, right = _prints(rng, first, size), _prints(rng, second, size)
    return Split(
        (left[:train], right[:train]), labels[:train], (left[train:], right[train:]), labels[train:]
    )


# --- strokes ----------------------------------------------------------------------------------


def load_strokes(folder: str | Path, points: int = 64, test_fraction: float = 0.25) -> Split:
    """Digits that were drawn with a wand in the air, as signals (N, 2, points).

    ``folder`` holds JSON files with ``strokes``, each a ``label`` and ``strokePoints`` of ``x``
    and ``y``. The strokes are resampled to equal steps in time. Files are shuffled together
    before they are split, alike at each call. Raises `FileNotFoundError` for a folder without any.
    """
    files = sorted(Path(folder).glob("*.json"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .json file of strokes")
    strokes = [s for file in files for s in json.loads(file.read_text())["strokes"]]
    steps = np.linspace(0, 1, points)

    def resampled(stroke: dict[str, list[dict[str, float]]]) -> Array:
        path = np.array([(p["x"], p["y"]) for p in stroke["strokePoints"]])
        at = np.linspace(0, 1, len(path))
        return np.stack([np.interp(steps, at, path[:, i]) for i in range(2)])

    x = np.stack([resampled(s) for s in strokes]).astype(np.float32)
    y = np.array([int(s["label"]) for s in strokes])
    order = np.random.default_rng(0).permutation(len(x))
    held = int(len(x) * test_fraction)
    test, train = order[:held], order[held:]
    return Split(x[train], y[train], x[test], y[test])
