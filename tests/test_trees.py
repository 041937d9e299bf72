"""Python as syntax trees, a grammar of their events, and texts that keep to a grammar."""
import ast
import random

import jax
import numpy as np
import pytest

from transformer.data.code import library, modules
from transformer.data.syntax import Grammar
from transformer.data.trees import END, events, parses, tree, written
from transformer.decoding import Sample, generate
from transformer.decoding.guided import guided
from transformer.mistakes import Mistake
from transformer.models.llama import Llama, Size
from transformer.shows.trees import draw_tree
from transformer.weights import initialise

GRAMMAR = Grammar()
PROGRAM = '''
import a, b as c
from d import e
@deco
class C(A, *B, k=1):
    x: int = 0
    def f(self, a, b=1, *c, d=2, **e) -> int:
        """Says what."""
        for i, *j in f(a, *c, d=d, **e):
            if a < b <= c and not d or (e := 1):
                return [x ** 2 for x in y if x], {1: 2, **z}, {1, 2}, {k: v for k, v in w}
            elif a: continue
            else: break
        else: pass
        try: raise X from None
        except (Y, Z) as g: del a.b, c[1:2, ::3], (d, e)
        finally: a += lambda q, r=1: f"{q!r:>{r}} and"
async def g():
    async with a as b, c: await d
    yield (yield from x)
    assert a, b
    global h
    while True: a[b].c = d = -e if f else ...
'''


def accepted(rows):
    stacks = GRAMMAR.begun()
    for at, event in enumerate([*rows[1:], "Module"]):
        assert event in GRAMMAR.next(stacks, 10**5), (at, rows[:at + 2])
        stacks = GRAMMAR.after(stacks, event)
    return stacks == {()}


def test_a_tree_comes_back_from_its_events():
    rows = events(ast.parse("f(x)"))
    assert rows == ["Module", "Expr", "Call", "Name", "Load", END, END, "Name", "Load", END, END, END, END, END]
    assert written(rows) == "x(x)" and parses(rows) and accepted(rows)
    text = "if a < b <= c:\n    x.y[1:2] = {1: 2, **d}\nelse:\n    pass"
    again = ast.parse(written(events(ast.parse(text))))
    assert events(again)[:20] == events(ast.parse(text))[:20]


def test_real_programs_are_programs_to_the_grammar():
    plain = ast.parse(PROGRAM.replace("*c, d=2, **e", "**e").replace("{q!r:>{r}}", "{q}"))
    assert accepted(events(plain)) and parses(events(plain))


@pytest.mark.parametrize("rows", [
    "Module Expr end end", "Module If Constant end end end", "Module Pass end", "Pass end end", "Module Delete Constant end end end",
    "Module Expr BinOp Constant end Add end end end end"])
def test_what_is_no_program_is_told(rows):
    assert not parses(rows.split())


@pytest.mark.parametrize("rows", [
    "Module Expr end", "Module If Constant end end", "Module Assign Constant", "Module Match", "Module Expr Starred", "Module Expr Slice",
    "Module Expr Lambda arguments arg Name", "Module Expr Compare Constant end Lt end Constant end Constant", "Module Try Pass end end",
    "Module Expr Name Store", "Module ImportFrom end", "Module FunctionDef arguments Constant"])
def test_what_no_program_has_may_not_come(rows):
    *before, last = rows.split()[1:]
    stacks = GRAMMAR.begun()
    for event in before:
        stacks = GRAMMAR.after(stacks, event)
    assert stacks and last not in GRAMMAR.next(stacks, 1000) and not GRAMMAR.after(stacks, last)


def test_whatever_the_grammar_lets_pass_is_a_program_that_ends_in_time():
    draw = random.Random(0)
    for _ in range(150):
        stacks, rows, left = GRAMMAR.begun(), ["Module"], draw.choice([3, 12, 60])
        while stacks != {()}:
            ways = sorted(GRAMMAR.next(stacks, left))
            onward = [way for way in ways if way not in ("Module", END)]
            event = draw.choice(onward if onward and draw.random() < 0.5 else ways)
            stacks, left = GRAMMAR.after(stacks, event), left - 1
            rows.append(event)
        assert left >= 0 and parses(rows[:-1]), rows


def test_the_guide_is_followed_and_changes_nothing_else():
    class Rising:
        """Each token is greater than the one before; the last possible token ends a text."""

        def begin(self, prompt):
            return prompt[-1]

        def allowed(self, state, left):
            return np.arange(12) > state

        def after(self, state, token):
            return token

    class Free(Rising):
        def allowed(self, state, left):
            return np.ones(12, bool)

    model = initialise(Llama.of(Size(12, 1, 16, 2, 2, 16)), jax.random.key(0))
    asked = {"most": 10, "strategy": Sample(), "ends": 11, "key": jax.random.key(1)}
    (one,), (other,) = guided(model, [[0], [5]], Rising(), **asked).texts()
    assert all(low < high for text in ([0, *one], [5, *other]) for low, high in zip(text, text[1:], strict=False))
    assert one[-1] == other[-1] == 11
    free, plain = guided(model, [[0], [5]], Free(), **asked), generate(model, [[0], [5]], **asked)
    assert free.texts() == plain.texts()
    np.testing.assert_allclose(free.scores, plain.scores, rtol=1e-5)


def test_own_modules_parse_or_are_refused_by_line(tmp_path, capsys):
    for name in "abc":
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n    pass\n")
    with pytest.raises(Mistake, match=r"broken.py, line 2: there should be Python, but 'def f\(:' is none"):
        modules(tmp_path, False, 9)
    learned, held = modules(tmp_path, True, 9)
    assert sorted(learned + held) == ["a = 1\n", "b = 1\n", "c = 1\n"] and held
    assert "1 of 4 files" in capsys.readouterr().err
    assert len(library(3)) == 3 and all(ast.parse(text) for text in library(3))


def test_a_tree_is_drawn(tmp_path):
    rows = events(ast.parse("f(x)"))
    draw_tree(tmp_path / "tree.png", rows, {"Call": "expr"}, "A call")
    assert (tmp_path / "tree.png").stat().st_size > 3000 and isinstance(tree(rows), ast.Module)
