"""Rendered and collected audio that the speech recogniser is developed on and judged by.

``python -m bench.corpora.speech --out /tmp/corpora/dev --set dev`` makes one corpus; README.md says
what there is.
"""
