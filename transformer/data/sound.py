"""Sound as Whisper hears it: the logarithm of the power in each of 80 mel bands, a hundred times a second.

    frames, present = log_mel([wave], seconds=30)        [1, 3000, 80], of waves at 16 kHz
"""
from collections.abc import Sequence

import numpy as np

from transformer.mistakes import Mistake

RATE, WINDOW, HOP = 16_000, 400, 160  # samples in a second, in a window, and from one window to the next
FLOOR, RANGE = 1e-10, 8.0  # the least power, and how many powers of ten below the loudest are told apart
BEND, STEP = 1000.0, 200 / 3  # slaney's mels: this many Hertz each up to the bend, and above it
GROWTH = np.log(6.4) / 27  # growing by this ratio's exponential


def log_mel(waves: Sequence[np.ndarray], seconds: int = 30, mels: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Features [b, t, mels] of waves of any lengths, cut or filled with silence to so many seconds, and which of the
    frames are of the wave itself [b, t]."""
    padded = np.zeros((len(waves), seconds * RATE), np.float32)
    for row, wave in zip(padded, waves, strict=True):
        if np.ndim(wave) != 1:
            raise Mistake(f"a wave has the shape {np.shape(wave)}; give one channel, as [samples] at {RATE} Hz")
        row[: len(wave)] = wave[: len(row)]
    power = np.stack([_power(row) for row in padded])
    # One product for all: BLAS's threads would wait for each other longer than the product of one short wave takes.
    bands = (power.reshape(-1, power.shape[-1]) @ mel_filters(mels)).reshape(*power.shape[:2], mels)
    loud = np.log10(np.maximum(bands, FLOOR))
    frames = ((np.maximum(loud, loud.max((1, 2), keepdims=True) - RANGE) + 4) / 4).astype(np.float32)
    lengths = np.array([len(wave) for wave in waves])
    return frames, np.arange(frames.shape[1])[None] * HOP < lengths[:, None]


def mel_filters(mels: int, window: int = WINDOW, rate: int = RATE) -> np.ndarray:
    """Triangles over the frequencies of a window [window // 2 + 1, mels], each of the same area."""
    frequencies = np.linspace(0, rate / 2, window // 2 + 1)
    corners = _hertz(np.linspace(0, _mel(rate / 2), mels + 2))
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies[:, None] - low) / (middle - low)
    falling = (high - frequencies[:, None]) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


def _power(wave: np.ndarray) -> np.ndarray:
    """Windows centred on every HOP-th sample; the wave is mirrored at its ends."""
    mirrored = np.pad(wave.astype(np.float64), WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, WINDOW)[: len(wave) : HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return np.abs(np.fft.rfft(windows * hann)) ** 2


def _mel(hertz: float) -> float:
    return hertz / STEP if hertz < BEND else BEND / STEP + np.log(hertz / BEND) / GROWTH


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < BEND / STEP, mels * STEP, BEND * np.exp(GROWTH * (mels - BEND / STEP)))
