"""What the costly jobs ask for."""

from pydantic import Field

from galaxy_lvm.core.config.base import Section


class Resources(Section):
    """What the costly jobs ask for; the rest of the rules state their own."""

    data_threads: int = Field(2, ge=1, description="CPU threads of simulating or importing")
    multitask_threads: int = Field(
        1,
        ge=1,
        description="CPU threads of one strategy's training; strategies run beside each other",
    )
    train_mem_mb: int = Field(6000, ge=500, description="memory of a training job")
    extensions_threads: int = Field(1, ge=1, description="CPU threads of a job on features")
    extensions_mem_mb: int = Field(4000, ge=500, description="memory of a job on features")
    extensions_runtime_min: int = Field(
        60, ge=1, description="time limit of a job on features on SLURM"
    )
    pretrain_runtime_min: int = Field(240, ge=1, description="time limit of pretraining on SLURM")
    multitask_runtime_min: int = Field(
        240, ge=1, description="time limit of multitask training on SLURM"
    )
    features_threads: int = Field(1, ge=1, description="CPU threads of a feature extraction")
    features_runtime_min: int = Field(
        240, ge=1, description="time limit of a feature extraction on SLURM"
    )
    detector_threads: int = Field(
        1,
        ge=1,
        description="CPU threads of a lens detector's training; trainings run beside each other",
    )
    detector_runtime_min: int = Field(
        240, ge=1, description="time limit of a lens detector's training on SLURM"
    )
    fewshot_threads: int = Field(
        1, ge=1, description="CPU threads of a few-shot job; jobs run beside each other"
    )
    fewshot_runtime_min: int = Field(240, ge=1, description="time limit of a few-shot job on SLURM")
