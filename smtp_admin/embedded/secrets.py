"""The secrets of the example, made once on each machine, so that none stands in the source."""

import json
import os
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from smtp_admin.embedded.files import private_folder

_FILE = "secrets.json"


def _encryption_key() -> str:
    return urlsafe_b64encode(os.urandom(32)).decode()


@dataclass(frozen=True, slots=True)
class DemoSecrets:
    """What has to stay the same from one start to the next."""

    flask_secret_key: str = field(default_factory=secrets.token_urlsafe, repr=False)
    smtp_admin_secret_key: str = field(default_factory=_encryption_key, repr=False)
    inbox_password: str = field(default_factory=lambda: secrets.token_hex(10), repr=False)
    redis_password: str = field(default_factory=secrets.token_urlsafe, repr=False)


def load_or_create(folder: Path) -> DemoSecrets:
    """The secrets of this folder; of several processes that start at once, one makes them.

    Raises:
        RuntimeError: the file is there but unreadable. It is not replaced, because what was
            encrypted with the old key would be lost with it.
    """
    path = private_folder(folder) / _FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    made = DemoSecrets()
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(asdict(made), stream, indent=2)
    return made


def _read(path: Path) -> DemoSecrets:
    deadline = time.monotonic() + 2
    # Empty for an instant only: another process has just opened it and is about to write.
    while not (content := path.read_text("utf-8")) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        values = json.loads(content)
        return DemoSecrets(**{one.name: str(values[one.name]) for one in fields(DemoSecrets)})
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"{path} cannot be read; put it back from a copy, or delete it to start again "
            "(stored SMTP passwords must then be typed in again)."
        ) from error
