"""Audio tokens: music as codes, written from a description by two decoders, one for the coarse codes and one for the fine.

    python -m experiments audio_tokens                  two cores: both together within .05 nats a frame of the generator's entropy;
                                                        the tempo and the register that were asked for are heard .9 of the time
    python -m experiments audio_tokens --folder music   on your own: music/DESCRIPTION/one.wav (--skip: without those that are broken)
"""
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import waves
from transformer.data.codes import Residual
from transformer.data.examples import shifted
from transformer.data.made.jingles import FRAMES, LENGTH, REGISTERS, TEMPI, heard, jingles
from transformer.data.ngrams import witten_bell
from transformer.decoding import Sample, generate
from transformer.decoding.processors import Suppress
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.sound import save
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "codes": 16, "clips": 40, "unseen": 8, "samples": 1}


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, codes: int = 64, rows: int = 32, rate: float = 1e-2,
               steps: int = 600, clips: int = 4000, unseen: int = 300, samples: int = 8, folder: Path | None = None,
               skip: bool | None = None) -> Stages:
    if folder:
        frames, tags, names = waves.described(folder, FRAMES, LENGTH, bool(skip))
        away, tags = np.arange(len(tags)) % 10 == 9, tags[:, None]
        (learned, known), (held, asked), nats = (frames[~away], tags[~away]), (frames[away], tags[away]), None
    else:
        (learned, known, _), (held, asked, nats) = jingles(clips, seed=0), jingles(unseen, seed=1)
        names, known, asked = [*TEMPI, *REGISTERS], known + [[0, len(TEMPI)]], asked + [[0, len(TEMPI)]]
    quantiser = Residual.fitted(learned.reshape(-1, FRAMES.mels)[:8000], codes, stages=2)
    vocab, begin = 2 * codes + len(names), known.shape[1]

    def told(frames: np.ndarray, tags: np.ndarray) -> np.ndarray:
        """The description, then all coarse codes, then all fine ones."""
        coarse, fine = np.moveaxis(quantiser.encode(frames), -1, 0)
        return np.concatenate([2 * codes + tags, coarse, codes + fine], 1)

    def five_gram() -> float:
        seen, tried = (quantiser.encode(frames) + [0, codes] for frames in (learned, held))
        return 2 * witten_bell(seen.ravel(), tried.ravel(), 5)

    def written(coarse: Any, fine: Any, tags: np.ndarray) -> np.ndarray:
        """New frames, as they are described."""
        text, every = 2 * codes + tags, np.arange(vocab)
        for model, first in ((coarse, 0), (fine, codes)):
            others = Suppress(np.delete(every, np.s_[first:first + codes]))
            said = generate(model, text, most=LENGTH, strategy=Sample(), processors=[others], key=jax.random.key(first))
            text = np.concatenate([text, said.tokens[:, 0]], 1)
        return quantiser.decode(text[:, begin:].reshape(-1, 2, LENGTH).swapaxes(1, 2) - [0, codes])

    rows_of, ends = [told(learned, known), told(held, asked)], {"coarse": begin + LENGTH, "fine": begin + 2 * LENGTH}
    first: Any = None
    for stage, end in ends.items():
        last = stage == "fine"
        (data, test) = (shifted(some[:, :end], np.arange(end)[None].repeat(len(some), 0) >= end - LENGTH) for some in rows_of)

        def together(model: Any, values: Mapping[str, float], first: Any = first) -> dict[str, float]:
            wanted = np.stack(np.meshgrid(range(len(TEMPI)), range(len(REGISTERS))), -1).reshape(-1, 2).repeat(samples, 0)
            found = [] if folder else [heard(piece) for piece in written(first.model, model, wanted + [0, len(TEMPI)])]
            matched = {} if folder else {"matched": float((np.asarray(found) == wanted).all(-1).mean())}
            return {"both": first.values["nats"] + values["nats"], **matched}

        def played(model: Any, place: Path, first: Any = first) -> str:
            sounds = {"truth": held[0], "as codes": quantiser.decode(quantiser.encode(held[0])), "generated": written(first.model, model, asked[:1])[0]}
            return save(place, {name: FRAMES.sound(some) for name, some in sounds.items()}, FRAMES.rate, ", ".join(names[tag] for tag in asked[0]))

        model, best = Llama.of(Size(vocab, layers, embed, heads, heads, mlp)), nats.mean() / LENGTH + 0.05 if nats is not None else five_gram()
        expects = [Expectation("both", float(best), baseline=five_gram), *([] if folder else [Expectation("matched", 0.9, 1 / 9, above=True)])]
        first = yield Experiment(
            stage=stage, model=model, loss=next_token, data=data, held_out=test, rows=rows, steps=steps,
            optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
            corpus=f"{stage} codes of {folder.name if folder else 'plucked music with descriptions'}",
            measures=[together] if last else [], expects=expects if last else [], shows=[played] if last else [])


if __name__ == "__main__":
    main(experiment)
