"""What one device does in a compiled program, read from the program's text: matmuls and collectives, loops times their trips."""
import dataclasses
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "all-to-all", "collective-permute")
# What a value passes through without being computed with.
TRANSPARENT = ("bitcast", "copy", "reshape", "transpose", "convert")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(.*)$")
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\]")


class Shape(NamedTuple):
    type: str
    lengths: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.lengths)

    @property
    def bytes(self) -> int:
        bits = re.search(r"\d+", self.type)
        return self.elements * (int(bits[0]) // 8 if bits else 1)


@dataclasses.dataclass(frozen=True)
class Instruction:
    name: str
    shapes: tuple[Shape, ...]
    opcode: str
    inside: str  # the parentheses: operands by name, or a parameter's number
    attributes: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.\-]+)", self.inside)

    def attribute(self, name: str) -> str | None:
        found = re.search(rf"{name}=%?([\w.\-]+)", self.attributes)
        return found and found[1]

    def axes(self, name: str) -> list[int]:
        found = re.search(rf"{name}={{([\d,]*)}}", self.attributes)
        return _numbers(found[1]) if found else []


Computation = dict[str, Instruction]


@dataclasses.dataclass(frozen=True)
class Collective:
    kind: str
    bytes: float  # that each device sends, all its turns together, on a ring
    group: tuple[int, ...]  # the devices of one group


@dataclasses.dataclass(frozen=True)
class Matmul:
    flops: int
    elements: int  # read and written


