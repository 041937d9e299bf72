"""Letters make words, words sentences, sentences a text: three encoders, one inside the other, find what a letter is about.

    python -m experiments hierarchical        two cores: .999 right, at a ninth of the scores of attention of a flat
                                              encoder of all letters, which has .62 after as many steps; whole words, misspelt,
                                              .64; a bag of them .81
"""
from collections import Counter

import numpy as np

from transformer.data.examples import examples
from transformer.data.linear import bag_accuracy
from transformer.data.made.letters import TOPICS, flat, letters, nested, wholes
from transformer.losses import text_class
from transformer.models.hierarchical import Nested, Size
from transformer.shows.bars import bars
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import on

SMOKE = {"layers": 1, "embed": 16, "heads": 2, "mlp": 32, "count": 64, "asked": 32, "rows": 8}


def experiment(layers: int = 2, embed: int = 64, heads: int = 4, mlp: int = 128, rows: int = 32, count: int = 12_000, asked: int = 1000,
               misspelt: float = 0.8, vocab: int = 256, rate: float = 1e-2, steps: int = 500) -> Stages:
    learned, held_out = letters(count, 0, misspelt), letters(asked, 1, misspelt)
    names = sorted(TOPICS)
    topics, truth = (np.array([names.index(one.topic) for one in some], np.int32) for some in (learned, held_out))
    words, unseen = ([[word for sentence in one.sentences for word in sentence] for one in some] for some in (learned, held_out))
    frequent = Counter(word for text in words for word in text).most_common(vocab - 2)
    known = {word: number for number, (word, _) in enumerate(frequent, start=2)}
    whole, letter, parts = (12,), (120,), (11, 3, 4)  # how long everything is

    def stage(name: str, number: int, lengths: tuple[int, ...], tables: list[np.ndarray], **rest) -> Experiment:
        model = Nested.of(Size(number, lengths, len(names), layers, embed, heads, mlp))
        data, unseen = (examples(tokens=table, present=table > 0, label=label) for table, label in zip(tables, (topics, truth), strict=True))
        return Experiment(stage=name, model=model, loss=text_class, data=data, held_out=unseen, rows=rows, steps=steps,
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
                          corpus="letters to the editor, misspelt", **rest)

    by_words = yield stage("words", vocab, whole, [wholes(some, known, *whole) for some in (learned, held_out)])
    by_letters = yield stage("flat", 32, letter, [flat(some, *letter) for some in (learned, held_out)])
    tables = [nested(some, *reversed(parts)) for some in (learned, held_out)]
    fewer = Size(32, letter, 0).products / Size(32, parts, 0).products
    others = {"bag of words": bag_accuracy(words, topics, unseen, truth, 1, most=600), "whole words": by_words.values["right"],
              "letters, flat": by_letters.values["right"]}
    yield stage("nested", 32, parts, tables, measures=[lambda model, values: {
        "behind_flat": by_letters.values["right"] - values["right"], "before_words": values["right"] - by_words.values["right"],
        "fewer_scores": fewer}],
        expects=[Expectation("before_words", 0.1, baseline=0.0, above=True), Expectation("fewer_scores", 2.0, baseline=1.0, above=True),
                 Expectation("right", 0.99, others["bag of words"], above=True)],
        shows=[bars(others, "letters, words, sentences nested", "right", on(examples(
            tokens=tables[1], present=tables[1] > 0, label=truth), text_class, rows, ""), "right", above=True)])


if __name__ == "__main__":
    main(experiment)
