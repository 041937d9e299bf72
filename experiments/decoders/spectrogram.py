"""Next frame of a spectrogram: plucked tunes, told as how loud each band of pitches will be, and turned back into sound.

    python -m experiments spectrogram                      two cores: less error than the best linear map of four frames, and
                                                           .7 of that of saying the last frame again
    python -m experiments spectrogram --folder recordings  on your own WAV files (--skip: without those that are broken)
"""
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from transformer.data import files, waves
from transformer.data.examples import examples
from transformer.data.linear import autoregression
from transformer.data.made.tunes import FRAMES, tunes
from transformer.losses import next_frame
from transformer.mistakes import Mistake
from transformer.models.spectrogram import Size, Spectrogram, continued
from transformer.shows.sound import save
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 32, "clips": 20, "unseen": 8}


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 128, rows: int = 16,
               rate: float = 1e-2, steps: int = 1500, clips: int = 2000, unseen: int = 100, folder: Path | None = None,
               skip: bool | None = None) -> Experiment:
    if folder:
        read = files.apart([FRAMES.of(wave) for wave in waves.folder(folder, FRAMES.rate, bool(skip))[1]])
        learned, held = (cut(frames, length + 1) for frames in read)
    else:
        learned, held = (np.stack([FRAMES.of(wave) for wave in tunes(count, length + 1, seed)])
                         for seed, count in enumerate((clips, unseen)))
    middle, spread = learned.mean(), learned.std()
    learned, held = ((frames - middle) / spread for frames in (learned, held))
    linear, again = autoregression(learned[:500], held, 4), float(np.square(np.diff(held, axis=1)).mean())

    def goes_on(model: Any, place: Path) -> str:
        known = length // 2
        new = np.asarray(continued(model, jnp.asarray(held[:1, :known]), length - known))[0]
        seen = {"truth": held[0, :length], "told in one go": np.concatenate([held[0, :known], new])}
        sounds = {name: FRAMES.sound(frames * spread + middle) for name, frames in seen.items()}
        return save(place, sounds, FRAMES.rate, f"The first {known / length:.0%} are the truth's; all sound is Griffin and Lim's")

    model = Spectrogram.of(Size(FRAMES.mels, layers, embed, heads, heads, mlp))
    data, test = (examples(frames=frames, weights=np.ones((len(frames), length), np.float32)) for frames in (learned, held))
    return Experiment(
        model=model, loss=next_frame, data=data, held_out=test, rows=rows, steps=steps, shows=[goes_on],
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        corpus=f"sounds in {folder.name}" if folder else "plucked tunes",
        expects=[Expectation("error", None, baseline=linear), Expectation("error", 0.7 * again, baseline=again)])


def cut(frames: np.ndarray, length: int) -> np.ndarray:
    """Rows of so many frames each, one after the other."""
    if len(frames) < length:
        raise Mistake(f"there are {len(frames)} frames of sound to learn from or to hold out, and a row takes {length}: "
                      "give longer recordings, or a smaller length")
    return frames[:len(frames) // length * length].reshape(-1, length, frames.shape[-1])


if __name__ == "__main__":
    main(experiment)
