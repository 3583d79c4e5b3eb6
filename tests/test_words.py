"""What people read is plain English: no phrase of the list below on pages, in mails or docs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What to avoid, as words or as a pattern, and what to write instead.
AVOID: dict[str, str] = {
    # archaic or bookish
    "albeit": "although",
    "amongst": "among",
    "anew": "again",
    "as yet": "yet",
    "betwixt": "between",
    "hence": "so",
    "hereby|herein|hereof|herewith": "leave it out",
    "heretofore": "until now",
    "hitherto": "until now",
    "lest": "so that … not",
    "likewise": "also",
    "mend|mends|mended|mending": "fix, correct",
    "nevertheless|nonetheless": "but, still",
    "notwithstanding": "despite",
    "of late": "recently",
    "save for": "except",
    "shall": "must, will",
    "thence|whence|whither": "from there, from where",
    "thereby": "so",
    "therein|thereof|thereto|thereupon": "in it, of it, to it",
    "upon": "on",
    "whereby|wherein|whereof|whereupon": "by which, in which",
    "whilst": "while",
    "whoever|whomever": "the person who, anyone who",
    "whom": "who, or name the person",
    # inverted or without a subject
    "another look": "Please fix …, with the names of the fields",
    "as far as one can tell": "probably",
    "if that is not it": "Other possible causes",
    "is to be|are to be|was to be|were to be": "must be, should be, will be",
    "it is there already|are there already|is there already": "already exists",
    "mind:": "Note:",
    "no longer is|no longer are": "is no longer",
    "nobody knows whether|nobody knows": "it is unknown whether",
    "nothing comes of it": "it has no effect",
    "what is right": "the correct settings",
    "what is wrong here": "what does not work",
    "but for (?:the|a|its|such|those|what)": "except",
    "(?:is|are|was|were|reads?|works?|counts?) no more(?! \\w+s?\\b)": "no longer",
    "mostly": "usually",
    # riddles
    "all the same": "anyway, still",
    "by itself|by themselves": "automatically, alone",
    "goes on|go on|going on": "continues, resumes",
    "hang up|hangs up|hung up": "close the connection",
    "has served its time": "is closed",
    "its own words": "its reply",
    "lets? (?:it|them|none|no mail|mail) out|lets out": "sends",
    "no way leads": "there is no network route",
    "not a word|first word": "no greeting, greeting",
    "out of turn": "unexpected",
    "slips? in|slipped in": "added",
    "slips? past|slips? out": "is sent",
    "stands? (?:above|before|behind|below|beside|here|in between|on top|there)": "is …",
    "steps? in(?! order)|stepped in|stepping in": "take over, fallback",
    "swallows?|swallowed": "drops",
    "take for|takes? (?:it|this|the error) for": "treat as",
    "takes? its place|took its place|taken its place": "replace",
    "the receiving side takes": "the receiving side accepts",
    "under way": "in progress, being sent",
    "vouch|vouches": "issue, trust",
    "went astray": "was lost",
    "go(?:es)? out|went out": "is sent, was sent",
    "the time (?:for it )?is up": "it took too long",
    "told again|told by": "reported again, named by, sent by",
    "so that": "so, to, because",
    # one word for one thing
    "administer|administers": "manage",
    "anybody": "anyone",
    "barred": "blocked",
    "believe mail": "trust mail",
    "dialled": "connected to",
    "everybody": "everyone",
    "hoster": "hosting provider",
    "name service": "DNS server",
    "somebody": "someone",
    "ways? of sending": "sending method",
    "which mail goes by which": "routes",
}
#: Where a phrase is right: file, phrase and why.
ALLOWED: set[tuple[str, str]] = set()
#: Lines of data that hold the words of servers, or patterns for them.
_OF_SERVERS = re.compile(r"^(?:says|example|given|hosts|users|login_says) = .*$", re.MULTILINE)


def _pattern(phrase: str) -> re.Pattern[str]:
    start = "" if phrase.startswith("(") else r"(?<![\w-])"
    end = "" if phrase.endswith(":") else r"(?![\w-])"
    spaced = phrase.replace(" ", r"\s+")
    return re.compile(f"{start}(?:{spaced}){end}", re.IGNORECASE)


PATTERNS = {phrase: _pattern(phrase) for phrase in AVOID}


def found(text: str, first: int = 1) -> Iterator[tuple[int, str, str]]:
    """The line, the words and the phrase of the list, for each place in *text*."""
    for phrase, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            line = first + text.count("\n", 0, match.start())
            yield line, " ".join(match[0].split()), phrase


def _blank(text: str, *patterns: str) -> str:
    """*text* with what matches emptied, its lines kept."""
    for pattern in patterns:
        text = re.sub(
            pattern, lambda hit: "\n" * hit[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE
        )
    return text


def in_markdown(text: str) -> str:
    """What people read of a page of documentation, without code and addresses of links."""
    return _blank(text, r"^```.*?^```", r"`[^`\n]+`", r"\]\([^)\s]+\)")


def in_template(text: str) -> str:
    """What people read of a template: everything but comments and loops."""
    return _blank(
        text, r"\{#.*?#\}", r"\{%-? for [^%]*%\}", r"\{% comment %\}.*?\{% endcomment %\}"
    )


def in_toml(text: str) -> str:
    """What people read of a table: everything but comments and the words of servers."""
    return _OF_SERVERS.sub("", _blank(text, r"^#.*?$")).replace("\\\n", " \n")


def in_python(text: str) -> Iterator[tuple[int, str]]:
    """The strings of a module with a space in them, outside docstrings, with their lines."""
    nodes = list(ast.walk(ast.parse(text)))
    aside = {id(part) for node in nodes for part in _docstring(node)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            aside |= {id(part) for part in node.values}
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
    for node in nodes:
        if not isinstance(node, ast.Constant) or id(node) in aside:
            continue
        if isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def _docstring(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            yield first.value


def _read(path: Path) -> Iterator[tuple[int, str]]:
    """Pieces of text that people read in a file, each with its first line."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from in_python(text)
    elif path.suffix == ".md":
        yield 1, in_markdown(text)
    elif path.suffix == ".toml":
        yield 1, in_toml(text)
    else:
        yield 1, in_template(text)


