"""Every command that a message, a hint or a page prints can be run as it is printed."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from smtp_admin.catalogues import by_tag, languages
from smtp_admin.cli.group import commands
from smtp_admin.database import SYSTEM
from smtp_admin.monitor.check_senders import senders
from smtp_admin.senders.in_commands import arguments_of, options_of
from smtp_admin.senders.pauses import pause
from smtp_admin.senders.resolve import load_sender
from tests.app import ADMIN, HostApp

ROOT = Path(__file__).parents[1]
#: Up to what ends it: a mark of code, or of the sentence.
_COMMAND = re.compile(r"flask smtp-admin((?: +[\w@./<>…=:*+'\"-]+)+)")
#: In quotes all of it is the command, whatever signs are in it.
_QUOTED = re.compile(r"(?:`|“|<code>)(?:\$ )?flask smtp-admin([^`”<]*)(?:`|”|</code>)")
#: Its name alone, as prose has it, and what is a whole sentence's verb after it.
_ENDS = re.compile(r"[.:,;]+$")


def _literals(path: Path) -> Iterator[str]:
    """The texts of a module; what is filled in becomes a word where it stands alone."""
    source = path.read_text("utf-8")
    if "smtp-admin" not in source:  # each process of the suite looks through all of them
        return
    nodes = list(ast.walk(ast.parse(source)))
    inside = {
        id(part) for node in nodes if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node) if part is not node
    }  # fmt: skip
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            text = ""
            for part in node.values:
                filled = "X" if text.endswith((" ", "=", "/")) else ""
                text += str(part.value) if isinstance(part, ast.Constant) else filled
            yield text
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            yield str(node.value)


def _printed() -> Iterator[tuple[str, str]]:
    """Where a command is printed, and its words."""
    for path in sorted((ROOT / "smtp_admin").rglob("*.py")):
        for text in _literals(path):
            for part in text.replace("\\\n", " ").split("\n\n"):
                for found in _commands(" ".join(part.split())):
                    yield path.name, found
    others = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "smtp_admin").rglob("*.toml")]
    for path in sorted(others):
        for found in _commands(path.read_text("utf-8")):
            yield path.name, found
    for language in sorted(languages()):
        translated = by_tag(language)
        assert translated is not None
        for text in translated.texts.values():
            for found in _commands(text):
                yield language, found


def _commands(text: str) -> Iterator[str]:
    quoted = [one.strip() for one in _QUOTED.findall(text)]
    yield from (one for one in quoted if one != "…")
    for words in _COMMAND.findall(_QUOTED.sub("", text)):
        yield _ENDS.sub("", words.split("  ")[0].strip())


def parsed(words: str) -> None:
    """Have click read *words* as a shell would pass them; nothing is run."""
    group: click.Command = commands
    context = click.Context(group, info_name="flask smtp-admin")
    left = shlex.split(words)
    while isinstance(group, click.Group):
        if not left:
            return  # the name of a group, which lists what is in it
        name, *left = left
        found = group.get_command(context, name)
        if found is None:
            raise click.UsageError(f"There is no command {name}.", context)
        group, context = found, click.Context(found, parent=context, info_name=name)
    values, rest, _ = group.make_parser(context).parse_args(left)
    if rest:
        raise click.UsageError(f"too many words: {rest}", context)
    for one in group.get_params(context):
        given = values.get(one.name or "")
        needed = isinstance(one, click.Argument) and one.required
        if needed and not (isinstance(given, str | tuple | list) and given):
            raise click.MissingParameter(ctx=context, param=one)


PRINTED = sorted(set(_printed()))


def test_they_are_found() -> None:
    assert len(PRINTED) > 60
    assert ("check_redis.py", "worker") in PRINTED


@pytest.mark.parametrize(("place", "words"), PRINTED)
def test_as_it_is_printed(place: str, words: str) -> None:
    parsed(words)


def test_what_is_wrong_is_noticed() -> None:
    for words in ("senders resume", "sender list", "senders list does", "worker --fast"):
        with pytest.raises(click.UsageError):
            parsed(words)


def test_a_senders_own_command(host: HostApp) -> None:
    """The doctor's, of each kind of sender, run as it is printed."""
    host.save_sender("acme", key="news")
    host.save_sender("")
    session = host.db.session()
    for partner_id, key in (("acme", "news"), (SYSTEM, "")):
        pause(session, load_sender(session, partner_id, key), ADMIN)
    session.commit()
    hints = [one.hint for one in senders() if "Resume" in one.hint]
    assert [re.findall("resume ([^`]+)`", one) for one in hints] == [["default"],
        ["news --partner acme"]]  # fmt: skip
    for one in hints:
        (words,) = _QUOTED.findall(one)
        done = host.app.test_cli_runner().invoke(args=["smtp-admin", *shlex.split(words)])
        assert done.exit_code == 0, done.output
        assert "is resumed" in done.output
    assert not [one for one in senders() if "Resume" in one.hint]


def test_odd_names_are_quoted(host: HostApp) -> None:
    odd = load_sender(host.db.session(), "o'neill & sons", "news")
    assert options_of(odd) == """ --partner 'o'"'"'neill & sons' --sender news"""
    assert shlex.split(arguments_of(odd)) == ["news", "--partner", "o'neill & sons"]
