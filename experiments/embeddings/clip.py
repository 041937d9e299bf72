"""CLIP: a picture and what is said of it become vectors that lie near each other; then a description alone finds its pictures.

    python -m experiments clip                              two cores: .99 of handwritten digits in colours are called right
        among 80 descriptions, as the nearest picture calls .98, and .98 of those whose colour and digit were never seen together,
        as the nearest picture never does
    python -m experiments clip --images DIR --size 32       your own: one.png and what is on it in one.txt, or DIR/WHAT/one.png
"""
from functools import partial
from pathlib import Path

import numpy as np

from transformer.data import tokenizers
from transformer.data.captions import ended, paired_pictures
from transformer.data.galleries import apart, captioned, sides
from transformer.data.images import Pictures
from transformer.data.made.coloured import PAIRS, WORDINGS, coloured
from transformer.matching import image_and_text
from transformer.models.clip import CLIP, ImageSize, TextSize
from transformer.shows.zero_shot import found, nearest_class, zero_shot
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 16, "heads": 2, "shared": 8, "asked": 32, "count": 64, "rows": 8}


def experiment(images: Path | None = None, size: int | None = None, skip: bool | None = None, patch: int = 2, layers: int = 2,
               embed: int = 64, heads: int = 4, shared: int = 64, count: int = 20_000, asked: int = 400, rows: int = 64,
               rate: float = 5e-3, steps: int = 1500) -> Experiment:
    if images is None:
        known, unseen = sides()
        parts = {"learned": coloured(known, False, 0, count), "named": coloured(unseen, False, 1, asked),
                 "never_together": coloured(unseen, True, 2, asked)}
        wordings = [[wording.format(*pair) for wording in WORDINGS] for pair in PAIRS]
    else:
        every, captions = captioned(images, size, skip)
        wordings = [[text] for text in sorted(set(captions))]
        which = np.array([wordings.index([text]) for text in captions], np.int32)
        parts = {name: (Pictures(side.pixels, which[side.labels]), [captions[at] for at in side.labels])
                 for name, side in zip(("learned", "named"), apart(every), strict=True)}
    learned, texts = parts.pop("learned")
    tokenizer = tokenizers.words(texts, 1024)
    length = max(len(tokenizer.encode(text)) for text in [*texts, *(text for some in wordings for text in some)]) + 1
    height, _, channels = learned.pixels.shape[1:]
    model = CLIP.of(TextSize(tokenizer.size, length, layers, embed, heads, 2 * embed, shared),
                    ImageSize(height, patch, channels, layers, embed, heads, 2 * embed, shared), tokenizer.end)

    def tokens(some):
        return ended(some, tokenizer, length)

    def nearest(name: str) -> float:
        return nearest_class(learned, parts[name][0])

    least, strange = {"named": 0.98, "never_together": 0.8}, parts.get("never_together", parts["named"])[0]
    return Experiment(
        model=model,
        loss=image_and_text,
        data=paired_pictures(learned, texts, tokenizer, length),
        held_out=paired_pictures(*parts["named"], tokenizer, length),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[zero_shot(wordings, tokens, **{name: some for name, (some, _) in parts.items()})],
        corpus="handwritten digits in colours, and their names" if images is None else images.name,
        expects=[Expectation(name, least[name] if images is None else None, partial(nearest, name), above=True)
                 for name in parts],
        shows=[found(strange, wordings, sorted(set(strange.labels.tolist()))[:8], tokens)])


if __name__ == "__main__":
    main(experiment)
