"""BART: documents restored from five noises, in which nothing is lost that does not stand in another place.

    python -m experiments bart        two cores: .98 of the documents are exactly right again
"""
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.examples import example
from transformer.data.made import workdays
from transformer.data.noise import each_restored, noises, restored
from transformer.losses import sequence_to_sequence
from transformer.models.bart import Bart, Size
from transformer.shows.bars import draw_bars
from transformer.training.answers import exact_match, written
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"documents": 50, "held_out": 2, "layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 8}


def experiment(layers: int = 2, embed: int = 128, heads: int = 4, mlp: int = 256, documents: int = 8000, held_out: int = 60,
               rows: int = 32, rate: float = 4e-3, dropout: float = 0.0, steps: int = 700) -> Experiment:
    unseen = workdays.documents(held_out, seed=2)
    learned = workdays.documents(documents, seed=1, but=frozenset(unseen))
    tokenizer = tokenizers.spaced(learned)
    kinds = noises(tokenizer)
    data = restored(learned, kinds, tokenizer)
    test, of_kind = each_restored(unseen, kinds, tokenizer)
    sources = [tokenizer.decode(row["source"][row["present"]][:-1].tolist(), specials=True) for row in test if row]
    truths = [tokenizer.decode(row["labels"].tolist()) for row in test if row]
    model = Bart.of(Size(tokenizer.size, len(example(data, 0)["source"]), layers, embed, heads, mlp), dropout=dropout)
    telling = np.mean([workdays.telling(left, text) for left, text in zip(sources, truths, strict=True)])
    measure = exact_match(test, of_kind)

    def by_noise(model: Any, folder: Path) -> str:
        reached = measure(model, {})
        draw_bars(folder / "noises.png", {kind: reached[f"exact_{kind}"] for kind in kinds},
                  "Documents restored without a mistake, by what had been done to them", "share of documents",
                  level=(f"of {telling:.0%} enough is left to tell", float(telling)))
        answers = written(model, test)
        return "\n".join(f"{kind:8s} {sources[at]}\n      -> {tokenizer.decode(answers[at].tolist())}" for at, kind in enumerate(kinds))

    return Experiment(
        model=model,
        loss=sequence_to_sequence,
        data=data,
        held_out=test,
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.75),
        measures=[measure],
        expects=[Expectation("exact", 0.9, baseline=float(np.mean([a == b for a, b in zip(sources, truths, strict=True)])), above=True)],
        corpus="days of work, told twice",
        shows=[by_noise])


if __name__ == "__main__":
    main(experiment)
