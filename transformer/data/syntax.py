"""What may come next in the events of a Python program: a grammar made of what ast says of its own classes.

Sets of stacks: each stack is what one reading of the events so far still waits for, symbol on symbol. The cheapest way to
close each is known, so that whoever asks can always end in the room that is left.
"""
import ast
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from transformer.data.trees import END, KINDS, LEFT_OUT, fields

Stack = tuple  # () or (symbol, stack below, events that both cost at least)
Stacks = frozenset[Stack]

# Where Python's own grammar says more than the ASDL: what is below a node, by its class, as ways parted by |.
NARROWER = {
    "Module": "stmt*",
    "ClassDef": "item* keyword* stmt+ expr*",
    "Delete": "deleted+",
    "Assign": "target+ expr",
    "AugAssign": "place operator expr",
    "AnnAssign": "place expr expr?",
    "For": "target expr stmt+", "AsyncFor": "target expr stmt+",
    "With": "withitem+ stmt+", "AsyncWith": "withitem+ stmt+",
    "Try": "stmt+ excepthandler+ stmt* | stmt stmt+",
    "TryStar": "stmt+ typed+ stmt*",
    "Import": "alias+", "ImportFrom": "alias+",
    "BoolOp": "boolop expr expr+",
    "NamedExpr": "name expr",
    "Lambda": "bare expr",
    "Dict": "expr*",
    "Set": "item+",
    "ListComp": "expr comprehension+", "SetComp": "expr comprehension+", "GeneratorExp": "expr comprehension+",
    "DictComp": "expr expr comprehension+",
    "Compare": "expr compared",
    "Call": "expr item* keyword*",
    "FormattedValue": "plain",
    "JoinedStr": "piece*",
    "Attribute": "expr Load end", "Subscript": "expr index Load end", "Name": "Load end",
    "List": "item* Load end", "Tuple": "item* Load end",
    "withitem": "expr target?",
    "comprehension": "target expr expr*",
    "arguments": "given | "}
# Symbols that are no kind of the ASDL. A point tells the event .arg from arg, which stands for all of it.
MORE = {
    "compared": "cmpop compared expr | cmpop expr",
    "given": "arg given? expr? | both",  # as many defaults as arguments at most
    "both": "arg both expr? | given_first arg",  # ** after some that are given by name alone
    "given_first": "arg given_first? expr?",
    "bare": ".arguments bare_given? end",  # a lambda's, without annotations
    "bare_given": ".arg end bare_given? expr?",
    "name": "Name Store end end",
    "place": "name | Attribute expr Store end end | Subscript expr index Store end end",
    "target": "place | Tuple spread* Store end end | List spread* Store end end",
    "spread": "target | Starred target Store end end",
    "deleted": "Name Del end end | Attribute expr Del end end | Subscript expr index Del end end "
               "| Tuple deleted* Del end end | List deleted* Del end end",
    "item": "expr | Starred expr Load end end",
    "index": "expr | Slice expr? expr? expr? end | Tuple sliced+ Load end end",
    "sliced": "expr | Slice expr? expr? expr? end",
    "typed": "ExceptHandler expr stmt+ end",
    "piece": "Constant end | FormattedValue plain end",
    "plain": "Name Load end end | Constant end | Attribute plain Load end end | Call plain plain* end "
             "| BinOp plain operator plain end"}
NOT_ANYWHERE = ("Slice", "Starred", "FormattedValue")  # these are expressions of the ASDL, but only stand where NARROWER has them


