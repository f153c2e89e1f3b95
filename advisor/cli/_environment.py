"""What the environment says to page and service, as help text."""

ENVIRONMENT = (
    "\n\nThe environment says what visitors may do. On a loopback address they are taken to be you alone: "
    "files below the current folder, any hub id, every run listed. On any other address nothing is open but "
    "what these variables say:\n"
    """
ADVISOR_ROOTS: folders below which files may be named, separated as in PATH (none).

ADVISOR_HUB_IDS: patterns of hub ids that may be loaded, by commas (well-known encoders).

ADVISOR_MAX_UPLOAD_MB: largest uploaded file in MiB (50).

ADVISOR_MAX_RUN_MINUTES: longest run (60; 240 on loopback).

ADVISOR_MAX_QUEUE: how many runs may wait (8).

ADVISOR_KEEP_DAYS: days after which a finished run is removed (never).

ADVISOR_LIST_ALL: true if every visitor sees every run (false; true on loopback).

ADVISOR_STORE: folder of runs and uploads (the user's data folder).
"""
)
TOKEN = """
ADVISOR_TOKEN: what callers send as Authorization: Bearer TOKEN; a must on any address but loopback.
"""
