"""The wizard's options for the fields of a sender: one for each row of the table.

They are made when a command line is read, so that the fields of a driver that the host registered
are there too. Secrets have a file instead of a value: the shell's history and the list of
processes show command lines to others.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from smtp_admin.senders.environment import read_secret_file
from smtp_admin.senders.fields import DRIVER, all_fields, common_fields, drivers_with
from smtp_admin.transports.fields import Field
from smtp_admin.transports.registry import drivers

#: How Click calls what belongs to a field; no field can be mistaken for another option then.
_VALUE, _FILE = "field_", "file_"
#: Stands before the path of a file instead of a text of several lines.
FROM_FILE = "@"
_METAVARS = {
    "number": "NUMBER", "email": "ADDRESS", "senders": "KEYS", "lines": "TEXT",
    "date": "YYYY-MM-DD",
}  # fmt: skip
_LONGEST_SECRET = 64 * 1024
_GENERAL = "Options"
_EVERY = "What every sender has"


class WizardCommand(click.Command):
    """A command with an option for every field of a sender."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, and those of the fields."""
        return [*super().get_params(ctx), *field_options()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them, those of one driver under its name."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_section(str(one.name)), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def field_options() -> list[click.Option]:
    """An option for each field of the table that a command line may say."""
    fields = all_fields()
    return [_secret_option(one) if one.secret else _option(one)
            for one in fields if one.secret or one.option]  # fmt: skip


def option_name(one: Field) -> str:
    """The option that says this field: ``--port``, ``--password-file``."""
    return f"--{one.name.replace('_', '-')}-file" if one.secret else one.option


def option_names() -> dict[str, str]:
    """Field → its option, of all fields that have one."""
    return {one.name: option_name(one) for one in all_fields() if option_name(one)}


def texts_given(parameters: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Of a command's parameters, field → text as given, and field → why it cannot be read."""
    texts: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in _given(parameters, _VALUE):
        try:
            texts[name] = _text(value)
        except ValueError as error:
            wrong[name] = [_sentence(error)]
    return texts, wrong


def secrets_given(parameters: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The same for secrets, from the files that the options name."""
    secrets: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in _given(parameters, _FILE):
        try:
            secrets[name] = read_secret_file(value)
        except ValueError as error:
            wrong[name] = [_sentence(error)]
    return secrets, wrong


def secret_on_stdin() -> str:
    """The secret on standard input, without one line break at its end.

    Raises:
        ValueError: there is none, or it is no text.
    """
    try:
        text = sys.stdin.buffer.read(_LONGEST_SECRET).decode("utf-8")
    except OSError as error:
        raise ValueError(
            f"Standard input cannot be read: {error.strerror or type(error).__name__}."
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError("Standard input is not UTF-8 text.") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("Standard input is empty.")
    return text


def text_of_lines(text: str) -> str:
    """*text* itself, or what stands in the file that it names after an ``@``.

    Raises:
        ValueError: the file cannot be read.
    """
    return read_secret_file(text[1:]) if text.startswith(FROM_FILE) else text


def _given(parameters: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        # An option that may be repeated and was not given has no values instead of none.
        if name.startswith(prefix) and value not in (None, ()):
            yield name.removeprefix(prefix), value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "\n".join(text_of_lines(one) for one in value)
    return str(value)


def _sentence(error: ValueError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _option(one: Field) -> click.Option:
    names = [f"{_VALUE}{one.name}"]
    text = f"{one.label}. {one.help}".strip()
    if one.kind == "flag":
        no = f"--no-{one.option.removeprefix('--')}"
        return click.Option([*names, f"{one.option}/{no}"], default=None, help=text)
    names.append(one.option)
    if one.kind == "lines":
        text = f"{text} As {FROM_FILE}FILE it is read from that file; may be given several times."
        return click.Option(names, multiple=True, metavar="TEXT|@FILE", help=text)
    return click.Option(names, default=None, metavar=_metavar(one), help=text)


def _secret_option(one: Field) -> click.Option:
    names = [f"{_FILE}{one.name}", option_name(one)]
    return click.Option(names, default=None, metavar="FILE",
                        help=f"{one.label}: read it from this file. One line break at its end is "
                        "not part of it.")  # fmt: skip


def _metavar(one: Field) -> str:
    choices = [each.name for each in drivers()] if one is DRIVER else list(one.choices)
    return f"[{'|'.join(choices)}]" if choices else _METAVARS.get(one.kind, "TEXT")


def _section(parameter: str) -> str:
    """Under which title of the help an option stands."""
    prefix = next((one for one in (_VALUE, _FILE) if parameter.startswith(one)), "")
    if not prefix:
        return _GENERAL
    field = parameter.removeprefix(prefix)
    if field in {one.name for one in (DRIVER, *common_fields())}:
        return _EVERY
    having = drivers_with(field)
    return f"With {' or '.join(one.label for one in drivers() if one.name in having)}"
