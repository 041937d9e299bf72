"""Audio tokens: music as codes, written from a description by two decoders, one for the coarse codes and one for the fine.

    python -m experiments audio_tokens                  two cores: within .05 nats a frame of the generator's entropy; the
                                                        tempo and register that were asked for are heard .9 of the time
    python -m experiments audio_tokens --folder music   your own: music/DESCRIPTION/one.wav (--skip: without broken ones)
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


def experiment(layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 256, codes: int = 64, rows: int = 32,
               rate: float = 1e-2, steps: int = 600, clips: int = 4000, unseen: int = 300, samples: int = 8,
               folder: Path | None = None, skip: bool | None = None) -> Stages:
    if folder:
        (learned, known), (held, asked), names = waves.described(folder, FRAMES, LENGTH, bool(skip))
        truth = 0.0  # nobody knows
    else:
        (learned, known, _), (held, asked, nats) = jingles(clips, seed=0), jingles(unseen, seed=1)
        names, known, asked = [*TEMPI, *REGISTERS], *(tags + [[0, len(TEMPI)]] for tags in (known, asked))
        truth = float(nats.mean()) / LENGTH  # what no model can do better than, on these very pieces
    quantiser = Residual.fitted(learned.reshape(-1, FRAMES.mels)[:8000], codes, stages=2)
    vocab, begin = 2 * codes + len(names), known.shape[1]

    def told(frames: np.ndarray, tags: np.ndarray) -> np.ndarray:  # the description, then all coarse codes, then all fine ones
        coarse, fine = np.moveaxis(quantiser.encode(frames), -1, 0)
        return np.concatenate([2 * codes + tags, coarse, codes + fine], 1)

    def five_gram() -> float:
        seen, tried = (quantiser.encode(frames) + [0, codes] for frames in (learned, held))
        return 2 * witten_bell(seen.ravel(), tried.ravel(), 5)

    model, texts = Llama.of(Size(vocab, layers, embed, heads, heads, mlp)), [told(learned, known), told(held, asked)]

    def writer(stage: str, end: int, **more: Any) -> Experiment:  # of the last LENGTH tokens before the end
        last = np.arange(end) >= end - LENGTH
        data, test = (shifted(text[:, :end], np.broadcast_to(last, (len(text), end))) for text in texts)
        return Experiment(
            stage=stage, model=model, loss=next_token, data=data, held_out=test, rows=rows, steps=steps,
            optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
            corpus=f"{stage} codes of {folder.name if folder else 'plucked music with descriptions'}", **more)

    first = yield writer("coarse", begin + LENGTH)

    def written(fine: Any, tags: np.ndarray) -> np.ndarray:  # new frames, as they are described
        text, every = 2 * codes + tags, np.arange(vocab)
        for model, least in ((first.model, 0), (fine, codes)):
            others = Suppress(np.delete(every, np.s_[least:least + codes]))
            said = generate(model, text, most=LENGTH, strategy=Sample(), processors=[others], key=jax.random.key(least))
            text = np.concatenate([text, said.tokens[:, 0]], 1)
        return quantiser.decode(text[:, begin:].reshape(-1, 2, LENGTH).swapaxes(1, 2) - [0, codes])

    def listened(model: Any, values: Mapping[str, float]) -> dict[str, float]:
        wanted = np.indices((len(TEMPI), len(REGISTERS))).reshape(2, -1).T.repeat(samples, 0)
        found = np.asarray([heard(piece) for piece in ([] if folder else written(model, wanted + [[0, len(TEMPI)]]))])
        matched = {} if folder else {"matched": float((found == wanted).all(-1).mean())}
        return {"both": first.values["nats"] + values["nats"], **matched}

    def played(model: Any, place: Path) -> str:
        sounds = {"truth": held[0], "as codes": quantiser.decode(quantiser.encode(held[0])), "generated": written(model, asked[:1])[0]}
        sounds = {name: FRAMES.sound(frames) for name, frames in sounds.items()}
        return save(place, sounds, FRAMES.rate, f"Described as {', '.join(names[tag] for tag in asked[0])}")

    entropy = Expectation("both", None if folder else truth + 0.05, baseline=five_gram)
    match = Expectation("matched", 0.9, 1 / len(TEMPI) / len(REGISTERS), above=True)
    yield writer("fine", begin + 2 * LENGTH, measures=[listened], expects=[entropy] if folder else [entropy, match], shows=[played])


if __name__ == "__main__":
    main(experiment)
