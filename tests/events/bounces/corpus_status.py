"""Reports with a delivery status, as different servers fill it in; every name is an example."""

from tests.events.bounces.letters import MIA, Letter, group, report

NOAH = "noah@example.org"
MANY = "\n".join(
    group("failed", "5.1.1", "smtp; 550 no such user", to=f"a{n}@example.org") for n in range(3)
)

STATUS = (
    Letter("postfix, unknown user", report(
        group("failed", "5.1.1", "smtp; 550 5.1.1 <mia@example.org>: Recipient address rejected:\n"
              "    User unknown in virtual mailbox table", original=MIA),
        notice="<mia@example.org>: host mx.example.org[192.0.2.7] said: 550 5.1.1\n    <mia@example.org>: "
               "Recipient address rejected: User unknown in virtual mailbox\n    table (in reply to "
               "RCPT TO command)"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("postfix, delayed", report(
        group("delayed", "4.4.1", "X-Postfix; connect to mx.example.org[192.0.2.7]:25: Connection timed\n out",
              more="Will-Retry-Until: Fri, 4 Dec 2026 10:00:00 +0000"),
        subject="Delayed Mail (still being retried)"), {MIA: ("deferred", "", "4.4.1")}),
    Letter("delayed with a reply", report(group("delayed", "4.4.1", "smtp; 451 4.4.1 try again later")),
           {MIA: ("deferred", "", "4.4.1")}),
    Letter("delayed without a diagnosis", report(group("delayed")), {MIA: ("deferred", "", "")}),
    Letter("failed without a diagnosis", report(group("failed", "5.0.0")), {MIA: ("bounced", "", "5.0.0")}),
    Letter("failed without any code", report(group("failed")), {MIA: ("bounced", "", "")}),
    Letter("postfix, gave up", report(
        group("failed", "4.4.1", "X-Postfix; connect to mx.example.org[192.0.2.7]:25: Connection refused")),
        {MIA: ("bounced", "soft", "4.4.1")}),
    Letter("postfix, no such domain", report(
        group("failed", "5.4.4", "X-Postfix; Host or domain name not found. Name service error for\n"
              "    name=example.org type=A: Host not found")), {MIA: ("bounced", "hard", "5.4.4")}),
    Letter("postfix, null MX", report(
        group("failed", "5.1.0", "X-Postfix; Domain example.org does not accept mail (nullMX)")),
        {MIA: ("bounced", "hard", "5.1.0")}),
    Letter("quota behind a filter's name", report(
        group("failed", "5.0.0", "smtp; 552 Quota exceeded"),
        notice="<mia@example.org>: host mx10.mailspamprotection.com[192.0.2.9] said: 552\n    Quota "
               "exceeded (mia@example.org:blocked) (in reply to end of DATA command)"),
        {MIA: ("bounced", "soft", "552")}),
    Letter("words after said decide", report(
        group("failed", "5.0.0", "X-Postfix; host mx10.mailspamprotection.com[192.0.2.9] said: 550 No such "
              "user here (in reply to RCPT TO command)")), {MIA: ("bounced", "hard", "550")}),
    Letter("supplementary information", report(
        group("failed", "5.0.0", more='X-Supplementary-Info: <192.0.2.32 #5.0.0 smtp; 550 "Unknown User">')),
        {MIA: ("bounced", "hard", "550")}),
    Letter("exchange online, access denied", report(
        group("failed", "5.4.1", "smtp;550 5.4.1 [mia@example.org]: Recipient address rejected: Access "
              "denied [DB3EUR04FT012.eop-eur04.prod.protection.outlook.com]"),
        author="postmaster@acme.onmicrosoft.example", subject="Undeliverable: Your order"),
        {MIA: ("bounced", "hard", "5.4.1")}),
    Letter("yahoo, disabled", report(
        group("failed", "5.0.0", "smtp; 554 delivery error: dd Sorry your message to mia@example.org cannot "
              "be delivered. This mailbox is disabled (554.30). - mta4001.mail.example"),
        author="MAILER-DAEMON@yahoo.example"), {MIA: ("bounced", "hard", "554")}),
    Letter("two recipients, one failed", report(
        group("failed", "5.1.1", "smtp; 550 5.1.1 unknown user") + group("delivered", "2.0.0", "smtp; 250 ok", to=NOAH)),
        {MIA: ("bounced", "hard", "5.1.1"), NOAH: ("delivered", "", "2.0.0")}),
    Letter("expanded", report(group("expanded", "2.0.0")), {}),
    Letter("relayed", report(group("relayed", "2.0.0", "smtp; 250 2.0.0 Ok")), {}),
    Letter("delivered", report(group("delivered", "2.1.5"), subject="Successful Mail Delivery Report"),
           {MIA: ("delivered", "", "2.1.5")}),
    Letter("three of one list", report(MANY), {f"a{n}@example.org": ("bounced", "hard", "5.1.1") for n in range(3)}),
    Letter("gmail, no such user", report(
        group("failed", "5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist. "
              "Please try\n 550-5.1.1 double-checking the recipient's email address for typos or\n 550 5.1.1 "
              "unnecessary spaces. - gsmtp"), author="Mail Delivery Subsystem <mailer-daemon@googlemail.example>",
        subject="Delivery Status Notification (Failure)", more="X-Failed-Recipients: mia@example.org"),
        {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("gmail, over quota", report(
        group("failed", "5.2.2", "smtp; 552-5.2.2 The email account that you tried to reach is over quota and "
              "inactive.\n 552 5.2.2 Please direct the recipient to their storage page. - gsmtp")),
        {MIA: ("bounced", "soft", "5.2.2")}),
    Letter("gmail, unsolicited", report(
        group("failed", "5.7.1", "smtp; 550-5.7.1 [192.0.2.1] Our system has detected that this message is "
              "likely\n 550 5.7.1 unsolicited mail. - gsmtp")), {MIA: ("bounced", "policy", "5.7.1")}),
    Letter("gmail, not authenticated", report(
        group("failed", "5.7.26", "smtp; 550-5.7.26 This mail has been blocked because the sender is\n 550 "
              "5.7.26 unauthenticated. - gsmtp")), {MIA: ("bounced", "policy", "5.7.26")}),
    Letter("gmail, disabled", report(
        group("failed", "5.2.1", "smtp; 550 5.2.1 The email account that you tried to reach is disabled. - gsmtp")),
        {MIA: ("bounced", "hard", "5.2.1")}),
    Letter("gmail, too fast for one mailbox", report(
        group("failed", "4.2.1", "smtp; 450-4.2.1 The user you are trying to contact is receiving mail at a\n "
              "450 4.2.1 rate that prevents additional messages from being delivered.")),
        {MIA: ("bounced", "soft", "4.2.1")}),
    Letter("exchange, not found", report(
        group("failed", "5.1.1", "smtp;550 5.1.1 RESOLVER.ADR.RecipNotFound; not found"),
        author="Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@acme.example>",
        subject="Undeliverable: Your order"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("exchange online, not found", report(
        group("failed", "5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient mia@example.org "
              "not found by SMTP address lookup", original=MIA),
        author="Microsoft Outlook <postmaster@outlook.example>"), {MIA: ("bounced", "hard", "5.1.10")}),
    Letter("exchange online, full", report(
        group("failed", "5.2.2", "smtp;554 5.2.2 mailbox full; STOREDRV.Deliver; failure handling recipient")),
        {MIA: ("bounced", "soft", "5.2.2")}),
    Letter("exchange online, list of its own people", report(
        group("failed", "5.7.124", "smtp;550 5.7.124 RESOLVER.RST.SenderNotInAllowedListForGroup; not allowed")),
        {MIA: ("bounced", "policy", "5.7.124")}),
    Letter("exchange online, blocked network", report(
        group("failed", "5.7.606", "smtp;550 5.7.606 Access denied, banned sending IP [192.0.2.1]")),
        {MIA: ("bounced", "policy", "5.7.606")}),
    Letter("exchange online, expired", report(
        group("failed", "5.4.300", "smtp;550 5.4.300 Message expired -> 451 4.4.0 Primary target IP address "
              "responded with: 421 4.2.1 Unable to connect")), {MIA: ("bounced", "soft", "5.4.300")}),
    Letter("amazon, no such user", report(
        group("failed", "5.1.1", "smtp; 550 5.1.1 <mia@example.org>: user does not exist",
              more="Remote-MTA: dns; mx.example.org"),
        author="MAILER-DAEMON@eu-central-1.amazonses.example", subject="Delivery Status Notification (Failure)",
        notice="An error occurred while trying to deliver the mail to the following recipients:\nmia@example.org",
        about="Reporting-MTA: dsn; a8-57.smtp-out.amazonses.example"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("amazon, expired", report(
        group("failed", "4.4.7", "smtp; 554 4.4.7 Message expired: unable to deliver in 840 minutes.<421 4.4.0 "
              "Unable to lookup DNS for example.org>"), author="MAILER-DAEMON@amazonses.example"),
        {MIA: ("bounced", "soft", "4.4.7")}),
    Letter("amazon, content", report(
        group("failed", "5.6.0", "smtp; 554 5.6.0 Message rejected due to its attachment")),
        {MIA: ("bounced", "policy", "5.6.0")}),
    Letter("sendmail, unknown", report(
        group("failed", "5.1.1", "SMTP; 550 5.1.1 <mia@example.org>... User unknown",
              more="Remote-MTA: DNS; mx.example.org"),
        author="Mail Delivery Subsystem <MAILER-DAEMON@host.example.net>",
        subject="Returned mail: see transcript for details"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("sendmail, warning", report(
        group("delayed", "4.4.2", "SMTP; 421 mx.example.org timeout"),
        subject="Warning: could not send message for past 4 hours"), {MIA: ("deferred", "", "4.4.2")}),
    Letter("sendmail, no relaying", report(
        group("failed", "5.7.1", "SMTP; 550 5.7.1 <mia@example.org>... Relaying denied")),
        {MIA: ("bounced", "policy", "5.7.1")}),
    Letter("exim with a status", report(
        group("failed", "5.0.0", "smtp; 550 5.1.1 The email account does not exist", more="Remote-MTA: dns; mx"),
        author="Mail Delivery System <Mailer-Daemon@exim.example.net>", more="X-Failed-Recipients: mia@example.org",
        subject="Mail delivery failed: returning message to sender"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("exim, retry timeout", report(
        group("failed", "5.0.0", "smtp; retry timeout exceeded")), {MIA: ("bounced", "soft", "5.0.0")}),
    Letter("domino, not listed", report(
        group("failed", "5.1.1", "X-Notes; User mia (mia@example.org) not listed in Domino Directory"),
        author="postmaster@domino.example", subject="DELIVERY FAILURE: User not listed in Domino Directory"),
        {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("domino, route not found", report(
        group("failed", "5.1.2", "X-Notes; Recipient's Domino Directory entry does not specify a valid route"),
        subject="DELIVERY FAILURE"), {MIA: ("bounced", "hard", "5.1.2")}),
    Letter("sender's own address refused", report(
        group("failed", "5.1.8", "smtp; 550 5.1.8 <noreply@acme.example>: Sender address rejected: Domain not "
              "found")), {MIA: ("bounced", "policy", "5.1.8")}),
    Letter("too large", report(group("failed", "5.3.4", "smtp; 552 5.3.4 Message size exceeds fixed limit")),
           {MIA: ("bounced", "policy", "5.3.4")}),
    Letter("a loop", report(group("failed", "5.4.6", "X-Postfix; mail for example.org loops back to myself")),
           {MIA: ("bounced", "soft", "5.4.6")}),
    Letter("too many hops", report(group("failed", "5.4.0", "smtp; 554 5.4.0 Error: too many hops")),
           {MIA: ("bounced", "policy", "5.4.0")}),
    Letter("on a block list", report(
        group("failed", "5.0.0", "smtp; 554 Service unavailable; Client host [192.0.2.1] blocked using "
              "dnsbl.example.net")), {MIA: ("bounced", "policy", "554")}),
    Letter("icloud, full", report(group("failed", "5.2.2", "smtp; 552 5.2.2 <mia@example.org>: user is over quota")),
           {MIA: ("bounced", "soft", "5.2.2")}),
    Letter("international", report(
        "Original-Recipient: utf-8; jürgen@exämple.org\nFinal-Recipient: utf-8; jürgen@exämple.org\n"
        "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 unbekannter Benutzer",
        kind="message/global-delivery-status", returned="message/global-headers"),
        {"jürgen@exämple.org": ("bounced", "hard", "5.1.1")}),
    Letter("forwarded elsewhere", report(
        group("failed", "5.1.1", "smtp; 550 5.1.1 no such user", to="old@other.example", original=MIA),
        returned="text/rfc822-headers"), {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("groups without blank lines", report(
        group("failed", "5.1.1", "smtp; 550 no such user").strip() + "\n"
        + group("delayed", "4.2.0", "smtp; 450 4.2.0 later", to=NOAH).strip()),
        {MIA: ("bounced", "hard", "5.1.1"), NOAH: ("deferred", "", "4.2.0")}, judge="blind to the second"),
    Letter("recipient in the first group", report(
        "", about="Reporting-MTA: dns; mx.example.net\n" + group("failed", "5.1.1", "smtp; 550 no such user")),
        {MIA: ("bounced", "hard", "5.1.1")}),
    Letter("no action", report("Final-Recipient: rfc822; mia@example.org\nStatus: 5.1.1"),
           {MIA: ("bounced", "hard", "5.1.1")}, judge="nothing"),
    Letter("an action of its own", report(group("vanished", "5.1.1")), {MIA: ("bounced", "hard", "5.1.1")},
           judge="nothing"),
    Letter("mail of the system, automatically answered", report(
        group("failed", "5.1.1", "smtp; 550 5.1.1 unknown"), more="Auto-Submitted: auto-replied"),
        {MIA: ("bounced", "hard", "5.1.1")}),
)  # fmt: skip
