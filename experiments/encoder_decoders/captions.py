"""From picture to text: an encoder looks at two coloured shapes, a decoder writes what they are and where.

    python -m experiments captions                              two cores: .95 of captions exactly right are asked for, and .8
        where a colour and a shape were never seen together; the caption of the nearest picture is right never
    python -m experiments captions --images DIR --size 32       your own: one.png and what is on it in one.txt, or DIR/WHAT/one.png
"""
from functools import partial
from pathlib import Path

import numpy as np

from transformer.data import tokenizers
from transformer.data.captions import looked_and_written
from transformer.data.galleries import apart, captioned
from transformer.data.images import Pictures
from transformer.data.made import shapes
from transformer.losses import sequence_to_sequence
from transformer.models.captioner import Captioner, Size
from transformer.shows.captions import nearest_captions, read
from transformer.training.answers import exact_match
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 16, "heads": 2, "mlp": 24, "count": 200, "asked": 16, "rows": 8}


def experiment(images: Path | None = None, size: int | None = None, skip: bool | None = None, patch: int = 4, layers: int = 2,
               embed: int = 64, heads: int = 4, mlp: int = 128, count: int = 12_000, asked: int = 200, rows: int = 64, rate: float = 5e-3,
               dropout: float = 0.0, steps: int = 1000) -> Experiment:
    if images is None:
        parts = {"learned": shapes.scenes(count, seed=0), "exact": shapes.scenes(asked, seed=1, held_out=True),
                 "never_together": shapes.scenes(asked, seed=2, apart=True)}
        told = {name: (Pictures(shapes.pages(some, seed), np.zeros(len(some), np.int32)), [str(one) for one in some])
                for seed, (name, some) in enumerate(parts.items())}
    else:
        found, texts = captioned(images, size, skip)
        told = {name: (side, [texts[at] for at in side.labels]) for name, side in zip(("learned", "exact"), apart(found), strict=True)}
    learned, texts = told.pop("learned")
    tokenizer = tokenizers.words(texts, 1024)
    length = max(len(tokenizer.encode(text)) for _, some in [(learned, texts), *told.values()] for text in some) + 1
    height, _, channels = learned.pixels.shape[1:]
    test = {name: looked_and_written(*part, tokenizer, length, patch) for name, part in told.items()}
    model = Captioner.of(Size(height, patch, channels, 0, layers, embed, heads, mlp, tokenizer.size, length + 1), dropout)
    measures = [exact_match(test[name], name=name) for name in test]
    least = {"exact": 0.95, "never_together": 0.8}

    def nearest(name: str) -> float:
        return nearest_captions(learned, texts, *told[name])

    return Experiment(
        model=model,
        loss=sequence_to_sequence,
        data=looked_and_written(learned, texts, tokenizer, length, patch),
        held_out=test["exact"],
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=measures,
        corpus="pictures of two shapes, and what they show" if images is None else images.name,
        expects=[Expectation(name, least[name] if images is None else None, partial(nearest, name), above=True)
                 for name in told],
        shows=[read(tokenizer, test[name], name) for name in test])


if __name__ == "__main__":
    main(experiment)
