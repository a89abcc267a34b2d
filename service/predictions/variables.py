"""The variables of a run: those that the flow may ask for, as the call may change them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.chatflows.cache import KnownFlow
from service.chatflows.overrides import opened_variables
from service.chatflows.service import config_of
from service.predictions import asking
from service.variables import service as variables

if TYPE_CHECKING:
    from service.resources import Resources


async def variables_of(resources: "Resources", known: KnownFlow, given: Mapping[str, Any]) -> Mapping[str, str]:
    """`$vars` by name. A flow that asks for none costs nothing. `given` (`overrideConfig.vars`) counts for variables
    that the flow's owner has opened (contract 1.8); all else in it changes nothing. Raises `InvalidField`."""
    if known.variables is not None and not known.variables:
        return {}
    changed: Mapping[str, str] = {}
    if given:
        opened = opened_variables(config_of(known.flow))
        changed = {
            name: asking.variable(name, value) for name, value in given.items() if name in opened and value is not None
        }
    names = None if known.variables is None else sorted(known.variables)
    return await variables.values(resources.database, resources.settings, known.flow.workspace, names, changed=changed)
