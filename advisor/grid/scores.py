"""Which encoder ends up highest, as far as evidence carries that.

A gain says what alignment adds to one encoder, not which encoder is better. For that the evidence must hold
what the encoders score without alignment in one study: the same source, benchmark, metric and length of
fine-tuning. Where it does, what is expected in the end is that score plus the gain of what is advised.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist, fmean

from advisor.advice import Advice, Finite, Probability
from advisor.findings import load_findings, load_tables
from advisor.findings.evidence import find_encoder
from probes.languages import parse_language
from probes.schema import Frozen

_Row = tuple[str, str, str]
_Study = tuple[str, str, str, str, str]


class Score(Frozen):
    """What an encoder is expected to score in the end, on the scale of one study of the evidence.

    Attributes:
        before: what it scored there by fine-tuning alone, in points.
        value: with what is advised.
        study: whose scale that is.
        best: whether it is the highest of its row.
        ahead: of the highest: the probability that it beats the next one, judged by the gains' intervals.
    """

    before: Finite
    value: Finite
    study: str
    best: bool = False
    ahead: Probability | None = None


def scores_of(row: Sequence[Advice]) -> list[Score | None]:
    """Expected scores for advices on one task, source and target; None where nothing compares the encoder."""
    question = row[0].question
    at = (question.task, parse_language(question.source).code, parse_language(question.target).code)
    studies = _baselines().get(at, {})
    encoders = load_findings().tables.encoders
    names = [
        find_encoder(
            a.question.model, encoders, pretrained_on=a.question.pretrained_on, like=a.question.like
        ).name
        for a in row
    ]
    covered = {study: len(set(names) & before.keys()) for study, before in studies.items()}
    study = max(covered, key=lambda one: (covered[one], one), default=None)
    if study is None or covered[study] < 2:
        return [None] * len(row)
    scored = {
        i: before + (advice.gain.mean if advice.aligns and advice.gain else 0.0)
        for i, advice in enumerate(row)
        if (before := studies[study].get(names[i])) is not None and _carried(advice)
    }
    first = max(scored, key=lambda i: scored[i], default=0)
    others = [i for i in scored if names[i] != names[first]]  # an encoder may stand there under two names
    if not others:
        return [None] * len(row)
    second = max(others, key=lambda i: scored[i])
    ahead = _ahead(scored[first] - scored[second], row[first], row[second])
    shown = ", ".join(
        filter(None, (load_tables().sources[study[0]].citation.split(".")[0], study[1], study[2]))
    )
    return [
        Score(
            before=studies[study][names[i]],
            value=scored[i],
            study=shown,
            best=names[i] == names[first],
            ahead=ahead if names[i] == names[first] else None,
        )
        if i in scored
        else None
        for i in range(len(row))
    ]


def _carried(advice: Advice) -> bool:
    """Whether rows of evidence speak of what is advised: an extrapolated gain ranks no encoders."""
    return not advice.aligns or advice.spoken_of is None or advice.spoken_of.basis != "extrapolated"


def _ahead(lead: float, *advices: Advice) -> float:
    """P(the first beats the second), the gains taken as independent, which errs towards doubt."""
    widths = [a.gain.high - a.gain.low for a in advices if a.aligns and a.gain is not None]
    sd = sum((width / (2 * NormalDist().inv_cdf(0.9))) ** 2 for width in widths) ** 0.5
    return NormalDist().cdf(lead / max(sd, 1.0))  # a rerun of a baseline moves by about a point


@lru_cache(maxsize=1)
def _baselines() -> Mapping[_Row, Mapping[_Study, Mapping[str, float]]]:
    """Scores without alignment by (task, source, target), study and encoder."""
    found: defaultdict[_Row, defaultdict[_Study, defaultdict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for effect in load_findings().tables.effects:
        if effect.unfit is None and effect.baseline is not None:
            # runs of 1965 and of 1970 steps compare, those of 120 and of 300 do not
            length = f"{effect.train_steps:.1g}" if effect.train_steps else ""
            study = (effect.source_id, effect.benchmark, effect.metric, effect.stratum, length)
            found[effect.task, effect.source, effect.target][study][effect.model].append(effect.baseline)
    return {
        row: {
            study: {model: fmean(all_) for model, all_ in models.items()} for study, models in studies.items()
        }
        for row, studies in found.items()
    }
