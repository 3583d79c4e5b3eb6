"""The table itself: every row wins its example, and no reply is judged but as it foresees."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_admin.diagnosis.table import causes
from smtp_admin.providers.catalogue import replies
from smtp_admin.replies import table as table_module
from smtp_admin.replies.classes import by_class, is_for_good
from smtp_admin.replies.meaning import OPENING, STEPS, Context, Login, SenderHealth, Step, Verdict
from smtp_admin.replies.row import BadRow, Row, row_of
from smtp_admin.replies.table import Table, read_table, rows_of
from smtp_admin.smtp.reply import Reply
from tests.replies.judging import example_of, reply_of
from tests.replies.page import FILE as PAGE
from tests.replies.page import page

ROWS = replies().rows
FILE = table_module.FILE
GOOD = {"key": "full", "codes": "452", "example": "rcpt 452 full"}
DECIDES = GOOD | {"code": "server_refused", "verdict": "temporary", "test": "warning"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_each_row_wins_its_example(row: Row) -> None:
    step, text = example_of(row)
    assert step in row.steps
    judged = replies().judge(step, reply_of(text), row.given)
    assert judged.row == row.key
    assert judged.cause == row.cause
    assert judged.reason.endswith(".")


def _judged_as_foreseen(step: Step, reply: Reply, context: Context) -> None:
    judged = replies().judge(step, reply, context)
    known = by_class(step, reply)
    by_its_class = (judged.verdict, judged.health, judged.code, judged.reason) == (
        known.verdict, known.health, known.code, known.reason,
    )  # fmt: skip
    if judged.recognised:
        (row,) = (one for one in ROWS if one.key == judged.row)
        assert step in row.steps
        assert judged.cause == row.cause
        columns = (row.verdict, row.health, row.code)
        assert by_its_class or (judged.verdict, judged.health, judged.code) == columns
    else:
        assert judged == known
    # No attempt is burnt where the sender failed, and nobody's mail circles without a pause.
    assert (judged.verdict is Verdict.RELEASED) is (judged.health is not SenderHealth.FINE)
    if judged.verdict is Verdict.PERMANENT:
        assert is_for_good(step, reply)
        assert step not in OPENING
    if step in OPENING:
        assert judged.test == "failed" or not judged.recognised
    if reply.temporary and step in {"mail", "rcpt"}:
        assert (judged.test == "failed") is (judged.health is SenderHealth.MISCONFIGURED)
    assert judged.pause is None or judged.pause >= 10


_WORDS = sorted({word for row in ROWS for word in example_of(row)[1].split()[1:]})
_FRAGMENTS = st.lists(st.sampled_from(_WORDS) | st.text(min_size=1, max_size=8), max_size=12)
_LOGINS: tuple[Login, ...] = ("", "given", "left_out", "none")


@given(
    st.sampled_from(STEPS),
    st.integers(400, 599),
    st.sampled_from(["", *sorted({example_of(row)[1].split()[1] for row in ROWS})]),
    _FRAGMENTS,
    st.sampled_from(_LOGINS),
)
def test_random_replies_mean_what_the_table_foresees(
    step: Step, code: int, enhanced: str, words: list[str], login: Login
) -> None:
    reply = Reply(code, (f"{enhanced} {' '.join(words)}".strip(),))
    _judged_as_foreseen(step, reply, Context("mia@example.org", "news@acme.example", "", login))


@given(st.sampled_from(ROWS), st.sampled_from(STEPS), st.sampled_from(_LOGINS))
def test_examples_at_other_steps_mean_what_the_table_foresees(
    row: Row, step: Step, login: Login
) -> None:
    _judged_as_foreseen(step, reply_of(example_of(row)[1]), Context(login=login))


def test_long_words_take_no_time() -> None:
    """A hostile server may say 64 kilobytes of whatever makes patterns slow."""
    for words in ("the user is " * 5000, "domain " * 9000, "EHLO " * 9000, "@." * 30000):
        assert replies().judge("rcpt", Reply(550, (words,))).code


@pytest.mark.parametrize(
    "raw",
    [
        GOOD | {"colour": "red"},
        {"codes": "452", "example": "rcpt 452 full"},
        {"key": "full", "codes": "452"},
        {"key": "full", "example": "rcpt 452 full"},
        GOOD | {"steps": "quit"},
        GOOD | {"codes": "250"},
        GOOD | {"codes": "five"},
        GOOD | {"enhanced": "5.1"},
        GOOD | {"says": "("},
        GOOD | {"bare": False},
        GOOD | {"names": "nobody"},
        GOOD | {"login": "perhaps"},
        GOOD | {"health": "down"},
        GOOD | {"code": "server_refused"},
        DECIDES | {"code": "no_such_code"},
        DECIDES | {"verdict": "accepted"},
        DECIDES | {"verdict": "released"},
        DECIDES | {"health": "down"},
        DECIDES | {"test": "ok"},
        DECIDES | {"pause": 0},
        DECIDES | {"pause": "later"},
        DECIDES | {"verdict": "permanent", "pause": 60},
        DECIDES | {"given": {"colour": "red"}},
        {name: value for name, value in DECIDES.items() if name != "test"},
    ],
    ids=repr,
)
def test_a_row_that_cannot_be_used_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(BadRow, match=r"replies\.toml: (?:full|a row)"):
        row_of(raw, "replies.toml")


def test_rows_of_a_provider_are_asked_first() -> None:
    raw = [
        DECIDES
        | {"key": "acme_full", "says": "acme", "hosts": "acme.example", "cause": "acme_is_full"}
    ]
    extra = rows_of(raw, "acme.toml", provider="acme")
    table = read_table(FILE.read_text("utf-8"), extra)
    said = Reply(452, ("4.3.1 acme is full",))
    for host, cause in (("smtp.acme.example", "acme_is_full"), ("acme.test", "server_full")):
        assert table.judge("rcpt", said, Context(host=host)).cause == cause
    assert table.rows[0].provider == "acme"


def test_what_one_provider_says_stands_in_its_file() -> None:
    """So a provider's words and what is behind them are found, and changed, in one place."""
    of_provider = {row.key: row.provider for row in causes().rows if row.provider}
    for row in ROWS:
        assert of_provider.get(row.cause, row.provider) == row.provider, row.key
    assert {row.provider for row in ROWS} >= {"gmail", "microsoft365", "ses", "sendgrid", ""}
    in_order = [bool(row.provider) for row in ROWS]
    assert in_order == sorted(in_order, reverse=True), "the general ones come last"
    with pytest.raises(BadRow, match="unknown column: provider"):
        row_of(DECIDES | {"provider": "acme"}, "replies.toml")


def test_two_rows_of_one_name_are_refused() -> None:
    row = row_of(DECIDES, "x")
    with pytest.raises(BadRow, match="two rows full"):
        Table([row], {"server_refused": "No."}, [row])
    with pytest.raises(BadRow, match="no reason for server_refused"):
        Table([row], {})


def test_facts_are_what_the_words_name() -> None:
    said = reply_of("550 Domain acme.example has exceeded the max emails per hour (150/100 (150%))")
    assert dict(replies().judge("rcpt", said).facts) == {"limit": "100"}


def test_the_file_says_what_its_columns_are() -> None:
    """Whoever adds a row reads its head."""
    head, _, rest = FILE.read_text("utf-8").partition("[reasons]")
    used = {name for row in tomllib.loads("[reasons]" + rest)["replies"] for name in row}
    for name in used - {"key", "example", "given", "provider", "but_not", "bare"}:
        assert f"#   {name} " in head


def test_the_page_shows_the_table() -> None:
    """``python -m tests.replies.page`` writes it anew."""
    text = PAGE.read_text("utf-8")
    assert text == page(text)
