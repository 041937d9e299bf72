"""The smallest experiment that has everything: dropout, micro-batches, averaged weights, a number to reach, a show.

    python tests/little.py --layers 2        a second: fewer than 8 bits a byte, which is what knowing nothing costs
"""
import math
from pathlib import Path

from transformer.data.examples import windows
from transformer.data.sources import python_reference, split
from transformer.data.tokenizers import raw_bytes
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import adamw
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled


def experiment(layers: int = 1, embed: int = 16, length: int = 16, rows: int = 8, rate: float = 1e-2, dropout: float = 0.1,
               steps: int = 20, file: Path | None = None) -> Experiment:
    learned, held_out = split(python_reference()[:4] if file is None else [file.read_text()])
    tokenizer = raw_bytes()
    return Experiment(
        model=GPT2.of(Size(tokenizer.size, length, layers, embed, heads=2), dropout),
        loss=next_token,
        data=windows(tokenizer(learned), length),
        held_out=windows(tokenizer(held_out), length)[:24],
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=adamw(rate),
        accumulate=2,
        average=0.9,
        measures=[rescaled("bits_per_byte", "nats", 1 / math.log(2))],
        expects=[Expectation("bits_per_byte", threshold=8.0, baseline=8.0)],
        shows=[continuation(tokenizer, "The ", 8)])


if __name__ == "__main__":
    main(experiment)
