"""Rotary positions as configs say them, in new words and in old."""
import math
from typing import Any

from transformer.huggingface.config import Config
from transformer.mistakes import Mistake
from transformer.positions import Linear, Llama3, Rotary, Yarn


def read(config: Config, head: int, theta: float) -> Rotary:
    """From `rope_parameters`, or in the words of before transformers 5 from `rope_theta` and `rope_scaling`."""
    length, theta = config.take("max_position_embeddings", 0), config.take("rope_theta", theta)
    config.expect(partial_rotary_factor=1.0)
    new, old = config.take("rope_parameters", {}), config.take("rope_scaling", {})
    rope = Config(old or new, f"{config.where}, {'rope_scaling' if old else 'rope_parameters'}")
    rope.expect(partial_rotary_factor=1.0)
    theta = float(rope.take("rope_theta", theta))
    kind = rope.take("rope_type", rope.take("type", "default"))
    context = config.take("original_max_position_embeddings", rope.take("original_max_position_embeddings", length))
    if kind == "default":
        rotary = Rotary(head, theta)
    elif kind == "linear":
        rotary = Rotary(head, theta, Linear(float(rope.take("factor"))))
    elif kind == "llama3":
        slow, fast = float(rope.take("low_freq_factor")), float(rope.take("high_freq_factor"))
        rotary = Rotary(head, theta, Llama3(float(rope.take("factor")), slow, fast, context))
    elif kind == "yarn":
        factor = float(rope.take("factor", length / max(context, 1)))
        slow, fast = float(rope.take("beta_slow", 1.0) or 1.0), float(rope.take("beta_fast", 32.0) or 32.0)
        scaling = Yarn(factor, slow, fast, context, theta, rope.take("truncate", True))
        rotary = Rotary(head, theta, scaling, _sharpened(rope, factor))
    else:
        raise Mistake(f"{rope.where}: the rope_type {kind!r} is not supported; "
                      f"there are default, linear, llama3 and yarn")
    rope.settle()
    return rotary


def _sharpened(rope: Config, factor: float) -> float:
    """YaRN's factor on the turned vectors: given, or from the scale, or from DeepSeek's two numbers."""

    def by(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    above, below = rope.take("mscale", 0.0), rope.take("mscale_all_dim", 0.0)
    return float(rope.take("attention_factor", by(above) / by(below) if above and below else by(1.0)))


def write(rotary: Rotary) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_theta": rotary.theta}
    match rotary.scaling:
        case None:
            return {"rope_parameters": rope | {"rope_type": "default"}}
        case Linear(factor):
            return {"rope_parameters": rope | {"rope_type": "linear", "factor": factor}}
        case Llama3(factor, slow, fast, context):
            rope |= {"rope_type": "llama3", "factor": factor, "low_freq_factor": slow, "high_freq_factor": fast}
        case Yarn(factor, slow, fast, context, _, whole):
            rope |= {"rope_type": "yarn", "factor": factor, "beta_slow": slow, "beta_fast": fast,
                     "attention_factor": rotary.amplitude, **({} if whole else {"truncate": False})}
        case other:
            raise Mistake(f"Hugging Face has no name for the scaling of rotary positions {other!r}")
    return {"rope_parameters": rope | {"original_max_position_embeddings": context},
            "max_position_embeddings": int(context * factor)}
