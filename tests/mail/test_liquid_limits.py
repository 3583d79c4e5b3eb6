"""Templates as attacks: whatever a partner writes ends soon, in little memory, in a sentence."""

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from smtp_admin.errors import MessageError, TemplateError
from smtp_admin.mail.inlining import inlined, inlined_template
from smtp_admin.mail.liquid import fill
from smtp_admin.mail.liquid_filters import NAMES
from smtp_admin.mail.liquid_source import MOST_SOURCE

SECONDS, MEGABYTES = 2.0, 50
LONG = "x" * 100_000
#: Name → a template, and its values.
ATTACKS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "endless loop": ("{% for i in (1..100000000) %}x{% endfor %}", {}),
    "size of a range": ("{{ (1..1000000000) | size }}", {}),
    "range joined": ("{% assign a = (1..30000000) | join: ',' %}{{ a | size }}", {}),
    "range reversed": ("{% assign a = (1..20000000) | reverse %}x", {}),
    "range kept": ("{% assign a = (1..2000000000) %}{{ a.last }}", {}),
    "range asked": ("{% if (1..1000000000) contains 'x' %}x{% endif %}", {}),
    "loop reversed": ("{% for i in (1..1000000000) reversed %}{% endfor %}", {}),
    "loop far away": ("{% for i in (1..1000000000) offset: 999999999 %}{% endfor %}", {}),
    "loops in loops": ("{% for i in (1..9999) %}" * 3 + "x" + "{% endfor %}" * 3, {}),
    "loop after loop": ("{% for i in (1..9999) %}{% endfor %}" * 2400, {}),
    "loop of much": ("{% for i in (1..9999) %}" + "{{i}}" * 4000 + "{% endfor %}", {}),
    "doubled": ("{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 40, {}),
    "captured": (
        "{% capture a %}xxxxxxxxxx{% endcapture %}"
        + ("{% capture a %}" + "{{a}}" * 10 + "{% endcapture %}") * 9
        + "{{a|size}}",
        {},
    ),
    "replaced": ("{{ 'x' " + "| replace: 'x', 'xxxxxxxxxx' " * 12 + "| size }}", {}),
    "when in a loop": (
        "{% for i in (1..9999) %}{% case a %}{% when "
        + ",".join("2" * 60)
        + " %}{% endcase %}{% endfor %}",
        {"a": 1},
    ),
    "values in a loop": ("{% for i in (1..9000) %}" + "{{a}}" * 40 + "{% endfor %}", {"a": 1}),
    "filters in a loop": (
        "{% for i in (1..9000) %}{{ a" + "|abs" * 40 + " }}{% endfor %}",
        {"a": 1},
    ),
    "decoded": ("{{ s | url_decode }}", {"s": "%" * 499_000}),
    "replaced by nothing": ("{{ s | replace: '', s }}", {"s": "x" * 10_000}),
    "split": ("{% assign a = s | split: '' %}{{ a | size }}", {"s": "x" * 5_000_000}),
    "powers": ("{{ 10 " + "| times: 99999999999999999999 " * 60 + "| size }}", {}),
    "squares": (
        "{% assign a = 9 %}" + "{% assign a = a | times: a %}" * 26 + "{{ a | modulo: 7 }}",
        {},
    ),
    "deep": ("{% if true %}" * 2000 + "x" + "{% endif %}" * 2000, {}),
    "tablerow": ("{% tablerow i in (1..1000000) %}x{% endtablerow %}", {}),
    "date width": ("{{ 'now' | date: '%" + "9" * 9 + "d' }}", {}),
    "date format": ("{{ 'now' | date: '" + "%c" * 900 + "' | size }}", {}),
    "date of numbers": ("{{ s | date: '%Y' }}", {"s": "9" * 90}),
    "date of a list": ("{{ s | date: '%Y' }}", {"s": [1]}),
    "included": ("{% include 'x' %}", {}),
    "rendered": ("{% render '/etc/passwd' %}", {}),
    "not closed": ("{% comment %}" + "{{" * 40_000 + "{% endcomment %}", {}),
    "raw not closed": ("{% comment %}" + "{% raw %}" * 9000 + "{% endcomment %}", {}),
    "spaces": ("{{ a" + " " * 90_000, {}),
    "brackets": ("{{ " + "a[" * 900 + "}}", {}),
    "parentheses": ("{% for i in " + "(" * 1900 + "1..2 %}{%endfor%}", {}),
    "or": ("{% if " + "a or " * 20_000 + "a %}x{% endif %}", {"a": 0}),
    "one in a list": (
        "{% assign a = s | split: '|' %}" + "{% assign a = a | concat: a %}" * 14 + "{{ a }}",
        {"s": LONG},
    ),
    "cycle": ("{% cycle s, s, s %}" * 2000, {"s": "\U000e0001" * 100_000}),
    "list in a loop": (
        "{% for i in (1..9000) %}{% assign a = l | concat: l %}{% endfor %}",
        {"l": list(range(5000))},
    ),
    "searched": ("{% if s contains t %}{% endif %}" * 2400,
                 {"s": "ab" * 240_000, "t": "ab" * 200_000 + "c"}),
    "infinity": ("{{ s | times: s | round }}", {"s": "1e308"}),
    "decimal": ("{{ l | sum }}", {"l": ["1E+999999999", "9" * 5000, "nan"]}),
    "character": ("{{ s | escape_once }}", {"s": "&#" + "9" * 90_000 + ";"}),
    "mixed": ("{{ l | sort }}", {"l": [1, "a", None]}),
}  # fmt: skip
#: What is odd, and done all the same: it takes no time.
HARMLESS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "uniq": ("{{ l | uniq | size }}", {"l": [{"a": i} for i in range(9999)]}),
    "no html": ("{{ s | strip_html | size }}", {"s": "<!--" * 60_000}),
    "scripts": ("{{ s | strip_html | size }}", {"s": "<script>" * 60_000}),
    "words": ("{{ s | truncatewords: 1000000, s | size }}", {"s": "a " * 240_000}),
    "slice": ("{{ 'x' | slice: 0, 99999999999999999999999 }}", {}),
    "many": ("{{a|append:a}}" * 4900, {"a": 1}),
    "and": (("{% if " + "a and " * 300 + "a %}x{% endif %}") * 40, {"a": 1}),
    "when": ("{% case a %}" + "{% when 1,2,3,4,5 %}" * 4000 + "{% endcase %}", {"a": 9}),
    "text of a template": ("{{ s }}", {"s": "{{ 7*7 }}{% assign x = 1 %}"}),
}
#: HTML that is dangerous to whatever moves styles into tags.
PAGES: Mapping[str, str] = {
    "nested": "<div>" * 18_000,
    "nested formats": "<a><b><i>" * 9000,
    "nested, closed wrongly": "<div><table></div></table>" * 3000,
    "nested in svg": "<svg><style>" + "<g>" * 20_000,
    "a long style": "<style>p{background:url(" + "x" * 50_000 + ")}</style>" + "<p>a</p>" * 6000,
    "many styles": "<style>" + ("div " * 40 + "p{color:red}") * 300 + "</style>" + "<div>" * 3000,
    "brackets": "<style>" + "[" * 60_000 + "</style><p>",
    "parentheses": "<style>p{color:" + "(" * 60_000 + "}</style><p>",
    "comments": "<!--" * 20_000,
    "comments of styles": "<style>" + "/*" * 40_000 + "</style><p>",
    "styles": "<style>" * 10_000,
    "tags not closed": '<a "' * 20_000,
}


