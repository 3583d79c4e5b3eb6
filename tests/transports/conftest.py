"""What tests of drivers share."""

from pathlib import Path

import pytest

from tests.transports.programs import MakeProgram


@pytest.fixture
def program(tmp_path: Path) -> MakeProgram:
    """Write a shell script that stands for a mail program."""

    def make(text: str, name: str = "sendmail") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return path

    return make
