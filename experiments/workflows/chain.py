"""Prompt chaining: a question of two hops, answered in one prompt or in two, by the same decoder.

    python -m experiments chain        two cores: .99 right in two prompts, .42 in one

"What does the one who lives in Rome play?" becomes "Who lives in Rome?" and "What does Anna play?". Facts are held out.
Who is meant is learned from one thing told of each of two people, in a village, then in the world, and only then from two:
who begins with two stays at a coin flip.
"""
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.asking import prompt, prompts
from transformer.data.examples import examples
from transformer.data.made import passages, world
from transformer.data.pairing import made_anew
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.shows.asking import chains, hops
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_stable_decay
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "asked": 20}


def experiment(layers: int = 2, embed: int = 96, heads: int = 2, mlp: int = 192, length: int = 88, rows: int = 64, asked: int = 300,
               rate: float = 6e-3, village_steps: int = 220, once_steps: int = 260, steps: int = 220) -> Stages:
    tokenizer = tokenizers.word_pieces(passages.every_word(), 1024)
    model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp))
    exam = world.examinations(np.random.default_rng(0), asked)
    held_out = prompts([one.text for one in exam], [one.steps[1] for one in exam], tokenizer, length)

    def stage(name: str, model: Any, told: int, place: passages.Place, steps: int, **more: Any) -> Experiment:
        schedule = warmup_stable_decay(rate, steps, warmup=steps // 10, decay=steps // 4)
        short = 2 // told  # so many times as many rows, each as much shorter

        def lesson(rng: np.random.Generator) -> dict[str, np.ndarray]:
            return prompt(*world.lesson(rng, told, place), tokenizer, length // short)

        return Experiment(
            stage=name, model=model, tokenizer=tokenizer, loss=next_token, data=made_anew(lesson, 100_000), held_out=examples(**held_out),
            rows=short * rows, steps=steps, optimizer=muon(model, schedule, adam=0.75),
            corpus="passages about people", **more)

    village = yield stage("village", model, 1, passages.VILLAGE, village_steps)
    once = yield stage("told_once", village.kept, 1, passages.WORLD, once_steps)
    yield stage(
        "told_twice", once.kept, 2, passages.WORLD, steps,
        measures=[hops(exam, tokenizer, length)],
        # Whoever takes either of the two values of what is asked is right half of the time.
        expects=[Expectation("chained", 0.8, baseline=0.5, above=True), Expectation("gain", 0.2, baseline=0.0, above=True)],
        shows=[chains(exam, tokenizer, length)])


if __name__ == "__main__":
    main(experiment)
