"""GPT-3: a rule is learned from examples in the prompt, no weight changes; layers are dense and banded in turn.

    python -m experiments gpt3        two cores: .25 right at 0 shots, which is chance, .99 at 1 and 1.0 at more
"""
from functools import partial

from transformer.data.made.maps import SHOTS, maps
from transformer.losses import next_token_right
from transformer.models.gpt2 import Size
from transformer.models.gpt3 import gpt3
from transformer.shows.groups import right_by_group
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main

SMOKE = {"layers": 2, "embed": 32, "heads": 2, "examples": 64}


def experiment(layers: int = 4, embed: int = 64, heads: int = 4, band: int = 8, keys: int = 6, values: int = 4, pairs: int = 20,
               rows: int = 64, rate: float = 1e-2, steps: int = 600, examples: int = 40_000) -> Experiment:
    model = gpt3(Size(keys + values, 2 * pairs, layers, embed, heads), band)
    unseen = maps(1024, pairs, keys, values, seed=1, held_out=True)
    chance = 1 / values
    return Experiment(
        model=model,
        loss=partial(next_token_right, groups=SHOTS),
        data=maps(examples, pairs, keys, values, seed=0),
        held_out=unseen,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        corpus="random maps from keys to values",
        expects=[Expectation("right_0_shots", threshold=chance + 0.05, baseline=chance),  # a control: nobody can know
                 *(Expectation(f"right_{shots}", threshold=0.85, baseline=chance, above=True) for shots in SHOTS[1:])],
        shows=[right_by_group(unseen, SHOTS, "A map is learned in the prompt", [chance] * len(SHOTS), "chance")])


if __name__ == "__main__":
    main(experiment)
