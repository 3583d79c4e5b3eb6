"""Bounces in plain words, and mail that is none; every name is an example."""

from tests.events.bounces.letters import MIA, Letter, head, plain, returned_head

NOAH = "noah@example.org"
DAEMON = "Mail Delivery System <Mailer-Daemon@mx.example.net>"
_COPY = returned_head()

WORDS = (
    Letter("exim", plain(DAEMON, "Mail delivery failed: returning message to sender", """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  mia@example.org
    host mx.example.org [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<mia@example.org>:
    550 5.1.1 <mia@example.org>: Recipient address rejected: User unknown

------ This is a copy of the message, including all the headers. ------
""", "X-Failed-Recipients: mia@example.org", "Auto-Submitted: auto-replied", returned="\n" + _COPY),
        {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("exim, unrouteable", plain(DAEMON, "Mail delivery failed: returning message to sender", """\
A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  mia@example.org
    Unrouteable address

------ This is a copy of the message, including all the headers. ------
""", "X-Failed-Recipients: mia@example.org", returned=_COPY), {MIA: ("bounced", "hard", "")}),
    Letter("exim, two failed differently", plain(DAEMON, "Mail delivery failed", """\
This is a permanent error. The following address(es) failed:

  mia@example.org
    SMTP error from remote mail server after end of data: 552 5.2.2 mailbox full
  noah@example.org
    SMTP error from remote mail server after RCPT TO:<noah@example.org>: 550 No such user
""", "X-Failed-Recipients: mia@example.org, noah@example.org"),
        {MIA: ("bounced", "soft", "5.2.2"), NOAH: ("bounced", "hard", "550")}),
    Letter("exim, warning", plain(DAEMON, "Warning: message 1abcDE-0001 delayed 24 hours", """\
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.net.

The address to which the message has not yet been delivered is:

  mia@example.org
    Delay reason: SMTP timeout after initial connection

No action is required on your part. Delivery attempts will continue for
some time, and this warning may be repeated at intervals.
"""), {MIA: ("deferred", "", "")}),
    Letter("qmail", plain("MAILER-DAEMON@qmail.example.net", "failure notice", """\
Hi. This is the qmail-send program at qmail.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<mia@example.org>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 no such mailbox
Giving up on 192.0.2.7.

--- Below this line is a copy of the message.

Return-Path: <noreply@acme.example>
""", returned=_COPY), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("qmail, no mailbox", plain("MAILER-DAEMON@qmail.example.net", "failure notice", """\
Hi. This is the qmail-send program at example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<mia@example.org>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <noreply@acme.example>
""", returned=_COPY), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("qmail, full", plain("MAILER-DAEMON@qmail.example.net", "failure notice", """\
Hi. This is the qmail-send program at example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<mia@example.org>:
The users mailfolder is over the allowed quota (size). (#5.2.2)

--- Below this line is a copy of the message.
""", returned="\n" + _COPY), {MIA: ("bounced", "soft", "5.2.2")}),
    Letter("qmail, could not connect", plain("MAILER-DAEMON@qmail.example.net", "failure notice", """\
Hi. This is the qmail-send program at qmail.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<mia@example.org>:
Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)
I'm not going to try again; this message has been in the queue too long.

--- Below this line is a copy of the message.
""", returned="\n" + _COPY), {MIA: ("bounced", "soft", "4.4.1")}),
    Letter("postfix of old", plain(DAEMON, "Undelivered Mail Returned to Sender", """\
This is the Postfix program at host mx.example.net.

I'm sorry to have to inform you that your message could not be
delivered to one or more recipients. It's attached below.

<mia@example.org>: host mx.example.org[192.0.2.7] said: 550 <mia@example.org>:
    User unknown (in reply to RCPT TO command)
"""), {MIA: ("bounced", "hard", "550")}),
    Letter("sendmail of old", plain("Mail Delivery Subsystem <MAILER-DAEMON@host.example.net>",
        "Returned mail: User unknown", """\
The original message was received at Sun, 29 Nov 2026 09:58:00 GMT
from acme.example [192.0.2.1]

   ----- The following addresses had permanent fatal errors -----
<mia@example.org>

   ----- Transcript of session follows -----
... while talking to mx.example.org.:
>>> RCPT To:<mia@example.org>
<<< 550 5.1.1 unknown user
550 <mia@example.org>... User unknown
"""), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("sendmail of old, warning", plain("Mail Delivery Subsystem <MAILER-DAEMON@host.example.net>",
        "Warning: could not send message for past 4 hours", """\
    **********************************************
    **      THIS IS A WARNING MESSAGE ONLY      **
    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **
    **********************************************

   ----- The following addresses had transient non-fatal errors -----
<mia@example.org>

   ----- Transcript of session follows -----
<mia@example.org>... Deferred: Connection timed out with mx.example.org.
"""), {MIA: ("deferred", "", "")},
        judge="takes a warning for a failure"),
    Letter("yahoo", plain("MAILER-DAEMON@yahoo.example", "Failure Notice", """\
Sorry, we were unable to deliver your message to the following address.

<mia@example.org>:
554: delivery error: dd This user doesn't have an account here (mia@example.org) [0] - mta1034.example

--- Below this line is a copy of the message.

""", returned=_COPY), {MIA: ("bounced", "hard", "554")}),
    Letter("yahoo, discontinued", plain("MAILER-DAEMON@yahoo.example", "Failure Notice", """\
Sorry, we were unable to deliver your message to the following address.

<mia@example.org>:
Remote host said: 554 delivery error: dd Sorry your message to mia@example.org cannot be delivered. \
This account has been disabled or discontinued [#102]. - mta1.example
"""), {MIA: ("bounced", "hard", "554")}),
    Letter("exchange of old", plain("System Administrator <postmaster@exchange.example>",
        "Undeliverable: Your order", """\
Your message did not reach some or all of the intended recipients.

      Subject:  Your order
      Sent:     11/29/2026 9:58 AM

The following recipient(s) could not be reached:

      mia@example.org on 11/29/2026 9:59 AM
            The e-mail account does not exist at the organization this message was sent to.
            <mail.example.org #5.1.1 smtp;550 5.1.1 User unknown>
"""), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("exchange in html", plain("Microsoft Outlook <postmaster@acme.example>",
        "Undeliverable: Your order", """\
<html><body><p><b>Delivery has failed to these recipients or groups:</b></p>
<p>Mia (<a href="mailto:mia@example.org">mia@example.org</a>)<br>
The email address you entered couldn't be found. Please check it and try to resend.</p>
<p>Diagnostic information for administrators:</p>
<p>mia@example.org<br>#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##</p></body></html>
""", kind="text/html; charset=utf-8"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("domino", plain("postmaster@domino.example", "DELIVERY FAILURE: User not listed", """\
Your message

  Subject: Your order

was not delivered to:

  mia@example.org

because:

  User mia (mia@example.org) not listed in Domino Directory
"""), {MIA: ("bounced", "hard", "")}),
    Letter("groupwise", plain("Mailer-Daemon@groupwise.example", "Message status - undeliverable", """\
The message that you sent was undeliverable to the following:
        mia@example.org (user not found)
"""), {MIA: ("bounced", "hard", "")}),
    Letter("gmail of old", plain("Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        "Delivery Status Notification (Failure)", """\
Delivery to the following recipient failed permanently:

     mia@example.org

Technical details of permanent failure:
The error that the other server returned was:
550 550 5.1.1 <mia@example.org>... User unknown (state 14).

----- Original message -----

""", "X-Failed-Recipients: mia@example.org", returned=_COPY), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("gmail of old, delayed", plain("Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        "Delivery Status Notification (Delay)", """\
This is an automatically generated Delivery Status Notification

THIS IS A WARNING MESSAGE ONLY.

YOU DO NOT NEED TO RESEND YOUR MESSAGE.

Delivery to the following recipient has been delayed:

     mia@example.org

Message will be retried for 2 more day(s)
"""), {MIA: ("deferred", "", "")}),
    Letter("courier", plain("MAILER-DAEMON@courier.example", "NOTICE: mail delivery status.", """\
This is a delivery status notification from courier.example,
running the Courier mail server, version 0.73.

The original message was received on Sun, 29 Nov 2026 09:58:00 +0000

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<mia@example.org>:
    550 User unknown.
"""), {MIA: ("bounced", "hard", "550")}),
    Letter("a german provider", plain("Mail Delivery System <mailer-daemon@provider.example>",
        "Mail delivery failed: returning message to sender", """\
Diese Nachricht wurde automatisch erzeugt. Ihre E-Mail konnte nicht zugestellt werden: Delivery failed.

mia@example.org:
550 Requested action not taken: mailbox unavailable
Empfänger unbekannt
"""), {MIA: ("bounced", "hard", "550")}),
    Letter("policy in plain words", plain(DAEMON, "Mail delivery failed", """\
A message that you sent could not be delivered. This is a permanent error.

  mia@example.org
    host mx.example.org [192.0.2.7]: 554 5.7.1 Message rejected as spam by content filtering
"""), {MIA: ("bounced", "policy", "5.7.1")}),
    Letter("nobody is named", plain(DAEMON, "Mail delivery failed", """\
The message could not be delivered: 550 5.1.1 User unknown.

--- Below this line is a copy of the message.

""", returned=_COPY), {"": ("bounced", "hard", "5.1.1")}),
)  # fmt: skip

NOTHING = (
    Letter("vacation", plain("Mia <mia@example.org>", "Out of office: Your order",
        "I am away until Monday. In urgent cases write to noah@example.org.",
        "Auto-Submitted: auto-replied", "In-Reply-To: <x@acme.example>"), {}),
    Letter("vacation with an error in it", plain("Mia <mia@example.org>", "Automatic reply",
        "<mia@example.org>: 550 5.1.1 User unknown, or so I wish. I am away.",
        "Auto-Submitted: auto-replied"), {}),
    Letter("vacation of a postmaster", plain("postmaster@example.org", "Out of office",
        "mia@example.org could not be reached. She is on holiday.", "Auto-Submitted: auto-replied"), {}),
    Letter("automatic answer of a help desk", plain("Support <help@example.org>", "[Ticket 4711] Your order",
        "We have received your mail, which could not be answered yet.", "X-Autoreply: yes",
        "Precedence: auto_reply"), {}),
    Letter("a person answers", plain("Mia <mia@example.org>", "Re: Your order",
        "My old address <mia@example.org>: 550 User unknown. Use this one.", "In-Reply-To: <y@acme.example>"), {}),
    Letter("read", head("Mia <mia@example.org>", "Read: Your order",
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b1"')
        + "\n--b1\nContent-Type: text/plain\n\nIt was read.\n\n--b1\n"
        "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; mia@example.org\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n\n--b1--\n", {}),
    Letter("a complaint", head("abuse@provider.example", "complaint about message",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"')
        + "\n--b1\nContent-Type: text/plain\n\nAn abuse report.\n\n--b1\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n\n--b1--\n", {}),
    Letter("a newsletter", plain("News <news@example.org>", "Never miss a failed delivery again",
        "mia@example.org: 550 reasons why mail is returned"), {}),
    Letter("confirmation of a list", plain("MAILER-DAEMON@lists.example", "Welcome to the list",
        "You are on the list now."), {}),
    Letter("empty", "", {}),
    Letter("only headers", "From: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n", {}),
    Letter("a report without its part", head("MAILER-DAEMON@mx.example.net", "hello",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"') + "\n--b1--\n", {}),
)  # fmt: skip
