"""A driver of the host's with fields of its own, which the table must carry everywhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from smtp_admin.credentials.none import NoLogin
from smtp_admin.transports.driver import Driver, Setup, Surroundings, Trial
from smtp_admin.transports.fields import Field, clean_flag, whole_number
from smtp_admin.transports.registry import forget, register

__all__ = ["toy_driver"]


def _word(text: str) -> str:
    if " " in text.strip():
        raise ValueError("A tower has one word.")
    return text.strip()


FIELDS = (
    Field("tower", "Tower", _word, help="Where the pigeons live.", required="Enter the tower.",
          destination=True, option="--tower"),
    Field("birds", "Birds", whole_number(1, 99, empty=3, sentence="From 1 to 99 birds."),
          default=3, kind="number", option="--birds"),
    Field("by_night", "Fly by night", clean_flag, default=False, kind="flag", place="more",
          option="--by-night"),
    Field("call", "Call", lambda text: text, kind="secret", help="What the pigeons listen to."),
)  # fmt: skip


def _no_transport(_setup: Setup, _around: Surroundings) -> Any:
    raise NotImplementedError


def _test(trial: Trial) -> None:
    trial.report.run("whistle", lambda: (f"at {trial.setup.place}", None))


def _read(values: Mapping[str, Any], _secrets: Mapping[str, str]) -> Setup:
    return Setup("pigeon", (values["tower"],), NoLogin(), values["tower"])


@contextmanager
def toy_driver() -> Iterator[Driver]:
    """The driver ``pigeon``, registered for as long as the block runs."""
    made = Driver(
        name="pigeon",
        label="Pigeon post",
        comparison="Slow, and never in fog.",
        fields=FIELDS,
        steps={"whistle": "Whistle"},
        read=_read,
        open=_no_transport,
        test=_test,
    )
    register(made)
    try:
        yield made
    finally:
        forget(made.name)
