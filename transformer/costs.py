"""What a computation costs before it runs: matmul FLOPs counted in its jaxpr, loops included.

(XLA's own `cost_analysis` counts the body of a scan once, however many layers it runs for.)
"""
import math
import time
from typing import Any

import jax
import jax.numpy as jnp


def flops(jaxpr: Any) -> int:
    """Multiplications and additions of every matmul and convolution, scans times their length."""
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += _matmul(equation)
        elif name == "conv_general_dilated":
            kernel, (out,) = equation.invars[1].aval.shape, equation.outvars
            outputs = equation.params["dimension_numbers"].rhs_spec[0]
            total += 2 * math.prod(out.aval.shape) * math.prod(kernel) // kernel[outputs]
        times = equation.params["length"] if name == "scan" else 1
        inner = [flops(sub) for value in equation.params.values() for sub in _jaxprs(value)]
        # Of a branch only one is taken; everything else that holds a jaxpr runs it once.
        total += times * (max(inner, default=0) if name == "cond" else sum(inner))
    return total


def _matmul(equation: Any) -> int:
    left = equation.invars[0].aval.shape
    (contracted, _), _ = equation.params["dimension_numbers"]
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)


def _jaxprs(value: Any) -> list[Any]:
    if hasattr(value, "eqns"):
        return [value]
    if hasattr(value, "jaxpr"):
        return [value.jaxpr]
    if isinstance(value, (tuple, list)):
        return [sub for item in value for sub in _jaxprs(item)]
    return []


# Peak dense bfloat16 FLOP/s, memory bytes and bytes/s of one device, and bytes/s between devices (one way, all links).
DEVICES: dict[str, tuple[float, float, float, float]] = {
    "a100": (312e12, 80e9, 2.04e12, 300e9),
    "h100": (990e12, 80e9, 3.35e12, 450e9),
    "h200": (990e12, 141e9, 4.8e12, 450e9),
    "v5e": (197e12, 16e9, 0.82e12, 100e9),
    "v5p": (459e12, 95e9, 2.77e12, 300e9),
    "v6e": (918e12, 32e9, 1.6e12, 180e9),
}


def peak(device: Any) -> float:
    """FLOP/s of one device: from the table if it is known, else as measured by a matmul here and now."""
    kind = device.device_kind.lower().replace(" ", "")
    for name, (rate, *_) in DEVICES.items():
        if name in kind or name.replace("v5e", "v5lite") in kind or name.replace("v6e", "v6lite") in kind:
            return rate
    x = jax.device_put(jnp.ones((1024, 1024)), device)
    product = jax.jit(lambda x: x @ x)
    product(x).block_until_ready()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        product(x).block_until_ready()
        times.append(time.perf_counter() - began)
    return 2 * 1024**3 / min(times)
