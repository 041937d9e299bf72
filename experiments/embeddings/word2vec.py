"""Word2Vec: a word is known by the company it keeps; skip-grams guess the company, CBOW guesses the word.

    python -m experiments word2vec        two cores: correlation .994 with what theory says; the five nearest words
                                          are of the same kind 1.0 of the time (.28 by chance), all analogies come out

What a skip-gram's two vectors should say of a pair of words is known: how much oftener they meet than by chance.
"""
import numpy as np

from transformer.data.made.creatures import ANALOGIES, KINDS, WORDS, creatures, kinds
from transformer.data.neighbours import bags, counted, noise, skip_grams
from transformer.losses import negative_sampling
from transformer.models.word_vectors import Size, Word2Vec
from transformer.shows.vectors import atlas, correlation, geometry
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import adamw, warmup_cosine
from transformer.training.run import main

SMOKE = {"words": 3000, "embed": 8}


def experiment(words: int = 300_000, embed: int = 96, length: int = 64, window: int = 3, negatives: int = 5, power: float = 0.75,
               rows: int = 16, rate: float = 2e-2, steps: int = 1500) -> Stages:
    learned, held_out = creatures(words, seed=0), creatures(words // 20, seed=1)
    vocab, kind = len(WORDS), kinds()
    model = Word2Vec.of(Size(vocab, embed))
    known = geometry(WORDS, kind, ANALOGIES, ("cat", "kitten"))
    chance = float(sum(np.mean(kind[kind >= 0] == place) ** 2 for place in range(len(KINDS))))

    def stage(name: str, pairs, **rest) -> Experiment:
        return Experiment(stage=name, model=model, loss=negative_sampling, rows=rows, steps=steps, corpus="animals and people",
                          data=pairs(learned, vocab, length, window, negatives, power),
                          held_out=pairs(held_out, vocab, length, window, negatives, power).seed(0),
                          optimizer=adamw(warmup_cosine(rate, steps, warmup=steps // 20), decay=0.0),
                          shows=[atlas(WORDS, kind, list(KINDS), ANALOGIES, ("kitten", "queen", "barn", "sings"), known)], **rest)

    near = counted(learned, vocab, 1 - np.arange(window) / window)
    # Levy and Goldberg 2014: what the product of a word's vector and a neighbour's would be if every pair could be learned.
    exact = np.log(np.maximum(near, 1e-9) / (near.sum(1, keepdims=True) * noise(learned, vocab, power) * negatives))

    def products(model: Word2Vec) -> np.ndarray:
        return np.asarray(model.words.table) @ np.asarray(model.neighbours.table).T

    yield stage("cbow", bags, measures=[known], expects=[
        Expectation("purity", 0.95, baseline=chance, above=True)])
    yield stage("skip_grams", skip_grams, measures=[known, correlation("pmi", exact, near > 30, products)], expects=[
        Expectation("pmi", 0.98, baseline=0.0, above=True), Expectation("purity", 0.95, baseline=chance, above=True),
        Expectation("analogies", 0.8, baseline=1 / vocab, above=True), Expectation("alike", 0.95, baseline=0.5, above=True)])


if __name__ == "__main__":
    main(experiment)
