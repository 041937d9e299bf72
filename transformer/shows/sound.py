"""Sound to listen to and to look at: files that any player opens, and what is in them as pictures."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from transformer.data import waves
from transformer.data.spectra import Frames


def save(folder: Path, sounds: Mapping[str, np.ndarray], rate: int, title: str, file: str = "sounds.png") -> str:
    """A wav of each, and a picture of all: the wave, and below it how much sounds at each pitch."""
    frames = Frames(rate, window=256, hop=32, mels=64)
    figure = Figure((3.4 * len(sounds) + 0.6, 4.6), dpi=110, layout="constrained")
    grid = figure.subplots(2, len(sounds), squeeze=False, sharex="col")
    for column, (name, wave) in enumerate(sounds.items()):
        waves.write(folder / f"{name.replace(' ', '-')}.wav", wave, rate)
        seconds = np.arange(len(wave)) / rate
        grid[0, column].plot(seconds, wave, linewidth=0.5)
        grid[0, column].set(title=name, ylim=(-1.05, 1.05))
        grid[1, column].imshow(frames.of(wave).T, origin="lower", aspect="auto", cmap="magma",
                               extent=(0, len(wave) / rate, 0, frames.mels))
        grid[1, column].set(xlabel="seconds", yticks=[])
    grid[1, 0].set_ylabel("mel bands")
    figure.suptitle(title, fontsize=11)
    figure.savefig(folder / file)
    return f"{title}: {', '.join(f'{name}.wav'.replace(' ', '-') for name in sounds)} and {file}"
