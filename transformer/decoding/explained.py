"""A search watched step by step: what every token was weighed against.

    tree, generated = explained(model, [5, 3, 8], most=8, strategy=Beams(4))
"""
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transformer.decoding.beams import NEVER, Beams, Searched
from transformer.decoding.carried import ready
from transformer.decoding.engine import LIKELIEST, advance, begin, question, searching
from transformer.decoding.generated import Generated
from transformer.decoding.processors import processed
from transformer.decoding.sampling import Greedy, Onward, Written, fed
from transformer.decoding.tree import Node, Path, Tree, children, grown
from transformer.mistakes import Mistake

Array = jax.Array


def explained(model: Any, prompt: Sequence[int], *, most: int, strategy: Any = LIKELIEST, processors: Sequence[Any] = (),
              ends: int | Sequence[int] = (), key: Array | None = None, memory: Any = None, seen: Any = None,
              top: int = 5) -> tuple[Tree, Generated]:
    """Every step's `top` candidates, and all that was kept: `generate`, stopped at each token."""
    search, model, rules = searching(strategy), ready(model), tuple(processors)
    if not isinstance(search, Onward | Beams):
        raise Mistake("greedy, sampled and beam searches can be explained, for they weigh one token at a time; others not")
    asked = question(model, search, [prompt], None, most, ends, key, memory, seen)
    tree: Tree = {(): Node(1.0, 0.0, "chosen")}
    state, width = begin(model, search, asked), asked.prompt.shape[1]
    while bool(search.open(state)):
        logs, drawn = (np.asarray(x) for x in _weighed(model, search, rules, state))
        before = _held(state)  # a copy: the state itself is going to be overwritten
        state = advance(model, search, rules, state, 1)
        last = before.end + 1 - width == most
        if isinstance(search, Beams):
            _beamed(tree, search, before, _held(state), logs, width, set(np.atleast_1d(ends).tolist()), last, top)
        else:
            _picked(tree, search, before, _held(state), logs, drawn, width, top)
    found = search.result(state, 0)
    _settle(tree, found)
    return tree, found


def lines(tree: Tree, shown: Callable[[int], str]) -> Iterator[str]:
    """Step by step the candidates of each text so far, likeliest first."""
    marks = {"chosen": "▶", "kept": "+", "ended": "■", "passed": " ", "seen": " "}
    depth = 0
    for parent, below in children(tree).items():
        if len(parent) == depth:
            depth += 1
            yield f"step {depth}"
        yield f"  after {''.join(map(shown, parent)) or 'the prompt'}"
        for path in below:
            node = tree[path]
            drawn = "" if node.drawn is None else f"   drawn with {node.drawn:7.2%}" if node.drawn else "   cut off"
            yield f"  {marks[node.fate]} {shown(path[-1]):16} {node.chance:7.2%}   log-probability so far {node.score:8.3f}{drawn}"
    yield "▶ chosen   + kept   ■ ended as a whole text"


def finding(tree: Tree, found: Generated, strategy: Any, said: Callable[[Sequence[int]], str]) -> str:
    """What the tree shows, in a sentence."""
    best = found.texts()[0][int(np.argmax(found.scores[0]))]
    below = children(tree)
    ranks = [below[tuple(best[:at])].index(tuple(best[: at + 1])) + 1 for at in range(len(best))]
    other = next((at for at, rank in enumerate(ranks) if rank > 1), None)
    text = f"“{said(best).strip()}”, log-probability {tree[tuple(best)].score:.2f}"
    if isinstance(strategy, Greedy):
        unsure = min(range(len(best)), key=lambda at: tree[tuple(best[: at + 1])].chance)
        return f"Greedy takes the likeliest token every time: {text}; the least sure is step {unsure + 1}, " \
               f"{tree[tuple(best[: unsure + 1])].chance:.0%}"
    way = f"Of {found.scores.shape[1]} samples the likeliest" if found.scores.shape[1] > 1 else "The sample"
    if isinstance(strategy, Beams):
        way = f"The best of {strategy.beams} beams"
    if other is None:
        return f"{way} takes the likeliest token every time, as greedy would: {text}"
    return f"{way} is not greedy's: at step {other + 1} it takes the {_ordinal(ranks[other])} likeliest token: {text}"


@dataclasses.dataclass(frozen=True)
class _Held:
    """A state's numbers on the host: texts [n, l], their scores [n] (of beams) and which have ended (of others)."""

    tokens: np.ndarray
    end: int
    scores: np.ndarray | None = None
    done: np.ndarray | None = None


