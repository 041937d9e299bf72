"""What a computation costs before it runs: matmul FLOPs counted in its jaxpr, loops included.

(XLA's own `cost_analysis` counts the body of a scan once, however many layers it runs for.)
"""
import dataclasses
import math
import time
from typing import Any

import jax
import jax.numpy as jnp


def flops(jaxpr: Any, wide_only: bool = False) -> int:
    """Multiplications and additions of every matmul and convolution, scans times their length; or of those with a float32 operand."""
    total = 0
    for equation in jaxpr.eqns:
        name, factors = equation.primitive.name, equation.invars[:2]  # of groups, their sizes come third
        if name in MATMULS and not (wide_only and all(x.aval.dtype.itemsize < 4 for x in factors)):
            total += MATMULS[name](equation)
        times = equation.params["length"] if name == "scan" else 1
        inner = [flops(sub, wide_only) for value in equation.params.values() for sub in jaxprs(value)]
        # Of a branch only one is taken; everything else that holds a jaxpr runs it once.
        total += times * (max(inner, default=0) if name == "cond" else sum(inner))
    return total


def _dot(equation: Any) -> int:
    left = equation.invars[0].aval.shape
    (contracted, _), _ = equation.params["dimension_numbers"]
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)


def _convolution(equation: Any) -> int:
    kernel = equation.invars[1].aval.shape
    outputs = equation.params["dimension_numbers"].rhs_spec[0]
    return 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // kernel[outputs]


def _of_groups(equation: Any) -> int:
    """Each row is multiplied with the matrix of its own group; in the gradient of the matrices, summed into it."""
    return 2 * math.prod(equation.invars[0].aval.shape) * equation.outvars[0].aval.shape[-1]


MATMULS = {"dot_general": _dot, "conv_general_dilated": _convolution, "ragged_dot_general": _of_groups}


def jaxprs(value: Any) -> list[Any]:
    if hasattr(value, "eqns"):
        return [value]
    if hasattr(value, "jaxpr"):
        return [value.jaxpr]
    if isinstance(value, (tuple, list)):
        return [sub for item in value for sub in jaxprs(item)]
    return []


@dataclasses.dataclass(frozen=True)
class Device:
    """What one accelerator can do, by its data sheet. Bytes/s between devices are one way; per device across domains."""

    name: str
    flops: float  # dense bfloat16
    flops32: float  # matmuls with a float32 operand at JAX's default precision: TF32 on GPUs, one bfloat16 pass on TPUs
    memory: float  # as sold, in 10^9 bytes: a few per cent below what is there, which the runtime needs
    bandwidth: float
    link: float  # within a domain; on a TPU along one axis of the torus, both ways around the ring
    domain: int  # devices joined by that link: a node of GPUs, a pod of TPUs
    network: float  # between domains


# GPUs: NVIDIA's data sheets, nodes of eight with one 200 (A100) or 400 Gb/s port each. TPUs: the tables of "How to Scale Your
# Model" (jax-ml.github.io/scaling-book/tpus), the v6e's FLOP/s and v5p's memory and bandwidth from Google's own pages.
DEVICES = {device.name: device for device in (
    Device("a100", 312e12, 156e12, 80e9, 2.04e12, 300e9, 8, 25e9),
    Device("h100", 990e12, 495e12, 80e9, 3.35e12, 450e9, 8, 50e9),
    Device("h200", 990e12, 495e12, 141e9, 4.8e12, 450e9, 8, 50e9),
    Device("v5e", 197e12, 197e12, 16e9, 0.82e12, 90e9, 256, 3.1e9),
    Device("v5p", 459e12, 459e12, 95e9, 2.77e12, 180e9, 8960, 6.25e9),
    Device("v6e", 918e12, 918e12, 32e9, 1.6e12, 180e9, 256, 12.5e9),
)}


def peak(device: Any, dtype: str = "bfloat16") -> float:
    """FLOP/s of one device in that type: from the table if it is known, else as measured by a matmul here and now."""
    kind = device.device_kind.lower().replace(" ", "")
    for name, known in DEVICES.items():
        if name in kind or {"v5e": "v5lite", "v6e": "v6lite", "v5p": "v5"}.get(name, name) in kind:
            return known.flops if jnp.dtype(dtype).itemsize < 4 else known.flops32
    x = jax.device_put(jnp.ones((1024, 1024)), device)
    product = jax.jit(lambda x: x @ x)
    product(x).block_until_ready()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        product(x).block_until_ready()
        times.append(time.perf_counter() - began)
    return 2 * 1024**3 / min(times)
