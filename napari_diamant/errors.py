"""The one exception that reaches the user as a sentence."""


class UserError(Exception):
    """A fault that the user can understand and mend.

    The message is one sentence, or two: the rule, what came, what to do. The command line prints it on
    standard error and exits with code 1; the window shows it as a notification. Anything else that is
    raised is a defect of this program.

    Examples
    --------
    >>> raise UserError("Height and width must be at least 8, got (1, 1). Open a larger image.")
    Traceback (most recent call last):
    ...
    napari_diamant.errors.UserError: Height and width must be at least 8, got (1, 1). Open a larger image.
    """
