"""What several modules write and read in a run's folder, by name."""

from typing import Literal

Weights = Literal["final", "newest", "best"]
CONFIG_NAME = "config.yaml"
"""The settings as resolved."""
METRICS_NAME = "metrics.jsonl"
"""A line for each measurement."""
RESULTS_NAME = "results.json"
"""What a complete run has, and no other."""
REPORT_NAME = "report"
"""The folder of the page, its tables and pictures."""
CHECKPOINTS_NAME = "checkpoints"
"""The folder of what a run goes on from, and of its weights."""
EXPERTS_NAME = "experts.json"
"""Where the teachers came from."""
SIMILARITY_NAME = "similarity.json"
"""Which source games a transfer's target is like."""
STAGES_NAME = "stages.json"
"""Where the runs of a pipeline lie."""
OUTPUT_NAME = "output.log"
"""What a run says that has a process of its own."""


def weights_name(which: Weights) -> str:
    """The file, within the run's folder, of the weights that it ended with (``final``) or has
    reached (``newest``), or of those that did best so far where it may stop early (``best``)."""
    return f"{CHECKPOINTS_NAME}/{which}.safetensors"
