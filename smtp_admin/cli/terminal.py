"""What commands show and ask in a terminal: plain lines that work over any connection."""

import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

import click
from rich.console import Console
from rich.markup import escape

from smtp_admin.connection.probe import TestResult
from smtp_admin.smtp.report import StepResult

_MARKS = {
    "ok": ("green", "✓", "ok"),
    "warning": ("yellow", "!", "! "),
    "failed": ("red", "✕", "X "),
    "missing": ("red", "✕", "X "),
    "unknown": ("dim", "?", "? "),
    "skipped": ("dim", "–", "- "),
}
#: What empties a field that has a value: Enter alone keeps it.
NOTHING = "-"


def console() -> Console:
    """Where commands write for people; plain where ``NO_COLOR`` is set (https://no-color.org)."""
    colours = None if os.environ.get("NO_COLOR") else "auto"
    if isinstance(sys.stdout, TextIOWrapper):
        # Of a server's words, and of ours, a terminal that knows few letters shows what it can.
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, color_system=colours)  # type: ignore[arg-type]  # rich's Literal


def mark(out: Console, status: str) -> str:
    """The sign of a status, told apart without colour, and in letters where nothing else is."""
    colour, sign, letters = _MARKS.get(status, _MARKS["skipped"])
    return f"[{colour}]{sign if out.encoding.startswith('utf') else letters}[/]"


def show_finding(out: Console, status: str, subject: str, words: str, hint: str) -> None:
    """Something that was looked at: what it is about, what was found, and what to do."""
    out.print(f"{mark(out, status)} {escape(subject):<10}{escape(words)}")
    if hint:
        out.print(f"    {escape(hint)}")


def show_step(out: Console, step: StepResult) -> None:
    """One step of a connection test, in one line."""
    words = str(step.reply) if step.reply and step.status == "failed" else step.detail
    time = "" if step.status == "skipped" else f"{step.ms:g} ms"
    said = "  ".join(one for one in (escape(words), f"[dim]{time}[/]" if time else "") if one)
    out.print(f"{mark(out, step.status)} {step.name:<12}{said}")


def show_outcome(out: Console, result: TestResult) -> None:
    """What the steps of a connection test amount to, and what to do about it."""
    if result.failure is None:
        out.print(f"[bold green]Works.[/] {result.duration_ms:g} ms, nothing was sent.")
        for warning in result.warnings:
            out.print(f"[yellow]Note:[/] {escape(warning.message)}")
            if hint := result.hint(warning):
                out.print(f"  Most likely: {escape(hint)}")
        return
    out.print(f"[bold red]{escape(result.failure.message)}[/]")
    out.print(escape(result.failure.hint))
    for cause in result.diagnosis.causes[1:] if result.diagnosis else ():
        out.print(f"[dim]Or:[/] {escape(cause.what)} {escape(cause.do)}")


def ask(label: str, default: str, complaint: Callable[[str], str], *, optional: bool) -> str:
    """Ask until there is an answer without a complaint; Enter alone gives *default*.

    Args:
        complaint: why an answer cannot be used, or ``""``.
        optional: whether the answer may be empty.

    Raises:
        click.Abort: Ctrl-C, Ctrl-D, or the terminal is gone.
    """
    way_out = f" ({NOTHING} for none)" if optional and default else ""
    while True:
        text = click.prompt(label + way_out, default=default, show_default=bool(default), type=str)
        if optional and text.strip() == NOTHING:
            return ""
        sentence = complaint(text)
        if not sentence:
            return str(text)
        click.echo(f"  {sentence}")


def ask_lines(
    label: str, now: str, read: Callable[[str], str], complaint: Callable[[str], str]
) -> str:
    """Ask for a text of several lines: one line, or a file; Enter alone gives *now*.

    Args:
        read: what an answer stands for; raises :class:`ValueError` with a sentence.
        complaint: why that cannot be used, or ``""``.

    Raises:
        click.Abort: as :func:`ask` does.
    """
    count = len(now.splitlines())
    kept = f" (Enter keeps {count} line{'' if count == 1 else 's'}, {NOTHING} for none)"
    while True:
        text = str(click.prompt(label + (kept if now else ""), default="", show_default=False))
        if text.strip() == NOTHING:
            return ""
        try:
            lines = read(text.strip()) if text.strip() else now
            sentence = complaint(lines)
        except ValueError as error:
            sentence = str(error)
        if not sentence:
            return lines
        click.echo(f"  {sentence}")


def ask_secret(label: str, complaint: Callable[[str], str]) -> str:
    """Ask for something that is not shown while it is typed; Enter alone gives ``""``.

    Raises:
        click.Abort: as :func:`ask` does.
    """
    while True:
        text = str(click.prompt(label, default="", show_default=False, hide_input=True, type=str))
        sentence = complaint(text)
        if not sentence:
            return text
        click.echo(f"  {sentence}")


def choose(question: str, options: Sequence[tuple[str, str]], default: str = "") -> str:
    """Let a person choose one of *options*, pairs of a word and what it means, by number or word.

    Raises:
        click.Abort: as :func:`ask` does.
    """
    words = [word for word, _ in options]
    width = len(str(len(words)))
    for number, (_, label) in enumerate(options, 1):
        click.echo(f"  {number:>{width}}  {label}")
    usual = str(words.index(default) + 1) if default in words else ""

    def complaint(text: str) -> str:
        return "" if _chosen(text, words) else f"Enter a number from 1 to {len(words)}."

    return _chosen(ask(question, usual, complaint, optional=False), words)


def _chosen(text: str, words: Sequence[str]) -> str:
    answer = text.strip().lower()
    if answer in words:
        return answer
    if answer.isascii() and answer.isdigit() and len(answer) < 4 and 1 <= int(answer) <= len(words):  # noqa: PLR2004
        return words[int(answer) - 1]
    return ""
