"""The documentation says what is so: every name in it is looked up in the code, and run."""

import ast
import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import blinker
import click
import pytest

import smtp_admin
from smtp_admin import access, signals
from smtp_admin.cli.group import commands
from smtp_admin.config import KEYS, PREFIX
from smtp_admin.errors import RequestError
from smtp_admin.mail import liquid_filters
from smtp_admin.mail.common_values import COMMON
from smtp_admin.mail.liquid_source import TAGS
from smtp_admin.monitor.parts import PARTS
from smtp_admin.sender_state.state import KEYS as STATES
from smtp_admin.senders.fields import all_fields
from smtp_admin.smtp.failure import CODES
from smtp_admin.ways_back import LEADS
from tests.app import HostApp
from tests.mail import types_page
from tests.sender_fields import PAGE, between_markers, render

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
STYLES = "static/css/smtp-admin.css"
WARNING = r'(?:Caution\(\s*|code, message = |code = )"(\w+)"'
KEYED = "/senders/<key>"
COMMAND = re.compile(r"flask(?: --app \S+)? smtp-admin ([^`\n#]+)")


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next one of the same or a higher level."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", TEXTS[page], re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no section {title!r}"
    return found[2]


def test_every_check_of_the_doctor_is_described() -> None:
    described = re.findall(
        r"^\| `(\w+)` \|", (ROOT / "docs/operations.md").read_text("utf-8"), re.MULTILINE
    )
    assert {one.name for one in PARTS} <= set(described)


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in *text*, without heads and rules."""
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and not line.startswith("|-") and not following.startswith("|-"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append([cell.strip() for cell in cells])
    return found


def coded(text: str) -> list[str]:
    """Everything in *text* that is set as code."""
    return re.findall(r"`([^`]+)`", text)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Page and content of every fenced block in *language*."""
    for page, text in TEXTS.items():
        for content in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield page, content


# --- Names ---------------------------------------------------------------------------------------


def test_configuration_is_complete() -> None:
    documented = {
        coded(row[0])[0]: ast.literal_eval(coded(row[2])[0])
        for row in rows(section("docs/reference.md", "Configuration"))
    }
    assert documented == {PREFIX + key.name: key.default for key in KEYS}


def loggers() -> Iterator[str]:
    """Every logger of the package that says something, but for the example's own."""
    for file in (ROOT / "smtp_admin").rglob("*.py"):
        text = file.read_text("utf-8")
        name = file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        found = re.search(r"^log = logging.getLogger\((.*)\)", text, re.MULTILINE)
        if found and re.search(r"\blog(\.\w|, )", text) and ".embedded" not in name:
            yield name if found[1] == "__name__" else ast.literal_eval(found[1])


@pytest.mark.parametrize(
    ("page", "title", "names"),
    [
        ("docs/reference.md", "Signals",
         [name for name, one in vars(signals).items() if isinstance(one, blinker.NamedSignal)]),
        ("docs/reference.md", "Python", smtp_admin.__all__),
        ("docs/settings.md", "What a code means", CODES),
        ("docs/mounting.md", "The look",
         re.findall(r"var\((--smtp-admin-[a-z-]+)", (ROOT / STYLES).read_text("utf-8"))),
        ("docs/operations.md", "Logs", [*loggers()]),
        ("docs/operations.md", "States of a sender", [*STATES]),
    ],
)  # fmt: skip
def test_table_is_complete(page: str, title: str, names: list[str]) -> None:
    documented = [row[0].strip("`") for row in rows(section(page, title))]
    assert sorted(documented) == sorted(set(names))


@pytest.mark.parametrize("page", TEXTS)
def test_every_key_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"SMTP_ADMIN_[A-Z_]+[A-Z]", TEXTS[page]))
    files = {f"{PREFIX}{key.name}_FILE" for key in KEYS if key.secret}
    assert named <= {PREFIX + key.name for key in KEYS} | files


def test_the_table_of_fields_is_what_the_code_says() -> None:
    written = between_markers(PAGE.read_text("utf-8"))
    assert written == render(), "run: python tests/sender_fields.py"
    assert len(rows(written)) == len(all_fields())


def test_every_variable_that_is_named_exists() -> None:
    known = {one.name for field in all_fields() for one in field.variables}
    named = set(re.findall(r"`((?:SMTP|MAX_EMAILS)_[A-Z_]+)`", TEXTS["docs/settings.md"]))
    named = {one.removesuffix("_FILE") for one in named if not one.startswith(PREFIX)}
    assert named == known


def test_routes_are_complete(host: HostApp) -> None:
    documented = {
        (coded(row[0])[0], frozenset(row[1].split(", ")))
        for row in rows(section("docs/reference.md", "Routes"))
    }
    ours = {
        (rule.rule, frozenset(rule.methods or ()) - {"HEAD", "OPTIONS"})
        for rule in host.app.url_map.iter_rules()
        if rule.endpoint.startswith("smtp_admin") and not rule.endpoint.endswith(LEADS)
    }
    # What a further sender has as the default one does is said in one sentence.
    again = {
        (rule, methods) for rule, methods in ours if (rule.replace(KEYED, ""), methods) in ours
    }
    assert documented == ours - {one for one in again if KEYED in one[0]}


def test_states_stand_in_the_order_in_which_they_are_decided() -> None:
    table = rows(section("docs/operations.md", "States of a sender"))
    assert [coded(row[0])[0] for row in table] == list(STATES)


