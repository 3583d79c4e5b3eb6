"""Styles moved into a template once: every mail is what it would be with its own moved."""

import os
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Environment
from markupsafe import Markup

from smtp_admin import SMTPAdmin
from smtp_admin.errors import MessageError
from smtp_admin.mail import layout, templates
from smtp_admin.mail.inlining import inlined, inlined_template
from smtp_admin.mail.types import SHIPPED, EmailType
from tests.examples import examples
from tests.mail.conftest import OWN_TYPES

Write = Callable[..., None]
LISTING = next(type_ for type_ in OWN_TYPES if type_.name == "listing")
GREETING = next(type_ for type_ in OWN_TYPES if type_.name == "greeting")
STYLE = """<style>
p { color: red } .big, td.big { font-size: 20px } #one { margin: 0 } div > a:hover { color: blue }
table td { padding: 1px } @media print { p { color: black } } /* p:first-child { x: y } */
</style>"""
ENVIRONMENT = Environment(autoescape=True)

values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["", "<b>x</b>", "</td></table>", '"', "'", "&amp;", "{{ x }}", "<!--", "-->", "<style>p{}"]
)
contexts = st.fixed_dictionaries(
    {"x": values, "y": values, "on": st.booleans(), "things": st.lists(values, max_size=3)}
)

AHEAD = [
    "<p>{{ x }}</p>",
    "<p title='{{ x }}' class=big>{% if on %}a{% else %}<b>{{ y }}</b>{% endif %}</p>",
    '<a href="https://a.example/{{ "x" | append: y }}?b={{ y | url_encode }}&amp;c=1">z</a>',
    '<img src="{% if on %}{{ x }}{% else %}b{% endif %}" alt="">',
    ("<table><tr><th>a</th></tr>{% for t in things %}<tr><td class='big'>{{ t }}</td></tr>"
    "{% endfor %}</table>"),
    ("<table><tbody>{% for t in things %}<tr><td>{{ t }}</td></tr>"
    "{% else %}<tr><td>-</td></tr>{% endfor %}</tbody></table>"),
    ("{% unless on %}<p id=one>{{ x }}</p>{% endunless %}"
    "<ul>{% for t in things %}<li>{{ t }}</li>{% endfor %}</ul>"),
    "{% case x %}{% when 'a' %}<p>a</p>{% else %}<p>{{ x }}</p>{% endcase %}",
    "{% assign z = x | upcase %}<p>{{ z }} {%- if on -%} 1 {%- endif -%} 2</p>",
    "<p>a</p><!-- {{ x | size }} --><!--[if mso]><p>outlook</p><![endif]--><p>{{ y }}</p>",
    "<p>{% comment %}nothing{% endcomment %}a &nbsp; &copy; {{ x }}<br>b<br/>c</p>",
    "<select>{% for t in things %}<option value='{{ t }}'>o</option>{% endfor %}</select>",
    "<p>{% if 3 > 2 %}1 < 2{% endif %}</p>",
]  # fmt: skip
LATER = [
    "1 <{% if on %}p{% endif %}>",
    "&{{ x }}",
    "<body></body>{{ x }} ",
    "<!-- a -->{% if on %}<!-- {% endif %} -->",
    "<pre>\n{{ x }}\n</pre>",
    "<a href={{ x }}>{{ x }}</a>",
    "<p class='{{ x }}'>a</p>",
    "<p style='margin: 0; color: {{ x }}'>a</p>",
    "<p id={% if on %}one{% else %}two{% endif %}>a</p>",
    "<p {% if on %}title='a'{% endif %}>a</p>",
    "<{{ x }}>a</{{ x }}>",
    "{% if on %}<div>{% endif %}<p>a</p>{% if on %}</div>{% endif %}",
    "{% for t in things %}</p><p>{{ t }}{% endfor %}",
    "<p>{% if on %}a</p><p>b{% endif %}</p>",
    "<p>a{% if on %}<p>b{% endif %}",
    "<table>{% for t in things %}<tr><td>{{ t }}</td></tr>{% endfor %}</table>",
    "<p>{% if on %}<div>a</div>{% endif %}</p>",
    "<p>{% capture z %}<b>a</b>{% endcapture %}{{ z }}</p>",
    "{% tablerow t in things %}{{ t }}{% endtablerow %}",
    "{% raw %}<p>{{ x }}</p>{% endraw %}",
    "{% for t in things %}<p>{% if on %}{% break %}{% endif %}</p>{% endfor %}",
    "<p>{{ x | newline_to_br }}</p>",
    "<p>{{ '<p>literal</p>' }}</p>",
    "{% cycle '<p>', '<b>' %}",
    "<style>b { color: {{ x }} }</style><b>a</b>",
    "{% if on %}<style>b { color: red }</style>{% endif %}<b>a</b>",
    "<style>p:first-child { color: blue }</style>{% if on %}<p>a</p>{% endif %}<p>b</p>",
    "<style>p + p { color: blue }</style>{% if on %}<p>a</p>{% endif %}<p>b</p>",
    "<style>a[href] { color: blue }</style><a href='{{ x }}'>a</a>",
    "<script>{{ x }}</script>",
    "<svg><style>{{ x }}</style></svg>",
    "\ue000" + "0\ue001<p>{{ x }}</p>",
]  # fmt: skip


