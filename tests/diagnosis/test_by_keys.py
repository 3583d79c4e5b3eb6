"""What is behind a failure is told by keys: each has its words, and no sentence of ours is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smtp_admin
from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import replies
from smtp_admin.transports.sendmail import exit_codes

PACKAGE = Path(smtp_admin.__file__).parent
FILES = {file.relative_to(PACKAGE).as_posix(): file for file in PACKAGE.rglob("*.py")}
#: What holds a sentence for people, wherever it stands.
SENTENCES = {
    "message", "reason", "hint", "error", "detail", "sentence", "last_error", "pause_reason",
    "pause_text", "what", "do", "verify_message",
}  # fmt: skip
READING = {
    "startswith", "endswith", "partition", "rpartition", "split", "find", "index", "count",
    "removeprefix", "removesuffix", "search", "match", "fullmatch", "findall",
}  # fmt: skip
#: OpenSSL's own names for what went wrong, which are no sentences.
ALLOWED = {"smtp/explain.py": {"reason"}}


def parsed(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text("utf-8"))


def keys_in(node: ast.AST) -> Iterator[str]:
    """The texts that a value may have: one of two, for a condition."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value:
            yield one.value


def named_by_code() -> dict[str, set[str]]:
    """Key → the files that name it as a cause."""
    found: dict[str, set[str]] = {}
    for name in FILES:
        for node in ast.walk(parsed(name)):
            values: list[ast.AST] = []
            if isinstance(node, ast.keyword) and node.arg == "cause":
                values.append(node.value)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name) and target.id == "cause":
                        values.append(node.value)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        values += [
                            value
                            for one, value in zip(target.elts, node.value.elts, strict=True)
                            if isinstance(one, ast.Name) and one.id == "cause"
                        ]
            for value in values:
                if isinstance(value, ast.IfExp):
                    parts = [value.body, value.orelse]
                else:
                    parts = [value] if isinstance(value, ast.Constant) else []
                for part in parts:
                    for key in keys_in(part):
                        found.setdefault(key, set()).add(name)
    return found


def test_every_key_that_code_names_has_its_words() -> None:
    named = named_by_code()
    assert {"slipped_in", "certificate_expired", "old_encryption", "only_oauth",
            "letters_in_address", "mail_program_setup", "name_service_away",
            "certificate_address"} <= named.keys()  # fmt: skip
    assert {key: where for key, where in named.items() if key not in causes().by_key} == {}


def test_every_key_that_a_table_names_has_its_words() -> None:
    of_replies = {row.cause for row in replies().rows}
    of_programs = {row.cause for row in exit_codes.TABLE} - {""}
    before = {key for row in causes().rows for key in row.before} - {"*"}
    assert "" not in of_replies, "a row without a cause would be one that nobody can explain"
    assert of_replies | of_programs | before <= causes().by_key.keys()


def test_the_program_setup_is_named_by_each_of_its_rows() -> None:
    for row in exit_codes.TABLE:
        assert (row.cause == "mail_program_setup") == (row.sentence == exit_codes._SETUP)


def _sentence(node: ast.AST) -> str:
    """The name of what holds a sentence, if this does."""
    if isinstance(node, ast.Call):  # error.message.lower(), or str(error.message)
        inside = [node.func.value] if isinstance(node.func, ast.Attribute) else node.args
        return next(filter(None, map(_sentence, inside)), "")
    name = node.attr if isinstance(node, ast.Attribute) else ""
    return name if name in SENTENCES else ""


def _reads(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr in READING


def read_in(name: str) -> Iterator[tuple[int, str]]:
    """Where *name* looks into a sentence: line, and what is looked into."""
    for node in ast.walk(parsed(name)):
        looked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            for operator, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(operator, ast.In | ast.NotIn):
                    looked.append(right)
                if isinstance(right, ast.Constant) and right.value:
                    looked.append(node.left)
        elif isinstance(node, ast.Call) and _reads(node.func):
            looked += [*ast.iter_child_nodes(node.func), *node.args]  # type: ignore[list-item]
        for one in looked:
            if found := _sentence(one):
                yield one.lineno, found


@pytest.mark.parametrize("name", FILES)
def test_no_sentence_is_read(name: str) -> None:
    allowed = ALLOWED.get(name, set())
    assert [one for one in read_in(name) if one[1] not in allowed] == []


def test_the_search_would_find_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "reads.py"
    file.write_text(
        'if "DNS" in failure.message or failure.hint.startswith("Try"):\n'
        "    found = re.search(pattern, row.last_error)\n"
        'if outcome.reason == "It is full." or "x" in str(failure.message.lower()):\n'
        "    pass\n"
    )
    monkeypatch.setitem(FILES, "reads.py", file)
    assert sorted(read_in("reads.py")) == [
        (1, "hint"), (1, "message"), (2, "last_error"), (3, "message"), (3, "reason"),
    ]  # fmt: skip
