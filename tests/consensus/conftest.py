"""Property tests draw the same examples in every run, and a busy machine fails none of them."""

from hypothesis import settings

settings.register_profile("consensus", derandomize=True, deadline=None)
settings.load_profile("consensus")
