"""Retrieve, then re-rank: a small bi-encoder fetches fifty documents, a cross-encoder reads each with the query and sorts them.

    python -m experiments cross_encoder        two cores: MRR .91; bi-encoder, 16 numbers a text, .26; TF-IDF .32; by counting pairs .98
    python -m experiments cross_encoder --augmented true      the cross-encoder then labels pairs that the bi-encoder learns from

The reader first learns to guess hidden words of a query and its document: a word hidden on one side stands on the other.
Judging alone, a bit a pair, it does not find in 1200 steps that it has to look there (MRR .36).
"""
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.examples import examples
from transformer.data.made import bindings
from transformer.data.masking import masked
from transformer.data.pairing import compared, enclosed, enclosed_pairs, made_anew
from transformer.data.ranking import found_by_words
from transformer.losses import masked_token
from transformer.matching import contrastive, likeness, relevance
from transformer.models.bi_encoder import BiEncoder
from transformer.models.cross_encoder import CrossEncoder
from transformer.models.modernbert import Masked, ModernBert, Size
from transformer.shows.reranking import Search, rankings, reranking, retrieval, silver
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

HIDDEN = 0.3  # of the words, to learn reading: one that is hidden on one side can be read off the other
SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "documents": 60, "asked": 10, "first": 5}


def experiment(vector: int = 16, layers: int = 3, embed: int = 96, heads: int = 4, mlp: int = 128, rows: int = 128,
               documents: int = 1000, asked: int = 200, first: int = 50, rate: float = 1e-2, bi_steps: int = 300,
               read_steps: int = 500, steps: int = 800, augmented: bool = False) -> Stages:
    tokenizer, length = tokenizers.word_pieces(bindings.every_word(), 256), 2 * bindings.PAIRS + 2
    there, queries, truth = bindings.library(np.random.default_rng(0), documents, asked)

    def size(layers: int, embed: int) -> Size:
        return Size(tokenizer.size, layers, embed, heads, mlp, every=1)

    def triples(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return enclosed(bindings.triple(rng), tokenizer, length)

    def beside(query: str, document: str) -> dict[str, np.ndarray]:
        return {name: array[0] for name, array in enclosed_pairs([query], [document], tokenizer, 2 * length).items()}

    def judged(rng: np.random.Generator) -> dict[str, np.ndarray]:
        query, document, relevant = bindings.judged(rng)
        return beside(query, document) | {"relevant": np.array(relevant, np.float32)}

    def search(model: BiEncoder) -> Search:
        return Search(there, queries, truth, model, tokenizer, length, first)

    def stage(name: str, model: Any, steps: int, **more: Any) -> Experiment:
        return Experiment(stage=name, model=model, tokenizer=tokenizer, rows=rows, steps=steps, corpus="pairs of names",
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3), **more)

    right = [there[at] for at in truth]
    bi = yield stage(
        "bi", BiEncoder(ModernBert.of(size(1, vector))), bi_steps, loss=contrastive, data=made_anew(triples, 100_000),
        held_out=compared((queries, right), tokenizer, length), measures=[lambda model, values: retrieval(search(model))])

    read = yield stage(
        "read", Masked.of(size(layers, embed)), read_steps, loss=masked_token,
        data=masked(made_anew(lambda rng: beside(*bindings.triple(rng)[:2]), 100_000), tokenizer, HIDDEN),
        held_out=masked(examples(**enclosed_pairs(queries, right, tokenizer, 2 * length)), tokenizer, HIDDEN).seed(0))

    best = max(bi.values["bi_mrr"], found_by_words(queries, there, truth, ranked=True))
    found, wrong = search(bi.model), [there[(at + 1) % len(there)] for at in truth]
    tests = enclosed_pairs(queries * 2, right + wrong, tokenizer, 2 * length)
    cross = yield stage(
        "cross", CrossEncoder.of(read.kept.encoder), steps, loss=relevance, data=made_anew(judged, 100_000),
        held_out=examples(**tests, relevant=np.repeat(np.array([1, 0], np.float32), len(queries))),
        measures=[reranking(found)], shows=[rankings(found)],
        expects=[Expectation("mrr", max(0.8, best + 0.2), baseline=best, above=True)])
    if augmented:
        asks, texts, _ = zip(*map(bindings.triple, np.random.default_rng(1).spawn(documents)), strict=True)
        pairs = silver(Search(texts, asks, np.arange(len(texts)), bi.model, tokenizer, length, 8), cross.model)
        yield stage(
            "augmented", bi.kept, bi_steps, loss=likeness,
            data=compared(pairs[:2], tokenizer, length, score=pairs[2].astype(np.float32)),
            held_out=compared((queries, right), tokenizer, length, score=np.ones(len(queries), np.float32)),
            measures=[lambda model, values: retrieval(search(model))],
            expects=[Expectation("bi_mrr", None, bi.values["bi_mrr"], above=True)])


if __name__ == "__main__":
    main(experiment)
