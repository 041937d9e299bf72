"""Any text file, character by character, as well as two cores can in five minutes: LLaMA's parts, taught by Muon.

    python -m experiments bard --file tinyshakespeare.txt        two cores, 5 minutes: 1.51 nats; a character 5-gram reaches 1.67
"""
from pathlib import Path

from transformer.data import sources, tokenizers
from transformer.data.examples import windows
from transformer.data.ngrams import witten_bell
from transformer.losses import next_token
from transformer.mistakes import Mistake
from transformer.models.llama import Llama, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "mlp": 48}


def experiment(file: Path | None = None, layers: int = 6, embed: int = 192, heads: int = 6, mlp: int = 512, length: int = 128,
               rows: int = 16, rate: float = 1e-2, steps: int = 900) -> Experiment:
    if file is None:
        raise Mistake("bard reads a text of yours: give one, as in --file tinyshakespeare.txt")
    learned, held_out = ("\n".join(texts) for texts in sources.split(sources.documents(file)))
    tokenizer = tokenizers.characters(learned + held_out)
    model = Llama.of(Size(vocab=tokenizer.size, layers=layers, embed=embed, heads=heads, groups=heads, mlp=mlp))
    return Experiment(
        model=model,
        loss=next_token,
        data=windows(tokenizer(learned), length, stride=1),
        held_out=windows(tokenizer(held_out), length),
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10, floor=0.05), adam=0.3),
        corpus="a text file",
        expects=[Expectation("nats", threshold=1.65, baseline=lambda: witten_bell(tokenizer(learned), tokenizer(held_out), 5))],
        shows=[continuation(tokenizer, "\n", 400)])


if __name__ == "__main__":
    main(experiment)
