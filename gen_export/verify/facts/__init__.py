"""All facts, one file a section of the reference; importing this package registers them."""

from gen_export.verify.facts import objective, vae

__all__ = ["objective", "vae"]
