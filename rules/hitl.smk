"""The human in the loop (paper V): figures 7 to 10, searches in a pool, the sweep over alpha.

Inputs: features of the LVM, splits, catalogues; crops for figure 7 and for ResNet18.
Outputs: metrics/hitl*.csv, tables/fig10_hitl.csv, tables/hitl_*.csv, figures 7 to 10.
Steps: simulate_hitl, simulate_discovery, train_resnet18; one rule for every figure.
"""

from galaxy_lvm.core.config import part_of
from galaxy_lvm.core.config.fewshot import NetworkSections
from galaxy_lvm.core.config.hitl import ImageSets, Module, Place, Searches, Sizes, TrainingSets


rule simulate_hitl:
    """Figure 10's training sets on the LVM's features, and the sweep over alpha; resumes."""
    input:
        features=f"{RUN}/features/{HITL_COMPARISON}/{LOOP_VECTORS}.npy",
        ids=f"{RUN}/features/{HITL_COMPARISON}/{LOOP_VECTORS}.parquet",
        splits=f"{RUN}/data/{HITL_COMPARISON}/splits.parquet",
        cutouts=cutouts_path(HITL_COMPARISON),
    output:
        metrics=f"{RUN}/metrics/hitl.csv",
        scored=f"{RUN}/predictions/hitl.parquet",
    log:
        f"{LOGS}/simulate_hitl.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_hitl.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=240,
    params:
        settings=part_of(TrainingSets, config["hitl"]),
        state_root=f"{STATE}/simulate_hitl",
        seed=config["seed"],
        recipe_version=3,
    script:
        "../scripts/simulate_hitl.py"


rule train_resnet18:
    """Figure 10's ResNet18 on images, from scratch; resumes after a kill."""
    input:
        crops=f"{RUN}/data/{HITL_COMPARISON}/crops.h5",
        splits=f"{RUN}/data/{HITL_COMPARISON}/splits.parquet",
        cutouts=cutouts_path(HITL_COMPARISON),
    output:
        metrics=f"{RUN}/metrics/hitl_resnet18.csv",
        scored=f"{RUN}/predictions/hitl_resnet18.parquet",
    log:
        f"{LOGS}/train_resnet18.log",
    benchmark:
        f"{RUN}/benchmarks/train_resnet18.tsv"
    conda:
        TRAIN_ENV
    threads: config["resources"]["fewshot_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["fewshot_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(ImageSets, config["hitl"]),
        sections=part_of(NetworkSections, config),
        state_root=f"{STATE}/train_resnet18",
        seed=config["seed"],
        recipe_version=3,
    script:
        "../scripts/train_resnet18.py"


rule simulate_discovery:
    """Searches from a few positives by every selection rule (paper V.C); resumes after a kill."""
    input:
        features=f"{RUN}/features/{HITL_DISCOVERY}/{LOOP_VECTORS}.npy",
        ids=f"{RUN}/features/{HITL_DISCOVERY}/{LOOP_VECTORS}.parquet",
        splits=f"{RUN}/data/{HITL_DISCOVERY}/splits.parquet",
        cutouts=cutouts_path(HITL_DISCOVERY),
    output:
        metrics=f"{RUN}/metrics/hitl_discovery.csv",
        recommended=f"{RUN}/predictions/hitl_recommended.parquet",
        targets=report(
            f"{RUN}/tables/hitl_targets.csv",
            caption="../report/hitl_targets.rst",
            category="8 Human in the loop",
            labels={"what": "Table of targets, how rare they are"},
        ),
    log:
        f"{LOGS}/simulate_discovery.log",
    benchmark:
        f"{RUN}/benchmarks/simulate_discovery.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=480,
    params:
        settings=part_of(Searches, config["hitl"]),
        state_root=f"{STATE}/simulate_discovery",
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/simulate_discovery.py"


rule plot_hitl_targets:
    """Figure 7: prompts and what the loop recommends after some rounds."""
    input:
        recommended=f"{RUN}/predictions/hitl_recommended.parquet",
        targets=f"{RUN}/tables/hitl_targets.csv",
        crops=f"{RUN}/data/{HITL_DISCOVERY}/crops.h5",
    output:
        figure=f"{RUN}/figures/fig07_hitl_targets.pdf",
        png=report(
            f"{RUN}/figures/fig07_hitl_targets.png",
            caption="../report/fig07.rst",
            category="8 Human in the loop",
            labels={"what": "Figure 7: prompts and recommended galaxies"},
        ),
    log:
        f"{LOGS}/plot_hitl_targets.log",
    benchmark:
        f"{RUN}/benchmarks/plot_hitl_targets.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_hitl_targets"),
    script:
        "../scripts/plot_hitl_targets.py"


