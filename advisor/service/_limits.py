"""What a visitor may name, send and spend."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from probes.errors import InputError

WELL_KNOWN = (
    "xlm-roberta-*",
    "FacebookAI/xlm-roberta-*",
    "google-bert/bert-base-multilingual-*",
    "bert-base-multilingual-*",
    "distilbert/distilbert-base-multilingual-cased",
    "distilbert-base-multilingual-cased",
    "microsoft/mdeberta-v3-base",
    "microsoft/infoxlm-*",
    "intfloat/multilingual-e5-*",
    "sentence-transformers/LaBSE",
)
"""Hub ids a server lets its visitors load unless told otherwise."""

_VARIABLES = {
    "roots": "ADVISOR_ROOTS",
    "hub_ids": "ADVISOR_HUB_IDS",
    "upload_mb": "ADVISOR_MAX_UPLOAD_MB",
    "run_minutes": "ADVISOR_MAX_RUN_MINUTES",
    "queue_length": "ADVISOR_MAX_QUEUE",
    "keep_days": "ADVISOR_KEEP_DAYS",
    "list_all": "ADVISOR_LIST_ALL",
}
_STORE = "ADVISOR_STORE"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """What a visitor may name, send and spend. The defaults are those of a server open to many.

    Attributes:
        roots: folders below which models and data may be named by path; none by default.
        hub_ids: patterns (``*`` and ``?``) of hub ids, for models and ``hf:`` data sets alike.
        upload_mb: size of one uploaded file, in MiB.
        run_minutes: how long one run may take.
        queue_length: how many runs may wait.
        keep_days: finished runs are removed after so many days; None keeps them.
        list_all: whether everybody sees every run, as suits a machine with one user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roots: tuple[Path, ...] = ()
    hub_ids: tuple[str, ...] = WELL_KNOWN
    upload_mb: Positive = 50
    run_minutes: Positive = 60
    queue_length: Annotated[int, Field(ge=1)] = 8
    keep_days: Positive | None = None
    list_all: bool = False

    @property
    def upload_bytes(self) -> int:
        """Size of one uploaded file, in bytes."""
        return int(self.upload_mb * 2**20)

    def allows_hub_id(self, name: str) -> bool:
        """Whether ``name`` may be loaded from the hub."""
        return any(fnmatchcase(name, pattern) for pattern in self.hub_ids)

    @classmethod
    def own_machine(cls, folder: Path | None = None) -> Self:
        """The limits of somebody who works on a machine of their own: any hub id, files below ``folder``.

        Args:
            folder: by default the current one.
        """
        return cls(roots=((folder or Path.cwd()).resolve(),), hub_ids=("*",), run_minutes=240, list_all=True)

    @classmethod
    def of_server(cls, host: str) -> "Limits":
        """What the environment says; what it leaves open is as on one's own machine on a loopback address.

        Args:
            host: address that is listened on.

        Raises:
            InputError: if a variable makes no sense.
        """
        return cls.from_environment(defaults=cls.own_machine() if is_loopback(host) else None)

    @classmethod
    def from_environment(
        cls, variables: Mapping[str, str] = os.environ, defaults: "Limits | None" = None
    ) -> Self:
        """Read ``ADVISOR_ROOTS`` (separated as in PATH), ``ADVISOR_HUB_IDS`` (by commas),
        ``ADVISOR_MAX_UPLOAD_MB``, ``ADVISOR_MAX_RUN_MINUTES``, ``ADVISOR_MAX_QUEUE``, ``ADVISOR_KEEP_DAYS``
        and ``ADVISOR_LIST_ALL`` (``true`` or ``false``).

        Args:
            variables: the environment.
            defaults: what holds where a variable is not set.

        Raises:
            InputError: if a value makes no sense, or a root is no folder; it names the variable.
        """
        fields: dict[str, object] = dict(defaults or cls())
        for field, variable in _VARIABLES.items():
            text = variables.get(variable, "").strip()
            if field in ("roots", "hub_ids") and text:
                parts = text.split(os.pathsep if field == "roots" else ",")
                fields[field] = tuple(part.strip() for part in parts if part.strip())
            elif text:
                fields[field] = text
        try:
            limits = cls.model_validate(fields)
        except ValidationError as error:
            problem = error.errors()[0]
            variable = _VARIABLES[str(problem["loc"][0])]
            raise InputError(
                f"{variable} cannot be '{variables.get(variable)}': {problem['msg'].lower()}."
            ) from error
        for root in limits.roots:
            if not root.is_dir():
                raise InputError(
                    f"ADVISOR_ROOTS names {root}, which is no folder: create it or leave it out."
                )
        return limits.model_copy(update={"roots": tuple(root.resolve() for root in limits.roots)})

    def to_environment(self) -> dict[str, str]:
        """The variables that :meth:`from_environment` reads these limits from."""
        values = {
            "roots": os.pathsep.join(map(str, self.roots)),
            "hub_ids": ",".join(self.hub_ids),
            "upload_mb": str(self.upload_mb),
            "run_minutes": str(self.run_minutes),
            "queue_length": str(self.queue_length),
            "keep_days": "" if self.keep_days is None else str(self.keep_days),
            "list_all": str(self.list_all).lower(),
        }
        return {_VARIABLES[field]: value for field, value in values.items()}


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def store_path(variables: Mapping[str, str] = os.environ) -> Path:
    """Where runs are kept: ``ADVISOR_STORE``, else the user's data folder."""
    folder = variables.get(_STORE, "").strip()
    return Path(folder) if folder else user_data_path("alignment-advisor") / "runs"
