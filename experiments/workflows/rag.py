"""Retrieval-augmented generation: a bi-encoder fetches statements, and a decoder that never learned them answers from them.

    python -m experiments rag        two cores: .96 of the questions are answered exactly; closed book .03, and .43 by whoever
                                     says the value of the statement that shares most words with the question

The reader learns as in `answers`: in a village, then in the world, and only then from all that is fetched.
"""
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optax

from transformer.data import tokenizers
from transformer.data.asking import prompt, prompts
from transformer.data.examples import examples
from transformer.data.made import passages, world
from transformer.data.made.passages import VILLAGE
from transformer.data.pairing import compared, made_anew
from transformer.data.ranking import tf_idf
from transformer.losses import next_token
from transformer.matching import contrastive
from transformer.models.bi_encoder import BiEncoder
from transformer.models.llama import Llama
from transformer.models.llama import Size as ReaderSize
from transformer.models.modernbert import ModernBert, Size
from transformer.shows.asking import Library, closed_book, consulted, read
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine, warmup_stable_decay
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "asked": 20}


def experiment(layers: int = 2, embed: int = 96, heads: int = 2, mlp: int = 192, statements: int = 3, rows: int = 64,
               asked: int = 120, rate: float = 6e-3, fetch_steps: int = 250, closed_steps: int = 100, village_steps: int = 220,
               once_steps: int = 260, steps: int = 160) -> Stages:
    tokenizer, length, short = tokenizers.word_pieces(passages.every_word(), 1024), 20 * statements, 20
    rng, known = np.random.default_rng(0), passages.every_fact()
    facts = world.world(rng)[:asked]
    questions, answers = zip(*(world.asked(rng, fact) for fact in facts), strict=True)
    there = [world.stated(rng, fact) for fact in facts]
    learned = [world.asked(rng, fact)[0] for fact in known], [world.stated(rng, fact) for fact in known]

    def stage(name: str, model: Any, steps: int, schedule: optax.Schedule, adam: float, **more: Any) -> Experiment:
        return Experiment(model=model, tokenizer=tokenizer, rows=rows, steps=steps, stage=name, corpus="facts about people",
                          optimizer=muon(model, schedule, adam=adam), **more)

    def reader(name: str, model: Any, steps: int, passages: list[str], told: int,
               excerpt: Callable[[np.random.Generator], tuple[str, list[world.Asked]]], **more: Any) -> Experiment:
        """Learns to answer from excerpts of so many statements, or where there is no passage without."""

        def lesson(rng: np.random.Generator) -> dict[str, np.ndarray]:
            text, questions = excerpt(rng)
            return prompt(text if any(passages) else "", questions, tokenizer, 20 * told)

        held_out = prompts(passages, list(zip(questions, answers, strict=True)), tokenizer, length)
        return stage(name, model, steps, warmup_stable_decay(rate, steps, warmup=steps // 10, decay=steps // 4), 0.75,
                     loss=next_token, data=made_anew(lesson, 100_000), held_out=examples(**held_out), **more)

    retriever = yield stage(
        "retriever", BiEncoder(ModernBert.of(Size(tokenizer.size, 2, 64, 4, 96, every=1))), fetch_steps,
        warmup_cosine(1e-2, fetch_steps, warmup=fetch_steps // 10), 0.3, loss=contrastive,
        data=compared(learned, tokenizer, short), held_out=compared((questions, there), tokenizer, short))
    library = Library(retriever.model, tokenizer, short, there, questions, answers, statements)
    model = Llama.of(ReaderSize(tokenizer.size, layers, embed, heads, heads, mlp))
    excerpt = partial(world.excerpt, statements=statements)
    closed = yield reader("closed", model, closed_steps, [""] * len(questions), statements, excerpt, measures=[closed_book(library, length)])
    likest = float(np.mean([facts[at].value == answer for at, answer in zip(tf_idf(questions, there).argmax(1), answers, strict=True)]))
    village = yield reader("village", model, village_steps, library.passages, 2, partial(world.lesson, relations=1, place=VILLAGE))
    once = yield reader("told_once", village.kept, once_steps, library.passages, 2, partial(world.lesson, relations=1))
    yield reader("open", once.kept, steps, library.passages, statements, excerpt, measures=[read(library, length)],
                 expects=[Expectation("exact", 0.9, baseline=likest, above=True)],
                 shows=[consulted(library, length, closed.values["exact"], likest)])


if __name__ == "__main__":
    main(experiment)
