"""The script that ``advisor app`` has Streamlit run."""

from advisor.app import render

render()
