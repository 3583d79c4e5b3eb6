"""What shipped mails say, by type and language: read once from ``wording.toml``, and checked.

One layout serves all languages, so that a template that an app overrides still has the words.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("wording.toml")
#: For languages that there are no words in.
FALLBACK = "en"


@cache
def wording(type_name: str) -> Mapping[str, Mapping[str, str]]:
    """Language → the words of the shipped mail *type_name*, by key.

    Raises:
        ValueError: a language lacks words that another has.
    """
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(FILE.read_text("utf-8"))[type_name]
    for language, words in found.items():
        odd = words.keys() ^ found[FALLBACK].keys()
        if odd:
            raise ValueError(f"{type_name}.{language} is odd in: {', '.join(sorted(odd))}.")
    return {name: {"language": name, **words} for name, words in found.items()}


def words_in(type_name: str, language: str) -> Mapping[str, str]:
    """The words of *type_name* in *language*, such as ``de``; else the English ones."""
    found = wording(type_name)
    return found.get(language, found[FALLBACK])
