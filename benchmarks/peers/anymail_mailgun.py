"""django-anymail: mail to Mailgun, one request after the other on each of some threads."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django  # type: ignore[import-not-found]  # in the peers' environment
from django.conf import settings  # type: ignore[import-not-found]

from benchmarks.peers.script import facts, ready, wait_for_word


def main() -> None:
    """Make the mails, wait, send."""
    task: dict[str, Any] = facts()
    settings.configure(
        EMAIL_BACKEND="anymail.backends.mailgun.EmailBackend",
        ANYMAIL={
            "MAILGUN_API_KEY": "a-key",
            "MAILGUN_API_URL": f"http://127.0.0.1:{task['port']}/v3",
            "MAILGUN_SENDER_DOMAIN": "mg.acme.example",
        },
    )
    django.setup()
    from django.core.mail import EmailMessage, get_connection  # type: ignore[import-not-found]

    mails = [
        EmailMessage(f"x {number}", task["body"], task["from"], [task["to"]])
        for number in range(task["count"])
    ]
    threads = task["connections"]
    shares = [mails[first::threads] for first in range(threads)]

    def send(share: list[Any]) -> None:
        # Of many at once it keeps its connection.
        get_connection().send_messages(share)

    ready()
    wait_for_word()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, shares))


if __name__ == "__main__":
    main()
