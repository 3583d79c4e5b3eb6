"""How long to wait, taken from a server's own words."""

import re

_LEAST, _MOST = 10.0, 12 * 3600.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# "Try again in 10 minutes", "retry after 300 seconds", "wait 00:05:00", "greylisted for 5 minutes".
_WAIT = re.compile(
    r"(?:\b(?:in|after|for|wait|within|until|retry(?: time)?)[ :=]+(?:at least |another |about )?)"
    r"(?:(?P<hours>\d{1,2}):(?P<minutes>\d\d):(?P<seconds>\d\d)\b"
    r"|(?P<number>\d{1,6}) ?"
    r"(?P<unit>s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)\b)",
    re.IGNORECASE,
)
# The longest that is named counts: "150 per hour, 10 per second".
_UNITS: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"\bmonth|\bcredits\b|\bplan\b", re.IGNORECASE), _MOST),
    (re.compile(r"\bday\b|\bdaily\b|\b24[- ]?h|\btoday\b|\btomorrow\b", re.IGNORECASE), 4 * 3600.0),
    (re.compile(r"\bhour(?:ly)?\b|\b60 ?min", re.IGNORECASE), 3600.0),
    (re.compile(r"\bminute|\bper min\b", re.IGNORECASE), 90.0),
    (re.compile(r"\bsecond|\bper sec\b|sending rate", re.IGNORECASE), 30.0),
)


def seconds_in(words: str) -> float | None:
    """How many seconds *words* suggest, if any: a second's limit is over soon, a day's is not."""
    asked = _WAIT.search(words)
    if asked is not None:
        if asked["number"] is not None:
            seconds = float(asked["number"]) * _SECONDS[asked["unit"][0].lower()]
        else:
            hours, minutes, rest = (float(asked[one]) for one in ("hours", "minutes", "seconds"))
            seconds = (hours * 60 + minutes) * 60 + rest
        return min(max(seconds, _LEAST), _MOST)
    return next((seconds for unit, seconds in _UNITS if unit.search(words)), None)
