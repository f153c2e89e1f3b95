"""What outlives a script run: the queue of the server, the session, the link."""

import re
import secrets
from collections.abc import Callable

import streamlit as st

from advisor.service import Kind, Limits, Run, RunQueue, RunStore, UnknownRunError, store_path

_COOKIE = "advisor-session"
_SESSION = re.compile(r"[0-9a-f]{32}")
_SESSION_SECONDS = 30 * 86_400
"""How long a browser is remembered after its last first visit."""

LINKED = ("view", "model", "source", "target", "task")
"""What a link can carry, beside ``run``."""


@st.cache_resource(show_spinner=False)
def queue() -> RunQueue:
    """The one queue of this server."""
    return RunQueue(RunStore(store_path()), Limits.from_environment())


def session() -> str:
    """A name for this visitor's browser that nobody else knows; a cookie keeps it over a reload."""
    if "session" not in st.session_state:
        cookie = str(st.context.cookies.get(_COOKIE, ""))
        st.session_state.session = cookie if _SESSION.fullmatch(cookie) else secrets.token_hex(16)
    return str(st.session_state.session)


def keep_session() -> None:
    """Let the browser remember who it is, unless it does already."""
    name = session()
    if st.context.cookies.get(_COOKIE) != name:
        # Strict: no other site's link or form comes with it. The script replaces no good cookie, since
        # another tab of this browser may have set one meanwhile.
        st.html(
            f"<script>if (!/(^|; ){_COOKIE}=[0-9a-f]{{32}}(;|$)/.test(document.cookie)) document.cookie = "
            f"'{_COOKIE}={name}; path=/; max-age={_SESSION_SECONDS}; samesite=strict' + "
            "(location.protocol === 'https:' ? '; secure' : '')</script>",
            unsafe_allow_javascript=True,
        )


def may_change(run: Run) -> bool:
    """Whether this visitor may cancel or remove the run: it is theirs, or the machine has one user.

    A link to a run shares what it shows and no more.
    """
    return queue().limits.list_all or queue().store.owns(session(), run.id)


def take_link() -> None:
    """Start from what the link says, once; afterwards the link follows the page."""
    if "linked" not in st.session_state:
        st.session_state.linked = True
        for name in LINKED:
            if st.query_params.get(name, "").strip():
                st.session_state[name] = st.query_params[name].strip()[:200]


def keep_link(**values: str | None) -> None:
    """Let the address say ``values``, so that it can be shared or reloaded."""
    for name, value in values.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value


def view() -> str:
    """The view that is shown."""
    return str(st.session_state.view)


def switch(name: str, **values: object) -> Callable[[], None]:
    """A callback that shows another view."""

    def callback() -> None:
        st.session_state.view = name
        st.query_params["view"] = name  # at once: a reload before the page is drawn stays in the view
        for key, value in values.items():
            st.session_state[key] = value

    return callback


def linked_run() -> Run | None:
    """The run that the address names, if there is one."""
    run_id = st.query_params.get("run", "")
    try:
        return queue().store.run(run_id)
    except UnknownRunError:
        return None


def open_run(run_id: str) -> None:
    """Let the address name a run."""
    st.query_params["run"] = run_id


def forget_run() -> None:
    """Let the address name no run."""
    st.query_params.pop("run", None)


def known_runs() -> list[Run]:
    """The runs this visitor may see without a link to them: their own, or all on a machine of one user."""
    runs = queue().store.runs(None if queue().limits.list_all else session())
    linked = linked_run()
    return runs if linked is None or linked.id in {run.id for run in runs} else [linked, *runs]


def finished(*kinds: Kind) -> dict[str, Run]:
    """The runs of these kinds that have a result, by id, the newest first."""
    store = queue().store
    return {run.id: run for run in known_runs() if run.kind in kinds and store.has_result(run)}
