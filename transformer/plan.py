"""What a training step needs on devices that are not here: compiled ahead of time from shapes alone, nothing is ever allocated.

    python -m transformer plan gpt3-175b --mesh fsdp=8,tensor=8 --device h100

It is the very step that training runs, partitioned over fake CPU devices; memory, collectives and matmuls are read from what
the compiler made of it. The CPU's compiler would turn bfloat16 into float32, so float16 stands in for it: same widths.
"""
import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from transformer import costs, knobs
from transformer.costs import DEVICES, Device
from transformer.hlo import Program
from transformer.mistakes import Mistake
from transformer.presets import PRESETS, known
from transformer.sharding import mesh_of, spec, use, ways
from transformer.training.experiment import Experiment, stages
from transformer.training.loop import examine, promised
from transformer.training.step import step_of
from transformer.weights import count

LANES = 128  # a padded vocabulary is a multiple of this, which matmul units like
HASTY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # the code itself is never run


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one step of an experiment needs; bytes and seconds are of one device."""

    experiment: Experiment
    mesh: Mesh
    device: Device
    parameters: int
    optimizer: int
    total: int  # bytes while a step runs, as planned for a CPU: more than an accelerator, whose updates are in place, needs
    least: int  # the state, what loops stack up, weights in the compute type, sums of gradients over turns: an accelerator's need
    flops: int  # of the model, on all devices together, nothing computed twice
    done: int  # FLOPs of one device, recomputation and what several devices do alike included
    wide: float  # share of the FLOPs with a float32 operand
    traffic: int  # bytes to and from memory if every matmul reads its operands and writes its result, and the state moves once
    sent: Mapping[str, tuple[float, float]]  # bytes and seconds of each kind of collective

    @property
    def fits(self) -> bool:
        return self.total <= self.device.memory

    @property
    def seconds(self) -> dict[str, float]:
        matmuls = self.done * ((1 - self.wide) / self.device.flops + self.wide / self.device.flops32)
        return {"matmuls": matmuls, "memory": self.traffic / self.device.bandwidth,
                "links": sum(seconds for _, seconds in self.sent.values())}

    def mfu(self, seconds: float) -> float:
        """The model's FLOPs (attention counted whole) as a share of what all devices could do in that time."""
        return self.flops / (seconds * self.mesh.size * self.device.flops)


def main(name: str, arguments: Sequence[str]) -> int:
    build = known(name)
    given, options = knobs.parse(arguments, build, planned)
    print(*planned(name, build, given, **options), sep="\n")
    return 0


def planned(name: str, build: Callable[..., Experiment], given: Mapping[str, Any], *, mesh: str = "data=1", device: str = "h100",
            dtype: str | None = None, remat: str | None = None, accumulate: int | None = None) -> list[str]:
    """The report on a build and its knobs; remat and accumulate are chosen where they are not given."""
    if device not in DEVICES:
        raise Mistake(f"device {device!r} is not known; there are {', '.join(DEVICES)}")
    grid = mesh_of(mesh, fake_devices(math.prod(int(length) for length in re.findall(r"=(\d+)", mesh))))
    given, note = padded(build, given, grid)
    experiment = next(stages(build(**given)))
    experiment = dataclasses.replace(experiment, dtype=dtype or experiment.dtype)
    plan = chosen(experiment, grid, DEVICES[device], remat, accumulate)
    return [f"{name}: {count(experiment.model):,} parameters{note}, on {grid.size} {device} ({mesh})", *report(plan)]


def fake_devices(number: int) -> list[Any]:
    """As many CPU devices as that, which exist on paper only; JAX must not have started with fewer."""
    try:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", max(number, 1))
    except RuntimeError:
        if jax.device_count("cpu") < number:
            raise Mistake(f"a plan for {number} devices needs as many fake ones, but JAX has started with "
                          f"{jax.device_count('cpu')}; set JAX_NUM_CPU_DEVICES={number} before") from None
    return jax.devices("cpu")[:max(number, 1)]


