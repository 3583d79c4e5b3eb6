"""``docs/troubleshooting.md`` says what the table of causes says."""

import pytest

from smtp_admin.diagnosis.causes import ALL_CODES
from smtp_admin.diagnosis.table import causes
from tests.troubleshooting import PAGE, between_markers, parts

TEXT = PAGE.read_text("utf-8")


@pytest.mark.parametrize("name", parts())
def test_the_page_is_the_table(name: str) -> None:
    """``python -m tests.troubleshooting`` writes it anew."""
    assert between_markers(TEXT, name) == parts()[name]


@pytest.mark.parametrize("code", ALL_CODES)
def test_every_code_is_on_the_page(code: str) -> None:
    assert f"### `{code}`\n" in TEXT


def test_every_row_is_on_the_page() -> None:
    for row in causes().rows:
        first_words = row.what.partition("{")[0]
        assert f"| {first_words}" in TEXT, row.key


def test_every_symptom_is_on_the_page_and_has_causes() -> None:
    for one in causes().symptoms:
        assert f"### {one.title}\n" in TEXT
        assert len([row for row in causes().rows if one.key in row.symptoms]) >= 4, one.key
