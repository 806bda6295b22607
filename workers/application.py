"""The application agent: `validate_quality` and `detect_regression` (figures: docs/agents/application.md).

orchestrator worker workers.application:agent --name application-1
celery -A workers.application worker
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import Agent
from workers.quality.judgement import Criterion
from workers.quality.schemas import AUTO, ValidateQuality
from workers.quality.validation import Choices
from workers.quality.validation import validate as validate_texts
from workers.regression.detectable import Plan
from workers.regression.detection import Question, detect_between, detect_in_sample
from workers.regression.ranking import Worse
from workers.regression.schemas import DetectRegression
from workers.regression.source import load_sample
from workers.series import data_folder

if TYPE_CHECKING:
    from orchestrator.context import TaskContext

TIMEOUT_SECONDS = 300
MAX_RETRIES = 3
READING_SHARE = 0.7
"""Part of a long run that reading the values takes, for progress."""

agent = Agent("application", version="1.0.0")


@agent.task(
    "validate_quality", schema=ValidateQuality, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES
)
def validate_quality(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Score outputs against references and hold the scores against thresholds.

    Exact match, token F1 (SQuAD's, without its English-only steps), ROUGE-L (Lin 2004; F, beta 1): 0 to 1,
    means over the pairs. BLEU-4 (sacreBLEU's definition): 0 to 100, of all pairs. Percentile bootstrap
    intervals over the pairs, and the Clopper-Pearson interval of exact match. Every figure comes from the
    texts given.
    """
    chosen = parameters["bleu_tokenizer"]
    choices = Choices(
        match_by_words=parameters["match"] == "words",
        bleu_tokenizer=None if chosen == AUTO else chosen,
        confidence=parameters["confidence"],
        resamples=parameters["resamples"],
        seed=parameters["seed"],
        thresholds=parameters["thresholds"],
        criterion=Criterion(parameters["criterion"]),
    )
    return validate_texts(parameters["outputs"], parameters["references"], choices, task.progress)


@agent.task(
    "detect_regression", schema=DetectRegression, timeout_seconds=TIMEOUT_SECONDS, max_retries=MAX_RETRIES
)
def detect_regression(task: TaskContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Say whether values got worse: yes, or no at the level asked for, and what a no leaves open.

    Two samples, or a series cut at a known time: Mann-Whitney U. A series: Pettitt's CUSUM of ranks, for one
    change of level at an unknown time. Both with their variance multiplied by what autocorrelation does to
    it. Effect: probability of superiority, Cliff's delta (-1 to 1), Hodges-Lehmann shift (in the values'
    unit). The data folder is read from the environment at every run.
    """
    folder = data_folder()
    question = Question(
        Plan(parameters["level"], parameters["power"], Worse(parameters["worse"])),
        minimum_shift=parameters["minimum_shift"],
        ordered=not parameters["independent"],
    )
    if parameters["series"] is not None:
        sample = load_sample(parameters["series"], folder, name="series")
        task.progress(READING_SHARE, f"read {len(sample.values)} values")
        return detect_in_sample(sample, parameters["change_at"], question)
    baseline, candidate = (
        load_sample(parameters[name], folder, name=name) for name in ("baseline", "candidate")
    )
    task.progress(READING_SHARE, f"read {len(baseline.values)} and {len(candidate.values)} values")
    finding = detect_between(baseline.values, candidate.values, question)
    return finding.describe(question, baseline.notes + candidate.notes)


def __getattr__(name: str) -> Any:
    """Build `app`, the Celery application, when `celery -A workers.application` first asks for it."""
    if name == "app":
        return agent.celery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
