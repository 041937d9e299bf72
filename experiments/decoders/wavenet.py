"""WaveNet: sound sample by sample, told at each one which vowel is whispered; then it whispers by itself.

    python -m experiments wavenet                      two cores: within .05 nats of the source's entropy; a trigram knows
                                                       half a nat less. It whispers what it is told: .9 of the time
    python -m experiments wavenet --folder recordings  on your own WAV files (--skip: without those that are broken)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import files, waves
from transformer.data.examples import examples, windows
from transformer.data.made.resonances import VOWELS, Resonances
from transformer.data.ngrams import witten_bell
from transformer.data.spectra import companded, expanded
from transformer.decoding import Sample, generate
from transformer.losses import next_token
from transformer.models.wavenet import Size, WaveNet
from transformer.shows.sound import save
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 3, "cycle": 2, "embed": 8, "length": 32, "vowel": 16, "whispers": 64, "unseen": 16, "seconds": 0.05}
NAMES = list(VOWELS)


def experiment(layers: int = 8, cycle: int = 4, embed: int = 48, levels: int = 64, hertz: int = 8000, length: int = 256,
               vowel: int = 128, whispers: int = 16_000, unseen: int = 256, rows: int = 16, rate: float = 5e-3, steps: int = 1500,
               seconds: float = 1.0, folder: Path | None = None, skip: bool | None = None) -> Experiment:
    model = WaveNet.of(Size(levels, layers, cycle, embed, embed, 2 * embed, condition=0 if folder else len(NAMES)))
    shared: dict[str, Any] = {"model": model, "loss": next_token, "rows": rows, "steps": steps,
                              "optimizer": muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3)}
    if folder:
        read = files.apart(waves.folder(folder, hertz, bool(skip))[1])
        learned, heard = (companded(wave, levels) for wave in read)
        begin = heard[:length]

        def goes_on(model: Any, place: Path) -> str:
            said = generate(model, [begin], most=int(seconds * hertz), strategy=Sample()).tokens[0, 0]
            sounds = {"truth": read[1][:length + len(said)], "generated": expanded(np.concatenate([begin, said]), levels)}
            return save(place, sounds, hertz, f"The first {length} samples are the truth's, the others drawn")

        return Experiment(data=windows(learned, length), held_out=windows(heard, length), corpus=f"sounds in {folder.name}",
                          expects=[Expectation("nats", None, baseline=witten_bell(learned, heard, 3))], shows=[goes_on], **shared)

    source, random = Resonances.of(hertz, levels=levels), np.random.default_rng(0)
    spoken = [np.repeat(random.integers(len(NAMES), size=(count, -(-(length + 1) // vowel))), vowel, 1)[:, :length + 1]
              for count in (whispers, unseen)]
    learned, heard = (source.sample(voices, seed) for seed, voices in enumerate(spoken))
    truth = float(source.nats(heard, spoken[1])[:, 1:].mean())  # what no model can do better than, on these very rows
    data, test = (examples(tokens=sound[:, :-1], targets=sound[:, 1:], weights=np.ones((len(sound), length), np.float32),
                           condition=told(voices)) for sound, voices in ((learned, spoken[0]), (heard, spoken[1])))

    def whispered(model: Any, voices: np.ndarray) -> np.ndarray:
        begin = np.full((len(voices), 1), levels // 2)
        said = generate(model, begin, most=voices.shape[1] - 1, memory=told(voices), strategy=Sample(), key=jax.random.key(0))
        return np.concatenate([begin, said.tokens[:, 0]], 1)

    def understood(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        voices = np.tile(np.arange(len(NAMES))[:, None], (8, 2 * length))
        said = whispered(model, voices)
        # A single slip makes no other vowel: each sample counts for ten nats at most.
        nats = np.stack([source.nats(said, np.full_like(voices, other)) for other in range(len(NAMES))])
        by_part = np.minimum(nats, 10).reshape(len(NAMES), len(voices), -1, length // 4).sum(-1)
        return {"told": float((by_part.argmin(0) == voices[:, :1]).mean())}

    def aloud(model: Any, place: Path) -> str:
        voices = np.repeat(np.arange(len(NAMES)), int(seconds * hertz) // len(NAMES))[None]
        sounds = {"truth": source.sample(voices, seed=2), "generated": whispered(model, voices)}
        sounds = {name: expanded(some[0], levels) for name, some in sounds.items()}
        return save(place, sounds, hertz, f"Whispered: {', '.join(NAMES)}")

    return Experiment(
        data=data, held_out=test, measures=[understood], shows=[aloud], corpus="whispered vowels, sample by sample",
        expects=[Expectation("nats", truth + 0.05, lambda: witten_bell(learned.ravel(), heard.ravel(), 3)),
                 Expectation("told", 0.9, baseline=1 / len(NAMES), above=True)], **shared)


def told(voices: np.ndarray) -> np.ndarray:
    """At each sample, which vowel the next one belongs to."""
    return np.eye(len(NAMES), dtype=np.uint8)[voices[:, 1:]]


if __name__ == "__main__":
    main(experiment)
