"""A decoder over sentences: from the vectors of those before, the next one is picked out of 32.

    python -m experiments sentences        two cores, 1 minute beside other work: .72 are right; the most words in common find .32
"""
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.data import tokenizers
from transformer.data.examples import examples, padded
from transformer.data.made.stories import stories
from transformer.losses import next_vector
from transformer.models.llama import Size
from transformer.models.sentences import Sentences
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "texts": 100, "unseen": 32}


def experiment(layers: int = 2, embed: int = 64, heads: int = 4, mlp: int = 128, rows: int = 32, rate: float = 1e-2,
               steps: int = 400, texts: int = 8000, unseen: int = 640) -> Experiment:
    read, apart = (np.array([re.findall(r"[^.]+\.", text) for text in some])
                   for some in (stories(texts, seed=0), stories(unseen, seed=1, held_out=True)))
    tokenizer = tokenizers.words([*read.ravel(), *apart.ravel()], 512)
    model = Sentences.of(Size(tokenizer.size, layers, embed, heads, heads, mlp))

    def sentences(some: np.ndarray) -> np.ndarray:
        return padded([tokenizer(sentence) for sentence in some.ravel()], 12).reshape(*some.shape, 12)

    def overlap() -> float:
        """How often the sentence that shares most words with the one before is the next one."""
        bags = np.zeros((*apart.shape, tokenizer.size))
        np.add.at(bags, (*np.indices((*apart.shape, 12))[:2], sentences(apart)), 1)
        bags[..., 0] = 0
        bags /= np.linalg.norm(bags, axis=-1, keepdims=True)
        groups = bags[: len(bags) // rows * rows].reshape(-1, rows, *bags.shape[1:])
        scores = np.einsum("gbtd,gctd->gtbc", groups[:, :, :-1], groups[:, :, 1:])
        return float((scores.argmax(-1) == np.arange(rows)).mean())

    def shown(model: Any, folder: Path) -> str:
        vectors = model.vectors(sentences(apart[:32]))
        scores = np.asarray(jax.numpy.einsum("td,ctd->tc", model.next(vectors[:1, :-1])[0], vectors[:, 1:]))
        lines = [f"   {text.strip()}\n     expects: {apart[pick, at + 1].strip()}"
                 for at, (text, pick) in enumerate(zip(apart[0], scores.argmax(-1), strict=False))]
        return "\n".join([*lines, f"   {apart[0, -1].strip()}"])

    return Experiment(
        model=model,
        loss=next_vector,
        data=examples(sentences=sentences(read)),
        held_out=examples(sentences=sentences(apart)),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        corpus="stories, sentence by sentence",
        expects=[Expectation("top_1", threshold=0.5, baseline=overlap, above=True)],
        shows=[shown])


if __name__ == "__main__":
    main(experiment)
