"""Subject and verb with nouns between them that attract, then nested brackets: attention spans what n-grams cannot.

    python -m experiments clauses        two cores: 1.0 right with three attractors or more, and
                                         1.0 over more than 20 brackets; a 5-gram .49 and .49, as by tossing a coin
"""
from functools import partial

import numpy as np
from grain import MapDataset

from transformer.data.examples import example
from transformer.data.made import clauses
from transformer.data.ngrams import preferences
from transformer.losses import next_token_right
from transformer.models.llama import Llama, Size
from transformer.shows.groups import right_by_group
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 8, "examples": 200, "unseen": 100}


def experiment(layers: int = 3, embed: int = 64, heads: int = 4, mlp: int = 128, rows: int = 32, rate: float = 1e-2,
               steps: int = 600, examples: int = 12_000, unseen: int = 2000) -> Stages:
    for stage, made, words, groups, what in (
            ("agreement", clauses.clauses, len(clauses.WORDS), clauses.ATTRACTORS, "Verbs agree with their subject"),
            ("nesting", clauses.brackets, len(clauses.BRACKETS), clauses.DISTANCES, "Brackets close what was opened")):
        model = Llama.of(Size(words, layers, embed, heads, heads, mlp))
        learned, held_out = made(examples, seed=0), made(unseen, seed=1, held_out=True)
        counted = five_gram(learned, held_out, len(groups))
        yield Experiment(
            stage=stage,
            model=model,
            loss=partial(next_token_right, groups=groups),
            data=learned,
            held_out=held_out,
            rows=rows,
            steps=steps,
            optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
            measures=[lambda model, values, counted=counted: {"five_gram": counted[-1]}],
            corpus=f"sentences and brackets from a grammar: {stage}",
            expects=[Expectation(f"right_{groups[-1]}", threshold=0.98, baseline=counted[-1], above=True),
                     Expectation("five_gram", threshold=0.6, baseline=0.5)],  # a control: what is near does not tell
            shows=[right_by_group(held_out, groups, what, counted, "5-gram")])


def five_gram(learned: MapDataset, held_out: MapDataset, groups: int) -> list[float]:
    """How often counting the last four tokens prefers the right form, in each group."""
    train = np.concatenate([example(learned, row)["tokens"] for row in range(len(learned))])
    some = [example(held_out, row) for row in range(len(held_out))]
    tokens, targets, foil, group = (np.stack([one[name] for one in some]) for name in ("tokens", "targets", "foil", "group"))
    row, at = np.nonzero(group >= 0)
    histories = np.pad(tokens, ((0, 0), (3, 0)))[row[:, None], at[:, None] + np.arange(4)]
    right = preferences(train, histories, targets[row, at], foil[row, at], order=5)
    return [float(right[group[row, at] == number].mean()) for number in range(groups)]


if __name__ == "__main__":
    main(experiment)
