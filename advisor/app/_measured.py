"""What a probe measured: one part a question, picture and words side by side."""

import altair as alt
import streamlit as st

from advisor.app import _show
from advisor.report import Report, _words, charts
from probes.signals import Signals, TaskGradient

__all__ = ["direction", "distance", "lookahead", "magnitude", "provenance", "starting_point"]


def _task_gradient(signals: Signals, key: str) -> TaskGradient | None:
    names = signals.task_gradients
    if not names:
        st.caption("No objective's gradient was measured.")
        return None
    return st.segmented_control(
        "Task gradient on",
        names,
        default=names[0],
        required=True,
        format_func=_words.TASK_GRADIENT_WORDS.__getitem__,
        key=key,
    )


def direction(signals: Signals) -> None:
    """Cosines of the task's gradient with each objective's, by layer."""
    st.subheader("Direction: do the task and the alignment pull the same way?", anchor=False)
    gradient = _task_gradient(signals, "direction")
    if gradient is None:
        return
    _show.explain(
        "Above 0, a small step on the alignment loss also lowers the task loss; below 0 it "
        "raises it; near 0 the "
        "two ignore each other. Target text is what speaks of transfer.",
        "A layer counts when its whisker clears both zero and the light band: the same objective on shuffled "
        "pairs. The dark band is ±2/√d, chance directions; the dashes are the ceiling of the raw "
        "cosine; a cross "
        "marks a layer that noise hides.",
        "How much a whole run gains. This is a first-order statement about one moment of training, and with "
        "many layers a few will stand out by chance.",
    )
    _panels(
        [
            (
                charts.cosine_chart(signals, objective, gradient, width=500),
                f"Noise-corrected cosine of {objective} with the task gradient on "
                f"{_words.TASK_GRADIENT_WORDS[gradient]}, by layer. All layers after warm-up: "
                f"{_words.estimated(signals.cosine(objective, gradient))}.",
            )
            for objective in signals.objectives
        ]
    )
    _show.table(
        "All cosines as a table",
        (
            {
                "objective": row.objective,
                "task gradient": _words.TASK_GRADIENT_WORDS[row.task_gradient],
                "model": _words.POINT_WORDS[row.point],
                "block": row.block,
                "cosine": _words.estimated(row.cosine),
                "raw": _words.estimated(row.raw_cosine),
                "null": _words.estimated(row.null_cosine),
                "1/√d": row.null_sd,
            }
            for row in signals.cosines
        ),
    )
    if signals.unavailable:
        st.markdown("**Not measured on this model**")
        _show.notes([f"{name}: {reason}" for name, reason in signals.unavailable.items()], "")


def magnitude(signals: Signals) -> None:
    """Norms of the objectives' gradients over the task's."""
    st.subheader("Magnitude: which loss would set the pace?", anchor=False)
    gradient = _task_gradient(signals, "magnitude")
    if gradient is None:
        return
    picture, words = st.columns([2, 1], gap="large")
    with picture:
        _show.chart(
            charts.magnitude_chart(signals, gradient, width=620),
            "Gradient norm of each objective over the task's on "
            f"{_words.TASK_GRADIENT_WORDS[gradient]}, by layer.",
            missing="No ratio could be told from noise.",
        )
    with words:
        _show.explain(
            "At 1 both losses move a layer equally far for the same learning rate; at 10 an "
            "unweighted sum of the "
            "two would mostly follow the alignment. The advised weight follows from it.",
            "Read it by layer: an objective that is loud only low in the model disturbs the task less when "
            "the lower half is frozen. The scale is logarithmic.",
            "Whether the push is in a good direction. Adam rescales gradients, so that in a run the ratio is "
            "dampened.",
        )
    _show.table(
        "All ratios as a table",
        (
            {
                "objective": row.objective,
                "task gradient": _words.TASK_GRADIENT_WORDS[row.task_gradient],
                "model": _words.POINT_WORDS[row.point],
                "block": row.block,
                "objective / task": _words.estimated(row.magnitude_ratio),
                "similarity": _words.estimated(row.magnitude_similarity),
            }
            for row in signals.cosines
        ),
    )
    _show.table(
        "Norm, ceiling and noise scale of every loss",
        (
            {
                "loss": row.loss,
                "model": _words.POINT_WORDS[row.point],
                "block": row.block,
                "weights": row.parameters,
                "squared norm": _words.estimated(row.squared_norm),
                "ceiling": _words.estimated(row.ceiling),
                "noise scale": _words.estimated(row.noise_scale),
                "mean loss": row.mean_loss,
            }
            for row in signals.losses
        ),
    )


