"""The mail that everybody sends: 2 kB of plain text to one recipient."""

BODY = ("x" * 70 + "\n") * 28
SENDER, RECIPIENT = "noreply@acme.example", "you@example.org"
#: What Core inserts store, and bare smtplib sends.
RAW = (
    f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: x\r\n\r\n" + BODY.replace("\n", "\r\n")
).encode()
