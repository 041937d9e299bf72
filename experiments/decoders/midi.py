"""Music Transformer: notes struck and let go, predicted one event after the other by attention that knows distances.

    python -m experiments midi                     two cores: within .05 nats of the grammar's entropy, in all keys though it
                                                   reads none but C; .95 of its bars right, and of its notes in key
    python -m experiments midi --folder pieces     on your own MIDI files (--skip: without those that are broken)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from grain import MapDataset

from transformer.data import files, midi
from transformer.data.examples import Example, shifted, windows
from transformer.data.made.melodies import heard, melodies
from transformer.data.ngrams import witten_bell
from transformer.decoding import Sample, generate
from transformer.losses import next_token
from transformer.models.music import MusicTransformer, Size
from transformer.shows.music import save
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "length": 32, "pieces": 40, "unseen": 8, "samples": 2}


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, length: int = 96, rows: int = 24,
               rate: float = 1e-2, dropout: float = 0.0, steps: int = 1500, pieces: int = 6000, unseen: int = 300, transpose: int = 6,
               samples: int = 32, folder: Path | None = None, skip: bool | None = None) -> Experiment:
    model = MusicTransformer.of(Size(midi.EVENTS, 2 * length, layers, embed, heads, mlp), dropout)
    shared: dict[str, Any] = {"model": model, "loss": next_token, "rows": rows, "steps": steps,
                              "optimizer": muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3)}
    if folder:
        learned, held = files.apart([midi.encode(notes) for notes in midi.folder(folder, bool(skip))])

        def goes_on(model: Any, place: Path) -> str:
            said = generate(model, [held[:length // 2]], most=length, strategy=Sample()).tokens[0, 0]
            played = {"truth": held[:length // 2 + length], "generated": np.concatenate([held[:length // 2], said])}
            return save(place, {name: midi.decode(some) for name, some in played.items()}, f"{length} events are drawn")

        return Experiment(data=in_any_key(windows(learned, length), transpose), held_out=windows(held, length),
                          corpus=f"music in {folder.name}", shows=[goes_on],
                          expects=[Expectation("nats", None, baseline=witten_bell(learned, held, 5))], **shared)

    learned, _ = melodies(pieces, length + 1, seed=0, keys=[60])
    held, nats = melodies(unseen, length + 1, seed=1)
    truth = float(nats[:, 1:].mean())  # what no model can do better than, on these very rows

    def five_gram() -> float:
        by = np.random.default_rng(0).integers(-transpose, max(transpose, 1), len(learned))
        known = [midi.transposed(piece, semitones) for piece, semitones in zip(learned, by, strict=True)]
        return witten_bell(np.concatenate(known), held.ravel(), 5)

    def played(model: Any, count: int) -> np.ndarray:
        begin = held[:1, :1].repeat(count, 0)
        said = generate(model, begin, most=length, strategy=Sample(), key=jax.random.key(0)).tokens[:, 0]
        return np.concatenate([begin, said], 1)

    def listened(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        found = [heard(piece) for piece in played(model, samples)]
        total = {name: max(sum(one[name] for one in found), 1) for name in ("bars", "notes")}
        right, in_key = (sum(one[name] for one in found) for name in ("right", "in_key"))
        return {"bars_right": right / total["bars"], "in_key": in_key / total["notes"]}

    def shown(model: Any, place: Path) -> str:
        some = zip(("truth", "generated", "generated again"), [held[0], *played(model, 2)], strict=True)
        return save(place, {name: midi.decode(piece) for name, piece in some}, "Four beats to a bar, the first one struck harder")

    return Experiment(
        data=in_any_key(shifted(learned), transpose), held_out=shifted(held), measures=[listened], shows=[shown],
        corpus="melodies by a grammar, learned in C",
        expects=[Expectation("nats", truth + 0.05, baseline=five_gram), Expectation("bars_right", 0.95, baseline=0.0, above=True),
                 Expectation("in_key", 0.95, baseline=7 / 12, above=True)], **shared)


def in_any_key(pieces: MapDataset, most: int) -> MapDataset:
    """Each piece up to so many semitones lower, or not quite so many higher, every time anew; at 0 as it is."""

    def moved(piece: Example, random: np.random.Generator) -> Example:
        by = int(random.integers(-most, max(most, 1)))
        return {**piece, **{name: midi.transposed(piece[name], by) for name in ("tokens", "targets")}}

    return pieces.random_map(moved, seed=1)


if __name__ == "__main__":
    main(experiment)