def complaints(path: Path, root: Path = ROOT) -> list[str]:
    """What to change in a file, one line each."""
    name = path.relative_to(root).as_posix()
    return [
        f"{name}:{line}: “{words}”: write “{AVOID[phrase]}” instead"
        for first, text in _read(path)
        for line, words, phrase in found(text, first)
        if (name, phrase) not in ALLOWED
    ]


def _files() -> list[Path]:
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file()]
    package = [*(ROOT / "smtp_admin").rglob("*.py"), *(ROOT / "smtp_admin").rglob("*.toml")]
    return sorted([*templates, *package, ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_people_read_plain_words() -> None:
    assert not (wrong := [line for path in _files() for line in complaints(path)]), "\n".join(wrong)


def test_no_phrase_is_allowed_for_nothing() -> None:
    """Exceptions are few, and each is still needed."""
    assert len(ALLOWED) <= 5
    for name, phrase in ALLOWED:
        texts = [text for _, text in _read(ROOT / name)]
        assert any(PATTERNS[phrase].search(text) for text in texts), (name, phrase)


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.html", "<p>\n{# whom #}\n<b>Whom</b> it concerns</p>", 3, "Whom"),
        ("a.liquid", "Hello,\nit goes\n  on.", 2, "goes on"),
        ("a.md", "```\nwhom\n```\nSee `whom`: it is tried\nby itself.", 5, "by itself"),
        ("a.toml", "# whom\nsays = 'whom'\ndo = \"Mend it.\"", 3, "Mend"),
        ("a.py", '"""whom"""\nX = 1\nraise Y(f"Mail {X} waits "\n  "under way.")', 3, "under way"),
        ("b.py", 'X = "whom"\ndef f():\n    """Whom."""\n    return "as yet none"', 4, "as yet"),
    ],
)
def test_each_kind_of_file_is_read(
    tmp_path: Path, name: str, text: str, line: int, words: str
) -> None:
    """The checker can fail: it says file, line, phrase and what to write, and only for text."""
    (tmp_path / name).write_text(text, "utf-8")
    said = complaints(tmp_path / name, tmp_path)
    assert len(said) == 1
    assert said[0].startswith(f"{name}:{line}: “{words}”: write “")


@pytest.mark.parametrize("phrase", AVOID)
def test_every_phrase_can_be_met(phrase: str) -> None:
    for one in re.sub(r"\(\?[:!].*?\)|[?]", "", phrase).split("|"):
        assert AVOID[phrase]
        if one.strip(" ") == one and one:
            assert PATTERNS[phrase].search(f"So {one} it.") or "(" in phrase, one


def test_parts_of_words_are_no_phrases() -> None:
    text = "A recommended amendment, the same mail, stands for it, comes in order, Go online."
    assert not list(found(text))
