"""Names of the objects in the scene become words that can be said.

names = LiveNames(open_grammar("tabletop"))
names.see(scene)
grammar = names.compiled()

Compiling takes longer than a chunk of audio lasts, so it is done in a thread.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from deixis.nodes.speech.grammar import Grammar
from deixis.runtime.messages import Scene, SceneObject

SURE: Final = 0.5
"""A name that is less probable is not what the object is called."""
PERSISTS: Final = 3
"""Scenes in a row in which a name must be seen."""
MAX_NAMES: Final = 100
"""Names that are kept; the ones seen longest ago are forgotten first."""


class LiveNames:
    """Keeps a grammar in step with the scene.

    Names stay when their objects are gone: something that is out of view can be spoken of.

    Args:
        grammar: The grammar of the domain; without live lists (``live: objects``) nothing happens.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._domain = grammar.domain
        self._names = grammar.domain.names
        self._wanted: dict[str, None] = {}
        self._seen: dict[str, int] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._compiling: Future[Grammar | None] | None = None
        if any(entry.live for entry in grammar.domain.lists.values()):
            self._thread = ThreadPoolExecutor(1, "names")
        self._changed = False

    def see(self, scene: Scene) -> None:
        """Take the names of a scene; what is new and stays will be compiled."""
        names = {name for thing in scene.objects if (name := _name(thing))}
        self._seen = {name: self._seen.get(name, 0) + 1 for name in names}
        for name, n in self._seen.items():
            if n >= PERSISTS:
                self._changed |= name not in self._wanted
                self._wanted.pop(name, None)
                self._wanted[name] = None
        while len(self._wanted) > MAX_NAMES:
            del self._wanted[next(iter(self._wanted))]
        if self._changed and self._thread is not None and self._compiling is None:
            self._changed = False
            self._compiling = self._thread.submit(self._compile, tuple(self._wanted))

    def compiled(self) -> Grammar | None:
        """A grammar with new names, once, when it is ready."""
        if self._compiling is None or not self._compiling.done():
            return None
        grammar, self._compiling = self._compiling.result(), None
        if grammar is not None:
            self._names = grammar.domain.names
        return grammar

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown()

    def _compile(self, names: tuple[str, ...]) -> Grammar | None:
        domain = self._domain.named(names)
        # Names that can be said already add nothing.
        return Grammar(domain) if set(domain.names) - set(self._names) else None


def _name(thing: SceneObject) -> str:
    """What an object is called, if that is known."""
    name = max(thing.names, key=thing.names.__getitem__, default="")
    return name if name and thing.names[name] >= SURE else ""
