"""TRM under the public code's name for it."""

from models.recursive_reasoning.act import Act


class TinyRecursiveReasoningModel_ACTV1(Act):
    hrm = False
