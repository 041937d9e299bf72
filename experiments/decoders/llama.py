"""LLaMA: GPT-2's task with rotary positions, RMS norms, gates and grouped heads.

    python -m experiments llama        two cores: on the source 1.198 nats, where 1.188 is the best possible;
                                       on the reference 1.96 bits per byte, a byte 5-gram reaches 2.13
"""
from transformer.data.reference import Chains, Reference
from transformer.losses import next_token
from transformer.models.llama import Llama, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "groups": 1, "mlp": 48, "chains": 64}


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, groups: int = 2, mlp: int = 512, length: int = 128,
               rows: int = 16, vocab: int = 1024, rate: float = 1e-2, steps: int = 400, symbols: int = 10, chains: int = 8192,
               chain_steps: int = 400) -> Stages:
    source = Chains.of(symbols, chains)
    model = Llama.of(Size(symbols, layers=2, embed=64, heads=2, groups=1, mlp=128))
    yield Experiment(
        stage="markov",
        model=model,
        loss=next_token,
        data=source.learned,
        held_out=source.held_out,
        rows=64,
        steps=chain_steps,
        optimizer=muon(model, warmup_cosine(rate, chain_steps, warmup=chain_steps // 10), adam=0.3),
        corpus="a Markov source of order 2",
        expects=[Expectation("nats", threshold=source.best + 0.02, baseline=source.bigram)])

    text = Reference.of(vocab, length)
    model = Llama.of(Size(text.tokenizer.size, layers, embed, heads, groups, mlp))
    yield Experiment(
        stage="reference",
        model=model,
        loss=next_token,
        tokenizer=text.tokenizer,
        data=text.learned,
        held_out=text.held_out,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_byte", "nats", text.bits)],
        corpus="the Python reference",
        expects=[Expectation("bits_per_byte", threshold=2.1, baseline=text.five_gram)],
        shows=[continuation(text.tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
