"""GloVe: vectors whose products are the logarithms of how often two words stand together.

    python -m experiments glove        two cores: correlation .994 with those logarithms, .94 with those of pairs it
                                       never saw (a number for each word alone reaches .88 and .89); the five nearest words are of
                                       the same kind 1.0 of the time, .28 by chance
"""
import numpy as np

from transformer.data.made.creatures import ANALOGIES, KINDS, WORDS, creatures, kinds
from transformer.data.neighbours import counted, counts_of_pairs
from transformer.losses import log_counts
from transformer.models.word_vectors import Glove, Size
from transformer.shows.vectors import atlas, correlation, geometry
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import adamw, warmup_cosine
from transformer.training.run import main

SMOKE = {"words": 3000, "embed": 8}


def experiment(words: int = 300_000, embed: int = 32, window: int = 4, share: float = 0.05, rows: int = 256, rate: float = 2e-2,
               steps: int = 1200) -> Experiment:
    vocab, kind = len(WORDS), kinds()
    table = counted(creatures(words, seed=0), vocab, 1 / np.arange(1, window + 1))
    learned, held_out, away = counts_of_pairs(table, share)
    model = Glove.of(Size(vocab, embed))
    known = geometry(WORDS, kind, ANALOGIES, ("cat", "kitten"))
    logs = np.log(np.maximum(table, 1e-9))

    def products(model: Glove) -> np.ndarray:
        pairs = np.asarray(model.words.table) @ np.asarray(model.neighbours.table).T
        return pairs + np.asarray(model.word_bias)[:, None] + np.asarray(model.neighbour_bias)

    trusted = table > 30
    return Experiment(
        model=model,
        loss=log_counts,
        data=learned,
        held_out=held_out,
        rows=rows,
        steps=steps,
        optimizer=adamw(warmup_cosine(rate, steps, warmup=steps // 20), decay=0.0),
        measures=[known, correlation("log_counts", logs, trusted, products), correlation("unseen_counts", logs, trusted & away, products)],
        corpus="animals and people",
        expects=[Expectation("log_counts", 0.98, baseline=sums_alone(logs, trusted, trusted), above=True),
                 Expectation("unseen_counts", 0.9, baseline=sums_alone(logs, trusted & ~away, trusted & away), above=True),
                 Expectation("purity", 0.95, baseline=float(sum(np.mean(kind[kind >= 0] == place) ** 2 for place in range(len(KINDS)))),
                             above=True)],
        shows=[atlas(WORDS, kind, list(KINDS), ANALOGIES, ("kitten", "queen", "barn", "sings"), known)])


def sums_alone(logs: np.ndarray, known: np.ndarray, asked: np.ndarray) -> float:
    """The correlation that a number for each word and one for each neighbour reach, without vectors."""

    def columns(pairs: np.ndarray) -> np.ndarray:
        words, others = np.nonzero(pairs)
        return np.concatenate([np.eye(len(logs))[words], np.eye(len(logs))[others]], axis=1)

    fitted = columns(asked) @ np.linalg.lstsq(columns(known), logs[known], rcond=None)[0]
    return float(np.corrcoef(fitted, logs[asked])[0, 1])


if __name__ == "__main__":
    main(experiment)