rule draw_hitl_module:
    """Figure 8: the human in the loop, from the config alone."""
    output:
        figure=f"{RUN}/figures/fig08_hitl_module.pdf",
        png=report(
            f"{RUN}/figures/fig08_hitl_module.png",
            caption="../report/fig08.rst",
            category="8 Human in the loop",
            labels={"what": "Figure 8: the module"},
        ),
    log:
        f"{LOGS}/draw_hitl_module.log",
    benchmark:
        f"{RUN}/benchmarks/draw_hitl_module.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        lvm=LVM_SHAPE,
        settings=part_of(Module, config["hitl"]),
        code=code_of("draw_hitl_module"),
    script:
        "../scripts/draw_hitl_module.py"


rule plot_interfaces:
    """Figure 9: the labelling page and the notebook's widget, drawn by a browser if there is one."""
    input:
        features=f"{RUN}/features/{HITL_DISCOVERY}/{LOOP_VECTORS}.npy",
        ids=f"{RUN}/features/{HITL_DISCOVERY}/{LOOP_VECTORS}.parquet",
        crops=f"{RUN}/data/{HITL_DISCOVERY}/crops.h5",
        splits=f"{RUN}/data/{HITL_DISCOVERY}/splits.parquet",
        kept=workflow.source_path("../docs/images/labelling_page.png"),
    output:
        figure=f"{RUN}/figures/fig09_interfaces.pdf",
        png=report(
            f"{RUN}/figures/fig09_interfaces.png",
            caption="../report/fig09.rst",
            category="8 Human in the loop",
            labels={"what": "Figure 9: page and notebook"},
        ),
    log:
        f"{LOGS}/plot_interfaces.log",
    benchmark:
        f"{RUN}/benchmarks/plot_interfaces.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=20,
    params:
        settings=part_of(Place, config["hitl"]),
        run=config["run"],
        code=code_of("plot_interfaces"),
    script:
        "../scripts/plot_interfaces.py"


rule plot_hitl_comparison:
    """Figure 10 and its table; whether the paper's claims on the loop hold here."""
    input:
        hitl=f"{RUN}/metrics/hitl.csv",
        resnet18=f"{RUN}/metrics/hitl_resnet18.csv",
        scored=[
            f"{RUN}/predictions/hitl.parquet",
            f"{RUN}/predictions/hitl_resnet18.parquet",
        ],
        paper=workflow.source_path("../config/paper_values.csv"),
    output:
        figure=f"{RUN}/figures/fig10_hitl.pdf",
        png=report(
            f"{RUN}/figures/fig10_hitl.png",
            caption="../report/fig10.rst",
            category="8 Human in the loop",
            labels={"what": "Figure 10: training sets"},
        ),
        table=f"{RUN}/tables/fig10_hitl.csv",
        table_html=report(
            f"{RUN}/tables/fig10_hitl.html",
            caption="../report/fig10.rst",
            category="8 Human in the loop",
            labels={"what": "Table of figure 10"},
        ),
        claims=f"{RUN}/tables/hitl_claims.csv",
    log:
        f"{LOGS}/plot_hitl_comparison.log",
    benchmark:
        f"{RUN}/benchmarks/plot_hitl_comparison.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        sizes=part_of(Sizes, config["hitl"]["comparison"]),
        code=code_of("plot_hitl_comparison"),
    script:
        "../scripts/plot_hitl_comparison.py"


rule plot_hitl_discovery:
    """Searches by selection rule, and their table beside the paper's precision."""
    input:
        discovery=f"{RUN}/metrics/hitl_discovery.csv",
        targets=f"{RUN}/tables/hitl_targets.csv",
        paper=workflow.source_path("../config/paper_values.csv"),
    output:
        figure=f"{RUN}/figures/hitl_discovery.pdf",
        png=report(
            f"{RUN}/figures/hitl_discovery.png",
            caption="../report/hitl_discovery.rst",
            category="8 Human in the loop",
            labels={"what": "Searches by selection rule"},
        ),
        table=report(
            f"{RUN}/tables/hitl_discovery.csv",
            caption="../report/hitl_discovery_table.rst",
            category="8 Human in the loop",
            labels={"what": "Table of searches, beside the paper's precision"},
        ),
    log:
        f"{LOGS}/plot_hitl_discovery.log",
    benchmark:
        f"{RUN}/benchmarks/plot_hitl_discovery.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_hitl_discovery"),
    script:
        "../scripts/plot_hitl_discovery.py"


rule plot_hitl_alpha:
    """What alpha does: the sweep on figure 10's galaxies."""
    input:
        hitl=f"{RUN}/metrics/hitl.csv",
    output:
        figure=f"{RUN}/figures/hitl_alpha.pdf",
        png=report(
            f"{RUN}/figures/hitl_alpha.png",
            caption="../report/hitl_alpha.rst",
            category="8 Human in the loop",
            labels={"what": "What alpha does"},
        ),
    log:
        f"{LOGS}/plot_hitl_alpha.log",
    benchmark:
        f"{RUN}/benchmarks/plot_hitl_alpha.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_hitl_alpha"),
    script:
        "../scripts/plot_hitl_alpha.py"
