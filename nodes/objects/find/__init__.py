"""Finds things in recordings: by name, by taught example or by picture.

:mod:`.media` samples videos and pictures, :mod:`.proposals` says where something may be,
:mod:`.indexing` embeds it once and keeps it, :mod:`.question` is what is looked for, :mod:`.search`
answers, :mod:`.sheet` shows the answers; :mod:`.verb` is ``deixis find``.

    deixis find "red cup" recordings/
"""
