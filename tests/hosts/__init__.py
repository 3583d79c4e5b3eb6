"""Real host apps that the plugin is mounted in, each in processes of its own."""
