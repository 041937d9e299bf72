"""Requests in words about a list of numbers, and the Python expression that does what is asked; running it is the judge.

"add up the squares of the even numbers" asks for sum ( [ x * x for x in xs if x % 2 == 0 ] ): three parts, and which three go
together can be held out.
"""
import ast
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of each part what it does, and ways to ask for it; N is a number from 3 to 9.
CHOICES = {
    "": ("the numbers", "all numbers"),
    "if x % 2 == 0": ("the even numbers", "all that are even"),
    "if x % 2 == 1": ("the odd numbers", "all that are odd"),
    "if x > 0": ("the positive numbers", "all that are positive"),
    "if x < 0": ("the negative numbers", "all below zero"),
    "if x > N": ("the numbers above N", "all that are greater than N"),
    "if x < N": ("the numbers below N", "all that are less than N"),
    "if x % N == 0": ("the multiples of N", "all that N divides"),
    "if x != N": ("the numbers other than N", "all but N")}
CHANGES = {
    "x": ("",),
    "x * x": ("the squares of", "the square of each of"),
    "2 * x": ("the doubles of", "twice each of"),
    "abs ( x )": ("the absolute values of", "the sizes of"),
    "- x": ("the opposites of", "each with its sign changed of"),
    "x + N": ("N more than each of", "with N added , each of"),
    "x - N": ("N less than each of", "with N taken away , each of"),
    "N * x": ("N times each of", "the products with N of")}
RESULTS = {
    "sum ( LIST )": ("add up", "the sum of", "the total of"),
    "max ( LIST , default = 0 )": ("the largest of", "the greatest of"),
    "min ( LIST , default = 0 )": ("the smallest of", "the least of"),
    "len ( LIST )": ("count", "how many are there of"),
    "LIST": ("list", "give me"),
    "sorted ( LIST )": ("sort", "in rising order ,"),
    "sorted ( LIST , reverse = True )": ("sort downwards", "in falling order ,"),
    "LIST [ : N ]": ("the first N of", "no more than N of"),
    "LIST [ - N : ]": ("the last N of", "the N at the end of"),
    "LIST [ : : - 1 ]": ("reverse", "backwards ,"),
    "sorted ( set ( LIST ) )": ("sort without repetitions", "the different ones of")}
CALLED = {function.__name__: function for function in (sum, max, min, len, sorted, set, abs)}
NODES = (ast.Expression, ast.Call, ast.Name, ast.Load, ast.Store, ast.Constant, ast.keyword, ast.ListComp, ast.comprehension,
         ast.Compare, ast.cmpop, ast.BinOp, ast.operator, ast.UnaryOp, ast.USub, ast.Subscript, ast.Slice)


@dataclass(frozen=True)
class Request:
    words: str
    expression: str


def requests(count: int, seed: int, held_out: bool = False) -> list[Request]:
    """Different requests; those held out combine result, change and choice as no other does. Each two of them are seen together."""
    random = np.random.default_rng(seed)
    triples = [parts for parts in itertools.product(RESULTS, CHANGES, CHOICES) if (zlib.crc32(repr(parts).encode()) % 5 == 0) == held_out]
    found: dict[str, Request] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        one = _request(triples[random.integers(len(triples))], random)
        found[one.words] = one
    return list(found.values())


def outcome(expression: str, numbers: Sequence[int]) -> object:
    """What the expression makes of the numbers xs; None if it does not run, or does what no request asks for."""
    try:
        tree = ast.parse(expression, mode="eval")
        if not harmless(tree):
            return None
        return eval(compile(tree, "answer", "eval"), {"__builtins__": {}, **CALLED, "xs": list(numbers)})
    except Exception:  # whatever a model writes may raise anything
        return None


def right(expression: str, truth: str, trials: int = 12) -> bool:
    """Whether both do the same with lists of numbers drawn at random, short and long."""
    random = np.random.default_rng(0)
    lists = [random.integers(-12, 13, size).tolist() for size in np.linspace(0, 14, trials, dtype=int)]
    return all((said := outcome(expression, numbers)) == (true := outcome(truth, numbers)) and type(said) is type(true) for numbers in lists)


def harmless(tree: ast.Expression) -> bool:
    """One loop over xs at most, and arithmetic on its numbers alone: nothing that takes long or grows large."""
    nodes = list(ast.walk(tree))
    loops = [node for node in nodes if isinstance(node, ast.ListComp)]
    inside = [node for loop in loops for part in (loop.elt, *loop.generators[0].ifs) for node in ast.walk(part)]
    return (all(isinstance(node, NODES) for node in nodes)
            and len(loops) <= 1 and sum(isinstance(node, ast.comprehension) for node in nodes) <= 1
            and all(node in inside for node in nodes if isinstance(node, ast.BinOp))
            and not any(isinstance(node, ast.Name) and node.id not in ("x", "abs") for node in inside))


def nearest(known: Sequence[Request], asked: Sequence[Request]) -> list[str]:
    """For each request the expression of the known one that shares most words with it."""
    words = sorted({word for one in (*known, *asked) for word in one.words.split()})
    place = {word: number for number, word in enumerate(words)}

    def bags(some: Sequence[Request]) -> np.ndarray:
        found = np.zeros((len(some), len(words)), np.float32)
        for row, one in zip(found, some, strict=True):
            for word in one.words.split():
                row[place[word]] += 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return [known[at].expression for at in (bags(asked) @ bags(known).T).argmax(1)]


def _request(parts: tuple[str, str, str], random: np.random.Generator) -> Request:
    words, said = [], []
    for part, ways in zip(parts, (RESULTS, CHANGES, CHOICES), strict=True):
        number = str(random.integers(3, 10))
        words.append(ways[part][random.integers(len(ways[part]))].replace("N", number))
        said.append(part.replace("N", number))
    result, change, choice = said
    return Request(" ".join(" ".join(words).split()), result.replace("LIST", f"[ {change} for x in xs {choice} ]".replace("  ", " ")))
