"""Retrieval-augmented generation: a bi-encoder fetches statements, and a decoder that never learned them answers from them.

    python -m experiments rag        two cores; 8 minutes on one: .56 of the questions are answered exactly;
                                     closed book, 0
"""
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.asking import prompt, prompts
from transformer.data.examples import examples
from transformer.data.made import passages, world
from transformer.data.pairing import compared, made_anew
from transformer.losses import next_token
from transformer.matching import contrastive
from transformer.models.bi_encoder import BiEncoder
from transformer.models.llama import Llama
from transformer.models.llama import Size as ReaderSize
from transformer.models.modernbert import ModernBert, Size
from transformer.shows.asking import Library, closed_book, consulted, read
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "asked": 20}


def experiment(layers: int = 2, embed: int = 96, heads: int = 4, mlp: int = 192, statements: int = 3, rows: int = 64,
               asked: int = 120, rate: float = 1e-2, fetch_steps: int = 300, closed_steps: int = 200, steps: int = 1000) -> Stages:
    tokenizer, length, short = tokenizers.word_pieces(passages.every_word(), 1024), 20 * statements, 20
    rng, known = np.random.default_rng(0), passages.every_fact()
    facts = world.world(rng)[:asked]
    questions, answers = zip(*(world.asked(rng, fact) for fact in facts), strict=True)
    there = [world.stated(rng, fact) for fact in facts]
    learned = [world.asked(rng, fact)[0] for fact in known], [world.stated(rng, fact) for fact in known]

    def stage(name: str, model: Any, steps: int, **more: Any) -> Experiment:
        return Experiment(model=model, tokenizer=tokenizer, rows=rows, steps=steps, stage=name, corpus="facts about people",
                          optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3), **more)

    def reader(name: str, steps: int, passages: list[str], **more: Any) -> Experiment:
        """Learns to answer from excerpts, or where there is no passage without."""

        def lesson(rng: np.random.Generator) -> dict[str, np.ndarray]:
            text, questions = world.excerpt(rng, statements)
            return prompt(text if any(passages) else "", questions, tokenizer, length)

        held_out = prompts(passages, list(zip(questions, answers, strict=True)), tokenizer, length)
        return stage(name, Llama.of(ReaderSize(tokenizer.size, layers, embed, heads, heads, mlp)), steps, loss=next_token,
                     data=made_anew(lesson, 100_000), held_out=examples(**held_out), **more)

    retriever = yield stage(
        "retriever", BiEncoder(ModernBert.of(Size(tokenizer.size, 2, 64, 4, 96, every=1))), fetch_steps, loss=contrastive,
        data=compared(learned, tokenizer, short), held_out=compared((questions, there), tokenizer, short))
    library = Library(retriever.model, tokenizer, short, there, questions, answers, statements)
    closed = yield reader("closed", closed_steps, [""] * len(questions), measures=[closed_book(library, length)])
    exact = closed.values["exact"]
    yield reader("open", steps, library.passages, measures=[read(library, length)],
                 expects=[Expectation("exact", exact + 0.3, exact, above=True)], shows=[consulted(library, length, exact)])


if __name__ == "__main__":
    main(experiment)
