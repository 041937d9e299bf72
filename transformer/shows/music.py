"""Music to listen to and to look at: MIDI files that any player opens, and piano rolls."""
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from transformer.data import midi
from transformer.data.midi import Note


def save(folder: Path, pieces: Mapping[str, Sequence[Note]], title: str, file: str = "roll.png") -> str:
    """A .mid of each piece, and a picture of all: pitch over time, darker where a key was struck harder."""
    figure = Figure((11, 1.0 + 2.1 * len(pieces)), dpi=110, layout="constrained")
    rows = figure.subplots(len(pieces), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, (name, notes) in zip(rows, pieces.items(), strict=True):
        midi.write(folder / f"{name.replace(' ', '-')}.mid", notes)
        axes.barh([note.pitch for note in notes], [note.end - note.start for note in notes], left=[note.start for note in notes],
                  height=0.85, color=[(0.1, 0.25, 0.5, 0.3 + 0.7 * note.velocity / 127) for note in notes])
        octaves = list(range(0, midi.PITCHES, 12))
        axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
        axes.set(title=name)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    every = [note.pitch for notes in pieces.values() for note in notes] or [60]
    rows[-1].set(xlabel="seconds", ylim=(min(every) - 2, max(every) + 2))
    figure.suptitle(title, fontsize=11)
    figure.savefig(folder / file)
    return f"{title}: {', '.join(f'{name}.mid'.replace(' ', '-') for name in pieces)} and {file}"
