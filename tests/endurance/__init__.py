"""Workers are killed, stopped and set against each other; nothing may be lost or come twice."""
