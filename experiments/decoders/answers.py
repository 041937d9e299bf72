"""Questions answered by going on: a decoder reads passage and question and writes the answer; without the passage nobody can.

    python -m experiments answers        two cores: .98 right to the letter with the passage, .04 without;
                                         the value in the sentence most like the question is right .6 of the time

Who is meant is learned from one thing told of each, in a village, then in the world, and only then from more; the facts
asked about are held out.
"""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transformer.data import tokenizers
from transformer.data.asking import prompt, prompts
from transformer.data.examples import examples
from transformer.data.made.passages import VILLAGE, WORLD, Passage, Place, every_word, lesson, overlapping, passage
from transformer.data.pairing import made_anew
from transformer.decoding import generate
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_stable_decay
from transformer.training.run import main

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48, "rows": 8, "unseen": 16}


def experiment(layers: int = 3, embed: int = 96, heads: int = 2, mlp: int = 256, people: int = 2, relations: int = 2,
               rows: int = 64, rate: float = 6e-3, closed_steps: int = 100, village_steps: int = 250, once_steps: int = 260,
               steps: int = 200, unseen: int = 512) -> Stages:
    tokenizer = tokenizers.word_pieces(every_word(), 1024)
    length, rng = 20 * people * relations, np.random.default_rng(1)
    exam = [passage(rng, people, relations, held_out=True) for _ in range(unseen)]
    likest = float(np.mean([overlapping(one).lower() == one.answer.lower() for one in exam]))

    def answered(model: Any, some: Sequence[Passage], read: bool) -> list[str]:
        """What is written after each question, up to the end."""
        asked = [tokenizer.encode(f"{one.text} {one.question}" if read else one.question) for one in some]
        texts = generate(model, [[tokenizer.start, *ids] for ids in asked], most=4, ends=tokenizer.end).texts()
        return [tokenizer.decode(text) for (text,) in texts]

    def stage(name: str, model: Any, told: int, place: Place, steps: int, *expects: Expectation, read: bool = True) -> Experiment:
        schedule = warmup_stable_decay(rate, steps, warmup=steps // 10, decay=steps // 4)
        short = relations // told  # so many times as many rows, each as much shorter

        def taught(rng: np.random.Generator) -> dict[str, np.ndarray]:
            text, asked = lesson(rng, people, told, place)
            return prompt(text if read else "", asked, tokenizer, length // short)

        def exact(model: Any, values: Mapping[str, float]) -> dict[str, float]:
            said = answered(model, exam, read)
            return {"exact": float(np.mean([text == one.answer.lower() for text, one in zip(said, exam, strict=True)]))}

        def shown(model: Any, folder: Path) -> str:
            return "\n".join(f"{one.text if read else ''} {one.question} -> {text} (truly {one.answer})"
                             for one, text in zip(exam[:4], answered(model, exam[:4], read), strict=True))

        held_out = prompts([one.text if read else "" for one in exam], [one.steps[-1] for one in exam], tokenizer, length)
        return Experiment(
            stage=name, model=model, loss=next_token, data=made_anew(taught, 100_000), held_out=examples(**held_out),
            rows=short * rows, steps=steps, optimizer=muon(model, schedule, adam=0.75),
            measures=[exact], corpus=f"questions about passages, {name.replace('_', ' ')}", expects=expects, shows=[shown])

    model = Llama.of(Size(tokenizer.size, layers, embed, heads, heads, mlp))
    chance = 0.08  # of the values of a relation there are a dozen
    yield stage("closed_book", model, relations, WORLD, closed_steps, Expectation("exact", threshold=0.2, baseline=chance), read=False)
    village = yield stage("village", model, 1, VILLAGE, village_steps)
    once = yield stage("told_once", village.kept, 1, WORLD, once_steps)
    yield stage("open_book", once.kept, relations, WORLD, steps, Expectation("exact", threshold=0.9, baseline=likest, above=True))


if __name__ == "__main__":
    main(experiment)
