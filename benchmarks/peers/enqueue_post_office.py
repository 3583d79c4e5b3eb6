"""django-post_office: how fast ``send`` and ``send_many`` put mail into its table."""

from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-not-found]  # in the peers' environment
from django.core.management import call_command  # type: ignore[import-not-found]

from benchmarks.peers.post_office_command import configure
from benchmarks.peers.script import facts, tell_speeds, timed

_AT_ONCE = 500
_TYPE = Path(__file__).parents[2] / "templates" / "smtp_admin" / "email" / "renewal"
#: What the type's templates have that Django writes in another way.
_OTHERWISE = {"services.size": "services|length", "services[0]": "services.0",
              " | plus: more": "|add:more"}  # fmt: skip


def _template(part: str) -> str:
    text = (_TYPE / f"{part}.liquid").read_text()
    for liquid, django in _OTHERWISE.items():
        text = text.replace(liquid, django)
    return text.strip()


def main() -> None:
    """One a transaction, one a transaction that wakes a worker, then many at a time."""
    task: dict[str, Any] = facts()
    Celery("bench", broker=task["redis"]).set_default()
    configure(task, CELERY_ENABLED=True)
    call_command("migrate", verbosity=0)
    # These need the settings.
    from django.db import transaction  # type: ignore[import-not-found]
    from post_office import mail  # type: ignore[import-not-found]
    from post_office.models import EmailTemplate  # type: ignore[import-not-found]
    from post_office.signals import email_queued  # type: ignore[import-not-found]
    from post_office.tasks import queued_mail_handler  # type: ignore[import-not-found]

    one = {"recipients": [task["to"]], "sender": task["from"], "message": task["body"]}
    template = EmailTemplate.objects.create(
        name="renewal",
        subject=_template("subject"),
        content=_template("text"),
        html_content=_template("html"),
    )
    rendered = {"sender": task["from"], "template": template, "context": task["context"]}

    def send(number: int) -> None:
        mail.send(**one, subject=f"x {number}")

    def send_and_wake(number: int) -> None:
        with transaction.atomic():
            mail.send(**one, subject=f"x {number}")

    def send_many(step: int) -> None:
        first = step * _AT_ONCE
        mail.send_many([one | {"subject": f"x {first + more}"} for more in range(_AT_ONCE)])

    def send_many_rendered(_step: int) -> None:
        mail.send_many(
            [rendered | {"recipients": [f"p{more}@example.org"]} for more in range(_AT_ONCE)]
        )

    steps = max(1, task["count"] // _AT_ONCE)
    singly = max(50, task["count"] // 5)
    waking = timed(send_and_wake, singly)
    email_queued.disconnect(queued_mail_handler)
    tell_speeds(
        {
            "send": timed(send, singly),
            "send in a transaction that wakes Celery": waking,
            "send_many": timed(send_many, steps) * _AT_ONCE,
            "send_many of HTML": timed(send_many_rendered, max(1, steps // 4)) * _AT_ONCE,
        }
    )


if __name__ == "__main__":
    main()
