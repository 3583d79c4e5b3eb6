"""What a lower floor tells a higher one, and what a host may listen to (blinker signals)."""

from blinker import Namespace

_signals = Namespace()

#: The settings of a sender changed. Sender: the Flask app. Arguments: ``sender_id``,
#: ``partner_id``, ``revision`` (int). Sent inside the transaction that changes them.
settings_changed = _signals.signal("settings-changed")

#: Which mail of a partner goes by which sender changed. Arguments: ``session``, ``partner_id``.
#: Sent inside the transaction that changes it.
routes_changed = _signals.signal("routes-changed")

#: A delivery was accepted by a mail server. Arguments: ``public_id`` (of the mail, as ``send``
#: returned it), ``recipient``, ``partner_id``. Sent by the worker after the result is committed.
delivery_sent = _signals.signal("delivery-sent")

#: A delivery became a dead letter. Arguments as :data:`delivery_sent`, and ``reason`` (a sentence).
delivery_dead = _signals.signal("delivery-dead")

#: A provider told what became of a mail. Arguments as :data:`delivery_sent`, and ``kind``
#: (``delivered``, ``deferred``, ``bounced``, ``complained``, ``opened``, ``clicked``,
#: ``unsubscribed``) and ``bounce`` (``hard``, ``soft``, ``policy`` or ``""``). Sent by the worker
#: after it was committed; the same may be told twice.
mail_event = _signals.signal("mail-event")

#: A sender paused itself. Arguments: ``sender_id``, ``partner_id``, ``code``, ``reason``.
sender_paused = _signals.signal("sender-paused")

#: An alert opened. Arguments: ``alert_id`` (public), ``kind``, ``severity``, ``partner_id`` (``""``
#: for the system), ``sender_id`` (0 where it is no sender's), ``headline``, ``detail``. Sent by the
#: worker after it was committed; by another one once more, if the first died in between.
alert_opened = _signals.signal("alert-opened")

#: The same alert ended. Arguments as :data:`alert_opened`.
alert_ended = _signals.signal("alert-ended")
