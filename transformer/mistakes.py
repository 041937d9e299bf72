"""What the user did that cannot work, said in one sentence."""


class Mistake(ValueError):
    """What was given, what was expected, how to mend it; the command line prints it and exits with status 2."""
