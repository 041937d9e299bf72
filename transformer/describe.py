"""The parameter table of a model, from its promises alone: no array is made, however large the model.

    python -m transformer describe gpt3-175b
"""
from collections.abc import Iterator, Sequence
from typing import Any

from transformer import knobs
from transformer.presets import known
from transformer.weights import count, describe


def main(name: str, arguments: Sequence[str]) -> int:
    build = known(name)
    (given,) = knobs.parse(arguments, build)
    print(*lines(build(**given).model), sep="\n")
    return 0


def lines(spec: Any) -> Iterator[str]:
    """Path, shape, axes and count of every weight, then the total."""
    rows = [(name, "×".join(map(str, shape)), " ".join(axis or "-" for axis in axes), f"{number:,}")
            for name, shape, axes, number in describe(spec)]
    rows = [("weight", "shape", "axes", "count"), *rows, ("total", "", "", f"{count(spec):,}")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, shape, axes, number in rows:
        yield f"{name:{widths[0]}}  {shape:{widths[1]}}  {axes:{widths[2]}}  {number:>{widths[3]}}"