def lookahead(signals: Signals) -> None:
    """The task loss after one step on each objective."""
    st.subheader("Lookahead: what does one step do?", anchor=False)
    gradient = _task_gradient(signals, "lookahead")
    if gradient is None:
        return
    picture, words = st.columns([2, 1], gap="large")
    with picture:
        _show.chart(
            charts.lookahead_chart(signals, gradient, width=620),
            f"Fall of the task loss on {_words.TASK_GRADIENT_WORDS[gradient]} after one step on "
            f"each objective.",
            missing="No lookahead was taken.",
        )
    with words:
        _show.explain(
            "Right of zero, the step on the alignment loss made the task easier as well; left of "
            "zero it made it "
            "harder.",
            "Compare objectives with one another rather than with zero. Where raw and Adam-scaled steps "
            "disagree, trust the Adam-scaled one: it is what training applies.",
            "What a thousand steps do: the effect of one does not add up over a run.",
        )
    _show.table(
        "All lookahead steps as a table",
        (
            {
                "objective": row.objective,
                "loss on": _words.TASK_GRADIENT_WORDS[row.on],
                "model": _words.POINT_WORDS[row.point],
                "step": row.scaling,
                "size": row.step,
                "fall of the loss, %": _words.estimated(row.change),
            }
            for row in signals.lookahead
        ),
    )


def distance(signals: Signals) -> None:
    """How close the two languages lie, by hidden state."""
    st.subheader("Distance: how close are the two languages already?", anchor=False)
    _show.explain(
        "Where translations are far closer than random pairs and are found by nearest neighbour, "
        "the languages "
        "already share a space at that depth.",
        "Never read a cosine of translations without that of random pairs: encoders put all sentences in a "
        "narrow cone. The gap and retrieval are what counts; the dashed line is chance.",
        "Whether aligning helps the task: distances say how much room there is, and whether the "
        "bitext is good.",
    )
    _panels(
        [
            (
                charts.similarity_chart(signals, width=500),
                "Cosine of translations and of random sentences, by layer.",
            ),
            (
                charts.similarity_chart(signals, "word", width=500),
                "Cosine of aligned and of random words, by layer.",
            ),
            (charts.retrieval_chart(signals, width=500), "Share of translations retrieved, by layer."),
            (charts.cka_chart(signals, width=500), "Debiased linear CKA of the two languages, by layer."),
        ]
    )
    _show.table(
        "All distances as a table",
        (
            {
                "hidden state": row.layer,
                "unit": row.unit,
                "measure": row.measure,
                "value": _words.estimated(row.value),
                "chance": row.chance,
            }
            for row in signals.distances
        ),
    )