class Grammar:
    """The ways in which each symbol can be said, and readings of events by them."""

    def __init__(self) -> None:
        self.ways: dict[str, list[tuple[str, ...]]] = {name: _ways(text) for name, text in MORE.items()}
        for kind in KINDS:
            classes = [one.__name__ for one in (getattr(ast, kind).__subclasses__() or [getattr(ast, kind)])]
            known = [name for name in classes if name not in (*LEFT_OUT, *NOT_ANYWHERE)]
            self.ways[kind] = [(f".{name}" if name in KINDS else name, *way, END) for name in known for way in below(name)]
        self.ways["Module."] = [(*way, END, "Module") for way in below("Module")]  # the next file begins
        for symbol in {symbol for ways in self.ways.values() for way in ways for symbol in way}:
            self._repeated(symbol)

    def _repeated(self, symbol: str) -> None:
        one = symbol.rstrip("?*+")
        if symbol.endswith("?"):
            self.ways[symbol] = [(), (one,)]
        elif symbol.endswith(("*", "+")):
            self.ways[f"{one}*"] = [(), (one, f"{one}*")]
            self.ways[f"{one}+"] = [(one, f"{one}*")]

    @property
    def events(self) -> set[str]:
        """All that it knows to say."""
        return {symbol.removeprefix(".") for ways in self.ways.values() for way in ways for symbol in way if symbol not in self.ways}

    @cached_property
    def costs(self) -> dict[str, int]:
        """The fewest events that each symbol can be said in."""
        far = 10**6
        found = dict.fromkeys(self.ways, far)
        for _ in self.ways:
            settled = {name: min(sum(found.get(symbol, 1) for symbol in way) for way in ways) for name, ways in self.ways.items()}
            if settled == found:
                break
            found = {name: min(cost, far) for name, cost in settled.items()}
        return found

    @cached_property
    def leads(self) -> dict[str, dict[str, set[tuple[str, ...]]]]:
        """For each symbol and each event that it can begin with, what may be left of it after that."""
        found: dict[str, dict[str, set[tuple[str, ...]]]] = {}

        def of(symbol: str) -> dict[str, set[tuple[str, ...]]]:
            if symbol not in self.ways:
                return {symbol.removeprefix("."): {()}}
            if symbol not in found:
                here: dict[str, set[tuple[str, ...]]] = {}
                for way in self.ways[symbol]:
                    for at, one in enumerate(way):
                        for event, tails in of(one).items():
                            here.setdefault(event, set()).update((*tail, *way[at + 1:]) for tail in tails)
                        if self._cost(one):
                            break
                found[symbol] = here
            return found[symbol]

        for symbol in self.ways:
            of(symbol)
        return found

    def begun(self) -> Stacks:
        """A file has just begun."""
        return frozenset([self._on(("Module.",), ())])

    def after(self, stacks: Stacks, event: str) -> Stacks:
        """Every reading that goes on with this event; none if it may not come."""
        return frozenset(self._on(tail, rest) for symbol, rest in self._tops(stacks)
                         for tail in self._lead(symbol).get(event, ()))

    def next(self, stacks: Stacks, left: int) -> set[str]:
        """The events that may come, so that the whole can be closed in so many, this one among them."""
        found = set()
        for symbol, rest in self._tops(stacks):
            room = left - 1 - (rest[2] if rest else 0)
            found |= {event for event, tails in self._lead(symbol).items() if min(map(self._sum, tails)) <= room}
        return found

    def _tops(self, stacks: Stacks) -> Iterable[tuple[str, Stack]]:
        """The symbols that the next event can belong to, each with the stack below it."""
        seen = set()
        for stack in stacks:
            while stack and stack not in seen:
                seen.add(stack)
                symbol, rest, _ = stack
                yield symbol, rest
                if self._cost(symbol):
                    break
                stack = rest

    def _lead(self, symbol: str) -> dict[str, set[tuple[str, ...]]]:
        return self.leads[symbol] if symbol in self.leads else {symbol.removeprefix("."): {()}}

    def _on(self, symbols: tuple[str, ...], stack: Stack) -> Stack:
        for symbol in reversed(symbols):
            stack = (symbol, stack, self._cost(symbol) + (stack[2] if stack else 0))
        return stack

    def _cost(self, symbol: str) -> int:
        return self.costs.get(symbol, 1)

    def _sum(self, symbols: tuple[str, ...]) -> int:
        return sum(map(self._cost, symbols))


class Syntax:
    """The grammar as a guide over numbered events; a program is over where the next one begins."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.grammar = names, Grammar()

    def begin(self, prompt: Sequence[int]) -> Stacks:
        return self.grammar.begun()

    def allowed(self, state: Stacks, left: int) -> np.ndarray:
        return np.isin(self.names, [*self.grammar.next(state, left)])

    def after(self, state: Stacks, token: int) -> Stacks:
        return self.grammar.after(state, self.names[token])


def below(name: str) -> list[tuple[str, ...]]:
    """The ways to say the children of a class: as NARROWER has them, or else as its docstring does; a body is never empty."""
    if name in NARROWER:
        return _ways(NARROWER[name])
    own = [field for field in fields(name) if field.kind in KINDS]
    return [tuple(field.kind + ("+" if field.name == "body" and field.many == "*" else field.many) for field in own)]


def _ways(text: str) -> list[tuple[str, ...]]:
    return [tuple(way.split()) for way in text.split("|")]
