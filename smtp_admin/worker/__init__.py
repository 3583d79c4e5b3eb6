"""The worker process: RQ hands out bells, threads send, a clock sweeps."""
