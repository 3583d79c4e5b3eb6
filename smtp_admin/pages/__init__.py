"""Every page: views and forms, above all services."""
