"""Adds up judged files to the figures that are reported.

report = summary_of(results)
print(report["conditions"][0]["accuracy"])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from deixis.export.bench.scoring import STOP, Judged, calibration_error
from deixis.export.bench.workers import Done, Job
from deixis.runtime.metrics import Summary, summarise

N_CONFUSIONS: Final = 12


@dataclass(frozen=True)
class Result:
    """One file in one condition."""

    job: Job
    done: Done
    judged: Judged


def summary_of(results: Sequence[Result]) -> dict[str, Any]:
    """All figures, as they go into JSON; None where there is nothing to measure."""
    names = dict.fromkeys(r.job.condition for r in results)
    busy_s, audio_s = (
        sum(r.done.played.busy_s for r in results),
        sum(r.done.played.audio_s for r in results),
    )
    judged = [r.judged for r in results]
    error = calibration_error([b for j in judged for b in j.beliefs])
    commands = [j for j in judged if j.intent not in (None, STOP)]
    return {
        "conditions": [
            _condition(name, [r for r in results if r.job.condition == name]) for name in names
        ],
        "latency_ms": milliseconds(j.latency_ms for j in judged if j.latency_ms is not None),
        "real_time_factor": round(busy_s / audio_s, 4) if audio_s else None,
        "ece": _rounded(error),
        "ece_n": sum(len(j.beliefs) for j in judged),
        "premature": {
            "n": len(commands),
            "count": sum(j.premature for j in commands),
            "share": share(sum(j.premature for j in commands), len(commands)),
            "ends_estimated": sum(j.estimated for j in commands),
        },
        "stop": _stop(results),
        "word_times": _word_times(judged),
        "false_accepts": _false_accepts(results),
        "confusions": _confusions(judged),
        "behind_ms_max": round(max((r.done.played.behind_ms for r in results), default=0.0), 1),
        "audio_s": round(audio_s, 1),
    }


def share(count: int, n: int) -> float | None:
    """A fraction; None of nothing."""
    return round(count / n, 5) if n else None


def milliseconds(values: Iterable[float]) -> dict[str, float | int | None]:
    """Percentiles as they go into JSON."""
    summary: Summary = summarise(list(values))
    return {name: getattr(summary, name) for name in summary.__struct_fields__}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _condition(name: str, results: Sequence[Result]) -> dict[str, Any]:
    judged = [r.judged for r in results]
    commands = [j for j in judged if j.intent is not None]
    others = [j for j in judged if j.intent is None]
    n_words = sum(j.n_words for j in judged)
    return {
        "name": name,
        "snr_db": results[0].job.snr_db,
        "n": len(results),
        "accuracy": share(sum(j.right for j in commands), len(commands)),
        "false_accept_rate": share(sum(bool(j.acts) for j in others), len(others)),
        "word_error_rate": share(sum(j.errors for j in judged), n_words),
        "n_commands": len(commands),
        "n_others": len(others),
        "not_committed": sum(not j.acts for j in commands),
        "second_commands": sum(len(j.acts) > 1 for j in commands),
        "premature": sum(j.premature for j in commands),
        "latency_ms": milliseconds(j.latency_ms for j in judged if j.latency_ms is not None),
    }


def _stop(results: Sequence[Result]) -> dict[str, Any]:
    stops = [r.judged for r in results if r.judged.intent == STOP]
    others = [r for r in results if r.judged.intent is None]
    hours = sum(r.done.file_s for r in others) / 3600.0
    false = sum(act.intent == STOP for r in others for act in r.judged.acts)
    return {
        "n": len(stops),
        "missed": sum(j.stop_ms is None for j in stops),
        "reaction_ms": milliseconds(j.stop_ms for j in stops if j.stop_ms is not None),
        "false_stops": false,
        "hours_of_other_audio": round(hours, 4),
        "false_stops_per_hour": round(false / hours, 3) if hours else None,
    }


def _word_times(judged: Sequence[Judged]) -> dict[str, Any] | None:
    errors = np.array([e for j in judged for e in j.times_ms], np.float64)
    if not len(errors):
        return None
    p50, p90 = np.percentile(np.abs(errors), [50, 90], axis=0)
    return {
        "n": len(errors),
        "start_ms": {"p50": round(float(p50[0]), 1), "p90": round(float(p90[0]), 1)},
        "end_ms": {"p50": round(float(p50[1]), 1), "p90": round(float(p90[1]), 1)},
    }


def _false_accepts(results: Sequence[Result]) -> dict[str, dict[str, float | int | None]]:
    """By kind of sound, and of ``all``: files, those with something accepted, commands an hour."""
    others = [r for r in results if r.judged.intent is None]
    groups = {kind: [r for r in others if r.judged.kind == kind] for kind in _kinds(others)}
    groups["all"] = others
    counts = {}
    for kind, group in groups.items():
        hours = sum(r.done.file_s for r in group) / 3600.0
        n_acts = sum(len(r.judged.acts) for r in group)
        counts[kind] = {
            "n": len(group),
            "accepted": sum(bool(r.judged.acts) for r in group),
            "hours": round(hours, 4),
            "per_hour": round(n_acts / hours, 2) if hours else None,
        }
    return counts


def _kinds(results: Sequence[Result]) -> list[str]:
    return sorted({r.judged.kind for r in results if r.judged.kind is not None})


def _confusions(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    counts = Counter(c for j in judged for c in j.confusions)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"slot": c.slot, "said": c.said, "understood": c.understood, "count": n}
        for c, n in ranked[:N_CONFUSIONS]
    ]


def predictions_of(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """What was understood: condition → file → facts. Seconds count from the file's start."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        judged, played = result.judged, result.done.played
        shown = judged.acts[0] if judged.acts else None
        found.setdefault(result.job.condition, {})[result.job.recording.name] = {
            "intent": shown.intent if shown else None,
            "slots": _slot_texts(shown.slots) if shown else {},
            "text": " ".join(h.text for h in played.heard if h.kind != "stop"),
            "confidence": shown.confidence if shown else None,
            "words": [
                {"text": text, "start_s": start_s, "end_s": end_s, "confidence": confidence}
                for h in played.heard
                if h.kind != "stop"
                for text, start_s, end_s, confidence in h.words
            ],
            "right": judged.right if judged.intent is not None else not judged.acts,
            "speech_end_s": round(result.done.end_s, 4),
            "speech_end_estimated": result.done.estimated,
            "commit_s": shown.at_s if shown else None,
            "commit_latency_ms": _rounded(judged.latency_ms),
            "stop_reaction_ms": _rounded(judged.stop_ms),
            "premature": judged.premature,
            "utterances": [
                {
                    "kind": h.kind,
                    "at_s": h.at_s,
                    "text": h.text,
                    "intent": h.intent,
                    "slots": _slot_texts(h.slots),
                    "sentence": h.sentence,
                    "confidence": h.confidence,
                    "reason": h.reason,
                }
                for h in played.heard
            ],
        }
    return found


def _slot_texts(slots: Any) -> dict[str, str]:
    return {
        name: f"{(s.relation or '').replace('_', ' ')} {s.text}".strip()
        for name, s in slots.items()
    }
