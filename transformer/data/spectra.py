"""Sound as numbers that can be predicted, and back: companded samples (WaveNet's), and spectrogram frames.

    levels = companded(wave)                   # 0..255, μ-law
    frames = Frames().of(wave)                 # the log of the power in each mel band
    wave = Frames().sound(frames)              # by Griffin and Lim (1984): the phases are guessed until they agree
"""
import dataclasses

import numpy as np

from transformer.data.sound import mel_filters

FLOOR = 1e-5  # the least power that is told from silence


def companded(wave: np.ndarray, levels: int = 256) -> np.ndarray:
    """Samples between -1 and 1 as whole numbers, finer near silence: G.711's μ-law."""
    mu = levels - 1
    bent = np.sign(wave) * np.log1p(mu * np.abs(np.clip(wave, -1, 1))) / np.log1p(mu)
    return np.floor((bent + 1) / 2 * mu + 0.5).astype(np.int32)


def expanded(levels: np.ndarray, of: int = 256) -> np.ndarray:
    """The sample that each level stands for."""
    mu = of - 1
    bent = 2 * np.asarray(levels, np.float64) / mu - 1
    return (np.sign(bent) * np.expm1(np.abs(bent) * np.log1p(mu)) / mu).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Frames:
    """How sound is cut into frames: windows of so many samples, each `hop` after the one before."""

    rate: int = 8000
    window: int = 256
    hop: int = 64
    mels: int = 40

    def of(self, wave: np.ndarray) -> np.ndarray:
        """The natural log of the power in each band [t, mels]."""
        power = np.abs(self.transform(wave)) ** 2
        # Not by BLAS, whose threads wait for each other longer than so small a product takes.
        bands = np.einsum("tf,fm->tm", power, mel_filters(self.mels, self.window, self.rate))
        return np.log(np.maximum(bands, FLOOR)).astype(np.float32)

    def sound(self, frames: np.ndarray, rounds: int = 60) -> np.ndarray:
        """A wave with these frames, as nearly as can be."""
        filters = mel_filters(self.mels, self.window, self.rate)
        power = np.maximum(np.exp(np.asarray(frames, np.float64)) @ np.linalg.pinv(filters), 0)
        return self.phased(np.sqrt(power), rounds)

    def phased(self, magnitudes: np.ndarray, rounds: int = 60) -> np.ndarray:
        """A wave whose spectrum has these magnitudes [t, window // 2 + 1], by Griffin and Lim's iteration."""
        phases = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitudes.shape))
        before = np.zeros_like(phases)
        for _ in range(rounds):
            again = self.transform(self.inverse(magnitudes * phases))
            # Looking a little further than the last change went arrives sooner (Perraudin et al. 2013).
            ahead = again + 0.99 * (again - before)
            phases, before = ahead / np.maximum(np.abs(ahead), 1e-12), again
        return self.inverse(magnitudes * phases).astype(np.float32)

    def transform(self, wave: np.ndarray) -> np.ndarray:
        """The short-time Fourier transform [t, window // 2 + 1], windows centred on every `hop`-th sample."""
        mirrored = np.pad(np.asarray(wave, np.float64), self.window // 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(mirrored, self.window)[::self.hop]
        return np.fft.rfft(windows * self._hann)

    def inverse(self, spectrum: np.ndarray) -> np.ndarray:
        """The wave whose transform is nearest: windows laid over each other and divided by their weight."""
        pieces = np.fft.irfft(spectrum, self.window) * self._hann
        length = (len(pieces) - 1) * self.hop + self.window
        wave, weight = np.zeros(length), np.zeros(length)
        for at, piece in enumerate(pieces):
            wave[at * self.hop:at * self.hop + self.window] += piece
            weight[at * self.hop:at * self.hop + self.window] += self._hann**2
        inside = slice(self.window // 2, length - self.window // 2)
        return wave[inside] / np.maximum(weight[inside], 1e-8)

    @property
    def _hann(self) -> np.ndarray:
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