def test_error_codes_are_complete() -> None:
    documented = {
        coded(row[0])[0]: int(row[1]) for row in rows(section("docs/reference.md", "Error codes"))
    }
    kinds: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    ours = {one.code: one.status for one in kinds}
    assert documented == dict.fromkeys(CODES, 400) | ours


def test_warnings_are_complete() -> None:
    probes = "".join(
        one.read_text("utf-8") for one in (ROOT / "smtp_admin/transports").rglob("*.py")
    )
    paragraph = section("docs/settings.md", "What a code means").rpartition("Warnings of")[2]
    assert set(coded(paragraph)) == set(re.findall(WARNING, probes))


def test_filters_and_tags_are_complete() -> None:
    text = section("docs/templates.md", "What is checked").split("these filters:")[1]
    filters, tags = text.split("and these tags:")
    assert coded(filters) == list(liquid_filters.NAMES)
    inner = {"#", "else", "elsif", "when", *(one for one in TAGS if one.startswith("end"))}
    assert coded(tags) == sorted(TAGS - inner)


def test_email_types_are_complete() -> None:
    page = types_page.FILE.read_text("utf-8")
    assert page == types_page.written(page), "run python -m tests.mail.types_page"


def test_values_of_every_template_are_complete() -> None:
    documented = rows(section("docs/email-types.md", "Values in every template"))
    assert documented == [[f"`{name}`", means] for name, means in COMMON.items()]


def test_access_table_is_the_one_that_decides() -> None:
    documented = {
        row[0]: set(row[1].split(", "))
        for row in rows(section("docs/security.md", "Pages and API"))
    }
    assert documented == {
        action.value: {role.value for role in access.Role if role in access._TABLE[action]}
        for action in access.Action
    }


# --- Commands ------------------------------------------------------------------------------------


def parse(line: str) -> None:
    """Let Click read a command line as it would, without running it."""
    arguments = shlex.split(line.replace("--help", ""))
    command: click.Command = commands
    context = click.Context(command, info_name="smtp-admin")
    while isinstance(command, click.Group):
        if not arguments:
            return
        found = command.get_command(context, arguments[0])
        assert found, f"there is no command {arguments[0]!r} in {line!r}"
        command, arguments = found, arguments[1:]
        context = click.Context(command, parent=context)
    # Files that an example names need not exist.
    with patch.object(click.Path, "convert", lambda _self, value, *_rest: value):
        command.parse_args(context, arguments)


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_line_can_be_run(page: str) -> None:
    for line in COMMAND.findall(TEXTS[page]):
        parse(line)


def test_a_wrong_command_line_is_noticed() -> None:
    with pytest.raises(AssertionError):
        parse("nonsense")
    with pytest.raises(click.NoSuchOption):
        parse("worker --nonsense")


def test_commands_are_complete() -> None:
    documented = {}
    for row in rows(section("docs/reference.md", "Commands")):
        (line,) = COMMAND.findall(row[0])
        documented[line] = set(coded(row[1]))
    assert documented == dict(leaves(commands, ""))


def leaves(group: click.Group, before: str) -> Iterator[tuple[str, set[str]]]:
    """Every command under *group* as one types it, with its options."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
            continue
        # The wizard's options for fields stand in the table of fields.
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        options = [one for one in command.params if isinstance(one, click.Option)]
        words = [name, *(one.metavar or str(one.name).upper() for one in arguments)]
        yield before + " ".join(words), {one.opts[0] for one in options}


# --- Links and files -----------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The names that headings can be linked by, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), f"{page}: {target}"


@pytest.mark.parametrize("page", TEXTS)
def test_no_page_is_left_out_of_the_readme(page: str) -> None:
    assert page == "README.md" or f"({page})" in TEXTS["README.md"]


def test_dependencies_are_complete() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    wanted = {("", one) for one in setup["options"]["install_requires"].split("\n") if one}
    for extra, requirements in setup["options.extras_require"].items():
        wanted |= {(extra, one) for one in requirements.split("\n") if one}
    always = rows(section("docs/dependencies.md", "Always installed"))
    extras = rows(section("docs/dependencies.md", "Extras"))
    documented = {("", coded(row[0])[0]) for row in always}
    documented |= {(coded(row[0])[0], coded(row[1])[0]) for row in extras}
    assert documented == wanted
    assert all(row[-1] and row[-2] for row in (*always, *extras))


FEATURES = [f"{letter}{n}" for letter, most in zip("ABCDEFG", (14, 8, 5, 8, 8, 14, 15), strict=True)
            for n in range(1, most + 1)]  # fmt: skip


def test_every_feature_is_listed_once() -> None:
    assert [row[0] for row in rows(TEXTS["docs/features.md"])] == FEATURES


def test_features_name_what_exists() -> None:
    for id_, _, status, where, proof in rows(TEXTS["docs/features.md"]):
        assert status in {"done", "partly", "not yet"}, id_
        for name in [one for one in coded(where + proof) if re.match(r"(tests|smtp_admin)/", one)]:
            path, _, test = name.partition("::")
            assert (ROOT / path).exists(), f"{id_}: {name}"
            if test:
                assert f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{id_}: {name}"
        if status == "done":
            assert [one for one in coded(proof) if one.startswith("tests/")], id_
