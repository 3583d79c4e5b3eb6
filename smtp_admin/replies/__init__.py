"""What a server's words mean, decided once: for the worker, the test and the pages."""
