"""Liquid with limits, and nothing else: a module of its own, so that it is imported late.

Partners write templates, and a template is a program. Whatever it does is over soon, in little
memory, and a mistake of it is a sentence: ``liquid_source`` looks at what is to be parsed,
``liquid_filters`` has the functions, ``liquid_limits`` counts.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.builtin import content, illegal, output, register
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import for_tag
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from smtp_admin.errors import TemplateError
from smtp_admin.mail import liquid_filters, liquid_source
from smtp_admin.mail.liquid_limits import MOST_ITEMS, Limited, Writing, too_much
from smtp_admin.mail.template_work import Work
from smtp_admin.mail.template_work import too_much as too_much_for_many
from smtp_admin.translation import Text, gettext, number, sentence

#: Templates that are kept parsed. Large ones are few, for each may take some megabytes.
_KEPT, _LARGE_KEPT, _LARGE = 256, 8, 20_000
_LONGEST_WORDS = 300
#: How the library says that there is no such value, after its name.
_UNDEFINED = " is undefined"
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
#: What takes longer than its letters: a tag, a filter, one of a list, part of a path or condition.
_STEPS = re.compile(r"\{[{%]|[|,.]|[=<>!]=?|\b(?:and|or|contains)\b")
_STEP = 10
#: What one of those takes outside of a loop, and when the template is read.
_ONCE, _READ = 25, 300


def fill(source: str, data: Mapping[str, Any], *, escape: bool, work: Work | None = None) -> str:
    """The text of a template, with its values.

    Args:
        work: what it may do, where that is less than the limits of one mail.

    Raises:
        TemplateError: the template is wrong, lacks a value, or goes beyond a limit.
    """
    try:
        if work is not None:
            work.check()
        return parsed(source, escape).filled_in(data, work)
    except LiquidError as error:
        if work is not None and work.left < 0:
            raise too_much_for_many() from error
        raise _explained(error) from error
    except TemplateError:
        raise
    except Exception as error:  # numbers, dates and recursion fail in many ways
        words = gettext("This cannot be filled in (%(kind)s).", kind=type(error).__name__)
        raise TemplateError(words) from error


def parsed(source: str, escape: bool) -> "_Template":
    """The template, read; that takes longer than filling it in, and the same ones come again.

    Raises:
        TemplateError: it cannot be read.
        LiquidError: the same, from the parser.
    """
    return (_parsed_large if len(source) > _LARGE else _parsed)(source, escape)


def _read(source: str, escape: bool) -> "_Template":
    liquid_source.check(source)
    found = _environment(escape).from_string(source)
    assert isinstance(found, _Template)  # noqa: S101 - that is what this environment makes
    steps = _steps(source)
    found.weight = _ONCE * steps
    found.unpaid = len(source) + _READ * steps
    return found


def _steps(source: str) -> int:
    return sum(len(_STEPS.findall(tag)) for tag in _TAG.findall(source))


_parsed = lru_cache(maxsize=_KEPT)(_read)
_parsed_large = lru_cache(maxsize=_LARGE_KEPT)(_read)


@lru_cache(maxsize=2)
def _environment(escape: bool) -> Environment:
    return _Bounded(autoescape=escape, undefined=StrictUndefined)


class _Template(BoundTemplate):
    """A template that is filled in within limits.

    Attributes:
        weight: what it takes to go through it once, without its loops.
        unpaid: what it took to read it; whoever fills it in first pays for that.
    """

    context_class = Limited
    weight = unpaid = 0

    def filled_in(self, data: Mapping[str, Any], work: Work | None) -> str:
        """Its text; what that takes comes off *work*."""
        read, self.unpaid = self.unpaid, 0
        context = Limited(self, globals=self.make_globals(dict(data)))
        if work is not None:
            work.spend(read)
            context.work = min(context.work, work.left)
        given = context.work
        written = Writing(context)
        try:
            context.spend(self.weight)
            self.render_with_context(context, written)
        finally:
            if work is not None:
                work.left -= given - context.work
        return written.getvalue()


class _Output(output.OutputNode):
    """A list is weighed before it becomes text: each item may be the same long one."""

    def render_to_output(self, context: Any, buffer: Any) -> int:
        value = self.expression.evaluate(context)
        if type(value) is not str:
            context.spend(context.weigh(value))
        return int(buffer.write(to_liquid_string(value, context.autoescape)))


class _Content(content.ContentNode):
    """What the template says itself costs nothing: a loop around it has paid already."""

    def render_to_output(self, _: Any, buffer: Any) -> int:
        write = buffer.write_own if isinstance(buffer, Writing) else buffer.write
        return int(write(self.text))


class _ContentTag(content.Literal):
    node_class = _Content


class _OutputTag(output.Output):
    node_class = _Output


class _For(for_tag.ForNode):
    """A loop that says how long it is, once around, before it begins."""

    __slots__ = ("letters",)
    letters: int

    def render_to_output(self, context: Any, buffer: Any) -> int:
        items = self.expression.iterable
        if isinstance(items, RangeLiteral):
            numbers = items.evaluate(context)
            if numbers.stop - numbers.start > MOST_ITEMS:
                raise too_much(
                    gettext("a loop goes over more than %(most)s items", most=number(MOST_ITEMS))
                )
        context.loop_length = self.letters
        return super().render_to_output(context, buffer)


class _ForTag(for_tag.ForTag):
    node_class = _For

    def parse(self, stream: Any) -> Any:
        begins = stream.current.start_index
        node = super().parse(stream)
        within = stream.current.source[begins : stream.current.start_index]
        node.letters = len(within) + _STEP * _steps(within)  # type: ignore[attr-defined]  # ours
        return node


class _Bounded(Environment):
    """The language as partners have it."""

    template_class = _Template
    block_nesting_limit = 30
    context_depth_limit = 40

    def setup_tags_and_filters(self, **more: Any) -> None:
        del more
        register(self)
        pseudo = {content.Literal.name, output.Output.name, illegal.Illegal.name}
        self.tags = {
            name: tag
            for name, tag in self.tags.items()
            if name in pseudo or name in liquid_source.TAGS
        }
        self.add_tag(_ContentTag)
        self.add_tag(_OutputTag)
        self.add_tag(_ForTag)
        self.tags["echo"].node_class = _Output  # type: ignore[attr-defined]  # of this one alone
        liquid_filters.add_to(self)


def _explained(error: LiquidError) -> TemplateError:
    words = sentence(_words(error))
    token = error.token
    if token is None or not 0 <= token.start_index < len(token.source):
        return TemplateError(words)
    line, column = liquid_source.place(token.source, token.start_index)
    return TemplateError(words, line=line, column=column)


def _words(error: LiquidError) -> str:
    """What it says; most words of the library's own are in English alone."""
    said = error.args[0] if error.args else gettext("this is wrong")
    if isinstance(said, Text):
        return said
    words, cause = str(said), error.__cause__
    if words.startswith("unexpected liquid") and cause is not None:
        return gettext("this cannot be read (%(kind)s)", kind=type(cause).__name__)
    name = words.removesuffix(_UNDEFINED)
    if name != words:
        return gettext("%(name)s is undefined", name=name[:_LONGEST_WORDS])
    return words[:_LONGEST_WORDS]
