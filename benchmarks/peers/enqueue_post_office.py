"""django-post_office: how fast ``send`` and ``send_many`` put mail into its table."""

from django.core.management import call_command  # type: ignore[import-not-found]

from benchmarks.peers.post_office_command import configure
from benchmarks.peers.script import facts, tell_speeds, timed

_AT_ONCE = 500


def main() -> None:
    """One a transaction, then many at a time."""
    task = facts()
    configure(task)
    call_command("migrate", verbosity=0)
    from post_office import mail  # type: ignore[import-not-found]  # needs the settings

    one = {"recipients": [task["to"]], "sender": task["from"], "message": task["body"]}

    def send(number: int) -> None:
        mail.send(**one, subject=f"x {number}")

    def send_many(step: int) -> None:
        first = step * _AT_ONCE
        mail.send_many([one | {"subject": f"x {first + more}"} for more in range(_AT_ONCE)])

    steps = max(1, task["count"] // _AT_ONCE)
    singly = timed(send, max(50, task["count"] // 5))
    tell_speeds({"send": singly, "send_many": timed(send_many, steps) * _AT_ONCE})


if __name__ == "__main__":
    main()