def page(body: str) -> str:
    return f'<!doctype html><html lang="{{{{ y }}}}"><head><title>{{{{ x }}}}</title>{STYLE}</head><body>{body}</body></html>'  # noqa: E501


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("body", AHEAD)
def test_a_template_is_inlined_ahead(body: str, whole: bool) -> None:
    source = page(body) if whole else f"{STYLE}<div>{body}</div>"
    ready = inlined_template(source)
    assert ready is not None
    assert "<style" not in ready
    check(source, ready)


@settings(max_examples=examples(10))
@given(context=contexts)
def check(source: str, ready: str, context: dict[str, Any]) -> None:
    mail = inlined(ENVIRONMENT.from_string(source).render(**context))
    ahead = ENVIRONMENT.from_string(ready).render(**context)
    assert meaning(inlined(ahead)) == meaning(mail)


#: Strung together these make every sort of nonsense, and some sense.
pieces = st.recursive(
    st.sampled_from([
        "{{ x }}", "text", "<br>", "<p>", "</p>", "<td>", "<li>", "<b>", "</div>", " ",
        "<!-- c -->", "<a href='{{ y }}'>z</a>", "{% assign z = x %}", "<tr>", "</table>",
        "<p", "<", "&", "&lt;",
    ]),
    lambda inner: st.builds(
        "{0[0]}{1}{0[1]}".format,
        st.sampled_from([
            ("<p>", "</p>"), ("<div class='big'>", "</div>"), ("<b>", "</b>"), ("<td>", "</td>"),
            ("<table>", "</table>"), ("<tr>", "</tr>"), ("<tbody>", "</tbody>"), ("<li>", "</li>"),
            ("<ul>", "</ul>"), ("<a href='#'>", "</a>"), ("{% if on %}", "{% endif %}"),
            ("{% if on %}a{% else %}", "{% endif %}"), ("{% for t in things %}", "{% endfor %}"),
            ("<select>", "</select>"), ("<title>", "</title>"), ("<!--", "-->"),
            ("<svg>", "</svg>"), ("<noscript>", "</noscript>"), ("<h1>", "</h1>"),
            ("<body>", "</body>"),
        ]),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=examples(100))
@given(body=st.lists(pieces, min_size=1, max_size=4).map("".join), context=contexts)
def test_any_template(body: str, context: dict[str, Any]) -> None:
    for source in (page(body), STYLE + body):
        ready = inlined_template(source)
        if ready is None:
            continue
        mail = inlined(ENVIRONMENT.from_string(source).render(**context))
        ahead = ENVIRONMENT.from_string(ready).render(**context)
        assert meaning(inlined(ahead)) == meaning(mail)


def meaning(html: str) -> list[Any]:
    """Everything but the order of attributes."""
    found: list[Any] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
            found.append((tag, sorted(attrs)))

        def handle_endtag(self, tag: str) -> None:
            found.append(f"/{tag}")

        def handle_data(self, data: str) -> None:
            found.append(data)

        def handle_comment(self, data: str) -> None:
            found.append(f"<!--{data}")

    reader = Reader()
    reader.feed(html)
    reader.close()
    return found


@pytest.mark.parametrize("body", LATER)
def test_what_depends_on_values_is_inlined_mail_by_mail(body: str) -> None:
    assert inlined_template(page(body)) is None


@pytest.mark.parametrize("type_", SHIPPED, ids=lambda type_: type_.name)
def test_the_shipped_templates_are_inlined_ahead(plugin: SMTPAdmin, type_: EmailType) -> None:
    for language in templates.languages(type_):
        chosen = templates.shipped(type_, language)
        ready = inlined_template(layout.whole(chosen.texts.html))
        # Line ends of a value become tags, which only the mail itself shows.
        assert (ready is None) == ("newline_to_br" in chosen.texts.html)
        html = templates.render(type_, type_.sample, templates.Voice(language=language)).html
        assert "prefers-color-scheme" in html
        assert html.count("<style") == 1
        assert '<td class="body" style="' in html


def test_styles_are_moved_once(
    plugin: SMTPAdmin, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        "greeting", subject="x", text="x", html=page("<p>{{ who }}</p>").replace("y }}", "who }}")
    )
    calls: list[str] = []
    monkeypatch.setattr("smtp_admin.mail.templates.inlined", calls.append)
    write("greeting", html=f"{STYLE}<p>{{{{ who }}}}</p>")
    for who in "abc":
        assert f'<p style="color: red;">{who}</p>' in templates.render(GREETING, {"who": who}).html
    assert calls == []


def test_a_template_that_depends_on_values_still_has_its_styles(
    plugin: SMTPAdmin, write: Write
) -> None:
    write("greeting", subject="x", text="x", html=f"{STYLE}<b class='{{{{ who }}}}'>x</b>")
    assert 'style="font-size: 20px' in templates.render(GREETING, {"who": "big"}).html
    assert "style" not in templates.render(GREETING, {"who": "small"}).html


def test_markup_among_the_values_has_its_styles(plugin: SMTPAdmin, write: Write) -> None:
    write("listing", subject="x", text="x", html=f"{STYLE}<div>{{{{ things[0].a }}}}</div>")
    html = templates.render(LISTING, {"things": [{"a": Markup("<p>x</p>")}]}).html
    assert '<p style="color: red;">x</p>' in html


def test_a_mistake_names_the_line_of_the_file(plugin: SMTPAdmin, write: Write) -> None:
    source = STYLE + "\n" * 20 + "<p>{{ nobody }}</p>"
    write("greeting", subject="x", text="x", html=source)
    with pytest.raises(MessageError) as found:
        templates.render(GREETING, {"who": "x"})
    assert found.value.message.endswith("Line 24, column 7: 'nobody' is undefined.")


def test_a_changed_file_is_read_again(
    plugin: SMTPAdmin, write: Write, request: pytest.FixtureRequest
) -> None:
    write("greeting", subject="x", text="one")
    assert templates.render(GREETING, {"who": "x"}).text == "one"
    file = (
        request.getfixturevalue("templates") / "smtp_admin" / "email" / "greeting" / "text.liquid"
    )
    file.write_text("two")
    stamp = file.stat().st_mtime_ns + 10**9
    os.utime(file, ns=(stamp, stamp))
    assert templates.render(GREETING, {"who": "x"}).text == "two"
