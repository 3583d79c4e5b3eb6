"""django-post_office's ``send_queued_mail`` on PostgreSQL: one process, one connection."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django  # type: ignore[import-not-found]  # in the peers' environment
from django.conf import settings  # type: ignore[import-not-found]
from django.core.management import call_command  # type: ignore[import-not-found]

from benchmarks.peers.script import facts, ready, wait_for_word

_AT_ONCE = 500


def configure(task: dict[str, Any], **more: Any) -> None:
    """The settings that its documentation asks for, and *more* of its own."""
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DATABASES={"default": _database(task["database"])},
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates"},
            {
                "BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates",
                "NAME": "post_office",
                "OPTIONS": {"context_processors": []},
            },
        ],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=task["port"],
        POST_OFFICE={
            "BATCH_SIZE": 1000,  # a connection for each batch; the default is 100
            "THREADS_PER_PROCESS": task["connections"],
            **more,
        },
    )
    django.setup()


def _database(url: str) -> dict[str, Any]:
    address = urlsplit(url)
    if address.scheme.startswith("sqlite"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": address.path.removeprefix("/"),
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"},  # as ours has it
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": address.hostname,
        "PORT": address.port,
        "USER": address.username,
        "NAME": address.path.removeprefix("/"),
    }


def main() -> None:
    """Queue, wait, work."""
    task = facts()
    configure(task)
    call_command("migrate", verbosity=0)
    from post_office import mail  # type: ignore[import-not-found]  # needs the settings

    one = {"recipients": [task["to"]], "sender": task["from"], "message": task["body"]}
    for first in range(0, task["count"], _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, task["count"]))
        mail.send_many([one | {"subject": f"x {number}"} for number in numbers])
    ready()
    wait_for_word()
    call_command("send_queued_mail", lockfile=str(Path(task["folder"]) / "post_office"))


if __name__ == "__main__":
    main()
