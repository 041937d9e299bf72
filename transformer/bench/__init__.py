"""How fast it is, measured side by side with others on the same machine in one run."""
from collections.abc import Sequence

from transformer.bench import decode, load, sound, train
from transformer.mistakes import Mistake

BENCHMARKS = {"train": train.main, "decode": decode.main, "load": load.main, "sound": sound.main}


def main(name: str, words: Sequence[str]) -> int:
    if name not in BENCHMARKS:
        raise Mistake(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name](words)
