"""docs/adding-a-driver.md: its example runs, and its list of files is all there is to touch."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from smtp_admin.errors import ConfigError
from smtp_admin.smtp.deadline import Deadline
from smtp_admin.smtp.failure import SMTPFailure
from smtp_admin.smtp.report import Report
from smtp_admin.transports import registry
from smtp_admin.transports.driver import Driver, Trial
from tests.test_docs import ROOT, TEXTS, blocks, coded, rows, section
from tests.transports import folder_driver
from tests.transports.contract.sink import surroundings
from tests.transports.sending import ACCEPTED, deliver, mails, verdicts

PAGE = "docs/adding-a-driver.md"


@pytest.fixture
def example() -> ModuleType:
    """The page's example, run as it stands there."""
    [code] = [text for page, text in blocks("python") if page == PAGE and "DRIVER = " in text]
    module = ModuleType("example")
    exec(compile(code, PAGE, "exec"), vars(module))  # noqa: S102 - it is our own
    return module


def test_the_example_is_the_one_that_the_contract_suite_runs() -> None:
    code = Path(folder_driver.__file__).read_text("utf-8")
    assert f"```python\n{code}```" in TEXTS[PAGE]


def test_the_example_works(example: ModuleType, tmp_path: Path) -> None:
    """Registered, entered, tested, sent: with nothing but what is in the example."""
    new: Driver = example.DRIVER
    registry.register(new)
    try:
        assert registry.driver("folder") is new
        assert new in registry.drivers()
        assert not registry.is_shipped("folder")
        entered = {"folder": f" {tmp_path} ", "stamp_key": "secret!"}
        cleaned = {one.name: one.clean(entered[one.name]) for one in new.fields}
        hidden = {one.name: cleaned.pop(one.name) for one in new.fields if one.secret}
        setup = new.read(cleaned, hidden)
        assert setup == new.read(cleaned, hidden)
        assert setup != new.read(cleaned, {"stamp_key": "another"})
        assert "secret!" not in f"{setup!r} {setup.settings!r} {setup.place}"
        trial = Trial(setup, "a@acme.example", surroundings(), Report(), Deadline(5))
        new.test(trial)
        assert [step.name for step in trial.report.steps] == [*new.steps]
        found = deliver(new.open(setup, surroundings()), mails(2))
        assert verdicts(found) == {0: ACCEPTED, 1: ACCEPTED}
        assert (tmp_path / "1.eml").read_bytes() == mails(2)[1].content
    finally:
        registry.forget("folder")
    with pytest.raises(LookupError, match="smtp, mailgun, ses, ses-role, sendmail, memory"):
        registry.driver("folder")


def test_the_example_says_what_is_wrong(example: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whole path"):
        example.clean_folder("mails")
    setup = example.read({"folder": str(tmp_path / "none")}, {})
    trial = Trial(setup, "", surroundings(), Report(), Deadline(5))
    with pytest.raises(SMTPFailure):
        example.DRIVER.test(trial)
    assert [(one.name, one.status) for one in trial.report.steps] == [("connect", "failed")]


def test_a_name_is_taken_once(example: ModuleType) -> None:
    registry.register(folder_driver.DRIVER)
    try:
        registry.register(folder_driver.DRIVER)
        with pytest.raises(ConfigError, match="already"):
            registry.register(example.DRIVER)
    finally:
        registry.forget("folder")
    registry.forget("smtp")
    assert registry.driver("smtp")


def test_every_shipped_driver_is_in_each_file_of_the_list() -> None:
    """What the page forgets would be found missing here for the next driver."""
    table = section(PAGE, "Files to touch").partition("comes along")[2]
    listed = [coded(row[0]) for row in rows(table)]
    assert len(listed) == 5
    for one in registry.drivers():
        for alternatives in listed:
            # One that is a variant of another, such as "ses-role", stands in that one's files.
            name = one.name.partition("-")[0]
            paths = [ROOT / path.replace("NAME", name) for path in alternatives]
            texts = [path.read_text("utf-8") for path in paths if path.exists()]
            assert texts, f"{one.name} has none of {alternatives}"
            assert re.search(rf"\b{name}\b|\b{name}_sink\b", "\n".join(texts))


def test_the_list_of_drivers_is_complete() -> None:
    listed = [coded(row[0]) for row in rows(section(PAGE, "The drivers that come along"))]
    assert listed == [[one.name] for one in registry.drivers()]
