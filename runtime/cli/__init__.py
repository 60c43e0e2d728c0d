"""The command line: one module a verb, found through the entry points ``deixis.verbs``.

A verb module defines ``HELP`` (one line), ``EXAMPLE`` (a command to copy),
``add_arguments(parser)`` and ``run(args) -> int``. ``args.json`` is there on every verb: it prints
one JSON object and nothing else on standard output. Errors are raised as
:class:`~deixis.runtime.errors.DeixisError`.

    deixis --help
"""
