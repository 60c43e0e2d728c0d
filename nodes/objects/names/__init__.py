"""``deixis objects``: names by showing, on the command line.

:mod:`.cutting` cuts the one thing out of a picture, :mod:`.verb` and its sub-verbs do the rest.

    deixis objects teach cup --image cup1.jpg cup2.jpg
"""
