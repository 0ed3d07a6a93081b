"""What the tests of the mathematics share."""

from hypothesis import settings

# On a busy machine a single example may take long; how long is not what these tests claim.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
