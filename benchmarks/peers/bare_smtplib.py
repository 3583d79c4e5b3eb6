"""The standard library's client in a loop, on one connection; nothing is stored anywhere."""

import smtplib

from benchmarks.peers.script import facts, ready, wait_for_word

task = facts()
head = f"From: {task['from']}\r\nTo: {task['to']}\r\nSubject: x\r\n\r\n"
raw = (head + task["body"].replace("\n", "\r\n")).encode()
client = smtplib.SMTP("127.0.0.1", task["port"])
ready()
wait_for_word()
for _ in range(task["count"]):
    client.sendmail(task["from"], [task["to"]], raw)
client.quit()
wait_for_word()  # until it is stopped: what it used is still to be read