def _held(state: Any) -> _Held:
    if isinstance(state, Searched):
        running = state.groups.running
        return _Held(np.array(running.tokens)[:, 0], int(state.text.end), np.array(running.scores)[:, 0])
    return _Held(np.array(state.text.tokens), int(state.text.end), done=np.array(state.done))


@jax.jit
def _weighed(model: Any, search: Any, processors: tuple[Any, ...], state: Any) -> tuple[Array, Array]:
    """Log-probabilities of what may come next, as the model and the rules have it, and the chances as drawn [n, v]."""
    done = state.done if isinstance(state, Written) else jnp.zeros(len(state.text.tokens), bool)
    logits, _ = fed(model, state.text, state.carried, ~done)
    if isinstance(search, Beams):
        logs = processed(processors, jax.nn.log_softmax(logits), state.text)
        return logs, logs
    logits = processed(processors, logits, state.text)
    return jax.nn.log_softmax(logits), search.pick.chances(logits, state.text)


def _picked(tree: Tree, search: Onward, before: _Held, after: _Held, logs: np.ndarray, drawn: np.ndarray, width: int,
            top: int) -> None:
    """One token more for each text: the likeliest, and the one that was taken."""
    greedy = isinstance(search.pick, Greedy)
    assert before.done is not None
    for row in np.flatnonzero(~before.done):
        path = _path(before.tokens[row], width, before.end)
        taken = int(after.tokens[row, before.end])
        for token in {*_likeliest(logs[row], top), taken}:
            _grow(tree, path, token, logs[row], "kept" if token == taken else "passed", None if greedy else float(drawn[row, token]))


def _beamed(tree: Tree, search: Beams, before: _Held, after: _Held, logs: np.ndarray, width: int, ends: set[int], last: bool,
            top: int) -> None:
    """One token more for each beam: those looked at, of which some run on, some have ended, and the others are passed over."""
    assert before.scores is not None and after.scores is not None
    groups, beams = before.scores.shape
    logs, said = logs.reshape(groups, beams, -1), np.zeros(logs.shape[-1])
    for group in range(groups):
        paths = [_path(tokens, width, before.end) for tokens in before.tokens[group]]
        kept = {_path(tokens, width, after.end) for tokens, score in zip(after.tokens[group], after.scores[group], strict=True)
                if score > NEVER / 2}
        totals = before.scores[group][:, None] + logs[group] - search.diversity * said
        looked_at = np.argsort(-totals, axis=None, kind="stable")[: max(2, 1 + len(ends)) * beams]
        for rank, (beam, token) in enumerate(zip(*np.unravel_index(looked_at, totals.shape), strict=True)):
            if totals[beam, token] < NEVER / 2:
                continue
            ended = rank < beams and (last or int(token) in ends)
            fate = "ended" if ended else "kept" if (*paths[beam], int(token)) in kept else "passed"
            _grow(tree, paths[beam], int(token), logs[group, beam], fate)
        for beam in np.flatnonzero(before.scores[group] > NEVER / 2):
            for token in _likeliest(logs[group, beam], top):
                _grow(tree, paths[beam], token, logs[group, beam], "seen")
        np.add.at(said, after.tokens[group][:, before.end], 1)


def _settle(tree: Tree, found: Generated) -> None:
    """Marks the path of the best text, and the ends of the others."""
    texts, best = found.texts()[0], int(np.argmax(found.scores[0]))
    for text in texts:
        grown(tree, tuple(text), dataclasses.replace(tree[tuple(text)], fate="ended"))
    for at in range(len(texts[best]) + 1):
        path = tuple(texts[best][:at])
        tree[path] = dataclasses.replace(tree[path], fate="chosen")


def _grow(tree: Tree, path: Path, token: int, logs: np.ndarray, fate: str, drawn: float | None = None) -> None:
    log = float(logs[token])
    if np.isfinite(log):
        grown(tree, (*path, token), Node(float(np.exp(log)), tree[path].score + log, fate, drawn))


def _path(tokens: np.ndarray, begin: int, end: int) -> Path:
    return tuple(int(token) for token in tokens[begin:end])


def _likeliest(logs: np.ndarray, top: int) -> list[int]:
    return [int(token) for token in np.argsort(-logs, kind="stable")[:top]]


def _ordinal(number: int) -> str:
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return {2: "second", 3: "third"}.get(number, f"{number}{ending}")
