"""What a visitor may name, send and spend."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self

from platformdirs import user_data_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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


def _split_by(separator: str) -> BeforeValidator:
    def split(value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(separator) if part.strip())

    return BeforeValidator(split)


def _said(variable: str, default: Any, description: str) -> Any:
    """A field that the environment may say; what holds where it does not stands in brackets."""
    return Field(default, alias=variable, description=description)


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """What a visitor may name, send and spend. The defaults are those of a server open to many."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    roots: Annotated[tuple[Path, ...], _split_by(os.pathsep)] = _said(
        "ADVISOR_ROOTS", (), "folders below which files may be named, separated as in PATH (none)"
    )
    hub_ids: Annotated[tuple[str, ...], _split_by(",")] = _said(
        "ADVISOR_HUB_IDS",
        WELL_KNOWN,
        "patterns of hub ids that may be loaded, by commas (well-known encoders)",
    )
    upload_mb: Positive = _said("ADVISOR_MAX_UPLOAD_MB", 50, "largest uploaded file in MiB (50)")
    run_minutes: Positive = _said("ADVISOR_MAX_RUN_MINUTES", 60, "longest run (60; 240 on loopback)")
    queue_length: Annotated[int, Field(ge=1)] = _said("ADVISOR_MAX_QUEUE", 8, "how many runs may wait (8)")
    keep_days: Positive | None = _said(
        "ADVISOR_KEEP_DAYS", None, "days after which a finished run is removed (never)"
    )
    list_all: bool = _said(
        "ADVISOR_LIST_ALL", False, "true if every visitor sees every run (false; true on loopback)"
    )

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

        Raises:
            InputError: if a variable makes no sense.
        """
        return cls.from_environment(defaults=cls.own_machine() if is_loopback(host) else None)

    @classmethod
    def from_environment(
        cls, variables: Mapping[str, str] = os.environ, defaults: "Limits | None" = None
    ) -> Self:
        """Read the variables that the fields have as aliases; ``defaults`` hold where one is not set.

        Raises:
            InputError: if a value makes no sense, or a root is no folder; it names the variable.
        """
        fields = (defaults or cls()).model_dump(by_alias=True)
        said = {name: text for name in fields if (text := variables.get(name, "").strip())}
        try:
            limits = cls.model_validate(fields | said)
        except ValidationError as error:
            problem = error.errors()[0]
            variable = str(problem["loc"][0])
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
        values = self.model_dump(mode="json", by_alias=True) | {
            "ADVISOR_ROOTS": os.pathsep.join(map(str, self.roots)),
            "ADVISOR_HUB_IDS": ",".join(self.hub_ids),
        }
        return {name: "" if value is None else str(value) for name, value in values.items()}


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def store_path(variables: Mapping[str, str] = os.environ) -> Path:
    """Where runs are kept: ``ADVISOR_STORE``, else the user's data folder."""
    folder = variables.get("ADVISOR_STORE", "").strip()
    return Path(folder) if folder else user_data_path("alignment-advisor") / "runs"
