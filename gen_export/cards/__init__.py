"""Model cards: what a file says of itself, as a page for people and front matter for a model hub."""