def quick(work: Callable[[], object]) -> object:
    """What *work* returns; it took little time."""
    begun = time.process_time()
    try:
        return work()
    finally:
        assert time.process_time() - begun < SECONDS


def small(work: Callable[[], object]) -> object:
    """What *work* returns; it took little memory. To count it takes long itself."""
    tracemalloc.start()
    try:
        return work()
    finally:
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert used < MEGABYTES * 1024**2


@pytest.mark.parametrize("bounded", [quick, small])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_a_sentence(
    name: str, bounded: Callable[[Callable[[], object]], object]
) -> None:
    source, data = ATTACKS[name]

    def attack() -> object:
        with pytest.raises(TemplateError) as found:
            fill(source, data, escape=bounded is small)
        return found.value.message

    message = str(bounded(attack))
    assert message.endswith(".")
    assert len(message) < 400
    assert "\n" not in message


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_odd_is_done_in_a_short_time(name: str) -> None:
    source, data = HARMLESS[name]
    assert isinstance(quick(lambda: fill(source, data, escape=True)), str)


@pytest.mark.parametrize("work", [inlined, inlined_template])
@pytest.mark.parametrize("name", PAGES)
def test_styles_of_odd_html_stay_where_they_are(
    name: str, work: Callable[[str], str | None]
) -> None:
    page = f"<style>p{{color:red}}</style>{PAGES[name]}"[:MOST_SOURCE]
    assert quick(lambda: work(page)) is None or work is inlined


def templates(dice: random.Random) -> Iterator[str]:
    """Chains of filters in loops and variables, without end."""
    values = ["s", "n", "l", "d", "l[0]", "s.size", "'x'", "''", "-1", "1e5", "99999999999", "nil",
              "(1..9)", "(1..99999999)", "true", "nobody", "d.a"]  # fmt: skip
    wraps = [
        "{{% assign s = {0} %}}",
        "{{{{ {0} }}}}",
        "{{% capture s %}}{{{{ {0} }}}}{{{{ s }}}}{{% endcapture %}}",
        "{{% for s in (1..99) %}}{{{{ {0} }}}}{{% endfor %}}",
        "{{% cycle s, l, {1} %}}",
        "{{% if s contains {1} %}}{{{{ {0} }}}}{{% endif %}}",
    ]
    while True:
        pieces = []
        for _ in range(dice.randrange(1, 9)):
            chain = dice.choice(values)
            for _ in range(dice.randrange(9)):
                chain += f" | {dice.choice(NAMES)}"
                if given := [dice.choice(values) for _ in range(dice.choice((0, 0, 1, 1, 2, 3)))]:
                    chain += ": " + ", ".join(given)
            pieces.append(dice.choice(wraps).format(chain, dice.choice(values)))
        yield "".join(pieces)


def test_chains_of_filters_end_soon() -> None:
    data = {
        "s": "<b>Ünï \u0130\U0001f600</b> " * 400,
        "n": 10**25,
        "l": [{"a": "x" * 90, "b": n} for n in range(300)],
        "d": {"a": [1, None, "1e999"]},
    }
    made = templates(random.Random(5))  # noqa: S311 - the same ones each time
    filled = 0
    for _ in range(150):
        source = next(made)
        begun = time.process_time()
        try:
            fill(source, data, escape=True)
            filled += 1
        except MessageError:
            pass
        assert time.process_time() - begun < SECONDS, source
    assert filled > 8


def test_a_mistake_has_a_place() -> None:
    with pytest.raises(TemplateError) as found:
        fill("Hello\n  {{ nobody }}", {}, escape=False)
    assert (found.value.line, found.value.column) == (2, 6)
    assert found.value.message == "Line 2, column 6: 'nobody' is undefined."
    with pytest.raises(TemplateError, match=r"Line 1, column 4: This output is not closed\."):
        fill("Hi {{ name", {}, escape=False)
