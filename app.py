"""The Streamlit page: ``streamlit run app.py``, or ``advisor app`` once installed."""

from advisor.app import render

render()
