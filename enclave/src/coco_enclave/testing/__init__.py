"""Simulated platforms that make evidence in the real formats, under roots made in each run.

Only tests and demonstrations import this: a production policy names none of these roots.
"""

__all__ = ()
