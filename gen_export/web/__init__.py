"""The demo page: its files, the models beside them, and serving both."""