class Program:
    """The text as `compiled.as_text()` gives it."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, Computation] = {}
        self.devices = int(found[1]) if (found := re.search(r"num_partitions=(\d+)", text)) else 1
        current: Computation = {}
        for line in text.splitlines():
            if begins := _COMPUTATION.match(line):
                current = self.computations.setdefault(begins[2], {})
                if begins[1]:
                    self.entry = current
            elif found := _INSTRUCTION.match(line):
                name, type, opcode, inside, attributes = found.groups()
                shapes = tuple(Shape(kind, tuple(_numbers(lengths))) for kind, lengths in _SHAPE.findall(type))
                current[name] = Instruction(name, shapes, opcode, inside, attributes)

    def collectives(self) -> Iterator[Collective]:
        """An all-reduce of which every device keeps only its own slice counts as the reduce-scatter that GPUs and TPUs do instead."""
        for instruction, computation, times in self._walk(self.entry, 1):
            if instruction.opcode not in KINDS:
                continue
            group = self._group(instruction)
            for place, shape in enumerate(instruction.shapes):
                kind, n = instruction.opcode, len(group)
                if kind == "all-reduce" and self._scattered(instruction, place, computation, n):
                    kind, shape = "reduce-scatter", Shape(shape.type, (shape.elements // n,))
                shares = {"all-gather": (n - 1) / n, "reduce-scatter": n - 1, "all-reduce": 2 * (n - 1) / n,
                          "all-to-all": (n - 1) / n, "collective-permute": 1}
                yield Collective(kind, times * shares[kind] * shape.bytes, group)

    def matmuls(self, inside: Computation | None = None) -> Iterator[Matmul]:
        """Those of the whole program, or inside one of its computations."""
        for instruction, around, times in self._walk(self.entry if inside is None else inside, 1):
            if instruction.opcode == "dot":
                left, right = (around[name].shapes[0] for name in instruction.operands)
                out = instruction.shapes[0].elements
                contracted = math.prod(left.lengths[axis] for axis in instruction.axes("lhs_contracting_dims"))
                yield Matmul(2 * times * out * contracted, times * (left.elements + right.elements + out))

    def stacked(self) -> int:
        """Bytes that loops write piece by piece: what the layers of a scan keep for the backward pass, and their gradients."""
        return sum(instruction.shapes[0].bytes for instruction, _, times in self._walk(self.entry, 1)
                   if instruction.opcode == "dynamic-update-slice" and times > 1)

    def _walk(self, computation: Computation, times: int) -> Iterator[tuple[Instruction, Computation, int]]:
        """Every instruction, with where it stands and how often it runs."""
        for instruction in computation.values():
            yield instruction, computation, times
            trips = re.search(r'known_trip_count"?:\{"n":"(\d+)"', instruction.attributes)
            if branches := self._branches(instruction):
                costs = [sum(matmul.flops for matmul in self.matmuls(branch)) for branch in branches]
                yield from self._walk(branches[costs.index(max(costs))], times)
            elif inner := self._called(instruction):
                yield from self._walk(inner, times * int(trips[1]) if trips else times)

    def _branches(self, instruction: Instruction) -> list[Computation]:
        """Those of which a conditional takes one."""
        if instruction.opcode != "conditional":
            return []
        listed = re.search(r"branch_computations=\{(.*?)\}", instruction.attributes)
        names = re.findall(r"[\w.-]+", listed[1]) if listed else [
            name for which in ("true", "false") if (name := instruction.attribute(f"{which}_computation"))]
        return [self.computations[name] for name in names]

    def _called(self, instruction: Instruction) -> Computation | None:
        attribute = {"while": "body", "fusion": "calls", "call": "to_apply"}.get(instruction.opcode)
        name = attribute and instruction.attribute(attribute)
        return self.computations[name] if name else None

    def _scattered(self, reduce: Instruction, place: int, computation: Computation, pieces: int) -> bool:
        parts = [reduce.name]
        if reduce.shapes[1:]:
            parts = [user.name for user in _users(reduce.name, computation) if user.attribute("index") == str(place)]
        slices = [self._slices(part, computation) for part in parts]
        return bool(slices) and all(slice == {reduce.shapes[place].elements // pieces} for slice in slices)

    def _slices(self, name: str, computation: Computation) -> set[int]:
        """How many elements its users keep of a value."""
        kept: set[int] = set()
        for user in _users(name, computation):
            inner = self._called(user)
            if user.opcode == "dynamic-slice" and user.operands[0] == name:
                kept.add(user.shapes[0].elements)
            elif user.opcode in TRANSPARENT:
                kept |= self._slices(user.name, computation)
            elif inner is not None and user.opcode != "while":
                numbers = [str(number) for number, operand in enumerate(user.operands) if operand == name]
                for parameter in inner.values():
                    if parameter.opcode == "parameter" and parameter.inside in numbers:
                        kept |= self._slices(parameter.name, inner)
            else:
                kept.add(computation[name].shapes[0].elements)
        return kept

    def _group(self, instruction: Instruction) -> tuple[int, ...]:
        """The devices of the first group, in any of the ways the compiler writes groups."""
        text = instruction.attributes
        if pairs := re.search(r"source_target_pairs=\{\{([\d,]+)\}", text):
            return tuple(_numbers(pairs[1]))
        if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", text):
            return tuple(_numbers(listed[1]))
        if counted := re.search(r"replica_groups=\[([\d,]+)\](<=\S+\]\S*?),? ", text + " "):
            return tuple(_iota(counted[2]).reshape(_numbers(counted[1]))[0].tolist())
        if meshed := re.search(r"replica_groups=mesh\[(.*?)\](?:, device_ids=\((.*?\)?)\))? \{(.*?)\}", text):
            return _along(*meshed.groups())
        return tuple(range(self.devices))


def _users(name: str, computation: Computation) -> list[Instruction]:
    return [instruction for instruction in computation.values() if name in instruction.operands]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _iota(text: str) -> np.ndarray:
    """The device numbers of `[8,8]T(1,0)`: counted up in that shape, then transposed."""
    lengths, order = re.match(r"(?:<=)?\[([\d,]+)\](?:T\(([\d,]+)\))?", text).groups()  # type: ignore[union-attr]
    ids = np.arange(math.prod(_numbers(lengths))).reshape(_numbers(lengths))
    return ids.transpose(_numbers(order)) if order else ids


def _along(axes: str, ids: str | None, chosen: str) -> tuple[int, ...]:
    """The first group over mesh axes, or over parts of axes: `'data':(2)4` is the part of length 4 after one of length 2."""
    lengths = {name: int(length) for name, length in re.findall(r"'([^']+)'=(\d+)", axes)}
    devices = (np.arange(math.prod(lengths.values())) if ids is None else _iota(ids)).reshape(tuple(lengths.values()))
    pieces = {name: (int(before or 1), int(length or lengths[name]))
              for name, before, length in re.findall(r"'([^']+)'(?::\((\d+)\)(\d+))?", chosen)}
    split, take = [], []
    for name, length in lengths.items():
        before, own = pieces.get(name, (1, 1))
        split += [before, own, length // (before * own)]
        take += [0, slice(None), 0]
    return tuple(devices.reshape(split)[tuple(take)].ravel().tolist())
