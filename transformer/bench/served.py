"""Others, measured beside ours: a script in another Python that answers how many steps? with their milliseconds."""
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from transformer.mistakes import Mistake

Turn = Callable[[int], list[float]]  # so many steps -> their milliseconds


def served(python: str, script: str, *words: str) -> Turn:
    """A script beside this file, running in that Python until we end."""
    try:
        server = subprocess.Popen([python, str(Path(__file__).with_name(script)), *words], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    except OSError as error:
        raise Mistake(f"{python} cannot be run ({error.strerror}); "
                      f"give a Python that has what {script} imports, as in --torch python3") from None
    asked, answers = server.stdin, server.stdout
    if asked is None or answers is None or answers.readline().strip() != "ready":
        raise Mistake(f"{python} could not run {script} (see above); give a Python that has what it imports, as in --torch python3")

    def turn(steps: int) -> list[float]:
        print(steps, file=asked, flush=True)
        return json.loads(answers.readline())

    return turn
