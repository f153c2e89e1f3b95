"""What the parts of a plan are made of."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from advisor.options import Option, Schedule
from advisor.training import weighted
from probes.errors import InputError
from probes.languages import parse_language

_NORMS = "norms"


def as_value_error(text: str, check: object) -> str:
    """Let pydantic name the key of what ``check`` refuses."""
    try:
        check(text)  # type: ignore[operator]
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return text


def _language(text: str) -> str:
    return as_value_error(text, parse_language)


def _option(text: str) -> str:
    return as_value_error(text, PlannedOption.parse)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
Language = Annotated[str, AfterValidator(_language)]
Seeds = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PlannedOption(BaseModel):
    """An option of a plan.

    Attributes:
        option: what is done; with ``from_norms`` its weight is yet to be found.
        from_norms: whether the weight comes from the gradient norms of the cell's probe.
    """

    model_config = ConfigDict(frozen=True)

    option: Option
    from_norms: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an option as :meth:`Option.parse` does; in place of a weight there may be ``norms``.

        Joint training without a weight gets 0.1, as in the published runs.

        Raises:
            InputError: if it is no option.
        """
        parts = text.strip().split(":")
        from_norms = _NORMS in parts[1:]
        option = Option.parse(":".join(part for part in parts if part != _NORMS))
        if from_norms and (option.schedule is not Schedule.JOINT or option.weight is not None):
            raise InputError(f"'{text}' is not an option: norms stands for the weight of joint training.")
        return cls(option=option if from_norms else weighted(option), from_norms=from_norms)

    def weighted(self, weight: float) -> Option:
        """The option with the weight that the norms gave."""
        return self.option.model_copy(update={"weight": weight}) if self.from_norms else self.option

    def __str__(self) -> str:
        return f"{self.option}, weight from norms" if self.from_norms else str(self.option)


WrittenOption = Annotated[str, AfterValidator(_option)]