def padded(build: Callable[..., Experiment], given: Mapping[str, Any], mesh: Mesh) -> tuple[dict[str, Any], str]:
    """A published vocabulary that the mesh doesn't divide gets rows that no token uses, as one would train it; and a word about it."""
    published = knobs.knobs_of(build).get("vocab") if build in PRESETS.values() else None
    vocab = given.get("vocab", published.default) if published else 0
    if vocab % ways("vocab", mesh) == 0:
        return dict(given), ""
    multiple = math.lcm(LANES, ways("vocab", mesh))
    wide = -(-vocab // multiple) * multiple
    return {**given, "vocab": wide}, f" with the vocabulary padded from {vocab:,} to {wide:,} for the mesh to divide it"


def chosen(experiment: Experiment, mesh: Mesh, device: Device, remat: str | None = None, accumulate: int | None = None) -> Plan:
    """The fastest that fits, of keeping all activations and of keeping none, each with as many rows at a time as memory allows."""
    def attempt(remat: str, accumulate: int) -> Plan:
        return plan(dataclasses.replace(experiment, remat=remat, accumulate=accumulate), mesh, device)

    def widest(remat: str) -> Plan:
        if accumulate is not None:
            return attempt(remat, accumulate)
        one, *two = (attempt(remat, rows // at_once) for at_once in divisors[:2])
        if not one.fits or not two:
            return one
        each = (two[0].total - one.total) / (divisors[1] - 1)
        for at_once in reversed(divisors[1:]):
            if one.total + each * (at_once - 1) <= device.memory and (wide := attempt(remat, rows // at_once)).fits:
                return wide
        return one

    examine(experiment, mesh)
    with use(mesh):
        rows = experiment.rows // ways("batch", mesh)
    divisors = [at_once for at_once in range(1, rows + 1) if rows % at_once == 0]
    plans = [widest(remat or "none")]
    if remat is None and not (plans[0].fits and plans[0].experiment.accumulate == 1):
        plans.append(widest("full"))
    fitting = [plan for plan in plans if plan.fits]
    if not fitting:
        return min(plans, key=lambda plan: plan.total)
    return min(fitting, key=lambda plan: sum(plan.seconds.values()))


def plan(experiment: Experiment, mesh: Mesh, device: Device) -> Plan:
    """Compiles the step, and reads what it needs."""
    examine(experiment, mesh)
    compiled = _traced(experiment, mesh).lower().compile(HASTY)
    model = _traced(dataclasses.replace(experiment, remat="none", accumulate=1), mesh).jaxpr
    program, memory, state = Program(compiled.as_text()), compiled.memory_analysis(), promised(experiment, mesh)
    matmuls = list(program.matmuls())
    sent: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for collective in program.collectives():
        moved, seconds = sent[collective.kind]
        sent[collective.kind] = (moved + collective.bytes, seconds + collective.bytes / speed(collective.group, device))
    in_and_out = memory.argument_size_in_bytes + memory.output_size_in_bytes
    flops, parameters, width = costs.flops(model), _bytes_here(state.model), jnp.dtype(experiment.dtype).itemsize
    return Plan(
        experiment, mesh, device,
        parameters=parameters,
        optimizer=_bytes_here((state.optimizer, state.average)),
        total=in_and_out - memory.alias_size_in_bytes + memory.temp_size_in_bytes,
        least=memory.argument_size_in_bytes + program.stacked() + (parameters * width // 4 if width < 4 else 0)
        + (parameters if experiment.accumulate > 1 else 0),
        flops=flops,
        done=sum(matmul.flops for matmul in matmuls),
        wide=costs.flops(model, wide_only=True) / max(flops, 1),
        traffic=in_and_out + width * sum(matmul.elements for matmul in matmuls),
        sent=sent)


def speed(group: tuple[int, ...], device: Device) -> float:
    """Bytes/s of each device in a ring over the group: the link within a domain; else the network, shared by its members there."""
    members = sum(other // device.domain == group[0] // device.domain for other in group)
    return device.link if members == len(group) else min(device.link, members * device.network)


def report(plan: Plan) -> Iterator[str]:
    experiment, seconds = plan.experiment, plan.seconds
    yield (f"{experiment.rows:,} rows a step, {experiment.rows // experiment.accumulate:,} at a time; "
           f"matmuls in {experiment.dtype}, weights float32, remat {experiment.remat}")
    yield "memory of a device"
    yield f"  parameters                {_bytes(plan.parameters)}"
    yield f"  optimizer                 {_bytes(plan.optimizer)}"
    yield f"  gradients, activations    {_bytes(plan.total - plan.parameters - plan.optimizer)}   and all else that is temporary"
    verdict = "fits" if plan.fits else "may fit" if plan.least <= plan.device.memory else "does NOT fit"
    yield f"  together                  {_bytes(plan.total)}   {verdict} the {plan.device.memory / 1e9:,.0f} GB of one {plan.device.name}"
    yield f"  at least                  {_bytes(plan.least)}   whatever the compiler"
    yield "work of a step"
    share = plan.flops / plan.mesh.size
    yield f"  the model's matmuls       {plan.flops:.4g} FLOPs, {share:.4g} a device"
    yield f"  done on a device          {plan.done:.4g} FLOPs, {plan.done / share:.2f} times its share"
    if plan.wide > 0.01 and experiment.dtype != "float32":
        yield f"  with a float32 operand    {plan.wide:.0%} of them, at {plan.device.flops32 / plan.device.flops:.0%} of the speed"
    yield "sent by a device in a step" + ("" if plan.sent else ": nothing")
    for name, (moved, duration) in sorted(plan.sent.items(), key=lambda item: -item[1][1]):
        yield f"  {name:24}  {_bytes(moved)}   {_seconds(duration)}"
    yield "time of a step"
    for name, duration in seconds.items():
        yield f"  {name:24}  {_seconds(duration)}"
    for name, duration in (("all at the same time", max(seconds.values())), ("one after the other", sum(seconds.values()))):
        yield (f"  {name:24}  {_seconds(duration)}   {experiment.rows / duration:,.1f} rows/s, MFU {plan.mfu(duration):.1%}")
    yield ("Times are bounds: peak speeds, and no memory traffic but that of matmuls and state. Memory is as compiled for a CPU, with float16\n"
           "for bfloat16 and the plain attention core; the least is arithmetic. MFU counts attention whole, causal or not.")


def _traced(experiment: Experiment, mesh: Mesh) -> Any:
    """The step on abstract arrays, its layers scanned as on an accelerator, unless the experiment says otherwise."""
    experiment = dataclasses.replace(experiment, dtype=experiment.dtype.replace("bfloat16", "float16"),
                                     unroll=experiment.unroll or False)
    state = promised(experiment, mesh)
    with use(mesh):
        example: Any = experiment.data[0]
        rows = NamedSharding(mesh, spec(("batch",), mesh))
        batch = {name: jax.ShapeDtypeStruct((experiment.rows, *x.shape), x.dtype, sharding=rows)
                 for name, x in example.items()}
        layout = jax.tree.map(lambda x: x.sharding, state)
        return jax.jit(step_of(experiment, 0), donate_argnums=0, out_shardings=(layout, None)).trace(state, batch)


def _bytes_here(tree: Any) -> int:
    return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _bytes(number: float) -> str:
    return f"{number / 1e9:10,.2f} GB" if number >= 1e7 else f"{number / 1e6:10,.2f} MB"


def _seconds(number: float) -> str:
    return f"{number:9,.2f} s" if number >= 1 else f"{1e3 * number:9,.2f} ms"
