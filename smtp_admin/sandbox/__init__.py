"""What keeps test installations and copies of a database from mailing real people."""
