"""Mail that came back: what it says, whether it is about mail of ours, and where it is fetched."""
