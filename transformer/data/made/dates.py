"""Dates written out in several languages, by the rules of Unicode's CLDR: real text of which every translation is known."""
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from transformer.mistakes import Mistake

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)


@dataclass(frozen=True)
class Translation:
    """A date in one language, marked with the language it is wanted in, and the same date in that one."""

    source: str
    target: str
    direction: str  # en-fr


def drawn(count: int, seed: int, but: frozenset[datetime.date] = frozenset()) -> list[datetime.date]:
    """Different days of two centuries, without those to be left out."""
    days = np.random.default_rng(seed).permutation((LAST - FIRST).days + 1)
    dates = (FIRST + datetime.timedelta(int(day)) for day in days)
    found = [date for date, _ in zip((date for date in dates if date not in but), range(count), strict=False)]
    if len(found) < count:
        raise Mistake(f"{count} days were asked for, but there are only {len(found)}: ask for fewer.")
    return found


def translations(dates: Sequence[datetime.date], languages: Sequence[str], every: bool, seed: int, weekday: bool = False) -> list[Translation]:
    """Each date from one language into another; in `every` direction, or in one drawn at random.

    With `weekday` the target says which day of the week it was, which the source does not: that must be computed.
    """
    written = _writer()
    directions = [(source, target) for source in languages for target in languages if source != target]
    chosen = np.random.default_rng(seed).integers(len(directions), size=len(dates))
    found = []
    for date, choice in zip(dates, chosen, strict=True):
        for source, target in directions if every else [directions[choice]]:
            found.append(Translation(f">>{target}<< {written(date, 'long', source)}",
                                     written(date, "full" if weekday else "long", target), f"{source}-{target}"))
    return found


def _writer() -> Callable[[datetime.date, str, str], str]:
    """Babel's format_date, made fast: it is asked once for each month and weekday, and then other numbers are put in."""
    try:
        from babel.dates import format_date
    except ImportError:
        raise Mistake("dates are written by Babel: install the extra data, as in pip install -e .[data]") from None

    @cache
    def form(month: int, weekday: int, how: str, language: str) -> str:
        like = next(day for day in (datetime.date(1987, month, n) for n in range(20, 28)) if day.weekday() == weekday)
        return format_date(like, how, language).replace("1987", "{year}").replace(str(like.day), "{day}")

    return lambda date, how, language: form(date.month, date.weekday(), how, language).format(year=date.year, day=date.day)
