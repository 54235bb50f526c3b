"""What commands raise when a person stops them."""


class Stopped(Exception):
    """A person pressed Ctrl-C while something was computed."""
