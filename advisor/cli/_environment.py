"""What the environment says to page and service, as help text."""

from advisor.service import Limits

_VARIABLES = {str(field.alias): field.description for field in Limits.model_fields.values()} | {
    "ADVISOR_STORE": "folder of runs and uploads (the user's data folder)"
}
ENVIRONMENT = (
    "\n\nThe environment says what visitors may do. On a loopback address they are taken to be you alone: "
    "files below the current folder, any hub id, every run listed. On any other address nothing is open but "
    "what these variables say:\n\n" + "\n\n".join(f"{name}: {said}." for name, said in _VARIABLES.items())
)
TOKEN = (
    "\n\nADVISOR_TOKEN: what callers send as Authorization: Bearer TOKEN; a must on any address but loopback."
)
