"""Speech: from audio chunks to a committed command of the domain.

``domain`` and ``wordgraph`` compile sentence templates, ``alignment`` and ``grammar`` align text to
them, ``vad`` and ``endpoint`` find where speech begins and ends, ``moonshine`` transcribes,
``recognizer`` puts it together, ``node`` runs it in a graph.
"""
