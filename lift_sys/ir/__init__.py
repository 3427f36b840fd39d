"""The typed intermediate representation, and the lifter that makes it from Python source."""

from lift_sys.ir.files import lift_file, python_files
from lift_sys.ir.lifter import LiftedFunction, lift, lift_functions
from lift_sys.ir.models import (
    Assertion,
    Effect,
    HoleKind,
    Intent,
    IntermediateRepresentation,
    Parameter,
    ParameterKind,
    Provenance,
    Signature,
    TypedHole,
)
from lift_sys.ir.source import LiftError

__all__ = [
    "Assertion",
    "Effect",
    "HoleKind",
    "Intent",
    "IntermediateRepresentation",
    "LiftError",
    "LiftedFunction",
    "Parameter",
    "ParameterKind",
    "Provenance",
    "Signature",
    "TypedHole",
    "lift",
    "lift_file",
    "lift_functions",
    "python_files",
]
