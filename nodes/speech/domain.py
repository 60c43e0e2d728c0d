"""A domain: what can be said and what it means, read from sentence templates in hassil's syntax.

    python -c "from deixis.nodes.speech.domain import load_domain; \
print(load_domain('tabletop').intents)"

:mod:`deixis.nodes.speech.domainfile` reads the YAML, :mod:`deixis.nodes.speech.domainreader` its
templates; :mod:`deixis.nodes.speech.wordgraph` compiles the domain and finds what is ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hassil import is_match
from hassil.expression import Sentence, Sequence, TextChunk

from deixis.nodes.speech.domainfile import DomainFile, Silences, Thresholds, read_source
from deixis.nodes.speech.domainreader import Reader
from deixis.nodes.speech.templates import Template, Value, ValueList
from deixis.nodes.speech.text import tokens
from deixis.runtime.config import nearest
from deixis.runtime.errors import DomainError

FOLDER: Final = Path(__file__).resolve().parents[1] / "domains"


@dataclass(frozen=True, eq=False)
class Domain:
    """A domain, parsed and checked.

    Attributes:
        path: Where it was read.
        name: Its name.
        sentences: Templates per intent.
        rules: Expansion rules by name.
        lists: Lists by name.
        fillers: Words and phrases that may come anywhere and carry nothing, normalised.
        interrupts: Intents whose sentences break off another one.
        ambiguous: Whether a sentence may mean two things.
        thresholds: Least confidences.
        silences: Endpoint silences.
        warnings: What is odd about the file, with lines.
        names: Names of the scene's objects that were added (:meth:`named`).
    """

    path: Path
    name: str
    sentences: Mapping[str, list[Template]]
    rules: Mapping[str, Template]
    lists: Mapping[str, ValueList]
    fillers: tuple[str, ...]
    interrupts: tuple[str, ...]
    ambiguous: bool
    thresholds: Thresholds
    silences: Silences
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def intents(self) -> tuple[str, ...]:
        """Names of the intents."""
        return tuple(self.sentences)

    def named(self, names: Iterable[str]) -> Domain:
        """This domain with names of objects added to its live lists.

        Args:
            names: As the scene has them; a slot's noun is the name as it is given here. Names
                without a word in them, and such as can be said already, add nothing.

        Returns:
            A new domain, or this one if there is nothing to add.
        """
        said = {" ".join(word for word, _ in tokens(name)): name for name in sorted(set(names))}
        lists: dict[str, ValueList] = {}
        added: set[str] = set()
        for key, entry in self.lists.items():
            new = [w for w in said if w and entry.live and not self._says(entry, w)]
            values = [Value(Template(TextChunk(text=w), w, 0), said[w]) for w in new]
            lists[key] = replace(entry, values=(*entry.values, *values)) if new else entry
            added.update(said[w] for w in new)
        if not added:
            return self
        return replace(self, lists=lists, names=(*self.names, *sorted(added)))

    def _says(self, entry: ValueList, words: str) -> bool:
        rules = {name: Sentence(rule.expression) for name, rule in self.rules.items()}
        return any(
            is_match(words, Sentence(Sequence([value.says.expression])), expansion_rules=rules)
            for value in entry.values
        )


def domain_path(name_or_path: str, base_dir: Path | None = None) -> Path:
    """Where a domain lies: a name is one that deixis ships, anything else a path.

    Raises:
        DomainError: There is no shipped domain of this name.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return ((base_dir or Path.cwd()) / Path(name_or_path).expanduser()).resolve()
    path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in FOLDER.glob("*.yaml"))
        raise DomainError(
            f"there is no domain {name_or_path!r}{nearest(name_or_path, known)}",
            hint=f"name one of {', '.join(known)}, or give the path of a .yaml file",
        )
    return path


def load_domain(name_or_path: str, base_dir: Path | None = None) -> Domain:
    """Read and check a domain.

    Args:
        name_or_path: ``tabletop``, or the path of a YAML file.
        base_dir: Where a relative path starts.

    Raises:
        DomainError: With every mistake: file, line, intent, template, what is wrong with it.
    """
    path = domain_path(name_or_path, base_dir)
    source = read_source(path)
    file = source.typed(source.data, DomainFile, ())
    if file.language.partition("-")[0] != "en":
        raise source.error(
            ("language",), f"language {file.language!r}; only 'en' can be recognised"
        )
    reader = Reader(source)
    for index, intent in enumerate(file.interrupts):
        if intent not in file.intents:
            known = nearest(intent, list(file.intents))
            line = source.line(("interrupts", index))
            reader.problem(line, f"interrupts: there is no intent {intent!r}{known}")
    reader.read(file)
    spoken = (" ".join(w for w, _ in tokens(f)) for f in (*file.fillers, *file.skip_words))
    return Domain(
        path=path,
        name=file.name or path.stem,
        sentences=reader.sentences,
        rules=reader.rules,
        lists=reader.lists,
        fillers=tuple(dict.fromkeys(f for f in spoken if f)),
        interrupts=file.interrupts,
        ambiguous=file.ambiguous == "allow",
        thresholds=file.thresholds,
        silences=file.silences,
        warnings=tuple(f"{path}:{line}: {text}" for line, text in sorted(reader.warnings)),
    )
