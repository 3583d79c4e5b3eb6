"""Whether a worker may act for its database, from its start on, and what it says about that."""

import logging
import threading

from sqlalchemy import Engine

from smtp_admin.database import transaction
from smtp_admin.installation import installation
from smtp_admin.sandbox import site
from smtp_admin.senders.pauses import forget_pauses_of_the_start

log = logging.getLogger(__name__)


class Permission:
    """What was found out when anybody last looked; it may come, and go, while the worker runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looking = threading.Lock()
        self._told: bool | None = None
        #: Whether the worker may act, as far as is known.
        self.held = False

    def begin(self) -> None:
        """Look for the first time, and say in the log what is not as usual.

        Of a new database the worker's own address becomes the first that may act.
        """
        sandbox = installation().config.sandbox
        if sandbox is not None:
            log.warning("this is a sandbox: SMTP_ADMIN_SANDBOX is %s", sandbox)
        site.record_start(self._engine)
        self.look()

    def look(self) -> bool:
        """Whether the worker may act now."""
        with self._looking:
            found = site.standing(self._engine)
            if found.acts and not self.held:
                # Only now, because it writes: elsewhere a start changes nothing.
                with transaction(self._engine) as session:
                    forget_pauses_of_the_start(session)
            if found.acts != self._told:
                _tell(found)
            self.held = self._told = found.acts
        return self.held


def _tell(found: site.Standing) -> None:
    if not found.acts:
        log.warning("%s %s", found.reason, found.hint)
    elif found.recorded:
        log.info("this worker acts for %s", found.address)
