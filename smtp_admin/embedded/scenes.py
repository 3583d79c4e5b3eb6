"""Partners of the demo in the states that a sender can be in, so that each can be looked at.

All of them send to the local test inbox; what goes wrong in it goes wrong on purpose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from smtp_admin.database import session
from smtp_admin.embedded.local import LocalServices
from smtp_admin.host import Actor
from smtp_admin.mail.message import Message
from smtp_admin.senders import pauses
from smtp_admin.senders.resolve import load_sender
from smtp_admin.senders.revisions import save_settings
from smtp_admin.senders.values import SenderValues

Send = Callable[..., str]


@dataclass(frozen=True)
class Scene:
    """One partner and what happens to its mail.

    Attributes:
        settings: what differs from those of the inbox.
        mail: the names before the @ that mail goes to.
        password: ``None`` for the right one.
    """

    partner_id: str
    name: str
    mail: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    password: str | None = None
    paused: bool = False


SCENES = (
    Scene("sending", "Sending Ltd", tuple(f"customer{n}" for n in range(12))),
    Scene("paused", "Paused Ltd", ("anna", "bert", "cara"), paused=True),
    Scene("limited", "Limited Ltd", tuple(f"c{n}" for n in range(8)), {"max_per_hour": 3}),
    Scene("dead-letters", "Dead Letters Ltd", ("dora", "gone", "gone")),
    Scene("waiting", "Waiting Ltd", ("emil", "full", "full", "slow")),
    Scene("stopped", "Wrong Password Ltd", ("finn", "gina"), password="not the inbox's"),  # noqa: S106
)
#: So many partners the list of the demo has, so that it has more than one page can show at once.
PARTNERS = 40


def more_partners(there: int) -> Iterator[tuple[str, str]]:
    """Id and name of those that are added to the *there* first ones."""
    yield from ((one.partner_id, one.name) for one in SCENES)
    for number in range(there + len(SCENES) + 1, PARTNERS + 1):
        yield f"partner-{number}", f"Partner {number} Ltd"


def set_scenes(send: Send, local: LocalServices, actor: Actor) -> None:
    """Save the senders and queue their mail; call it inside an app context, before a worker runs.

    Args:
        send: the plugin's own ``send_message``.
    """
    for one in SCENES:
        values: dict[str, Any] = {
            "host": "localhost",
            "port": local.inbox_port,
            "security": "tls",
            "username": local.inbox_settings["Login"],
            "from_email": f"noreply@{one.partner_id}.example",
            "from_name": one.name,
        }
        password = local.inbox_settings["Password"] if one.password is None else one.password
        save_settings(
            session(),
            one.partner_id,
            SenderValues(**(values | one.settings)),
            secrets={"password": password},
            expected_revision=0,
            actor=actor,
        )
        for name in one.mail:
            message = Message(
                f"News from {one.name}",
                recipients=[f"{name}@customer.example"],
                body=f"Hello {name},\nall is well.\n",
            )
            send(message, partner_id=one.partner_id)
        if one.paused:
            pauses.pause(session(), load_sender(session(), one.partner_id), actor)
        session().commit()
