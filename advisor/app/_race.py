"""A race as it stands: every option with what is believed of its gain, and the curves of their looks."""

import streamlit as st
from pydantic import ValidationError

from advisor.app import _show, _state
from advisor.race import RaceResult
from advisor.race.console import race_chart
from advisor.service import Run


def standings(run: Run) -> None:
    """Show how the options of a race stand; nothing for other runs, or before its first step."""
    found = _state.queue().store.race(run.id) if run.kind == "race" else None
    if found is None:
        return
    try:
        result = RaceResult.model_validate_json(found)
    except ValidationError:  # of another version
        return
    rows = [
        {
            "option": str(arm.option),
            "run to": f"{arm.reach:.0%}" if arm.error is None else "out",
            "seen, points": None if arm.measured is None else round(arm.measured, 1),
            "gain, points": round(arm.gain.mean, 1),
            "80 % interval": f"{arm.gain.low:+.1f} to {arm.gain.high:+.1f}",
            "P(best)": f"{arm.best:.0%}",
        }
        for arm in result.arms
    ]
    alone = {"option": "none (fine-tune only)", "gain, points": 0.0, "P(best)": f"{result.best_alone:.0%}"}
    st.markdown(_show.markdown(result.summary))
    _show.table("How the options stand", [*rows, alone], opened=True)
    _show.chart(race_chart(result), "Gain over fine-tuning alone at each look, a line for every run")