def starting_point(signals: Signals) -> None:
    """What frozen features transfer, what tokenisation does, what was read."""
    st.subheader("Starting point", anchor=False)
    transfer, facts = signals.transfer, signals.text
    metric = "span F1" if signals.task.metric == "span-f1" else "accuracy"
    st.markdown(f"**What frozen features already transfer**: {metric} of a linear head, in points.")
    _show.facts(
        {
            f"{signals.source}, held out": (_words.estimated(transfer.source, 1), ""),
            signals.target: (
                _words.estimated(transfer.target, 1) if transfer.target else "not scored",
                "" if transfer.target else "no target labels were given",
            ),
            "always the most frequent label": (_words.number(transfer.majority), ""),
            f"{signals.source}, its own training sentences": (
                _words.number(transfer.train_fit),
                "100 would mean learnt by heart",
            ),
        }
    )
    st.caption(
        "A wide gap between the two languages is room for alignment to fill; a target score near the most "
        "frequent label says that there is little to build on."
    )
    direction_of = f"{signals.source} → {signals.target}"
    entries = {
        f"Subwords a {facts.fertility_unit}": (
            f"{_words.number(facts.source_fertility)} → {_words.number(facts.target_fertility)}",
            direction_of,
        ),
        "Unknown subwords": (
            f"{_words.share(facts.source_unknown_rate)} → {_words.share(facts.target_unknown_rate)}",
            direction_of,
        ),
        "Script": (f"{facts.source_script} → {facts.target_script}", ""),
    }
    if signals.projection is not None:
        found = signals.projection
        agreement = found.cosine_with_labels
        entries["Projected labels"] = (
            f"{_words.share(found.coverage)} covered",
            f"over {_words.count(found.sentences)} sentences"
            + (f"; cosine with true labels {_words.estimated(agreement)}" if agreement else ""),
        )
    st.markdown("**Text**")
    _show.facts(entries)
    _show.table(
        "Data read",
        (
            {
                "role": row.role,
                "from": row.spec,
                "format": row.format,
                "read": row.read,
                "used": row.kept,
                "dropped": ", ".join(f"{n} {reason}" for reason, n in row.dropped.items()) or "nothing",
            }
            for row in signals.data
        ),
        opened=True,
    )
    if signals.notes:
        st.markdown("**Notes of the probe**")
        _show.notes([note.text for note in signals.notes], "")


def provenance(report: Report) -> None:
    """Where every number comes from."""
    st.subheader("Run and provenance", anchor=False)
    advice, signals = report.advice, report.signals
    if signals is not None:
        model, run = signals.model, signals.run
        peak = f", peak {_words.number(run.peak_memory_gib, 2)} GiB" if run.peak_memory_gib else ""
        phases = ", ".join(f"{name} {_words.duration(seconds)}" for name, seconds in run.phases.items())
        _show.facts(
            {
                "Model": (
                    model.id,
                    f"{model.architecture}, {model.layers} layers of {model.hidden_size}, "
                    f"{model.pooling} pooling",
                ),
                "Weights": (
                    f"{_words.number(model.encoder_parameters / 1e6)} M in layers",
                    f"{_words.number(model.parameters / 1e6)} M in all, "
                    f"{_words.count(model.vocabulary)} subwords",
                ),
                "Budget": (
                    run.budget,
                    f"{run.rounds} rounds, batches of {run.batch_size}, {run.warm_up_steps} warm-up steps",
                ),
                "Took": (_words.duration(run.seconds), phases),
                "Device": (run.device, f"{run.dtype}, {run.threads} threads{peak}"),
                "Word pairs": (signals.word_pairs, ""),
                "Seed": (str(run.seed), ""),
            }
        )
        st.caption("Measured with " + _versions(run.versions))
    else:
        st.markdown("Nothing was measured: the advice rests on published and own effects.")
    st.caption("Advised with " + _versions(advice.provenance.versions))
    hashes = {"findings": advice.provenance.findings_sha256}
    if advice.provenance.model_sha256:
        hashes["model"] = advice.provenance.model_sha256
    hashes |= advice.provenance.data_sha256
    _show.table(
        "Fingerprints (SHA-256)", ({"of": name, "SHA-256": digest} for name, digest in hashes.items())
    )


def _versions(versions: dict[str, str]) -> str:
    return _show.markdown(", ".join(f"{name} {version}" for name, version in versions.items()))


def _panels(drawn: list[tuple[alt.LayerChart | None, str]]) -> None:
    shown = [(picture, words) for picture, words in drawn if picture is not None]
    if not shown:
        st.caption("Nothing was measured.")
    for start in range(0, len(shown), 2):
        for column, (picture, words) in zip(
            st.columns(2, gap="medium"), shown[start : start + 2], strict=False
        ):
            with column:
                _show.chart(picture, words)
