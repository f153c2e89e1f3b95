"""What a visitor may name, send and spend."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

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

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    roots: Annotated[tuple[Path, ...], _split_by(os.pathsep)] = Field((), alias="ADVISOR_ROOTS")
    hub_ids: Annotated[tuple[str, ...], _split_by(",")] = Field(WELL_KNOWN, alias="ADVISOR_HUB_IDS")
    upload_mb: Positive = Field(50, alias="ADVISOR_MAX_UPLOAD_MB")
    run_minutes: Positive = Field(60, alias="ADVISOR_MAX_RUN_MINUTES")
    queue_length: int = Field(8, ge=1, alias="ADVISOR_MAX_QUEUE")
    keep_days: Positive | None = Field(None, alias="ADVISOR_KEEP_DAYS")
    list_all: bool = Field(False, alias="ADVISOR_LIST_ALL")

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
        """Read the variables that the fields have as aliases; roots are separated as in PATH, ids by commas.

        Args:
            variables: the environment.
            defaults: what holds where a variable is not set.

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
