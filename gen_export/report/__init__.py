"""A run as one page: what made it, how it learned, what it draws, and what is known of its files."""
