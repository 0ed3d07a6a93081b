"""Wrong files made from right ones: what `verify` must reject."""
