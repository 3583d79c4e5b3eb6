"""Whose turn it is: the lanes that wait for a thread, by the health of their mail servers.

A server that says nothing costs its place in the worker for a moment, and a conversation for as
long as it is silent. So servers that took mail of late have most of the turns, and room that the
others cannot fill; those whose test succeeded, those that nobody knows, and those that could not be
reached, have a share each and never starve. Not thread-safe: the pool's lock guards it.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import get_args

from smtp_admin.delivery.maintenance.due import DueSender, Health

HEALTHS: tuple[Health, ...] = get_args(Health)
#: Turns of each while all of them wait.
_TURNS: Mapping[Health, int] = {"well": 4, "tested": 2, "new": 2, "failing": 1}
#: How much of all conversations each may have, in eighths.
_EIGHTHS: Mapping[Health, int] = {"well": 8, "tested": 2, "new": 3, "failing": 2}
#: Bytes of mail that are in memory before nobody else whose server is not well has a turn, and
#: before nobody at all has. In memory they take up to three times as much.
_MOST_HELD, _MOST_HELD_OF_ALL = 64 * 1024 * 1024, 192 * 1024 * 1024


@dataclass(slots=True)
class Use:
    """What is in use.

    Attributes:
        open: conversations, by the health of their senders when they began.
        held: bytes of mail in memory.
    """

    open: Mapping[Health, int]
    held: int = 0


class WaitingLanes:
    """The senders that wait for a thread, each once.

    Args:
        most: conversations that may be open at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[Health, OrderedDict[int, DueSender]] = {
            health: OrderedDict() for health in HEALTHS
        }
        self._credit: dict[Health, int] = dict.fromkeys(HEALTHS, 0)
        #: Those that must not begin now, by what they wait for.
        self._parked: dict[Hashable, dict[int, DueSender]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, health: Health) -> int:
        """How many wait whose health is this."""
        return len(self._queues[health])

    def put(self, sender: DueSender) -> None:
        """Let *sender* wait; at the front if its mail is urgent."""
        for queue in self._queues.values():
            before = queue.get(sender.sender_id)
            if before is not None and (before.health != sender.health or sender.urgent):
                del queue[sender.sender_id]
        queue = self._queues[sender.health]
        queue.setdefault(sender.sender_id, sender)
        if sender.urgent:
            queue.move_to_end(sender.sender_id, last=False)

    def take(self, use: Use, blocked: Callable[[DueSender], Hashable]) -> DueSender | None:
        """Who is next, or ``None`` if nobody can begin now.

        Args:
            blocked: what one must wait for, if it must not begin now; it does until :meth:`back`.
        """
        turns = [health for health in HEALTHS if self._has_room(health, use)]
        for health in turns:
            self._credit[health] += _TURNS[health]
        for health in sorted(turns, key=lambda one: -self._credit[one]):
            queue = self._queues[health]
            while queue:
                _, sender = queue.popitem(last=False)
                why = blocked(sender)
                if why is not None:
                    self._parked.setdefault(why, {})[sender.sender_id] = sender
                    continue
                self._credit[health] -= sum(_TURNS[one] for one in turns)
                return sender
            self._credit[health] = 0
        return None

    def is_crowded(self, health: Health) -> bool:
        """Whether more of this health wait than may be open at once."""
        return len(self._queues[health]) > self._room(health)

    def back(self, why: Hashable) -> None:
        """Those that waited for this may be asked again."""
        for sender in self._parked.pop(why, {}).values():
            self.put(sender)

    def _has_room(self, health: Health, use: Use) -> bool:
        if not self._queues[health] or use.open.get(health, 0) >= self._room(health):
            return False
        return use.held < (_MOST_HELD_OF_ALL if health == "well" else _MOST_HELD)

    def _room(self, health: Health) -> int:
        return max(1, self._most * _EIGHTHS[health] // 8)
