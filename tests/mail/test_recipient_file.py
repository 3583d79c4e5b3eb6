"""Whatever a spreadsheet writes is read as it was meant, or refused with its line."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin import Recipient
from smtp_admin.errors import InvalidInput
from smtp_admin.mail.bad_lines import Complaint
from smtp_admin.mail.needed_values import is_empty
from smtp_admin.mail.recipient_file import RecipientFile
from smtp_admin.mail.types import SHIPPED
from tests.mail.conftest import own_type

TYPE = own_type("listing", "name", "note")
#: What a cell can hold: everything that has a place in UTF-8.
cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)


def rows_of(content: bytes) -> list[tuple[int, Recipient | Complaint]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        path.write_bytes(content)
        return list(RecipientFile(path, TYPE).rows())


def refusal(content: bytes) -> str:
    """What is said of a file; of one that can be read, what could be."""
    try:
        rows_of(content)
    except InvalidInput as error:
        return error.message
    return "people.csv is good, line by line"


#: The type needs both.
filled = cells.filter(lambda text: not is_empty(text))


@given(
    rows=st.lists(st.tuples(filled, filled), max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    ends=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    mark=st.booleans(),
    order=st.permutations(["Address", "name", "NOTE "]),
)
def test_what_was_written_is_read(
    rows: list[tuple[str, str]],
    delimiter: str,
    ends: str,
    quoting: int,
    mark: bool,
    order: list[str],
) -> None:
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # the writer leaves it bare where only line feeds end lines
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ends, quoting=quoting)  # type: ignore[arg-type]  # a constant of csv
    writer.writerow(order)
    for number, (name, note) in enumerate(rows):
        values = {"Address": f"p{number}@example.org", "name": name, "NOTE ": note}
        writer.writerow([values[one] for one in order])
    content = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    found = rows_of(content)
    assert [one for _, one in found] == [
        Recipient(f"p{number}@example.org", {"name": name, "note": note})
        for number, (name, note) in enumerate(rows)
    ]
    lines = content.decode("utf-8-sig").split(ends)
    for line, one in found:
        assert isinstance(one, Recipient)
        if not any(mark in f"{name}{note}" for name, note in rows for mark in "\r\n"):
            assert one.address in lines[line - 1]


@given(blank=st.text(" \t\u00a0\u200b\u200f", max_size=3))
def test_an_empty_cell_of_a_value_that_is_needed_is_named(blank: str) -> None:
    content = f'address,name,note\na@example.org,"{blank}",x\n'.encode()
    ((line, one),) = rows_of(content)
    assert isinstance(one, Complaint)
    assert (line, one.words) == (2, ("name is empty, but the mail needs it.",))


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert refusal(content).startswith("people.csv ")


@given(rest=st.text(max_size=100))
def test_any_rows_are_read_or_refused(rest: str) -> None:
    content = f"address,name,note\n{rest}".encode(errors="replace")
    assert "line" in refusal(content)


@pytest.mark.parametrize("line", ["\n", ",,\n", "\r\n"])
def test_empty_rows_are_no_rows(line: str) -> None:
    found = rows_of(f"address,name,note\n{line}a@example.org,x,y\n{line}".encode())
    assert [number for number, _ in found] == [3]


def test_the_language_is_not_a_value(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("language,address,name,note\n de ,a@example.org,x,y\n")
    ((_, one),) = RecipientFile(path, TYPE).rows()
    assert one == Recipient("a@example.org", {"name": "x", "note": "y"}, "de")


def test_a_file_that_is_gone() -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        RecipientFile(Path("nowhere.csv"), TYPE)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('"[{""title"": ""New"", ""text"": """", ""url"": """"}]"',
         [{"title": "New", "text": "", "url": ""}]),
        ("", []), ("[]", []),
        ("New", None), ("{}", None), ("12", None), ("[" * 5000, None),
    ],
)  # fmt: skip
def test_a_list_is_json_in_its_cell(tmp_path: Path, cell: str, expected: Any) -> None:
    """No spreadsheet has lists; as text they would break every mail."""
    path = tmp_path / "news.csv"
    path.write_text(f"address;title;intro;sections\nmia@example.org;News;Hello;{cell}\n")
    type_ = next(one for one in SHIPPED if one.name == "newsletter")
    ((_, found),) = RecipientFile(path, type_).rows()
    if expected is None:
        assert isinstance(found, Complaint)
        assert found.words[0].startswith("sections needs JSON in its cell, such as [{")
    else:
        assert isinstance(found, Recipient)
        assert found.context["sections"] == expected
