"""GPT: read many reviews without labels, then learn from a hundred with labels what praise is; against learning that alone.

    python -m experiments gpt        two cores: with a hundred labels .93 are right; without having read .56, by
                                     counting words and their neighbours .71
"""
from functools import partial

import numpy as np
from grain import MapDataset

from transformer.data import tokenizers
from transformer.data.examples import examples, padded, shifted
from transformer.data.linear import bag_accuracy
from transformer.data.made.opinions import opinions
from transformer.layers import Linear
from transformer.losses import classified_and_next, next_token
from transformer.models.gpt import Classifier, gpt
from transformer.models.gpt2 import GPT2, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "texts": 100, "unseen": 50}
LENGTH = 28


def experiment(layers: int = 3, embed: int = 64, heads: int = 4, rows: int = 64, rate: float = 5e-3, dropout: float = 0.0,
               steps: int = 1000, texts: int = 30_000, labels: int = 100, tuning_rate: float = 2e-3, tuning_steps: int = 150,
               language: float = 0.5, unseen: int = 1000) -> Stages:
    read, unread = (opinions(count, seed, held_out, verdicts=0.5)[0] for count, seed, held_out in ((texts, 0, False), (unseen, 1, True)))
    few, apart = opinions(labels, seed=2), opinions(unseen, seed=3, held_out=True)  # what is to be judged has no verdict
    tokenizer = tokenizers.words(read, 256)
    size = Size(tokenizer.size, LENGTH, layers, embed, heads)
    spec = gpt(size, dropout)

    def rows_of(some: list[str]) -> np.ndarray:
        return padded([np.array([tokenizer.start, *tokens]) for tokens in tokenizer.documents(some)], LENGTH)

    def labelled(some: list[str], praise: list[int]) -> MapDataset:
        tokens = rows_of(some)
        return examples(tokens=tokens[:, :-1], targets=tokens[:, 1:], weights=(tokens[:, 1:] > 0).astype(np.float32),
                        label=np.array(praise, np.int32))

    tokens, tested = rows_of(read), rows_of(unread)
    pretrained = yield Experiment(
        stage="pretrained",
        model=spec,
        loss=next_token,
        data=shifted(tokens, tokens > 0),
        held_out=shifted(tested, tested > 0),
        rows=rows,
        steps=steps,
        optimizer=muon(spec, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        corpus="reviews without labels")

    def tuned(stage: str, decoder: GPT2, *expects: Expectation) -> Experiment:
        model = Classifier(decoder, Linear.of(size, "embed -> 2", bias=True))
        return Experiment(
            stage=stage,
            model=model,
            loss=partial(classified_and_next, language=language),
            data=labelled(*few),
            held_out=labelled(*apart),
            rows=rows,
            steps=tuning_steps,
            optimizer=muon(model, warmup_cosine(tuning_rate, tuning_steps, warmup=tuning_steps // 10), adam=0.3),
            corpus="reviews that praise or blame",
            expects=expects)

    scratch = yield tuned("scratch", spec)
    (known, praised), (asked, truth) = (([text.split() for text in some], np.array(praise)) for some, praise in (few, apart))
    best = max(scratch.values["accuracy"], *(bag_accuracy(known, praised, asked, truth, order) for order in (1, 2, 3)))
    yield tuned("tuned", pretrained.kept, Expectation("accuracy", threshold=best + 0.05, baseline=best, above=True))


if __name__ == "__main__":
    main(experiment)
