"""HRM under the public code's name for it."""

from models.recursive_reasoning.act import Act


class HierarchicalReasoningModel_ACTV1(Act):
    hrm = True
