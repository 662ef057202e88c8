"""Where evidence is made: the one room of this distribution that touches devices."""

__all__ = ()
